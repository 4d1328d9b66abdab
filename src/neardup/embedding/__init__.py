"""Images to embeddings: a model, run by an engine.

`load_embedder("default")` picks the engine for this machine; every engine gives the same numbers, to 1e-5 in float32
and to a cosine of 0.9995 in the precision that `auto` may pick.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.engines import ENGINES, Engine, load_engine
from neardup.embedding.engines.auto import AUTO, MANY, load_auto
from neardup.embedding.hardware import cores
from neardup.embedding.model import Model, check_recorded, find_model
from neardup.embedding.preprocess import preprocess
from neardup.errors import BadModel, EngineFailed, EngineUnavailable, NeardupError
from neardup.text import said

# As fast as larger ones on a CPU, and small enough to keep a slow machine's progress moving.
BATCH = 32

# ONNX Runtime 1.31 writes an identifier of this machine below the home folder when it is imported, and reports its use
# to Microsoft. Photos are nobody else's business; whoever wants to take part sets the variable.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "AUTO",
    "BATCH",
    "MANY",
    "Embedder",
    "Model",
    "check_recorded",
    "cores",
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
        """Embed one batch that `preprocess` made: (n, size, size, 3) uint8 to (n, dim) float32 unit rows.

        Raises EngineFailed where the engine cannot, BadModel where the model gives something else.
        """
        rows = run_engine(self.engine, pixels, self.model.name)
        if rows.shape != (len(pixels), self.dim):
            raise BadModel(
                f"model {self.model.name}: gives {rows.shape} for {len(pixels)} images, its config says dim {self.dim};"
                " fetch it again"
            )
        return rows


def run_engine(engine: Engine, pixels: NDArray[np.uint8], model: str) -> NDArray[np.float32]:
    """`engine.run`; whatever it raises becomes one line, as EngineFailed."""
    try:
        return engine.run(pixels)
    except NeardupError:
        raise
    except MemoryError as error:
        raise EngineFailed(f"engine {engine.name}: not enough memory for model {model}") from error
    except Exception as error:  # those of runtimes share no base class
        raise EngineFailed(
            f"engine {engine.name}: cannot run model {model} ({said(error)}); 'neardup models verify' checks models;"
            " another engine may run it"
        ) from error


def load_embedder(
    model: str = "default",
    engine: str = AUTO,
    *,
    threads: int | None = None,
    precision: str | None = None,
    images: int | None = None,
    recorded: str | None = None,
) -> Embedder:
    """Load a model, by name or by the path of its folder, on an engine; `auto` takes this machine's best.

    threads:   processor cores to use; None: all that this process may use
    precision: "f32", "f16", "bf16" or "int8", where the engine offers it; None: the engine's default
    images:    how many there are to embed, at most; None: not known, perhaps many. The best engine depends on it.
    recorded:  the precision of an index that is asked, or added to: taken where the engine has it
    Raises BadModel, or EngineUnavailable with what is missing.
    """
    found = find_model(model)
    threads = threads or cores()
    if engine == AUTO:
        return Embedder(found, load_auto(found, threads, precision, images, recorded))
    if precision is None and engine in ENGINES and recorded in ENGINES[engine].precisions:
        with suppress(EngineUnavailable):  # nothing was converted to it here
            return Embedder(found, load_engine(engine, found, threads, recorded))
    return Embedder(found, load_engine(engine, found, threads, precision))
