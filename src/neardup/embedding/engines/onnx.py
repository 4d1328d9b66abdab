"""ONNX Runtime on the CPU: the default, fastest in float32 and quick to start."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.model import Model
from neardup.errors import BadModel, EngineUnavailable


@dataclass(frozen=True)
class OnnxEngine:
    session: Any
    name: str = "onnx"
    precision: str = "f32"

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        [rows] = self.session.run(["embedding"], {"images": pixels})
        return np.asarray(rows, np.float32)


def load(model: Model, *, threads: int | None = None, precision: str | None = None) -> OnnxEngine:
    """Raises EngineUnavailable without ONNX Runtime or for another precision than f32, BadModel for a bad graph."""
    if precision not in (None, "f32"):
        raise EngineUnavailable(f"engine onnx computes in f32, not {precision}; openvino offers bf16")
    return OnnxEngine(open_session(model.file("model.onnx"), ["CPUExecutionProvider"], threads))


def import_onnxruntime() -> Any:
    """ONNX Runtime, told to keep to itself; raises EngineUnavailable where it is missing."""
    # Releases such as 1.31 give the machine an id on import, and collect events and errors to send to their maker.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineUnavailable(f"engine onnx needs ONNX Runtime ({error}); pip install onnxruntime") from error
    return onnxruntime


def open_session(
    path: Path,
    providers: Sequence[str | tuple[str, dict[str, Any]]],
    threads: int | None = None,
    folded: Path | None = None,
) -> Any:
    """A session on the first of the providers.

    folded: where to write the graph with its constants folded, and nothing in it that belongs to a provider
    Raises EngineUnavailable without ONNX Runtime, or where it quietly took another provider than the first;
    BadModel for a bad graph.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # its warnings are for those who write graphs
    if folded:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # its exceptions share no base class
        raise BadModel(f"{path}: ONNX Runtime cannot load it ({str(error).splitlines()[0]})") from error
    wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if session.get_providers()[0] != wanted:
        raise EngineUnavailable(f"ONNX Runtime's {wanted} does not start; its libraries are missing or do not match")
    return session
