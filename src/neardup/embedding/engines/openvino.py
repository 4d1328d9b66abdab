"""OpenVINO on the CPU: float32, or bfloat16 where asked for, which pays on a CPU with AMX."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.engines.spec import EngineSpec
from neardup.embedding.model import GRAPH, Model
from neardup.embedding.runtimes import import_openvino
from neardup.errors import EngineUnavailable


@dataclass(frozen=True)
class OpenVinoEngine:
    compiled: Any
    precision: str
    name: str = "openvino"

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.array(self.compiled([pixels])[0], np.float32)


def load(model: Model, threads: int | None = None, precision: str | None = None) -> OpenVinoEngine:
    openvino = import_openvino()
    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise EngineUnavailable("bf16 needs a processor with AMX or AVX-512 BF16")
    # Left to itself it would choose bfloat16 wherever the processor has it.
    config = {"INFERENCE_PRECISION_HINT": precision or "f32"}
    if threads:
        config["INFERENCE_NUM_THREADS"] = str(threads)
    compiled = core.compile_model(core.read_model(model.file(GRAPH)), "CPU", config)
    return OpenVinoEngine(compiled, precision or "f32")


SPEC = EngineSpec("openvino", "openvino", ("f32", "bf16"), load)
