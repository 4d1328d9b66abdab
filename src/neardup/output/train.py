"""A training's progress and its result."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neardup.output import Rendering, one_record
from neardup.output.progress import Bar

if TYPE_CHECKING:
    from neardup.training.job import OnStep, Trained
    from neardup.training.log import Row


def show_step(bar: Bar) -> "OnStep":
    def show(row: "Row", steps: int) -> None:
        words = f", loss {row['loss']:.3f}, {row['views_per_second']:.0f} images/s"
        bar.update(int(row["step"]), steps, words=words)

    return show


def render_training(trained: "Trained", curve: Path) -> Rendering:
    steps, loss = int(trained.last["step"]), trained.last["loss"]
    result: dict[str, Any] = {
        "steps": steps, "loss": loss, **trained.figures, "model": str(trained.model), "curve": str(curve)
    }  # fmt: skip
    found = "".join(f", {k.replace('_', ' ')} {v:.3f}" for k, v in trained.figures.items() if v is not None)
    return one_record(result, [f"Trained {steps} steps, loss {loss:.3f}{found}. The model: {trained.model}"])
