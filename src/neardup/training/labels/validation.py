"""Validation while training on labels: the loss of the pictures held out, and whether neighbours share a label."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from neardup.evaluation.labels import exact_neighbours, label_recall, vote
from neardup.training.labels.batches import squashed
from neardup.training.labels.losses import ArcFace
from neardup.training.labels.split import Split
from neardup.training.log import Row
from neardup.training.network import Criterion, Embed, Network
from neardup.training.recipe import LabelRecipe
from neardup.training.trainer import Validation

FIGURES = ("validation_loss", "knn_accuracy", "recall_at_1")
AT_MOST = 1000  # pictures: some seconds on two cores
NEIGHBOURS = 5


def validation_on(split: Split, recipe: LabelRecipe) -> Validation | None:
    """Judges a network on the pictures held out, each among the others; None where there are too few for that."""
    paths, labels = split.held_out
    order = np.random.default_rng([recipe.seed, 3]).permutation(len(paths))[:AT_MOST]
    pictures = [(squashed(paths[number], recipe.tested_size), labels[number]) for number in order]
    views = [view for view, _ in pictures if view is not None]
    if len(views) < 2:
        return None
    shown, truth = np.stack(views), np.array([label for view, label in pictures if view is not None], np.int32)

    def judge(network: Network, embed: Embed) -> Row:
        embeddings = embed(shown)
        found = exact_neighbours(embeddings, embeddings, NEIGHBOURS, np.arange(len(truth)))
        voted = vote(found, truth.astype(np.int64), len(split.classes))
        return {
            "validation_loss": _loss(criterion_of(network, recipe), embeddings, truth, recipe.photos),
            "knn_accuracy": float((voted == truth).mean()),
            "recall_at_1": label_recall(found, truth.astype(np.int64), truth.astype(np.int64), 1),
        }

    return Validation(FIGURES, judge, lower_is_better=True)


def criterion_of(network: Network, recipe: LabelRecipe) -> Criterion:
    """The network's, with ArcFace's margin also where training has none yet: what is best is told over a whole run."""
    if isinstance(network.criterion, ArcFace):
        return partial(network.criterion.loss, margin=recipe.angle)
    return network.criterion


def _loss(criterion: Criterion, embeddings: NDArray[np.float32], labels: NDArray[np.int32], batch: int) -> float:
    """The mean over batches as large as those in training: harder negatives come with more pictures."""
    parts = np.array_split(np.arange(len(labels)), max(1, round(len(labels) / batch)))
    return float(np.mean([float(criterion(embeddings[part], labels[part])) for part in parts]))
