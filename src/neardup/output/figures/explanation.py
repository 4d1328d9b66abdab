"""An explanation as a picture: A and B with what they share outlined, A laid over B, and what differs."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from neardup.errors import BadInput
from neardup.jobs.explain import Explanation
from neardup.matching.geometry import Alignment
from neardup.matching.maps import inverse, outline
from neardup.matching.picture import Picture, load_picture
from neardup.matching.shading import lay_in_b, shade_differences
from neardup.matching.words import steps
from neardup.output.figures import write_png
from neardup.text import printable

# Okabe and Ito's orange: seen with any colour vision, and on nearly any photo with the dark line below it.
OUTLINE = "#E69F00"
INK, QUIET = "#1c1e21", "#6a6f76"
WIDTH = 12.0  # inches
LONGEST_NAME = 34  # characters
LONGEST_LINE = 140


def plot_explanation(found: Explanation, path: Path) -> None:
    """Write a PNG; raises UnreadableImage where A or B cannot be read now, BadInput where the PNG cannot be made."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    compared = found.comparison
    a, b = load_picture(Path(compared.a)), load_picture(Path(compared.b))
    alignment = compared.alignment
    panels = 4 if alignment else 2
    # Each panel as wide as the widest picture, none higher than 1.6 times that.
    proportions = [p.pixels.shape[0] / p.pixels.shape[1] for p in (a, b)]
    height = 0.95 * WIDTH / panels * min(1.6, max(0.55, *proportions))
    figure = Figure(figsize=(WIDTH, height + 1.45), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    top = 1 - 1.32 / (height + 1.45)
    axes: list[Any] = list(
        figure.subplots(
            1, panels, gridspec_kw={"left": 0.015, "right": 0.985, "top": top, "bottom": 0.01, "wspace": 0.05}
        )
    )
    for panel in axes:
        panel.set_axis_off()
        panel.set_anchor("N")
    _show(axes[0], a.pixels, "A", f"{_short(compared.a)}  {a.width} × {a.height}")
    _show(axes[1], b.pixels, "B", f"{_short(compared.b)}  {b.width} × {b.height}")
    if alignment:
        _show_aligned(axes, a, b, alignment)
    verdict = "duplicate" if compared.duplicate else "not a duplicate"
    title = f"{compared.relation.capitalize()}: {verdict}, similarity {compared.similarity:.3f}"
    figure.text(
        0.015, 1 - 0.34 / (height + 1.45), title,
        fontsize=14, fontweight="bold", color=INK, va="center",
    )  # fmt: skip
    figure.text(0.015, 1 - 0.66 / (height + 1.45), _summary(found), fontsize=9.5, color=QUIET, va="center")
    try:
        write_png(figure, path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; choose another place for --plot") from error


def _show_aligned(axes: list[Any], a: Picture, b: Picture, alignment: Alignment) -> None:
    from matplotlib.patches import Polygon

    laid = lay_in_b(a, b, alignment.matrix)
    corners = {
        0: (outline(inverse(alignment.matrix), (b.width, b.height)), a),
        1: (outline(alignment.matrix, (a.width, a.height)), b),
    }
    for number, (points, picture) in corners.items():
        scaled = points * [picture.pixels.shape[1] / picture.width, picture.pixels.shape[0] / picture.height] - 0.5
        shown = alignment.shown_of_a if number == 0 else alignment.shown_of_b
        if shown < 0.97:
            for colour, width in (("#000000a0", 3.6), (OUTLINE, 1.8)):
                axes[number].add_patch(Polygon(scaled, closed=True, fill=False, edgecolor=colour, linewidth=width))
    faded = (b.pixels * 0.35 + 255 * 0.65).astype(np.uint8)
    half = (laid.a.astype(np.uint16) + b.pixels + 1) // 2
    _show(axes[2], np.where(laid.inside[..., None], half.astype(np.uint8), faded), "A over B", "half and half")
    _show(axes[3], shade_differences(a, b, alignment.matrix), "Differences", "what each shows that the other lacks")


def _show(axes: Any, pixels: Any, title: str, remark: str) -> None:
    axes.imshow(pixels, interpolation="antialiased")
    axes.set_xlim(-0.5, pixels.shape[1] - 0.5)
    axes.set_ylim(pixels.shape[0] - 0.5, -0.5)
    axes.annotate(
        title, (0, 1), xytext=(0, 19), xycoords="axes fraction", textcoords="offset points",
        fontsize=10.5, fontweight="bold", color=INK,
    )  # fmt: skip
    axes.annotate(
        remark, (0, 1), xytext=(0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=8, color=QUIET,
        parse_math=False,
    )  # fmt: skip


def _summary(found: Explanation) -> str:
    compared = found.comparison
    if compared.alignment is None:
        return "No alignment: too few details of A are found again in B"
    told = "; ".join(steps(compared.evidence, compared.size_a, compared.size_b)) or "nothing visible changed"
    return textwrap.shorten("From A to B: " + told, LONGEST_LINE, placeholder=" …")


def _short(path: str) -> str:
    name = printable(Path(path).name)
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 12]}…{name[-11:]}"
