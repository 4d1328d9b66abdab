"""TensorFlow: Keras on it is the reference that the other engines are held to, and SavedModels come from it."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.engines.spec import EngineSpec
from neardup.embedding.model import Model, SavedModel
from neardup.embedding.runtimes import import_tensorflow
from neardup.errors import BadModel, EngineUnavailable


@dataclass(frozen=True)
class TensorFlowEngine:
    function: Any
    name: str = "tensorflow"
    precision: str = "f32"

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(self.function(pixels), np.float32)


def load(model: Model, threads: int | None = None, precision: str | None = None) -> TensorFlowEngine:
    tensorflow = import_tensorflow(threads)
    size = model.input_size
    network = load_saved(model) if isinstance(model.network, SavedModel) else load_keras(model)

    images_spec = tensorflow.TensorSpec((None, size, size, 3), tensorflow.uint8, name="images")

    @tensorflow.function(input_signature=[images_spec])  # type: ignore[untyped-decorator,unused-ignore]
    def function(pixels: Any) -> Any:
        return network(pixels)

    return TensorFlowEngine(function)


def load_keras(model: Model) -> Any:
    """The model in Keras on TensorFlow, weights loaded: uint8 or float 0 to 255 in, unit rows out."""
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise EngineUnavailable("needs Keras on TensorFlow; unset KERAS_BACKEND")
    from neardup.embedding.bit import build_bit, dtype_policy, set_weights
    from neardup.embedding.weights import load_weights

    with dtype_policy("float32"):  # whatever this process trains in
        network = build_bit(model.architecture, model.input_size)
    set_weights(network, load_weights(model.file("weights.npz"), model.architecture.parameters()))
    return network


def load_saved(model: Model) -> "SavedEmbedding":
    """A SavedModel on TensorFlow, its files checked: uint8 or float 0 to 255 in, unit rows out."""
    assert isinstance(model.network, SavedModel)
    for name in model.files:
        model.file(name)  # checks the digest
    return SavedEmbedding(str(model.folder / "saved_model"), model.network.endpoint, model.network.input_range)


class SavedEmbedding:
    """A function of pixels that calls a SavedModel's endpoint and puts the rows on the unit sphere.

    It keeps what was loaded alive, whose variables are not those of a function that calls it.
    """

    def __init__(self, folder: str, endpoint: str, input_range: tuple[float, float]) -> None:
        """endpoint: an attribute (`bit_model`), a signature (`serving_default`), or "" for the object itself

        Raises BadModel where the folder cannot be loaded or has no such endpoint.
        """
        import tensorflow

        try:
            self.loaded: Any = tensorflow.saved_model.load(folder)
        except Exception as error:  # its errors share no base class
            raise BadModel(f"{folder}: TensorFlow cannot load it ({_first_line(error)}); export it anew") from error
        self._shown = f"{folder}: {endpoint}"
        self._low, high = input_range
        self._scale = (high - self._low) / 255.0
        is_signature = endpoint in self.loaded.signatures
        called = self.loaded.signatures[endpoint] if is_signature else self.loaded
        if endpoint and not is_signature:
            called = getattr(self.loaded, endpoint, None)
        if not callable(called):
            callables = [n for n, v in vars(self.loaded).items() if n[0] != "_" and callable(v)]
            known = ", ".join([*self.loaded.signatures, *callables]) or "none"
            raise BadModel(f"{folder}: has no endpoint {endpoint!r} to call; there are {known}")
        self._called: Any = called
        self._by_name = called.structured_input_signature[1] if is_signature else {}

    def __call__(self, pixels: Any) -> Any:
        import tensorflow

        images = tensorflow.cast(pixels, tensorflow.float32) * self._scale + self._low
        if self._by_name:
            [(name, spec)] = self._by_name.items()
            rows = self._called(**{name: tensorflow.cast(images, spec.dtype)})
        else:
            rows = self._called(images)
        if isinstance(rows, dict):
            if len(rows) != 1:
                raise BadModel(f"{self._shown} has the outputs {', '.join(rows)}; give an endpoint with one")
            [rows] = rows.values()
        return tensorflow.math.l2_normalize(tensorflow.cast(rows, tensorflow.float32), axis=-1, epsilon=1e-24)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


SPEC = EngineSpec("tensorflow", "tensorflow", ("f32",), load)
