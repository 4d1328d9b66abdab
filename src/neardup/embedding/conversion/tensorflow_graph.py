"""A SavedModel as an ONNX graph, by tf2onnx: what the engines beside TensorFlow's run."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.agreement import smallest_similarity, with_direction
from neardup.embedding.conversion.verify import MINIMUM_SIMILARITY
from neardup.embedding.runtimes import import_tensorflow
from neardup.errors import ConversionFailed
from neardup.packages import load_package
from neardup.text import said

OPSET = 17
INPUT, OUTPUT = "images", "embedding"


def write_graph(network: Callable[[Any], Any], size: int, target: Path) -> None:
    """Write images (n, size, size, 3) uint8 to embedding (n, dim) float32 as ONNX.

    network: of TensorFlow: pixels to rows
    Raises MissingPackage without tf2onnx, ConversionFailed where it cannot.
    """
    tensorflow = import_tensorflow()
    tf2onnx = load_package("tf2onnx", "an ONNX graph of a SavedModel")
    load_package("onnx")
    spec = tensorflow.TensorSpec((None, size, size, 3), tensorflow.uint8, name=INPUT)
    function = tensorflow.function(network, input_signature=[spec], autograph=False)
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    try:
        graph, _ = tf2onnx.convert.from_function(function, input_signature=[spec], opset=OPSET)
        _rename_output(graph)
        target.write_bytes(graph.SerializeToString())
    except Exception as error:  # its errors share no base class
        raise ConversionFailed(f"{target}: tf2onnx cannot convert the SavedModel ({said(error)})") from error


def write_agreeing_graph(
    network: Callable[[Any], Any], samples: NDArray[np.uint8], rows: NDArray[np.float32], target: Path
) -> None:
    """`write_graph`, and the graph gives the same rows for the samples.

    samples: (n, size, size, 3) uint8
    rows:    (n, dim) float32, of the network itself
    Raises as `write_graph`, and ConversionFailed where the rows are others; then there is no `target`.
    """
    from neardup.embedding.engines.onnx import OnnxEngine, open_session

    try:
        write_graph(network, samples.shape[1], target)
        converted = OnnxEngine(open_session(target, ["CPUExecutionProvider"])).run(samples)
        kept = with_direction(rows)
        similarity = smallest_similarity(converted[kept], rows[kept])
        if similarity < MINIMUM_SIMILARITY["f32"]:
            raise ConversionFailed(f"{target}: the ONNX graph's smallest cosine to the SavedModel is {similarity:.6f}")
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _rename_output(graph: Any) -> None:
    """Of the one output, whatever tf2onnx called it."""
    [output] = graph.graph.output
    for node in graph.graph.node:
        for names in (node.input, node.output):
            names[:] = [OUTPUT if name == output.name else name for name in names]
    output.name = OUTPUT
