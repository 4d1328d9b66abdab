"""What `bench --lsh` measured: recall, candidates and time over tables and bits, theory beside measurement."""

from pathlib import Path
from typing import Any

from neardup.errors import BadInput
from neardup.evaluation.lsh_grid import FIRST, LshGrid

# Okabe and Ito's colours, told apart with any colour vision.
COLOURS = ("#56B4E9", "#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#000000")


def plot_grid(grid: LshGrid, path: Path) -> None:
    """Write a PNG; raises BadInput where it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    (recall, candidates), (cost, codes) = figure.subplots(2, 2)
    for tables, colour in zip(sorted({each.tables for each in grid.settings}), COLOURS, strict=False):
        line = sorted((each for each in grid.settings if each.tables == tables), key=lambda each: each.bits)
        bits = [each.bits for each in line]
        name = f"{tables} table{'s' * (tables != 1)}"
        recall.plot(bits, [each.recall for each in line], "o", color=colour, label=name, markersize=5)
        recall.plot(bits, [each.expected_recall for each in line], "-", color=colour, linewidth=1.2)
        candidates.plot(bits, [max(each.candidates, 0.01) for each in line], "o", color=colour, markersize=5)
        if all(each.expected_candidates is not None for each in line):
            candidates.plot(bits, [each.expected_candidates for each in line], "-", color=colour, linewidth=1.2)
        cost.plot([each.query_us for each in line], [each.recall for each in line], "o-", color=colour, markersize=5)
        for each in line:
            cost.annotate(str(each.bits), (each.query_us, each.recall), xytext=(4, 3), textcoords="offset points",
                          fontsize=7, color=colour)  # fmt: skip
    _say(recall, f"Recall at cosine {grid.similarity:g}", "bits", "recall")
    _say(candidates, f"Candidates among {grid.rows:,}", "bits", "candidates of a query")
    candidates.set_yscale("log")
    _say(cost, "Recall for its time (figures: bits)", "median query, microseconds", "recall")
    cost.set_xscale("log")
    _draw_codes(codes, grid)
    for axes in (recall, candidates):
        axes.set_xticks(sorted({each.bits for each in grid.settings}))
    figure.legend(
        *recall.get_legend_handles_labels(), fontsize=9, frameon=False, loc="outside lower center", ncols=len(COLOURS),
        title="points: measured, lines above: theory", title_fontsize=9,
    )  # fmt: skip
    figure.suptitle(
        f"Hash tables over {grid.rows:,} embeddings of {grid.source}, {grid.queries:,} queries,"
        f" {grid.probes} bucket{'s' * (grid.probes != 1)} of each table",
        fontsize=11,
    )
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give another file for the plot") from error


def _draw_codes(axes: Any, grid: LshGrid) -> None:
    sizes, recalls = [code.bytes_per_image for code in grid.codes], [code.recall for code in grid.codes]
    axes.plot(sizes, recalls, "s-", color="#0072B2")
    for code in grid.codes:
        axes.annotate(
            f"{code.bits} bits\n{code.recall:.3f}", (code.bytes_per_image, code.recall), xytext=(0, -26),
            textcoords="offset points", fontsize=8, ha="center",
        )  # fmt: skip
    axes.axvline(2 * grid.dim, color="#9A9A9A", linestyle="--", linewidth=1, label="float16 embedding")
    axes.set_xscale("log", base=2)
    axes.set_xticks([*sizes, 2 * grid.dim], [str(size) for size in (*sizes, 2 * grid.dim)])
    axes.set_xlim(0.6 * min(sizes), 3 * grid.dim)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    _say(axes, f"Sign codes: what is most alike is among the first {FIRST}", "bytes an image", "recall")


def _say(axes: Any, title: str, across: str, up: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(across, fontsize=9)
    axes.set_ylabel(up, fontsize=9)
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if up == "recall":
        axes.set_ylim(-0.02, 1.06)
