"""Losses on labels: against loops written down from the papers, and finite whatever a batch holds."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.training.labels.losses import ArcFace, arcface, criterion, supervised_contrastive, triplet
from neardup.training.recipe import LabelRecipe


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def triplet_by_loops(rows, labels, margin):
    """Equation 3 of FaceNet over every pair, its negative chosen as the docstring of `triplet` says."""
    rows = rows.astype(np.float64)
    losses = []
    for anchor in range(len(rows)):
        distance = [float(np.sum((rows[anchor] - row) ** 2)) for row in rows]
        negatives = [distance[n] for n in range(len(rows)) if labels[n] != labels[anchor]]
        for positive in range(len(rows)):
            if positive == anchor or labels[positive] != labels[anchor] or not negatives:
                continue
            farther = [d for d in negatives if d > distance[positive]]
            negative = min(farther) if farther else max(negatives)
            losses.append(max(distance[positive] - negative + margin, 0.0))
    return float(np.mean(losses)) if losses else 0.0


batches = st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 24), st.integers(1, 8), st.integers(1, 6))


@given(batches, st.sampled_from([0.05, 0.2, 1.0]))
@settings(max_examples=60, deadline=None)
def test_triplet_is_what_the_loops_say(drawn, margin):
    seed, count, dim, classes = drawn
    rng = np.random.default_rng(seed)
    rows, labels = unit(rng.standard_normal((count, max(2, dim)))), rng.integers(0, classes, count).astype(np.int32)
    assert float(triplet(rows, labels, margin)) == pytest.approx(triplet_by_loops(rows, labels, margin), abs=1e-4)


def on_circle(*degrees):
    turns = np.radians(degrees)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)


def chord(degrees):
    """The squared distance of two unit rows at this angle."""
    return 2 - 2 * math.cos(math.radians(degrees))


@pytest.mark.parametrize(
    ("degrees", "labels", "expected"),
    [
        # Pairs (0, 20) and (20, 0): the nearest negative farther than 20 degrees is at 25, at 45 the other way.
        ((0, 20, -25), (0, 0, 1), [chord(20) - chord(25) + 0.2, max(0, chord(20) - chord(45) + 0.2)]),
        # No negative is farther than the positive at 90 degrees: the farthest hard one, at 30 and 80, and 60 and 10.
        ((0, 90, 30, 80), (0, 0, 1, 2), [chord(90) - chord(80) + 0.2, chord(90) - chord(60) + 0.2]),
        # Easy negatives leave nothing.
        ((0, 5, 180), (0, 0, 1), [0.0, 0.0]),
    ],
)
def test_triplets_by_hand(degrees, labels, expected):
    found = float(triplet(on_circle(*degrees), np.array(labels, np.int32), 0.2))
    assert found == pytest.approx(np.mean(expected), abs=1e-6)


def test_supervised_contrastive_by_hand():
    # Rows at 0, 60 and 180 degrees: cosines 0.5 of the positives; -1 and -0.5 of the negative; temperature 0.5.
    rows, labels = on_circle(0, 60, 180), np.array([4, 4, 9], np.int32)
    first = -math.log(math.exp(1) / (math.exp(1) + math.exp(-2)))
    second = -math.log(math.exp(1) / (math.exp(1) + math.exp(-1)))
    assert float(supervised_contrastive(rows, labels, 0.5)) == pytest.approx((first + second) / 2, rel=1e-5)


def test_supervised_contrastive_of_rows_that_are_all_the_same_is_chance():
    same = np.ones((6, 1), np.float32)
    labels = np.array([0, 0, 0, 1, 1, 1], np.int32)
    assert float(supervised_contrastive(same, labels, 0.1)) == pytest.approx(math.log(5), rel=1e-5)


def test_arcface_by_hand():
    # An angle of 60 degrees with its own centre is taken for one of 90, against one of 120; scale 2.
    cosines = np.array([[math.cos(math.radians(60)), math.cos(math.radians(120))]], np.float32)
    expected = -math.log(math.exp(0) / (math.exp(0) + math.exp(2 * -0.5)))
    found = arcface(cosines, np.array([0], np.int32), math.radians(30), 2.0)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_arcface_falls_all_the_way_round():
    """Past half a turn less the margin the cosine would rise again, and a row opposite its centre stay there."""
    angles = np.radians(np.arange(1, 180))
    cosines = np.stack([np.cos(angles), np.zeros_like(angles)], axis=1).astype(np.float32)
    losses = [float(arcface(row[None], np.array([0], np.int32), 0.5, 10.0)) for row in cosines]
    assert (np.diff(losses) > 0).all()


def test_arcface_without_a_margin_is_softmax():
    rng = np.random.default_rng(0)
    layer = ArcFace(4, 5.0)
    layer.build((None, 8))
    rows, labels = unit(rng.standard_normal((6, 8))), rng.integers(0, 4, 6).astype(np.int32)
    logits = 5 * rows @ unit(layer.centres.numpy()).T
    expected = np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels, strict=True)])
    assert float(layer(rows, labels)) == pytest.approx(float(expected), rel=1e-5)


DEGENERATE = {
    "one class": (unit(np.random.default_rng(0).standard_normal((6, 4))), [2] * 6),
    "each its own class": (unit(np.random.default_rng(1).standard_normal((6, 4))), list(range(6))),
    "identical embeddings": (unit(np.ones((6, 4))), [0, 0, 1, 1, 2, 2]),
    "identical embeddings of one class": (unit(np.ones((4, 4))), [1] * 4),
    "opposite embeddings": (unit(np.array([[1.0, 0], [-1, 0], [1, 0], [-1, 0]])), [0, 0, 1, 1]),
    "zeros": (np.zeros((4, 4), np.float32), [0, 0, 1, 1]),
    "two rows": (on_circle(0, 10), [0, 1]),
}


@pytest.mark.parametrize("loss", ["triplet", "supcon", "arcface"])
@pytest.mark.parametrize("batch", DEGENERATE)
def test_gradients_are_finite_whatever_a_batch_holds(loss, batch):
    rows, labels = DEGENERATE[batch]
    measure = criterion(LabelRecipe(loss=loss), 6, rows.shape[1])
    if loss == "arcface":
        measure.margin = 0.5
        measure.centres.assign(np.tile(unit(np.ones((1, rows.shape[1]))), (6, 1)))  # rows may lie on their centres
    embeddings = tf.Variable(rows)
    with tf.GradientTape() as tape:
        value = measure(embeddings, np.array(labels, np.int32))
    gradient = tape.gradient(value, embeddings)
    assert np.isfinite(float(value))
    assert gradient is None or np.isfinite(gradient.numpy()).all()
    if batch in ("one class", "each its own class") and loss == "triplet":
        assert float(value) == 0


@pytest.mark.parametrize("loss", ["triplet", "supcon", "arcface"])
def test_a_step_along_the_gradient_lowers_the_loss(loss):
    rng = np.random.default_rng(3)
    rows, labels = unit(rng.standard_normal((12, 8))), rng.integers(0, 3, 12).astype(np.int32)
    measure = criterion(LabelRecipe(loss=loss), 3, 8)
    embeddings = tf.Variable(rows)
    with tf.GradientTape() as tape:
        before = measure(tf.math.l2_normalize(embeddings, axis=1), labels)
    after = measure(tf.math.l2_normalize(embeddings - 0.01 * tape.gradient(before, embeddings), axis=1), labels)
    assert float(after) < float(before)
