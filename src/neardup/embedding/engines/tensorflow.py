"""TensorFlow: Keras on it is the reference that the other engines are held to; SavedModels run here alone."""

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
    network = _saved_model(model, model.network) if isinstance(model.network, SavedModel) else load_keras(model)

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


def _saved_model(model: Model, network: SavedModel) -> Any:
    for name in model.files:
        model.file(name)  # checks the digest
    return saved_embedding(str(model.folder / "saved_model"), network.endpoint, network.input_range)


def saved_embedding(folder: str, endpoint: str, input_range: tuple[float, float]) -> Any:
    """A function of uint8 pixels that calls a SavedModel's endpoint and puts the rows on the unit sphere.

    endpoint: an attribute (`bit_model`), a signature (`serving_default`), or "" for the object itself
    Raises BadModel where the folder cannot be loaded or has no such endpoint.
    """
    import tensorflow

    try:
        loaded = tensorflow.saved_model.load(folder)
    except Exception as error:  # its errors share no base class
        raise BadModel(f"{folder}: TensorFlow cannot load it ({_first_line(error)}); export it anew") from error
    low, high = input_range
    called: Any = loaded
    if endpoint in loaded.signatures:
        called = loaded.signatures[endpoint]
    elif endpoint:
        called = getattr(loaded, endpoint, None)
    if not callable(called):
        known = [*loaded.signatures, *(n for n, v in vars(loaded).items() if n[0] != "_" and callable(v))]
        raise BadModel(f"{folder}: has no endpoint {endpoint!r} to call; there are {', '.join(known) or 'none'}")
    by_name = called.structured_input_signature[1] if endpoint in loaded.signatures else {}

    def embed(pixels: Any) -> Any:
        images = tensorflow.cast(pixels, tensorflow.float32) * ((high - low) / 255.0) + low
        if by_name:
            [(name, spec)] = by_name.items()
            rows = called(**{name: tensorflow.cast(images, spec.dtype)})
        else:
            rows = called(images)
        if isinstance(rows, dict):
            if len(rows) != 1:
                raise BadModel(f"{folder}: {endpoint} has the outputs {', '.join(rows)}; give an endpoint with one")
            [rows] = rows.values()
        # Keeps the loaded object alive, too: its variables belong to it.
        assert loaded is not None
        return tensorflow.math.l2_normalize(tensorflow.cast(rows, tensorflow.float32), axis=-1, epsilon=1e-24)

    return embed


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


SPEC = EngineSpec("tensorflow", "tensorflow", ("f32",), load)
