"""Label scores worked out by hand: queries on a circle, a gallery of six in three classes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.evaluation.labels import (
    Neighbours,
    confusion,
    exact_neighbours,
    label_recall,
    mean_average_precision,
    score_labels,
    vote,
)


def on_circle(*degrees):
    turns = np.radians(degrees)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)


GALLERY = on_circle(0, 10, 20, 90, 100, 181)
LABELS = np.array([0, 1, 0, 1, 1, 2])


def test_neighbours_come_by_angle_and_a_row_is_none_of_its_own():
    found = exact_neighbours(on_circle(1, 96), GALLERY, 3)
    assert found.rows.tolist() == [[0, 1, 2], [4, 3, 2]]
    assert found.similarities[0] == pytest.approx(np.cos(np.radians([1, 9, 19])), abs=1e-6)
    others = exact_neighbours(GALLERY, GALLERY, 2, np.arange(6))
    assert others.rows.tolist() == [[1, 2], [0, 2], [1, 0], [4, 2], [3, 2], [4, 3]]


def test_fewer_than_k_are_filled_up():
    found = exact_neighbours(GALLERY[:2], GALLERY[:2], 3, np.array([0, -1]))
    assert found.rows.tolist() == [[1, -1], [1, 0]]


def test_recall_at_k_asks_for_one_of_the_label_among_the_k_nearest():
    found = exact_neighbours(on_circle(9, 96, 170), GALLERY, 3)  # labels 1 0 0, 1 1 0, 2 1 1
    labels = np.array([0, 1, 1])
    assert [label_recall(found, labels, LABELS, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 1, 1])


def test_the_most_frequent_label_wins_and_of_equals_the_more_similar():
    rows = np.array([[1, 0, 2], [0, 1, -1], [1, 3, 5], [-1, -1, -1]])
    similarities = np.array([[0.9, 0.8, 0.7], [0.6, 0.7, -np.inf], [0.5, 0.4, 0.99], [-np.inf] * 3], np.float32)
    assert vote(Neighbours(rows, similarities), LABELS, 3).tolist() == [0, 1, 1, -1]


def test_confusion_counts_what_was_taken_for_what():
    counts = confusion(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, -1]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_average_precision_by_hand():
    # At 0 degrees the gallery's order is its own. Label 0 is at ranks 1 and 3, label 1 at 2, 4 and 5.
    both = on_circle(0, 0)
    expected = [(1 / 1 + 2 / 3) / 2, (1 / 2 + 2 / 4 + 3 / 5) / 3]
    labels = np.array([0, 1])
    assert mean_average_precision(both, GALLERY, labels, LABELS) == pytest.approx(sum(expected) / 2)
    assert mean_average_precision(both[:1], GALLERY, labels[:1], LABELS) == pytest.approx(expected[0])
    # Without row 0, the query itself: label 0 at rank 2.
    own = mean_average_precision(both[:1], GALLERY, labels[:1], LABELS, np.array([0]))
    assert own == pytest.approx(1 / 2)


def test_a_query_whose_label_the_gallery_has_not_has_no_average_precision():
    assert mean_average_precision(on_circle(0, 0), GALLERY, np.array([0, 7]), LABELS) == pytest.approx(5 / 6)


def test_scores_of_a_gallery_that_tells_all_classes_apart():
    rows = on_circle(0, 5, 90, 95, 180, 185)
    scores = score_labels(rows, rows, np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 2, 2]), 3, np.arange(6))
    assert (scores.recall_at_1, scores.recall_at_5, scores.mean_average_precision) == (1, 1, 1)
    # Of five neighbours each class of the others has two, its own has one.
    assert scores.knn_accuracy == 0
    one = score_labels(
        rows, rows, np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 2, 2]), 3, np.arange(6), neighbours=1
    )
    assert one.knn_accuracy == 1
    assert one.confusion.tolist() == [[2, 0, 0], [0, 2, 0], [0, 0, 2]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 600))
@settings(max_examples=25, deadline=None)
def test_blocks_of_queries_change_nothing(seed, classes, queries):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((queries + 30, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = rng.integers(0, classes, len(rows))
    asked, gallery = rows[:queries], rows[queries:]
    found = exact_neighbours(asked, gallery, 5)
    chosen = int(rng.integers(queries))
    expected = sorted(range(30), key=lambda row: -float(np.float64(asked[chosen]) @ gallery[row]))[:5]
    assert found.similarities[chosen] == pytest.approx(
        [float(asked[chosen] @ gallery[row]) for row in expected], abs=1e-5
    )
    assert label_recall(found, labels[:queries], labels[queries:], 5) == pytest.approx(
        np.mean([labels[n] in labels[queries:][found.rows[n]] for n in range(queries)])
    )
    assert math.isfinite(mean_average_precision(rows, rows, labels, labels))
