"""A training's result."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neardup.output import write_csv, write_json, write_line

if TYPE_CHECKING:
    from neardup.jobs.train import Trained


def write_training(trained: "Trained", curve: Path, format: str) -> None:
    steps, loss = int(trained.last["step"]), trained.last["loss"]
    result: dict[str, Any] = {
        "steps": steps, "loss": loss, **trained.figures, "model": str(trained.model), "curve": str(curve)
    }  # fmt: skip
    if format == "json":
        write_json(result)
    elif format == "csv":
        write_csv(list(result), [result])
    else:
        found = "".join(f", {k.replace('_', ' ')} {v:.3f}" for k, v in trained.figures.items() if v is not None)
        write_line(f"Trained {steps} steps, loss {loss:.3f}{found}. The model: {trained.model}")
