"""Byte copies share a verdict: what one is told, the plan holds for the others."""

from dataclasses import replace

import pytest

from neardup.groups import DuplicateGroup
from neardup.index.notes import load_verdicts
from tests.review.test_session import pair


@pytest.fixture
def review(open_review):
    """Its first group with the second picture twice, under two names."""
    review = open_review()
    keeper, second, third = review.groups[0].members
    copies = DuplicateGroup((keeper, second, replace(third, digest=second.digest)))
    review.groups = (copies, *review.groups[1:])
    return review


def test_copies_are_not_dropped_and_told_apart_at_once(review, folder):
    review.mark(0, 1, "drop")
    review.mark(0, 2, "not")
    assert review.marks(0) == (None, "not", "not")
    assert review.save().steps == ()
    review.mark(0, 1, "drop")
    assert review.marks(0) == (None, "drop", "keep")
    assert load_verdicts(folder)[pair(review, 0, 0, 1)] == "duplicate"
    review.mark(0, 1, "not")
    review.mark(0, 2, None)
    assert review.marks(0) == (None, None, None)
    assert pair(review, 0, 0, 1) not in load_verdicts(folder)
