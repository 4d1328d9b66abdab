"""Figures worked out by hand, and what must hold for any answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.evaluation.metrics import (
    best_matches,
    false_alarm_threshold,
    micro_average_precision,
    recall_above,
    recall_at_1,
)


def similarities(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def correct(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_best_matches_by_hand():
    gallery = np.eye(3, dtype=np.float32)
    queries = np.array([[0.8, 0.6, 0], [0.6, 0.8, 0], [0, 0, 1]], dtype=np.float32)
    answers = best_matches(queries, gallery, np.array([0, 0, -1]), block=2)
    assert answers.rows.tolist() == [0, 1, 2]
    assert answers.correct.tolist() == [1, 0, 0]  # found; another photo was closer; a negative is never right
    assert answers.similarities == pytest.approx([0.8, 0.8, 1.0])


def test_a_tie_is_right_as_often_as_a_random_choice():
    gallery = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], dtype=np.float32)
    queries = np.array([[1, 0], [1, 0]], dtype=np.float32)
    answers = best_matches(queries, gallery, np.array([2, 1]))
    assert answers.correct == pytest.approx([1 / 3, 0])
    assert recall_at_1(answers.correct) == pytest.approx(1 / 6)


def test_threshold_lets_one_negative_in_a_hundred_pass():
    negatives = np.arange(200, dtype=np.float32) / 200  # 0.995, 0.990 may pass; 0.985 may not
    threshold = false_alarm_threshold(negatives)
    assert threshold == pytest.approx(0.985)
    assert (negatives > threshold).sum() == 2


def test_no_negative_passes_when_there_are_fewer_than_a_hundred():
    assert false_alarm_threshold(similarities(0.2, 0.7, 0.4)) == pytest.approx(0.7)


def test_tied_negatives_stay_within_the_rate():
    negatives = np.array([0.9] * 50 + [0.1] * 50, dtype=np.float32)
    assert (negatives > false_alarm_threshold(negatives)).sum() == 0


def test_recall_above_needs_a_right_answer_above_the_threshold():
    # Right and above; right but only at the threshold; above but wrong; right one time in two and above.
    assert recall_above(similarities(0.9, 0.5, 0.8, 0.7), correct(1, 1, 0, 0.5), 0.5) == pytest.approx(1.5 / 4)


def test_micro_average_precision_by_hand():
    # Ranked: right (1/1), wrong, right (2/3), negative, right (3/5), wrong. Five positives, three found.
    value = micro_average_precision(similarities(0.9, 0.8, 0.7, 0.6, 0.5, 0.4), correct(1, 0, 1, 0, 1, 0), 5)
    assert value == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 5)


def test_answers_of_one_similarity_enter_together():
    # 0.9: one right. 0.5: one right and two wrong, so both right answers above or at 0.5 are among four.
    value = micro_average_precision(similarities(0.5, 0.9, 0.5, 0.5), correct(0, 1, 1, 0), 2)
    assert value == pytest.approx((1 + 2 / 4) / 2)


def test_half_a_right_answer_counts_half():
    # 0.9: half right, precision 1/2. 0.4: right, precision 1.5/2.
    value = micro_average_precision(similarities(0.9, 0.4), correct(0.5, 1), 2)
    assert value == pytest.approx((0.5 * 0.5 + 1 * 0.75) / 2)


answer_lists = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(answer_lists, st.randoms(use_true_random=False))
def test_uap_depends_on_the_ranking_alone(answers, random):
    def uap(listed, scale):
        values = np.array([scale(level) for level, _ in listed], dtype=np.float32)
        return micro_average_precision(values, np.array([right for _, right in listed], dtype=float), len(listed))

    shuffled = random.sample(answers, len(answers))
    expected = uap(answers, float)
    assert uap(shuffled, float) == pytest.approx(expected)
    assert uap(answers, lambda level: np.exp(level)) == pytest.approx(expected)
    assert 0 <= expected <= np.mean([right for _, right in answers]) + 1e-12


@settings(max_examples=60, deadline=None)
@given(answer_lists)
def test_uap_agrees_with_its_definition(answers):
    """The mean over right answers of the precision among all answers at least as similar."""
    levels = np.array([level for level, _ in answers], dtype=np.float32)
    right = np.array([is_right for _, is_right in answers], dtype=float)
    expected = sum(right[levels >= level].mean() for level, is_right in answers if is_right) / len(answers)
    assert micro_average_precision(levels, right, len(answers)) == pytest.approx(expected)
