"""OpenVINO on the CPU: float32, or bfloat16 where asked for, which pays on a CPU with AMX."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.model import Model
from neardup.errors import EngineUnavailable


@dataclass(frozen=True)
class OpenVinoEngine:
    compiled: Any
    precision: str
    name: str = "openvino"

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.array(self.compiled([pixels])[0], np.float32)


def load(model: Model, *, threads: int | None = None, precision: str | None = None) -> OpenVinoEngine:
    """Raises EngineUnavailable without OpenVINO, or for a precision other than f32 and bf16."""
    precision = precision or "f32"
    if precision not in ("f32", "bf16"):
        raise EngineUnavailable(f"engine openvino computes in f32 or bf16, not {precision}")
    try:
        import openvino
    except ImportError as error:
        raise EngineUnavailable("engine openvino is not installed; pip install 'neardup[openvino]'") from error
    # Left to itself it would choose bfloat16 wherever the processor has it.
    config = {"INFERENCE_PRECISION_HINT": precision}
    if threads:
        config["INFERENCE_NUM_THREADS"] = str(threads)
    core = openvino.Core()
    return OpenVinoEngine(core.compile_model(core.read_model(model.file("model.onnx")), "CPU", config), precision)
