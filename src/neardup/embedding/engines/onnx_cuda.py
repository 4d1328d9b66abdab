"""ONNX Runtime on an NVIDIA GPU, in float32."""

from neardup.embedding.engines.onnx import OnnxEngine, open_session
from neardup.embedding.engines.spec import EngineSpec
from neardup.embedding.hardware import missing_gpu
from neardup.embedding.model import GRAPH, Model
from neardup.embedding.runtimes import require_provider
from neardup.errors import EngineUnavailable

PROVIDER = "CUDAExecutionProvider"
# TensorFloat-32 would keep ten bits of every product, and agree with the reference to 1e-3 only.
OPTIONS = {"use_tf32": "0"}


def load(model: Model, threads: int | None = None, precision: str | None = None) -> OnnxEngine:
    require_provider(PROVIDER)
    if missing := missing_gpu():
        raise EngineUnavailable(f"needs {missing[0]}")
    path = model.file(GRAPH)
    return OnnxEngine(open_session(path, [(PROVIDER, OPTIONS), "CPUExecutionProvider"], threads), SPEC.name)


SPEC = EngineSpec("onnx-cuda", "onnxruntime", ("f32",), load)
