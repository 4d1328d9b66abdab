"""Query images and their matches side by side, as a picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput, UnreadableImage
from neardup.jobs.query import Answer, is_near
from neardup.output.figures import write_png
from neardup.sources import Source, StoredImage
from neardup.text import printable

# Query images in one picture; more would be too tall to look at.
MOST_ROWS = 20
CELL_INCHES = 2.3
CAPTION_INCHES = 0.62
WIDEST = 6  # cells in a row
MOST_MATCHES = 35  # six rows; twenty queries of so many stay below the 65,536 pixels that can be drawn
PREVIEW = 320  # pixels
NEAR, FAR, QUERY, INK = "#1a7f4b", "#9a9a9a", "#2457c5", "#222222"


def plot_answers(queries: Sequence[tuple[Answer, NDArray[np.uint8] | None]], path: Path, *, threshold: float) -> None:
    """Write a picture: for each query a row (or more) that begins with it, then its matches but itself, best first.

    queries:   answers, each with its query's `preview`; of each, the first MOST_MATCHES matches are drawn
    threshold: confirmed matches, and where nobody looked those that reach it, are framed in green, others in grey
    Raises BadInput where the file cannot be written.
    """
    import warnings

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    drawn = [answer.others[:MOST_MATCHES] for answer, _ in queries]
    longest = max(len(matches) + 1 for matches in drawn)
    columns = max(2, min(longest, WIDEST))
    rows = [-(-(len(matches) + 1) // columns) for matches in drawn]
    figure = Figure(figsize=(columns * CELL_INCHES, sum(rows) * (CELL_INCHES + CAPTION_INCHES)), facecolor="white")
    grid = figure.add_gridspec(
        sum(rows), columns, left=0.02, right=0.98, top=0.99, bottom=CAPTION_INCHES / figure.get_figheight(),
        wspace=0.08, hspace=CAPTION_INCHES / CELL_INCHES,
    )  # fmt: skip
    top = 0
    for (answer, pixels), matches, height in zip(queries, drawn, rows, strict=True):
        cells = [(top + number // columns, number % columns) for number in range(len(matches) + 1)]
        axes = [figure.add_subplot(grid[cell]) for cell in cells]
        name = answer.query.rstrip("/").rpartition("/")[2] or answer.query
        draw_cell(axes[0], pixels, f"query: {name}", answer.label or "", QUERY)
        for axis, match in zip(axes[1:], matches, strict=True):
            label = f"  {match.label}" if match.label is not None else ""
            near = is_near(match, threshold)
            caption = " ".join(filter(None, (f"{match.similarity:.3f}", match.relation))) + label
            draw_cell(axis, preview(StoredImage(match.path)), match.path.name, caption, NEAR if near else FAR)
        top += height
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a letter that the font lacks is drawn as a box
            write_png(figure, path, dpi=110)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror}); choose another file") from error


def preview(source: Source) -> NDArray[np.uint8] | None:
    """A small picture of an image, None where it cannot be read any more."""
    from neardup.images import load_image

    try:
        return load_image(source.read(), size=PREVIEW)
    except UnreadableImage:
        return None


def draw_cell(axis: object, pixels: NDArray[np.uint8] | None, name: str, caption: str, colour: str) -> None:
    """One cell: the picture as large as it fits, framed, with two lines of text under it."""
    from matplotlib.axes import Axes

    assert isinstance(axis, Axes)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    axis.set_aspect("equal")
    axis.axis("off")
    if pixels is None:
        axis.text(0.5, 0.5, "missing", ha="center", va="center", color=FAR)
    else:
        height, width = pixels.shape[:2]
        w, h = (1.0, height / width) if width >= height else (width / height, 1.0)
        box = (0.5 - w / 2, 0.5 + w / 2, 0.5 - h / 2, 0.5 + h / 2)
        axis.imshow(pixels, extent=box, aspect="equal", interpolation="antialiased")
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
        axis.plot(
            [box[0], box[1], box[1], box[0], box[0]],
            [box[2], box[2], box[3], box[3], box[2]],
            color=colour,
            linewidth=2,
        )
    lines = [_short(name), _short(caption)] if caption else [_short(name)]
    for number, line in enumerate(lines):
        bold = number == 1 or name.startswith("query: ")
        axis.text(
            0.5, -0.04 - 0.105 * number, line, ha="center", va="top", fontsize=8.5, color=colour if bold else INK,
            fontweight="bold" if bold else "normal", clip_on=False, parse_math=False,
        )  # fmt: skip


def _short(name: str, width: int = 30) -> str:
    """A name that fits under its picture: the middle of a long one is left out."""
    name = printable(name)
    if len(name) <= width:
        return name
    return name[: width // 2 - 1] + "…" + name[-(width // 2) :]
