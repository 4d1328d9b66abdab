"""The curve of a training run."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neardup.output.figures import write_png

if TYPE_CHECKING:
    from neardup.training.log import Row

WINDOW = 25  # steps over which the drawn loss is averaged
COLOURS = ("#1a7f4b", "#c2571a", "#7a4bb5", "#b5894a")


def plot_curve(rows: "list[Row]", picture: Path) -> None:
    """Draw the loss over the steps, and a validation's figures where there are any, shares on an axis of their own.

    rows: of a run's log, at least one
    """
    from matplotlib.figure import Figure

    steps = np.array([row["step"] for row in rows])
    loss = np.array([row["loss"] for row in rows])
    window = min(WINDOW, len(loss))
    smooth = np.convolve(loss, np.ones(window) / window, mode="valid")
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axis = figure.add_subplot()
    axis.plot(steps, loss, color="#c9d6ea", linewidth=0.7)
    axis.plot(steps[window - 1 :], smooth, color="#2457c5", label=f"loss, mean of {window} steps")
    axis.set_xlabel("step")
    axis.set_ylabel("loss")
    figures = sorted({name for row in rows for name in row} - {"step", "loss", "views_per_second"})
    shares = [name for name in figures if not name.endswith("loss")]
    if shares:
        other = axis.twinx()
        other.set_ylim(0, 1)
        other.set_ylabel("validation")
        other.spines[["top"]].set_visible(False)
    for number, name in enumerate(figures):
        validated = [row for row in rows if name in row]
        (axis if name not in shares else other).plot(
            [row["step"] for row in validated], [row[name] for row in validated], "o-", markersize=3,
            color=COLOURS[number % len(COLOURS)], label=name.replace("_", " "),
        )  # fmt: skip
    axis.spines[["top"]].set_visible(False)
    # Above the drawing: the curves may be anywhere in it.
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    write_png(figure, picture, dpi=120)
