"""How well neighbours share a query's label: recall@k, k-NN accuracy, mean average precision, and the confusion.

Labels are whole numbers, one for each class. Nearest neighbours are given as (q, k) rows of the gallery, best first, -1
where fewer were found: by exact search (`exact_neighbours`) as well as through hash tables (`LSH.query_batch`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
BLOCK = 256  # queries ranked at a time: memory is BLOCK * gallery


@dataclass(frozen=True)
class Neighbours:
    rows: NDArray[np.int64]  # (q, k) of the gallery, best first; -1 where fewer were found
    similarities: NDArray[np.float32]  # (q, k)


@dataclass(frozen=True)
class LabelScores:
    recall_at_1: float
    recall_at_5: float
    knn_accuracy: float
    confusion: NDArray[np.int64]  # (classes, classes): queries of the class of the row that were taken for the column's
    mean_average_precision: float


def score_labels(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], labels: Labels, gallery_labels: Labels, classes: int,
    own: NDArray[np.int64] | None = None, *, neighbours: int = 5,
) -> LabelScores:  # fmt: skip
    """All of them, by exact search.

    queries:    (q, dim) float32, unit rows; their labels (q,)
    gallery:    (n, dim) float32, unit rows; their labels (n,)
    own:        (q,) the gallery row that is each query itself, which is no neighbour; -1 for none
    neighbours: that vote
    """
    found = exact_neighbours(queries, gallery, max(5, neighbours), own)
    voters = Neighbours(found.rows[:, :neighbours], found.similarities[:, :neighbours])
    taken_for = vote(voters, gallery_labels, classes)
    return LabelScores(
        label_recall(found, labels, gallery_labels, 1),
        label_recall(found, labels, gallery_labels, 5),
        float((taken_for == labels).mean()),
        confusion(labels, taken_for, classes),
        mean_average_precision(queries, gallery, labels, gallery_labels, own),
    )


def exact_neighbours(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], k: int, own: NDArray[np.int64] | None = None
) -> Neighbours:
    """The k most similar of the gallery by cosine; of equals the one in the earlier row.

    queries: (q, dim) float32, unit rows
    gallery: (n, dim) float32, unit rows
    own:     (q,) the gallery row that is each query itself, which is no neighbour; -1 for none
    """
    rows, similarities = [], []
    for _, scores in _scores(queries, gallery, own):
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(scores, best, axis=1)
        rows.append(np.where(np.isfinite(found), best, -1))
        similarities.append(found)
    return Neighbours(np.concatenate(rows).astype(np.int64), np.concatenate(similarities))


def _scores(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], own: NDArray[np.int64] | None
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Cosines of the queries from `first` on with the whole gallery, -inf with themselves."""
    for first in range(0, len(queries), BLOCK):
        scores = queries[first : first + BLOCK] @ gallery.T
        if own is not None:
            there = own[first : first + BLOCK]
            scores[np.flatnonzero(there >= 0), there[there >= 0]] = -np.inf
        yield first, scores


def label_recall(found: Neighbours, labels: Labels, gallery_labels: Labels, k: int) -> float:
    """recall@k: share of queries with at least one of their label among their k nearest."""
    return float((_labels_of(found.rows[:, :k], gallery_labels) == labels[:, None]).any(axis=1).mean())


def vote(found: Neighbours, gallery_labels: Labels, classes: int) -> Labels:
    """The label most frequent among a query's neighbours: (q,); -1 without any. Of equally frequent ones, the one whose
    neighbours are more similar together.
    """
    labels = _labels_of(found.rows, gallery_labels)
    one_hot = labels[:, :, None] == np.arange(classes)
    votes = one_hot.sum(axis=1)
    weight = (one_hot * np.nan_to_num(found.similarities, neginf=0.0)[:, :, None]).sum(axis=1)
    winner = np.where(votes == votes.max(axis=1, keepdims=True), weight, -np.inf).argmax(axis=1)
    return np.where((labels >= 0).any(axis=1), winner, -1)


def confusion(labels: Labels, taken_for: Labels, classes: int) -> NDArray[np.int64]:
    """(classes, classes): row the label, column what it was taken for; what was taken for nothing is left out."""
    counts = np.zeros((classes, classes), np.int64)
    known = taken_for >= 0
    np.add.at(counts, (labels[known], taken_for[known]), 1)
    return counts


def mean_average_precision(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], labels: Labels, gallery_labels: Labels,
    own: NDArray[np.int64] | None = None,
) -> float:  # fmt: skip
    """Mean over queries of the average precision of the whole gallery, ranked by similarity.

    Average precision: the mean, over the gallery's images of the query's label, of the share of its label among those
    at least as high in the ranking. A query whose label the gallery has not is left out.
    """
    found = []
    for first, scores in _scores(queries, gallery, own):
        order = np.argsort(-scores, axis=1, kind="stable")
        right = gallery_labels[order] == labels[first : first + len(scores), None]
        right &= np.isfinite(np.take_along_axis(scores, order, axis=1))
        precision = np.cumsum(right, axis=1) / np.arange(1, right.shape[1] + 1)
        wanted = right.sum(axis=1)
        found.append(((precision * right).sum(axis=1) / np.maximum(wanted, 1))[wanted > 0])
    return float(np.concatenate(found).mean())


def _labels_of(rows: NDArray[np.int64], gallery_labels: Labels) -> Labels:
    return np.where(rows >= 0, gallery_labels[rows], -1)
