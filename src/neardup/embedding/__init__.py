"""Images to embeddings: a model, run by an engine.

`load_embedder("default")` picks the engine for this machine; every engine gives the same numbers, to 1e-5 in float32.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.engines import DEFAULT_ENGINE, Engine, load_engine
from neardup.embedding.model import Model, SavedModel, check_recorded, find_model
from neardup.embedding.preprocess import preprocess

# As fast as larger ones on a CPU, and small enough to keep a slow machine's progress moving.
BATCH = 32

# ONNX Runtime 1.31 writes an identifier of this machine below the home folder when it is imported, and reports its use
# to Microsoft. Photos are nobody else's business; whoever wants to take part sets the variable.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "BATCH",
    "DEFAULT_ENGINE",
    "Embedder",
    "Model",
    "check_recorded",
    "find_model",
    "load_embedder",
    "preprocess",
]


@dataclass(frozen=True)
class Embedder:
    """A model on an engine."""

    model: Model
    engine: Engine

    @property
    def dim(self) -> int:
        return self.model.dim

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed images of any size.

        images:  n arrays (height, width, 3), uint8, RGB, upright
        returns: (n, dim) float32, unit rows
        Raises BadInput for an array that is no image.
        """
        size = self.model.input_size
        rows = [np.empty((0, self.dim), np.float32)]
        for first in range(0, len(images), BATCH):
            rows.append(self.embed_prepared(np.stack([preprocess(i, size) for i in images[first : first + BATCH]])))
        return np.concatenate(rows)

    def embed_prepared(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed one batch that `preprocess` made: (n, size, size, 3) uint8 to (n, dim) float32 unit rows."""
        return self.engine.run(pixels)


def load_embedder(model: str = "default", engine: str | None = None, **options: Any) -> Embedder:
    """Load a model, by name or by the path of its folder, on an engine; None takes this machine's best.

    options: threads (int), precision ("f32", "f16", "bf16") where the engine offers them
    Raises BadModel, or EngineUnavailable with what is missing.
    """
    found = find_model(model)
    options.setdefault("threads", len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    best = "tensorflow" if isinstance(found.network, SavedModel) else DEFAULT_ENGINE
    return Embedder(found, load_engine(engine or best, found, **options))
