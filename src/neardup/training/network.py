"""What is trained: a trunk, and what is minimised of its embeddings. Keras's global settings are left as they were."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from neardup.embedding.architecture import Architecture
from neardup.embedding.bit import build_bit, set_weights
from neardup.embedding.weights import Weights

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From (n, size, size, 3) uint8 to (n, dim) unit rows."""

Criterion = Callable[[Any, Any], Any]
"""From embeddings (n, dim) float32, unit rows, and targets (n,) int32 to a scalar loss; a built layer if it learns."""


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers made in this block compute in this precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class Network(keras.Model):
    """A trunk with its criterion."""

    def __init__(self, trunk: keras.Model, criterion: Criterion) -> None:
        super().__init__()
        self.trunk, self.criterion = trunk, criterion

    def call(self, images: Any, training: bool = False) -> Any:
        return self.trunk(images, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        return self.criterion(y_pred, y)


def build_trunk(architecture: Architecture, size: int | None, start: Weights | None) -> keras.Model:
    """size: edge of the views, None for several; start: weights to begin with."""
    trunk = build_bit(architecture, size)
    if start is not None:
        set_weights(trunk, start)
    return trunk


def freeze_blocks(trunk: keras.Model, blocks: int) -> None:
    """So many blocks, and the root with them, stay as they are; all else learns."""
    frozen = ("resnet__root_block", *(f"resnet__block{n + 1}" for n in range(blocks)))
    for layer in trunk.layers:
        layer.trainable = not (blocks and layer.name.startswith(frozen))


def freeze_trunk(trunk: keras.Model) -> None:
    """Nothing learns but the projection."""
    for layer in trunk.layers:
        layer.trainable = layer.name == "projection"


def compile_network(network: Network, optimizer: keras.optimizers.Optimizer) -> None:
    """Make what follows train by this optimizer, and whatever is trainable now."""
    network.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    # In float16 Keras has put it into one that scales the loss: all of its variables belong in a checkpoint.
    network.optimizer.build(network.trainable_variables)


class Reference:
    """The weights that a run would end with as a function, in float32, apart from the network that trains."""

    def __init__(self, architecture: Architecture) -> None:
        with dtype_policy("float32"):
            self._model = build_bit(architecture)

    def embed(self, weights: Weights) -> Embed:
        """Holds until it is called for other weights."""
        set_weights(self._model, weights)

        def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            return np.asarray(self._model.predict(pixels, batch_size=32, verbose=0), np.float32)

        return embed
