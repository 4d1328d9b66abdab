"""What runs a model: one file per runtime, each with `load(model, *, threads, precision) -> Engine`."""

from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.model import Model
from neardup.errors import BadInput

# Module of each engine by the name that users type.
ENGINES = {
    "keras-example": "neardup.embedding.engines.keras_example",
    "tensorflow": "neardup.embedding.engines.tensorflow",
    "onnx": "neardup.embedding.engines.onnx",
    "openvino": "neardup.embedding.engines.openvino",
    "onnx-cuda": "neardup.embedding.engines.onnx_cuda",
    "tensorrt": "neardup.embedding.engines.tensorrt",
    "tf-trt": "neardup.embedding.engines.tf_trt",
}
DEFAULT_ENGINE = "onnx"


class Engine(Protocol):
    """A model in memory, ready to run."""

    @property
    def name(self) -> str: ...

    @property
    def precision(self) -> str:
        """What it computes in: f32, f16, bf16 or int8."""
        ...

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, size, size, 3) uint8 RGB to (n, dim) float32 unit rows."""
        ...


def load_engine(name: str, model: Model, **options: Any) -> Engine:
    """Raises BadInput for an unknown name, EngineUnavailable where the engine cannot run here."""
    if name not in ENGINES:
        raise BadInput(f"no engine named {name!r}; there are {', '.join(ENGINES)}")
    engine: Engine = import_module(ENGINES[name]).load(model, **options)
    return engine
