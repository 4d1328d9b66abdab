"""The Keras example's own way to embed: `predict()` on one image at a time. It is here to be measured against.

https://keras.io/examples/vision/near_dup_search/ (Sayak Paul, 2021)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.engines.spec import EngineSpec
from neardup.embedding.engines.tensorflow import load_keras
from neardup.embedding.model import Model
from neardup.embedding.runtimes import import_tensorflow


@dataclass(frozen=True)
class KerasExampleEngine:
    network: Any
    name: str = "keras-example"
    precision: str = "f32"

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate([self.network.predict(image[None], verbose=0) for image in pixels])


def load(model: Model, threads: int | None = None, precision: str | None = None) -> KerasExampleEngine:
    import_tensorflow(threads)
    return KerasExampleEngine(load_keras(model))


SPEC = EngineSpec("keras-example", "tensorflow", ("f32",), load)
