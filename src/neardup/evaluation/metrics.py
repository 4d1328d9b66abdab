"""How well copies are found: recall@1, recall at a false-alarm rate, and micro average precision (uAP).

Each query has one answer, the most similar gallery image, with its similarity. A **positive** is a query whose
original is in the gallery, a **negative** one whose original is not. Where several gallery images tie for the best
similarity (hashes of 64 bits do), the answer is one of them at random, and `correct` is its chance to be right: every
figure is then the expectation over that choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FALSE_ALARM_RATE = 0.01


@dataclass(frozen=True)
class Answers:
    """The best match of each query."""

    similarities: NDArray[np.float32]  # (q,) of the best match
    correct: NDArray[np.float64]  # (q,) in [0, 1]: chance that the best match is the original
    rows: NDArray[np.int64]  # (q,) gallery row of the best match, the first of those that tie


def best_matches(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], originals: NDArray[np.int64], *, block: int = 1024
) -> Answers:
    """Search the whole gallery for each query, `block` queries at a time.

    queries:   (q, dim) float32, unit rows
    gallery:   (n, dim) float32, unit rows
    originals: (q,) int64, the gallery row that a query was made from; -1 for a negative
    """
    similarities, correct, rows = [], [], []
    for first in range(0, len(queries), block):
        scores = queries[first : first + block] @ gallery.T
        best = scores.max(axis=1)
        is_best = scores == best[:, None]
        original = originals[first : first + block]
        found = (original >= 0) & is_best[np.arange(len(scores)), np.maximum(original, 0)]
        similarities.append(best)
        correct.append(found / is_best.sum(axis=1))
        rows.append(is_best.argmax(axis=1))
    return Answers(
        np.concatenate(similarities), np.concatenate(correct).astype(np.float64), np.concatenate(rows).astype(np.int64)
    )


def recall_at_1(correct: NDArray[np.float64]) -> float:
    """Share of positives whose best match is their original. `correct`: (positives,) in [0, 1]."""
    return float(correct.mean())


def false_alarm_threshold(negatives: NDArray[np.float32], rate: float = FALSE_ALARM_RATE) -> float:
    """The similarity that at most this share of negatives exceeds: only answers *above* it are given.

    negatives: (m,) best similarities of the negatives; with fewer than 1 / rate of them, none may exceed it
    """
    allowed = int(rate * len(negatives) + 1e-9)
    return float(np.sort(negatives)[::-1][allowed])


def recall_above(similarities: NDArray[np.float32], correct: NDArray[np.float64], threshold: float) -> float:
    """Share of positives answered rightly by a match above the threshold. Both arrays: (positives,)."""
    return float((correct * (similarities > threshold)).mean())


def micro_average_precision(similarities: NDArray[np.float32], correct: NDArray[np.float64], positives: int) -> float:
    """Area under the precision-recall curve of all answers together, ranked by similarity (uAP).

    As in the image similarity challenge DISC2021 (Douze et al., arXiv 2106.09672) and SSCD (Pizzi et al.,
    arXiv 2202.10261), with one answer for each query: the mean, over the positives, of the precision among the
    answers at least as similar as the right one; a positive that was not found counts as 0. Answers of the same
    similarity enter together.

    similarities: (q,) of all queries, positives and negatives
    correct:      (q,) in [0, 1], 0 for negatives
    positives:    number of queries that have an original, at least one
    """
    order = np.argsort(-similarities, kind="stable")
    ranked, right = similarities[order], np.cumsum(correct[order])
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    found = right[last_of_tie]
    precision = found / (np.flatnonzero(last_of_tie) + 1)
    gained = np.diff(found, prepend=0.0)
    return float((gained * precision).sum() / positives)
