"""The log of a training run, as rows and as a picture."""

import csv
from pathlib import Path

import numpy as np

from neardup.errors import BadInput

WINDOW = 25  # steps over which the drawn loss is averaged


def read_log(path: Path) -> list[dict[str, float]]:
    """Rows of log.csv, without the fields that a row has not; raises BadInput for an empty or a foreign file."""
    try:
        with path.open(newline="") as file:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f"{path}: not the log of a training run ({error})") from error
    if not rows or "loss" not in rows[-1]:
        raise BadInput(f"{path}: holds no steps yet; train first")
    return rows


def plot_curve(log: Path, picture: Path) -> None:
    """Draw the loss, and the validation's figures where there are any, over the steps."""
    from matplotlib.figure import Figure

    rows = read_log(log)
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
    validated = [row for row in rows if "uap" in row]
    if validated:
        other = axis.twinx()
        other.set_ylim(0, 1)
        other.set_ylabel("validation")
        for name, label, colour in (
            ("recall_at_1", "recall@1", "#1a7f4b"),
            ("uap", "uAP", "#c2571a"),
            ("recall_at_1pct_false_alarms", "recall at 1 % false alarms", "#7a4bb5"),
        ):
            other.plot(
                [row["step"] for row in validated], [row[name] for row in validated], "o-", color=colour, label=label
            )
        other.spines[["top"]].set_visible(False)
    axis.spines[["top"]].set_visible(False)
    # Above the drawing: the curves may be anywhere in it.
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(picture, dpi=120)
