"""Pictures of a labelled set: its classes, the embeddings in two dimensions, right and wrong queries, the confusion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput
from neardup.evaluation.labelled import LabelledReport, LabelledSet
from neardup.evaluation.projection import project
from neardup.output.figures.matches import draw_cell, preview
from neardup.sources import StoredImage
from neardup.text import printable

# Okabe and Ito's colours; more classes take a map of many.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7A5C00", "#000000")
RIGHT, WRONG, QUERY, INK = "#1a7f4b", "#c0392b", "#2457c5", "#222222"
EACH = 6  # pictures of a class
MOST_CLASSES = 20
MOST_QUERIES = 6
MOST_THUMBNAILS = 120
_CELL, _CAPTION = 1.5, 0.42  # inches


def plot_labelled(report: LabelledReport, folder: Path, *, title: str, seed: int = 0) -> list[Path]:
    """Write classes.png, embedding.png, right.png, wrong.png and confusion.png into a folder, made if need be; without
    a right or a wrong query, not its picture. Raises BadInput where they cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror}; give another folder for the plots") from error
    pictures, right = report.pictures, report.taken_for == report.pictures.labels
    figures = {
        "classes.png": _classes(pictures, seed),
        "embedding.png": _embedding(pictures, title, seed),
        "right.png": _queries(report, np.flatnonzero(right), seed),
        "wrong.png": _queries(report, np.flatnonzero(~right), seed),
        "confusion.png": _confusion(report, title),
    }
    return [_save(figure, folder / name) for name, figure in figures.items() if figure is not None]


def _save(figure: Any, path: Path) -> Path:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a letter that the font lacks is drawn as a box
            figure.savefig(path, dpi=130, format="png")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give another folder for the plots") from error
    return path


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _colours(classes: Sequence[str]) -> list[Any]:
    if len(classes) <= len(COLOURS):
        return list(COLOURS[: len(classes)])
    from matplotlib import colormaps

    return [colormaps["gist_ncar"](number / len(classes)) for number in range(len(classes))]


def _cells(rows: int, columns: int) -> tuple[Any, Any]:
    height = rows * (_CELL + _CAPTION)
    figure = _figure(columns * _CELL, height)
    grid = figure.add_gridspec(
        rows, columns, left=0.01, right=0.99, top=1 - 0.05 / height, bottom=_CAPTION / height, wspace=0.06,
        hspace=_CAPTION / _CELL,
    )  # fmt: skip
    return figure, grid


def _classes(pictures: LabelledSet, seed: int) -> Any:
    """Some pictures of each class, a class a row."""
    rng = np.random.default_rng(seed)
    shown = pictures.classes[:MOST_CLASSES]
    figure, grid = _cells(len(shown), EACH)
    for row, name in enumerate(shown):
        own = np.flatnonzero(pictures.labels == row)
        for column, number in enumerate(rng.permutation(own)[:EACH].tolist()):
            caption = f"{name} ({len(own):,})" if column == 0 else ""
            axis = figure.add_subplot(grid[row, column])
            draw_cell(axis, preview(StoredImage(pictures.paths[number])), caption, "", INK)
    return figure


def _queries(report: LabelledReport, chosen: NDArray[np.int64], seed: int) -> Any:
    """Queries with their neighbours by exact search, framed by whether they are of the query's class."""
    pictures = report.pictures
    drawn = np.random.default_rng(seed).permutation(chosen)[:MOST_QUERIES].tolist()
    if not drawn:
        return None
    figure, grid = _cells(len(drawn), 1 + report.found.rows.shape[1])
    for row, query in enumerate(drawn):
        name = pictures.classes[pictures.labels[query]]
        image = preview(StoredImage(pictures.paths[query]))
        draw_cell(figure.add_subplot(grid[row, 0]), image, "query", name, QUERY)
        neighbours = zip(report.found.rows[query].tolist(), report.found.similarities[query].tolist(), strict=True)
        for column, (other, similarity) in enumerate(neighbours, 1):
            if other < 0:
                continue
            label = pictures.classes[pictures.labels[other]]
            axis = figure.add_subplot(grid[row, column])
            colour = RIGHT if label == name else WRONG
            draw_cell(axis, preview(StoredImage(pictures.paths[other])), f"{similarity:.3f}", label, colour)
    return figure


def _embedding(pictures: LabelledSet, title: str, seed: int) -> Any:
    """Where each picture lies, by class on the left; as thumbnails on the right."""
    places, how = project(pictures.embeddings, seed=seed)
    figure = _figure(13, 6.9)
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.03})
    colours = _colours(pictures.classes)
    for number, (name, colour) in enumerate(zip(pictures.classes, colours, strict=True)):
        own = places[pictures.labels == number]
        left.scatter(own[:, 0], own[:, 1], s=9, color=[colour], label=printable(name), linewidths=0, alpha=0.8)
    if len(pictures.classes) <= MOST_CLASSES:
        figure.legend(loc="lower center", ncols=min(8, len(pictures.classes)), frameon=False, fontsize=9, markerscale=2)
    _draw_thumbnails(right, pictures, places, colours, seed)
    for axes in (left, right):
        axes.set_xlim(left.get_xlim())
        axes.set_ylim(left.get_ylim())
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle(f"{title}: {len(places):,} embeddings in two dimensions, by {how}", fontsize=11)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.93, bottom=0.08)
    return figure


def _draw_thumbnails(
    axes: Any, pictures: LabelledSet, places: NDArray[np.float64], colours: list[Any], seed: int
) -> None:
    """As many as have room: none lies over another's middle."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    room = np.ptp(places, axis=0) / 22
    taken: list[NDArray[np.float64]] = []
    for number in np.random.default_rng(seed).permutation(len(places)).tolist():
        if len(taken) == MOST_THUMBNAILS:
            break
        if any((np.abs(places[number] - other) < room).all() for other in taken):
            continue
        if (pixels := preview(StoredImage(pictures.paths[number]))) is None:
            continue
        taken.append(places[number])
        # Reduced here: an OffsetImage is drawn by its pixels.
        small = pixels[:: max(1, max(pixels.shape[:2]) // 96), :: max(1, max(pixels.shape[:2]) // 96)]
        image = OffsetImage(small, zoom=22 / max(small.shape[:2]))
        frame = {"edgecolor": colours[pictures.labels[number]], "linewidth": 1.4}
        axes.add_artist(AnnotationBbox(image, tuple(places[number]), pad=0.06, bboxprops=frame))


def _confusion(report: LabelledReport, title: str) -> Any:
    counts, classes = report.exact.confusion, [printable(name) for name in report.pictures.classes]
    size = max(4.5, 0.45 * len(classes) + 2)
    figure = _figure(size + 0.6, size)
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= MOST_CLASSES:
        for row in range(len(classes)):
            for column in range(len(classes)):
                ink = "white" if shares[row, column] > 0.55 else INK
                axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=8, color=ink)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(classes)), classes, fontsize=8)
    axes.set_xlabel("taken for, by a vote of its neighbours", fontsize=9)
    axes.set_ylabel("class", fontsize=9)
    axes.set_title(f"{title}: k-NN accuracy {report.exact.knn_accuracy:.3f}", fontsize=10)
    figure.tight_layout()
    return figure
