"""Metric learning: pictures of one class together, those of others apart; first the embedding layer, then all."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import keras
from numpy.typing import NDArray

from neardup.embedding.architecture import Architecture
from neardup.embedding.weights import Weights
from neardup.training.beginning import Beginning
from neardup.training.labels.batches import LabelBatches
from neardup.training.labels.losses import ArcFace, criterion
from neardup.training.labels.split import Split
from neardup.training.network import (
    Embed,
    Network,
    build_trunk,
    compile_network,
    dtype_policy,
    freeze_blocks,
    freeze_trunk,
)
from neardup.training.recipe import LabelRecipe
from neardup.training.trainer import Stretch


class Labels:
    """The objective of `neardup train --labelled`."""

    def __init__(
        self, recipe: LabelRecipe, split: Split, architecture: Architecture | None = None, start: Weights | None = None
    ) -> None:
        """start: weights to begin from, by released name."""
        self.recipe, self.split, self.start = recipe, split, start
        self.architecture = architecture or Architecture()
        self.memory: dict[str, NDArray[Any]] = {}
        # From scratch there is nothing to learn an embedding layer from, and without one nothing to learn.
        self._trunk_waits = start is not None and self.architecture.projection is not None

    @cached_property
    def beginning(self) -> Beginning:
        pictures = self.split.pictures
        paths, labels = [each.path for each in pictures], [each.label for each in pictures]
        return Beginning.of("labels", self.recipe, self.architecture, self.start, paths, labels)

    def build(self, step: int) -> Network:
        recipe = self.recipe
        keras.utils.set_random_seed(recipe.seed)
        with dtype_policy(recipe.precision):
            trunk = build_trunk(self.architecture, recipe.size, self.start)
            network = Network(trunk, criterion(recipe, len(self.split.classes), self.architecture.dim))
            network.build((None, recipe.size, recipe.size, 3))
        self._make_ready(network, step)
        return network

    def stretch(self, network: Network, step: int, embed: Callable[[], Embed]) -> Stretch:
        recipe = self.recipe
        if step == recipe.head_steps and step:
            self._make_ready(network, step)
        end = min(recipe.head_steps, recipe.steps) if step < recipe.head_steps else recipe.steps
        return Stretch(LabelBatches(recipe, *self.split.training), end)

    def _make_ready(self, network: Network, step: int) -> None:
        """What is trainable in this step, ArcFace's margin, and an optimizer of its own."""
        recipe, is_first = self.recipe, step < self.recipe.head_steps
        if is_first and self._trunk_waits:
            freeze_trunk(network.trunk)
        else:
            freeze_blocks(network.trunk, recipe.frozen_blocks)
        if isinstance(network.criterion, ArcFace):
            network.criterion.margin = 0.0 if is_first else recipe.angle
        steps, falls = (recipe.head_steps, ()) if is_first else (recipe.steps - recipe.head_steps, recipe.falls)
        compile_network(network, self._optimizer(steps, falls))

    def _optimizer(self, steps: int, falls: Sequence[float]) -> keras.optimizers.Optimizer:
        recipe = self.recipe
        rates = [recipe.learning_rate * 0.1**n for n in range(len(falls) + 1)]
        schedule: Any = recipe.learning_rate
        if falls:
            schedule = keras.optimizers.schedules.PiecewiseConstantDecay([int(steps * each) for each in falls], rates)
        return keras.optimizers.SGD(schedule, momentum=recipe.momentum, global_clipnorm=recipe.clip_norm)
