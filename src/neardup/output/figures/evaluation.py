"""A report as a picture: a line for each attack, a mark for each of those judged."""

from __future__ import annotations

from pathlib import Path

from neardup.errors import BadInput
from neardup.evaluation.suite import Report
from neardup.evaluation.tables import OVERALL, columns
from neardup.output.figures import write_png

MARKS = ("o", "s", "^", "D", "v", "P")
# Okabe and Ito's colours, told apart with any colour vision; the first is the model's.
BAR = "#9CC9E6"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")


def plot_report(report: Report, path: Path, *, title: str) -> None:
    """Write a PNG: bars for the model, marks for the baselines, on a line for each figure and attack.

    Raises BadInput where the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    attacks = list(report.model.attacks)
    judged = columns(report)
    # A gap parts the overall figures from the attacks.
    heights = [*range(len(OVERALL)), *range(len(OVERALL) + 1, len(OVERALL) + 1 + len(attacks))]
    labels = [*OVERALL.values(), *(attack for attack in attacks)]
    figure = Figure(figsize=(9, 1.6 + 0.215 * len(heights)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (name, scores) in enumerate(judged.items()):
        values = [
            *(getattr(scores, key) for key in OVERALL),
            *(scores.attacks[attack].recall_at_1 for attack in attacks),
        ]
        colour = COLOURS[number % len(COLOURS)]
        if number == 0:
            axes.barh(heights, values, height=0.72, color=BAR, label=name, zorder=2)
            for height, value in zip(heights, values, strict=True):
                axes.text(1.015, height, f"{value:.3f}", va="center", fontsize=7.5, color=colour)
        else:
            # Marks of equal values would hide each other: each has its own place in the line.
            shift = 0.2 * (number - len(judged) / 2)
            marked = [height + shift for height in heights]
            mark = MARKS[number % len(MARKS)]
            axes.plot(
                values, marked, mark, color=colour, markersize=4, clip_on=False, label=name, linestyle="none", zorder=3
            )
    axes.set_yticks(heights, labels, fontsize=8)
    axes.set_ylim(heights[-1] + 0.7, -0.7)
    axes.set_xlim(0, 1)
    axes.set_xticks([tenth / 10 for tenth in range(11)])
    axes.tick_params(axis="x", labelsize=8, top=True, labeltop=True)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.axhline(len(OVERALL), color="0.6", linewidth=0.8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("above the line: overall figures; below: recall@1 for each attack", fontsize=8)
    figure.suptitle(
        f"{title}\n{report.originals} photos, each attacked {len(attacks)} ways; gallery of {report.gallery:,}; "
        f"{report.negatives} negatives",
        fontsize=9.5,
    )
    handles, names = axes.get_legend_handles_labels()
    # Bars come after lines in it; the model comes first here.
    figure.legend(
        [handles[-1], *handles[:-1]],
        [names[-1], *names[:-1]],
        loc="outside lower center",
        ncols=len(judged),
        fontsize=8,
    )
    try:
        write_png(figure, path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give another file for the plot") from error
