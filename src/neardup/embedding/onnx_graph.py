"""BiT-ResNet as an ONNX graph, written node by node: the same numbers as `bit.py`, at several times the speed.

Kernels are stored raw, in float16, and standardised by nodes that every runtime folds into constants when it loads
the graph; so model.onnx and weights.npz hold the same rounded numbers. Group normalisation is written as instance
normalisation of the groups, the form that ONNX Runtime and TensorRT run fastest.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from neardup.embedding.architecture import (
    GEM_MINIMUM,
    GEM_POWER,
    GROUP_NORM_EPSILON,
    L2_MINIMUM,
    STANDARDIZATION_EPSILON,
    Architecture,
    Unit,
)
from neardup.embedding.weights import Weights, check_weights

OPSET = 17
IR_VERSION = 8


class _Graph:
    """Nodes and constants in order; every method adds nodes and returns the name of their output."""

    def __init__(self, weights: Weights, groups: int, half: bool) -> None:
        self.weights, self.groups, self.half = weights, groups, half
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        output = name or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def number(self, value: float) -> str:
        return self.constant(f"float/{value!r}", np.array(value, np.float32))

    def shape(self, *sizes: int) -> str:
        return self.constant(f"shape/{'x'.join(map(str, sizes))}", np.array(sizes, np.int64))

    def weight(self, name: str, value: NDArray[Any]) -> str:
        stored = self.constant(name, np.ascontiguousarray(value, np.float16))
        return self.add("Cast", stored, name=f"{name}/float32", to=TensorProto.FLOAT)

    def conv(self, x: str, name: str, stride: int = 1) -> str:
        """Standardised convolution, in float16 where asked for; odd kernels are padded by zeros to keep the size."""
        kernel = self.weights[f"{name}/standardized_conv2d/kernel"].transpose(3, 2, 0, 1)
        pad = kernel.shape[-1] // 2
        if self.half:
            return self.add(
                "Conv", self.to_half(x), self.half_kernel(name, kernel), strides=[stride] * 2, pads=[pad] * 4
            )
        raw = self.weight(f"{name}/kernel", kernel)
        centred = self.add("Sub", raw, self.add("ReduceMean", raw, axes=[1, 2, 3], keepdims=1))
        squares = self.add("Mul", centred, centred)
        variance = self.add("ReduceMean", squares, axes=[1, 2, 3], keepdims=1)
        deviation = self.add("Sqrt", self.add("Add", variance, self.number(STANDARDIZATION_EPSILON)))
        standardized = self.add("Div", centred, deviation)
        return self.add("Conv", x, standardized, strides=[stride] * 2, pads=[pad] * 4)

    def half_kernel(self, name: str, kernel: NDArray[Any]) -> str:
        """The standardised kernel itself, rounded: nodes would do it in float16, or not be folded."""
        raw = kernel.astype(np.float32)
        centred = raw - raw.mean(axis=(1, 2, 3), keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=(1, 2, 3), keepdims=True) + STANDARDIZATION_EPSILON)
        return self.constant(f"{name}/standardized", np.ascontiguousarray(centred / deviation, np.float16))

    def to_half(self, x: str) -> str:
        return self.add("Cast", x, to=TensorProto.FLOAT16) if self.half else x

    def to_float(self, x: str) -> str:
        return self.add("Cast", x, to=TensorProto.FLOAT) if self.half else x

    def norm_relu(self, x: str, name: str, channels: int, edge: int) -> str:
        ones = self.constant("groups/ones", np.ones(self.groups, np.float32))
        zeros = self.constant("groups/zeros", np.zeros(self.groups, np.float32))
        grouped = self.add("Reshape", self.to_float(x), self.shape(0, self.groups, -1))
        normalized = self.add("InstanceNormalization", grouped, ones, zeros, epsilon=GROUP_NORM_EPSILON)
        x = self.add("Reshape", normalized, self.shape(0, channels, edge, edge))
        gamma, beta = (
            self.weight(f"{name}/{part}", self.weights[f"{name}/group_norm/{part}"].reshape(1, -1, 1, 1))
            for part in ("gamma", "beta")
        )
        return self.add("Relu", self.add("Add", self.add("Mul", x, gamma), beta))

    def max_pool(self, x: str, edge: int) -> str:
        """3x3/2 over a border of zeros. A Pad node would do, were it not for ONNX Runtime (1.23 to 1.31 at least),
        which folds it into the pooling's own padding, of minus infinity: so the zeros come in by a maximum."""
        pooled = (edge - 1) // 2 + 1
        touches = np.arange(pooled) * 2
        at_border = (touches == 0) | (touches + 2 > edge)
        border = np.where(at_border[:, None] | at_border[None, :], 0.0, np.finfo(np.float32).min)
        zeros = self.constant("root/border", border[None, None].astype(np.float32))
        pooled_x = self.add("MaxPool", self.to_float(x), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        return self.add("Max", pooled_x, zeros)

    def unit(self, x: str, unit: Unit, edge: int) -> str:
        activated = self.norm_relu(x, f"{unit.name}/a", unit.inputs, edge)
        shortcut = self.conv(activated, f"{unit.name}/a/proj", unit.stride) if unit.projected else x
        y = self.norm_relu(self.conv(activated, f"{unit.name}/a"), f"{unit.name}/b", unit.filters, edge)
        y = self.conv(y, f"{unit.name}/b", unit.stride)
        y = self.norm_relu(y, f"{unit.name}/c", unit.filters, (edge - 1) // unit.stride + 1)
        return self.add("Add", self.conv(y, f"{unit.name}/c"), self.to_half(shortcut))


def build_onnx(architecture: Architecture, weights: Weights, input_size: int, *, half: bool = False) -> onnx.ModelProto:
    """The embedding model as a graph: images (n, size, size, 3) uint8 RGB to embedding (n, dim) float32 unit rows.

    weights: by released name, rounded to float16
    half:    convolutions and what passes between them in float16; normalisation and all after it in float32
    Raises BadWeights where they are not exactly the architecture's.
    """
    check_weights(weights, architecture.parameters(), "weights")
    graph = _Graph(weights, architecture.groups, half)
    low, high = architecture.input_range
    x = graph.add("Transpose", graph.add("Cast", "images", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    x = graph.add("Add", graph.add("Mul", x, graph.number((high - low) / 255.0)), graph.number(low))
    x = graph.conv(x, "resnet/root_block", 2)
    edge = (input_size - 1) // 2 + 1
    x = graph.max_pool(x, edge)
    edge = (edge - 1) // 2 + 1
    for unit in architecture.blocks():
        x = graph.unit(x, unit, edge)
        edge = (edge - 1) // unit.stride + 1
    x = graph.norm_relu(x, "resnet", architecture.features, edge)
    if architecture.pooling == "gem":
        x = graph.add("Max", x, graph.number(GEM_MINIMUM))
        x = graph.add("Mul", graph.add("Mul", x, x), x)
        x = graph.add("ReduceMean", x, axes=[2, 3], keepdims=0)
        x = graph.add("Pow", x, graph.number(1 / GEM_POWER))
    else:
        x = graph.add("ReduceMean", x, axes=[2, 3], keepdims=0)
    if architecture.projection is not None:
        kernel = graph.weight("projection/kernel", weights["projection/kernel"])
        bias = graph.weight("projection/bias", weights["projection/bias"])
        x = graph.add("Gemm", x, kernel, bias)
    norm = graph.add("ReduceL2", x, axes=[1], keepdims=1)
    graph.add("Div", x, graph.add("Max", norm, graph.number(L2_MINIMUM)), name="embedding")
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "bit",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", input_size, input_size, 3])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", architecture.dim])],
            list(graph.constants.values()),
        ),
        producer_name="neardup",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model
