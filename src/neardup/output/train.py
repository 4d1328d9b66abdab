"""A training's result."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neardup.output import write_csv, write_json, write_line

if TYPE_CHECKING:
    from neardup.jobs.train import Trained


def write_training(trained: "Trained", curve: Path, format: str) -> None:
    last = trained.last
    result: dict[str, Any] = {
        "steps": int(last["step"]), "loss": last["loss"], "uap": last.get("uap"),
        "recall_at_1": last.get("recall_at_1"), "model": str(trained.model), "curve": str(curve),
    }  # fmt: skip
    if format == "json":
        write_json(result)
    elif format == "csv":
        write_csv(list(result), [result])
    else:
        write_line(f"Trained {result['steps']} steps, loss {result['loss']:.3f}. The model: {result['model']}")
