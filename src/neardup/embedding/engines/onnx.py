"""ONNX Runtime on the CPU: the default, fastest in float32 and quick to start."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.engines.spec import EngineSpec
from neardup.embedding.model import GRAPH, Model
from neardup.embedding.runtimes import import_onnxruntime
from neardup.errors import BadModel, EngineUnavailable
from neardup.text import said

_CPU = "CPUExecutionProvider"


@dataclass(frozen=True)
class OnnxEngine:
    session: Any
    name: str = "onnx"
    precision: str = "f32"

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        [rows] = self.session.run(["embedding"], {"images": pixels})
        return np.asarray(rows, np.float32)


def load(model: Model, threads: int | None = None, precision: str | None = None) -> OnnxEngine:
    return OnnxEngine(open_session(model.file(GRAPH), [_CPU], threads))


def open_session(
    path: Path,
    providers: Sequence[str | tuple[str, dict[str, Any]]],
    threads: int | None = None,
    folded: Path | None = None,
) -> Any:
    """A session on the first of the providers.

    folded: where to write the graph with its constants folded, and nothing in it that belongs to a provider
    Raises MissingPackage without ONNX Runtime, EngineUnavailable where it quietly took another provider than the
    first, BadModel for a bad graph.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # its warnings are for those who write graphs
    if folded:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
    # Where something fails it prints that it falls back, to stdout: what a model says then would be in our results.
    falls_back = providers[0] != _CPU
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=list(providers), enable_fallback=int(falls_back)
        )
    except Exception as error:  # its exceptions share no base class
        raise BadModel(f"{path}: ONNX Runtime cannot load it ({said(error)})") from error
    wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if session.get_providers()[0] != wanted:
        raise EngineUnavailable(f"ONNX Runtime's {wanted} does not start; its libraries are missing or do not match")
    return session


SPEC = EngineSpec("onnx", "onnxruntime", ("f32",), load)
