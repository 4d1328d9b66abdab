"""Losses worked out by hand."""

import math

import numpy as np
import pytest

from neardup.training.copies.losses import COPIES, entropy, info_nce, pooled_info_nce

# Two photos, two views each; the views of a photo coincide, and the photos are orthogonal.
PERFECT = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
PHOTOS = np.array([7, 7, 9, 9], np.int32)


def test_info_nce_of_perfect_pairs():
    # Of the three other rows one is at cosine 1, two are at 0: e^2 / (e^2 + 2) at temperature 0.5.
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert float(info_nce(PERFECT, PHOTOS, 0.5)) == pytest.approx(expected, rel=1e-6)


def test_info_nce_of_rows_that_are_all_the_same_is_chance():
    same = np.ones((6, 1), np.float32)
    assert float(info_nce(same, np.array([0, 0, 1, 1, 2, 2], np.int32), 0.05)) == pytest.approx(math.log(5), rel=1e-6)


def test_info_nce_pairs_the_first_view_of_a_photo_with_each_other_view():
    # All orthogonal: of a positive and the one row of another photo each has a probability of 1/2. The two later views
    # are no positives of each other, nor negatives; the last row has no positive, and adds nothing.
    rows = np.eye(4, dtype=np.float32)
    photos = np.array([0, 0, 0, 1], np.int32)
    assert float(info_nce(rows, photos, 0.1)) == pytest.approx(3 / 4 * math.log(2), rel=1e-6)


def test_later_views_may_be_as_unlike_as_they_like():
    # Two crops at a right angle, both half-way to their photo; another photo, orthogonal to all.
    half = math.sqrt(0.5)
    rows = np.array([[half, half, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    photos = np.array([3, 3, 3, 5], np.int32)
    expected = 3 / 4 * math.log(1 + math.exp(-half / 0.2))
    assert float(info_nce(rows, photos, 0.2)) == pytest.approx(expected, rel=1e-5)


def at(cosine):
    return [cosine, math.sqrt(1 - cosine**2)]


def test_pooled_info_nce_holds_every_positive_against_the_mean_of_all_negatives():
    # The views of photo 0 are at cosine 0.5, far from all else; photos 1 and 2 are at cosine 0.6 of each other.
    rows = np.zeros((6, 4), np.float32)
    rows[:2, :2] = [[1, 0], at(0.5)]
    rows[2:, 2:] = [[1, 0], [1, 0], at(0.6), at(0.6)]
    photos = np.array([0, 0, 1, 1, 2, 2], np.int32)
    apart, near = 4.0, 2 + 2 * math.exp(6)  # sums of negatives at temperature 0.1: of the first two rows, of the others
    mean = (2 * apart + 4 * near) / 6
    expected = (2 * math.log(1 + mean / math.exp(5)) + 4 * math.log(1 + mean / math.exp(10))) / 6
    assert float(pooled_info_nce(rows, photos, 0.1)) == pytest.approx(expected, rel=1e-5)
    own = (2 * math.log(1 + apart / math.exp(5)) + 4 * math.log(1 + near / math.exp(10))) / 6
    assert float(info_nce(rows, photos, 0.1)) == pytest.approx(own, rel=1e-5)
    assert expected > 5 * own, "a positive at 0.5 satisfies its own row, and not a threshold for all"


def test_pooled_info_nce_asks_of_positives_to_be_above_negatives_by_the_margin():
    # Positives at 1, both negatives of a row at 0.
    expected = math.log(1 + 2 * math.exp((0.2 - 1) / 0.5))
    assert float(pooled_info_nce(PERFECT, PHOTOS, 0.5, margin=0.2)) == pytest.approx(expected, rel=1e-5)


def test_pooled_info_nce_is_info_nce_where_all_rows_have_the_same_negatives():
    assert float(pooled_info_nce(PERFECT, PHOTOS, 0.5)) == pytest.approx(float(info_nce(PERFECT, PHOTOS, 0.5)))


@pytest.mark.parametrize(("cosine", "counts"), [(COPIES - 0.01, True), (COPIES + 0.01, False)])
def test_pooled_info_nce_takes_no_copy_for_a_negative(cosine, counts):
    rows = np.array([[1, 0], [1, 0], at(cosine), at(cosine)], np.float32)
    expected = math.log(1 + 2 * math.exp((cosine - 1) / 0.1)) if counts else 0.0
    assert float(pooled_info_nce(rows, PHOTOS, 0.1)) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_entropy_is_minus_the_log_of_the_distance_to_the_nearest_stranger():
    assert float(entropy(PERFECT, PHOTOS)) == pytest.approx(-math.log(math.sqrt(2)), rel=1e-6)
    angle = math.radians(60)  # at a distance of 1
    rows = np.array([[1, 0], [math.cos(angle), math.sin(angle)]], np.float32)
    assert float(entropy(rows, np.array([0, 1], np.int32))) == pytest.approx(0, abs=1e-6)


def test_entropy_stays_finite_where_strangers_coincide():
    assert float(entropy(np.ones((2, 1), np.float32), np.array([0, 1], np.int32))) == pytest.approx(0.5 * math.log(1e6))
