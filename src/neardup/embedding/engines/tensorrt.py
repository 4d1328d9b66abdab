"""TensorRT through ONNX Runtime, on a graph that `neardup convert-trt` has prepared and verified.

Where that was told to make do without TensorRT, the graph runs on CUDA or the CPU, and the engine says so in its name.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neardup.embedding.engines.onnx import OnnxEngine, open_session
from neardup.embedding.engines.spec import EngineSpec
from neardup.embedding.hardware import find_gpu, library_version
from neardup.embedding.model import Model
from neardup.embedding.runtimes import (
    ONNX_TRT_LIBRARY,
    missing_for_onnx_cuda,
    missing_for_onnx_tensorrt,
    require_provider,
)
from neardup.embedding.variants import PRECISIONS, Target, find_variant
from neardup.errors import EngineUnavailable

GRAPH = "graph.onnx"
# What `index` and `query` send: up to a batch of 32. One engine serves all of these.
BATCHES = {"min": 1, "opt": 32, "max": 32}
NAMES = {"tensorrt": "tensorrt", "cuda": "onnx-cuda", "cpu": "onnx"}


@dataclass(frozen=True)
class Machine:
    """The best that can run a prepared graph here, and what is missing for better."""

    target: Target
    missing: list[str]


def this_machine() -> Machine:
    missing = missing_for_onnx_tensorrt()
    if not missing:
        return Machine(Target("tensorrt", "tensorrt", find_gpu(), library_version(ONNX_TRT_LIBRARY)), [])
    if not missing_for_onnx_cuda():
        return Machine(Target("tensorrt", "cuda", find_gpu(), None), missing)
    return Machine(Target("tensorrt", "cpu", None, None), missing)


def load(model: Model, threads: int | None = None, precision: str | None = None) -> OnnxEngine:
    """What was converted for this machine last, or last in this precision."""
    machine = this_machine()
    variant = find_variant(model, machine.target, precision)
    if variant is None:
        need = f"missing here: {'; '.join(machine.missing)}" if machine.missing else "'neardup convert-trt' makes one"
        raise EngineUnavailable(f"no variant of model {model.name} is registered; {need}")
    return open_graph(variant.file(GRAPH), model.input_size, machine.target, variant.precision, threads)


def open_graph(graph: Path, input_size: int, target: Target, precision: str, threads: int | None = None) -> OnnxEngine:
    """A prepared graph on what the target says; the first call on TensorRT builds its engine, in minutes."""
    providers: list[str | tuple[str, dict[str, Any]]] = ["CPUExecutionProvider"]
    if target.provider != "cpu":
        providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0"} if precision == "f32" else {}))
    if target.provider == "tensorrt":
        require_provider("TensorrtExecutionProvider")
        options = tensorrt_options(graph.parent, input_size, precision, target.tensorrt or "")
        providers.insert(0, ("TensorrtExecutionProvider", options))
    elif target.provider == "cuda":
        require_provider("CUDAExecutionProvider")
    return OnnxEngine(open_session(graph, providers, threads), NAMES[target.provider], precision)


def tensorrt_options(folder: Path, input_size: int, precision: str, version: str) -> dict[str, Any]:
    """Options of ONNX Runtime's TensorRT provider; engines and timings are kept in the folder."""
    # Where FP16 is a property of the graph alone, since TensorRT 11, asking for it is an error.
    switches = int(version.partition(".")[0] or 0) < 11
    shapes = {
        f"trt_profile_{name}_shapes": f"images:{batch}x{input_size}x{input_size}x3" for name, batch in BATCHES.items()
    }
    return {
        "trt_fp16_enable": switches and precision == "f16",
        "trt_int8_enable": switches and precision == "int8",
        "trt_layer_norm_fp32_fallback": True,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_engine_cache_prefix": "neardup",
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
        **shapes,
    }


SPEC = EngineSpec("tensorrt", "onnxruntime", tuple(PRECISIONS.values()), load)
