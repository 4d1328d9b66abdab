"""ONNX Runtime on an NVIDIA GPU, in float32."""

from neardup.embedding.conversion.machine import missing_gpu, require_provider
from neardup.embedding.engines.onnx import OnnxEngine, open_session
from neardup.embedding.model import Model
from neardup.errors import EngineUnavailable

PROVIDER = "CUDAExecutionProvider"
# TensorFloat-32 would keep ten bits of every product, and agree with the reference to 1e-3 only.
OPTIONS = {"use_tf32": "0"}


def load(model: Model, *, threads: int | None = None, precision: str | None = None) -> OnnxEngine:
    """Raises EngineUnavailable without onnxruntime-gpu or a GPU, or for another precision than f32."""
    if precision not in (None, "f32"):
        raise EngineUnavailable(f"engine onnx-cuda computes in f32, not {precision}; 'neardup convert-trt' makes f16")
    require_provider(PROVIDER, "onnx-cuda")
    if missing := missing_gpu():
        raise EngineUnavailable(f"engine onnx-cuda needs {missing[0]}")
    path = model.file("model.onnx")
    return OnnxEngine(open_session(path, [(PROVIDER, OPTIONS), "CPUExecutionProvider"], threads), "onnx-cuda")
