"""The Keras example's own way to embed: `predict()` on one image at a time. It is here to be measured against.

https://keras.io/examples/vision/near_dup_search/ (Sayak Paul, 2021)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.engines.spec import EngineSpec
from neardup.embedding.engines.tensorflow import load_keras, load_saved
from neardup.embedding.model import Model, SavedModel
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
    return KerasExampleEngine(_predicting(model) if isinstance(model.network, SavedModel) else load_keras(model))


def _predicting(model: Model) -> Any:
    """A SavedModel within a Keras model, which has `predict`."""
    import keras

    called = load_saved(model)

    class Predicting(keras.Model):  # type: ignore[misc,unused-ignore]
        def call(self, images: Any) -> Any:
            return called(images)

    return Predicting()


SPEC = EngineSpec("keras-example", "tensorflow", ("f32",), load)
