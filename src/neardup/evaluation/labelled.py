"""Do neighbours share a label? Every picture of a labelled set is searched for among the others."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding import Embedder
from neardup.errors import BadInput
from neardup.evaluation.labels import (
    LabelScores,
    Neighbours,
    confusion,
    exact_neighbours,
    label_recall,
    mean_average_precision,
    vote,
)
from neardup.lsh import LSH
from neardup.prepare import embed_images
from neardup.sources import StoredImage

NEIGHBOURS = 5  # that vote


@dataclass(frozen=True)
class LabelledSet:
    """Pictures that could be read, with the numbers of their classes, and their embeddings."""

    paths: tuple[Path, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]  # (n,)
    embeddings: NDArray[np.float32]  # (n, dim), unit rows
    failed: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True)
class LabelledReport:
    pictures: LabelledSet
    found: Neighbours  # of each picture among the others, by exact search
    taken_for: NDArray[np.int64]  # (n,) the class that its neighbours vote for
    exact: LabelScores
    lsh: LabelScores  # through hash tables; no mean average precision

    def as_json(self) -> dict[str, Any]:
        return {
            "images": len(self.pictures.paths),
            "classes": list(self.pictures.classes),
            "neighbours": NEIGHBOURS,
            "exact": _as_json(self.exact),
            "lsh": _as_json(self.lsh),
        }


def embed_labelled(
    found: Sequence[tuple[Path, str]],
    embedder: Embedder,
    threads: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> LabelledSet:
    """Embed pictures with their labels; raises BadInput for fewer than two that can be read, or one class."""
    kept: list[tuple[Path, str]] = []
    rows: list[NDArray[np.float32]] = []
    failed: list[tuple[Path, str]] = []
    sources = [StoredImage(path, label) for path, label in found]
    for number, image in enumerate(embed_images(sources, embedder, threads), 1):
        path, label = found[number - 1]
        if image.embeddings is None:
            failed.append((path, image.error or ""))
        else:
            kept.append((path, label))
            rows.append(image.embeddings[0])
        on_progress(number, len(found))
    classes = tuple(sorted({label for _, label in kept}))
    if len(classes) < 2:
        raise BadInput(
            f"{len(kept)} pictures of {len(classes)} classes; give a folder with a folder for each class, or a data set"
        )
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array([numbers[label] for _, label in kept], np.int64)
    return LabelledSet(tuple(path for path, _ in kept), classes, labels, np.stack(rows), tuple(failed))


def judge_labelled(pictures: LabelledSet) -> LabelledReport:
    """Every picture is a query, and the others what it is searched for among."""
    rows, own = pictures.embeddings, np.arange(len(pictures.embeddings))
    found = exact_neighbours(rows, rows, NEIGHBOURS, own)
    ranked = mean_average_precision(rows, rows, pictures.labels, pictures.labels, own)
    return LabelledReport(
        pictures,
        found,
        vote(found, pictures.labels, len(pictures.classes)),
        _scores(found, pictures, ranked),
        _scores(_through_tables(rows), pictures, math.nan),  # which ranks a part of them only
    )


def _through_tables(rows: NDArray[np.float32]) -> Neighbours:
    """Neighbours of each row but itself, as `LSH` finds them by its own settings."""
    lsh = LSH(rows.shape[1])
    lsh.add(rows)
    found, similarities = lsh.query_batch(rows, k=NEIGHBOURS + 1)
    is_own = found == np.arange(len(rows))[:, None]
    # Itself goes last, and falls off: where it is not among them, the last of them does.
    order = np.argsort(is_own, axis=1, kind="stable")[:, :NEIGHBOURS]
    return Neighbours(np.take_along_axis(found, order, axis=1), np.take_along_axis(similarities, order, axis=1))


def _scores(found: Neighbours, pictures: LabelledSet, ranked: float) -> LabelScores:
    labels, classes = pictures.labels, len(pictures.classes)
    taken_for = vote(found, labels, classes)
    return LabelScores(
        label_recall(found, labels, labels, 1),
        label_recall(found, labels, labels, 5),
        float((taken_for == labels).mean()),
        confusion(labels, taken_for, classes),
        ranked,
    )


def _as_json(scores: LabelScores) -> dict[str, Any]:
    return {
        "recall_at_1": scores.recall_at_1,
        "recall_at_5": scores.recall_at_5,
        "knn_accuracy": scores.knn_accuracy,
        "mean_average_precision": None if math.isnan(scores.mean_average_precision) else scores.mean_average_precision,
        "confusion": scores.confusion.tolist(),
    }
