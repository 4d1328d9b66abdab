"""A stranger's ONNX graph between what neardup gives and what it takes: uint8 pixels before, unit rows after."""

from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from neardup.embedding.onnx_graph import OPSET as NEWEST_OPSET

if TYPE_CHECKING:
    from neardup.embedding.importing_onnx import Preprocessing

INPUT, OUTPUT = "images", "embedding"
PREFIX = "source/"  # of all that is in the graph already


def wrap(graph: onnx.ModelProto, entry: str, output: str, done: "Preprocessing") -> onnx.ModelProto:
    """images (n, size, size, 3) uint8 RGB to embedding (n, dim) float32 unit rows.

    entry, output: of the graph, whose other outputs are left out
    """
    # Its own names never meet the new ones.
    inside = onnx.compose.add_prefix(graph, PREFIX)
    entry, output = PREFIX + entry, PREFIX + output
    [given] = [each for each in inside.graph.input if each.name == entry]
    kind = given.type.tensor_type.elem_type
    before, constants = _before(entry, kind, done)
    after = [
        helper.make_node("Flatten", [output], ["row"], axis=1),
        helper.make_node("Cast", ["row"], ["float row"], to=TensorProto.FLOAT),
        helper.make_node("LpNormalization", ["float row"], [OUTPUT], axis=1, p=2),
    ]
    weights = {tensor.name for tensor in inside.graph.initializer}
    size = done.input_size
    joined = helper.make_graph(
        [*before, *inside.graph.node, *after],
        "imported",
        [
            helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", size, size, 3]),
            *(each for each in inside.graph.input if each.name in weights),
        ],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", "dim"])],
        [*constants, *inside.graph.initializer],
        sparse_initializer=inside.graph.sparse_initializer,
    )
    return helper.make_model(
        joined,
        producer_name="neardup",
        opset_imports=list(inside.opset_import) or [helper.make_opsetid("", NEWEST_OPSET)],
        ir_version=inside.ir_version,
        functions=list(inside.functions),
    )


def _before(entry: str, kind: int, done: "Preprocessing") -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes from the pixels to the graph's entry: scaled by channel, in its layout and type."""
    low, high = done.input_range
    mean, std = np.array(done.mean), np.array(done.std)
    scale: NDArray[np.float64] = (high - low) / 255.0 / std
    offset: NDArray[np.float64] = (low - mean) / std
    constants = [
        numpy_helper.from_array(scale.astype(np.float32), "scale"),
        numpy_helper.from_array(offset.astype(np.float32), "offset"),
    ]
    nodes = [
        helper.make_node("Cast", [INPUT], ["float pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float pixels", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["moved"]),
    ]
    last = "moved"
    if done.blue_first:
        constants.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), "blue first"))
        nodes.append(helper.make_node("Gather", [last, "blue first"], ["turned"], axis=3))
        last = "turned"
    if done.layout == "nchw":
        nodes.append(helper.make_node("Transpose", [last], ["planes"], perm=[0, 3, 1, 2]))
        last = "planes"
    nodes.append(helper.make_node("Cast", [last], [entry], to=kind))
    return nodes, constants
