"""Losses of metric learning on labels, in Keras operations: the same on TensorFlow, JAX and PyTorch.

Embeddings are (n, dim) float32 unit rows, labels (n,) int32. Every loss is a scalar that stays finite, as its gradient
does, whatever a batch holds: one class alone, no class twice, embeddings that coincide.
"""

import math
from functools import partial
from typing import Any

import keras
from keras import ops

from neardup.training.network import Criterion
from neardup.training.recipe import LabelRecipe

# Below any cosine divided by any temperature, and within float32 after the exponential.
MASKED = -1e9

# Keeps the slope of the square root in ArcFace finite where a cosine is 1 or -1.
LEAST_SQUARED_SINE = 1e-6


def triplet(embeddings: Any, labels: Any, margin: float) -> Any:
    """Semi-hard triplets (Schroff et al., arXiv 1503.03832, eq. 3): mean over all pairs of one label.

    For an anchor and a positive at squared distance d the negative is the nearest of those farther than d, so that
    d + margin - d_negative is what is left of the margin, nothing where the negative is easy. Where no negative is
    farther than d it is the farthest there is: of the hard ones the least so, as the hardest make a network collapse
    early on (section 3.2; TensorFlow Addons does the same). A pair without any negative in the batch counts nothing.
    """
    same = ops.equal(labels[:, None], labels[None, :])
    # Of unit rows; no root, whose slope is infinite where two coincide.
    distances = 2.0 - 2.0 * ops.matmul(embeddings, ops.transpose(embeddings))
    of_negatives = distances[:, None, :]  # (anchor, positive, negative)
    farther = ops.logical_and(ops.logical_not(same)[:, None, :], of_negatives > distances[:, :, None])
    semi_hard = ops.min(ops.where(farther, of_negatives, -MASKED), axis=2)
    farthest = ops.max(ops.where(same, MASKED, distances), axis=1, keepdims=True)
    negative = ops.where(ops.any(farther, axis=2), semi_hard, farthest)
    pairs = ops.logical_and(same, ops.logical_not(ops.eye(ops.shape(labels)[0], dtype="bool")))
    pairs = ops.cast(ops.logical_and(pairs, ops.logical_not(ops.all(same, axis=1, keepdims=True))), "float32")
    losses = ops.maximum(distances - negative + margin, 0.0)
    return ops.sum(losses * pairs) / ops.maximum(ops.sum(pairs), 1.0)


def supervised_contrastive(embeddings: Any, labels: Any, temperature: float) -> Any:
    """Supervised contrastive loss (Khosla et al., arXiv 2004.11362, eq. 2, L_out): mean over rows with a positive."""
    count = ops.shape(labels)[0]
    itself = ops.eye(count, dtype="bool")
    logits = ops.where(itself, MASKED, ops.matmul(embeddings, ops.transpose(embeddings)) / temperature)
    positive = ops.logical_and(ops.equal(labels[:, None], labels[None, :]), ops.logical_not(itself))
    missed = ops.logsumexp(logits, axis=1, keepdims=True) - ops.where(positive, logits, 0.0)
    weights = ops.cast(positive, "float32")
    positives = ops.sum(weights, axis=1)
    losses = ops.sum(missed * weights, axis=1) / ops.maximum(positives, 1.0)
    return ops.sum(losses) / ops.maximum(ops.sum(ops.cast(positives > 0, "float32")), 1.0)


def arcface(cosines: Any, labels: Any, margin: float, scale: float) -> Any:
    """Additive angular margin loss (Deng et al., arXiv 1801.07698, eq. 3), the mean over rows.

    cosines: (n, classes) of each row with the centre of each class
    margin:  radians, added to the angle with the row's own class

    Where that angle would pass half a turn, beyond which its cosine rises again, the cosine falls on along a straight
    line (cos - margin * sin(margin)), as the authors' own code has it.
    """
    cosines = ops.clip(cosines, -1.0, 1.0)
    sines = ops.sqrt(ops.maximum(1.0 - ops.square(cosines), LEAST_SQUARED_SINE))
    turned = cosines * math.cos(margin) - sines * math.sin(margin)
    turned = ops.where(cosines > math.cos(math.pi - margin), turned, cosines - margin * math.sin(margin))
    own = ops.equal(labels[:, None], ops.arange(ops.shape(cosines)[1], dtype="int32")[None, :])
    logits = scale * ops.where(own, turned, cosines)
    return ops.mean(ops.logsumexp(logits, axis=1) - ops.sum(ops.where(own, logits, 0.0), axis=1))


def criterion(recipe: LabelRecipe, classes: int, dim: int) -> Criterion:
    """The loss that a recipe asks for, over embeddings of this width."""
    if recipe.loss == "triplet":
        return partial(triplet, margin=recipe.margin)
    if recipe.loss == "supcon":
        return partial(supervised_contrastive, temperature=recipe.temperature)
    layer = ArcFace(classes, recipe.scale)
    layer.build((None, dim))
    return layer


class ArcFace(keras.layers.Layer):
    """A centre for each class, which learns with the network, and the loss over the cosines with them.

    The margin is to come when the classes have begun to part: before, the quickest way to gain by it is to bring all
    embeddings and all centres together, where a turn by the margin changes a cosine least.
    """

    def __init__(self, classes: int, scale: float) -> None:
        super().__init__(dtype="float32", name="arcface")
        self.classes, self.scale, self.margin = classes, scale, 0.0

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.centres = self.add_weight(shape=(self.classes, input_shape[-1]), initializer="glorot_uniform")

    def call(self, embeddings: Any, labels: Any) -> Any:
        return self.loss(embeddings, labels, self.margin)

    def loss(self, embeddings: Any, labels: Any, margin: float) -> Any:
        centres = self.centres / ops.maximum(ops.norm(self.centres, axis=1, keepdims=True), 1e-12)
        cosines = ops.matmul(embeddings, ops.transpose(centres))
        return arcface(cosines, labels, margin, self.scale)
