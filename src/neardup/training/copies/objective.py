"""Self-supervised training for copy detection: a folder of photos in, weights out; no labels.

Each step shows the network a few views of every photo of a batch, most often the photo as it is and edited versions,
and asks it to tell the views of that photo from all others (InfoNCE), while nearest strangers are pushed apart
(entropy). Photos that look alike to the network come in one batch (mining). The weights' moving average is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
from numpy.typing import NDArray

from neardup.embedding.architecture import Architecture
from neardup.embedding.weights import Weights
from neardup.errors import BadInput
from neardup.training.beginning import Beginning
from neardup.training.copies.batches import CopyBatches
from neardup.training.copies.losses import entropy, info_nce, pooled_info_nce
from neardup.training.copies.mining import mine
from neardup.training.network import Embed, Network, build_trunk, compile_network, dtype_policy, freeze_blocks
from neardup.training.recipe import CopyRecipe
from neardup.training.trainer import Stretch

LOOK_ALIKES = "look_alikes"


class Copies:
    """The objective: the views of one photo together, all others apart."""

    def __init__(
        self, recipe: CopyRecipe, paths: Sequence[Path], architecture: Architecture | None = None,
        start: Weights | None = None,
    ) -> None:  # fmt: skip
        """paths: photos in a fixed order; their folders serve as classes of look-alikes until the network knows better.
        start: weights to begin from, by released name. Raises BadInput for too few photos.
        """
        if len(paths) < 2:
            raise BadInput(f"training: needs at least two photos, found {len(paths)}")
        self.recipe, self.paths, self.start = recipe, list(paths), start
        self.architecture = architecture or Architecture()
        self.memory: dict[str, NDArray[Any]] = {}

    @cached_property
    def beginning(self) -> Beginning:
        return Beginning.of("copies", self.recipe, self.architecture, self.start, self.paths)

    def build(self, step: int) -> Network:
        """The same in every step."""
        recipe = self.recipe
        keras.utils.set_random_seed(recipe.seed)
        size = None if recipe.final_size else recipe.size
        with dtype_policy(recipe.precision):
            trunk = build_trunk(self.architecture, size, self.start)
            freeze_blocks(trunk, recipe.frozen_blocks)
            network = Network(trunk, CopyLoss(recipe))
            network.build((None, size, size, 3))
            compile_network(network, _optimizer(recipe))
        return network

    def stretch(self, network: Network, step: int, embed: Callable[[], Embed]) -> Stretch:
        """Look-alikes are looked for at its start; not at the very first, where the network knows nothing."""
        recipe = self.recipe
        if step % recipe.mine_every == 0 and (step or self.start is not None):
            self.memory[LOOK_ALIKES] = mine(self.paths, embed(), recipe.size_at(step), recipe.seed)
        end = min(recipe.steps, (step // recipe.mine_every + 1) * recipe.mine_every)
        return Stretch(CopyBatches(recipe, self.paths, self.memory.get(LOOK_ALIKES)), end)


@dataclass(frozen=True)
class CopyLoss:
    recipe: CopyRecipe

    def __call__(self, embeddings: Any, photos: Any) -> Any:
        recipe = self.recipe
        loss = info_nce(embeddings, photos, recipe.temperature) + recipe.entropy_weight * entropy(embeddings, photos)
        return loss + recipe.pooled_weight * pooled_info_nce(embeddings, photos, recipe.temperature, recipe.margin)


def _optimizer(recipe: CopyRecipe) -> keras.optimizers.Optimizer:
    warmup_steps = min(recipe.warmup_steps, recipe.steps // 4)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, recipe.steps - warmup_steps), alpha=0.01,
        warmup_target=recipe.learning_rate, warmup_steps=warmup_steps,
    )  # fmt: skip
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay, global_clipnorm=recipe.clip_norm)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer
