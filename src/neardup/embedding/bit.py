"""BiT-ResNet in Keras 3, top to bottom; it gives the same numbers on TensorFlow, JAX and PyTorch.

Unit (pre-activation): y = ReLU(GN(x)); shortcut = 1x1 convolution of y where the shape changes, else x;
1x1 -> GN, ReLU -> 3x3 with the stride -> GN, ReLU -> 1x1; add. No biases.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from neardup.embedding.architecture import (
    BOTTLENECK,
    GEM_MINIMUM,
    GEM_POWER,
    GROUP_NORM_EPSILON,
    L2_MINIMUM,
    STANDARDIZATION_EPSILON,
    Architecture,
    Unit,
)
from neardup.embedding.weights import Weights, check_weights

PACKAGE = "neardup"


@keras.saving.register_keras_serializable(PACKAGE)
class StandardizedConv2D(keras.layers.Conv2D):
    """Convolution whose kernel has mean 0 and variance 1 over height, width and inputs.

    Not a kernel constraint: the gradient has to pass through the standardisation.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        kernel = ops.cast(kernel, "float32")
        # Biased variance, epsilon inside the root: the released BiT weights were trained so.
        mean = ops.mean(kernel, axis=(0, 1, 2), keepdims=True)
        variance = ops.mean(ops.square(kernel - mean), axis=(0, 1, 2), keepdims=True)
        kernel = (kernel - mean) * ops.rsqrt(variance + STANDARDIZATION_EPSILON)
        return super().convolution_op(inputs, ops.cast(kernel, inputs.dtype))


@keras.saving.register_keras_serializable(PACKAGE)
class GroupNormalization(keras.layers.Layer):
    """Group normalisation (Wu and He, arXiv 1803.08494) as one scale and one shift per image and channel.

    Keras's own works on five dimensions, which costs a sixth of a training step on a CPU.
    """

    def __init__(self, groups: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups = groups

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        self.gamma = self.add_weight(shape=(channels,), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(channels,), initializer="zeros", name="beta")

    def call(self, inputs: Any) -> Any:
        channels = inputs.shape[-1]
        grouped = (-1, self.groups, channels // self.groups)
        # Moments in float32 whatever the inputs: a mean of squares does not fit reduced precision.
        x = ops.cast(inputs, "float32")
        mean = ops.mean(ops.reshape(ops.mean(x, axis=(1, 2)), grouped), axis=2, keepdims=True)
        squares = ops.mean(ops.reshape(ops.mean(ops.square(x), axis=(1, 2)), grouped), axis=2, keepdims=True)
        inverse = ops.rsqrt(ops.maximum(squares - ops.square(mean), 0.0) + GROUP_NORM_EPSILON)
        scale = inverse * ops.reshape(ops.cast(self.gamma, "float32"), (1, *grouped[1:]))
        shift = ops.reshape(ops.cast(self.beta, "float32"), (1, *grouped[1:])) - mean * scale
        scale, shift = (ops.reshape(v, (-1, 1, 1, channels)) for v in (scale, shift))
        return inputs * ops.cast(scale, inputs.dtype) + ops.cast(shift, inputs.dtype)


@keras.saving.register_keras_serializable(PACKAGE)
class GeneralizedMeanPooling(keras.layers.Layer):
    """GeM with a fixed power (Radenovic et al., arXiv 1711.02512, eq. 2), over height and width."""

    def call(self, inputs: Any) -> Any:
        # The mean of cubes leaves float16's range, and bfloat16's precision.
        cubes = ops.power(ops.maximum(ops.cast(inputs, "float32"), GEM_MINIMUM), float(GEM_POWER))
        return ops.power(ops.mean(cubes, axis=(1, 2)), 1 / GEM_POWER)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], input_shape[-1])


@keras.saving.register_keras_serializable(PACKAGE)
class L2Normalization(keras.layers.Layer):
    """Puts every row on the unit sphere; a zero row stays zero."""

    def call(self, inputs: Any) -> Any:
        rows = ops.cast(inputs, "float32")
        norms = ops.sqrt(ops.sum(ops.square(rows), axis=-1, keepdims=True))
        return rows / ops.maximum(norms, L2_MINIMUM)


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers that are made in the block compute so; afterwards Keras's global policy is what it was."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _layer_name(parameter: str) -> str:
    return parameter.replace("/", "__")  # Keras forbids '/' in a layer's name, PyTorch '.', TensorFlow most others


def _conv(inputs: Any, name: str, filters: int, size: int, stride: int = 1) -> Any:
    if size > 1:
        inputs = keras.layers.ZeroPadding2D(size // 2)(inputs)
    layer = StandardizedConv2D(
        filters, size, strides=stride, use_bias=False, name=_layer_name(f"{name}/standardized_conv2d")
    )
    return layer(inputs)


def _norm_relu(inputs: Any, name: str, groups: int) -> Any:
    norm = GroupNormalization(groups, name=_layer_name(f"{name}/group_norm"))
    return keras.layers.ReLU()(norm(inputs))


def _unit(inputs: Any, unit: Unit, groups: int) -> Any:
    activated = _norm_relu(inputs, f"{unit.name}/a", groups)
    shortcut = inputs
    outputs = unit.filters * BOTTLENECK
    if unit.projected:
        shortcut = _conv(activated, f"{unit.name}/a/proj", outputs, 1, unit.stride)
    x = _conv(activated, f"{unit.name}/a", unit.filters, 1)
    x = _conv(_norm_relu(x, f"{unit.name}/b", groups), f"{unit.name}/b", unit.filters, 3, unit.stride)
    x = _conv(_norm_relu(x, f"{unit.name}/c", groups), f"{unit.name}/c", outputs, 1)
    return keras.layers.Add()([x, shortcut])


def build_bit(architecture: Architecture, input_size: int | None = None) -> keras.Model:
    """The embedding model: (n, size, size, 3) RGB, uint8 or float 0 to 255, to (n, dim) float32 unit rows."""
    low, high = architecture.input_range
    images = keras.Input((input_size, input_size, 3), name="images")
    x = keras.layers.Rescaling((high - low) / 255.0, offset=low)(images)
    x = _conv(x, "resnet/root_block", architecture.channels(0), 7, 2)
    # Zeros, not the pooling's own padding of minus infinity.
    x = keras.layers.MaxPooling2D(3, 2)(keras.layers.ZeroPadding2D(1)(x))
    for unit in architecture.blocks():
        x = _unit(x, unit, architecture.groups)
    x = _norm_relu(x, "resnet", architecture.groups)
    if architecture.pooling == "gem":
        x = GeneralizedMeanPooling(dtype="float32")(x)
    else:
        x = keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
    if architecture.projection is not None:
        x = keras.layers.Dense(architecture.projection, name="projection", dtype="float32")(x)
    return keras.Model(images, L2Normalization(dtype="float32", name="embedding")(x), name="bit")


def _variables(model: keras.Model) -> dict[str, Any]:
    """Every variable of the model by its released name."""
    return {
        f"{layer.name.replace('__', '/')}/{variable.name}": variable
        for layer in model.layers
        for variable in layer.variables
        if variable.name in ("kernel", "bias", "gamma", "beta")
    }


def set_weights(model: keras.Model, weights: Weights) -> None:
    """Load weights by released name, all of them and nothing else; raises BadWeights with the names."""
    variables = _variables(model)
    check_weights(weights, {name: tuple(v.shape) for name, v in variables.items()}, "weights")
    for name, variable in variables.items():
        variable.assign(weights[name].astype("float32"))


def get_weights(model: keras.Model) -> Weights:
    """The model's weights by released name, float32."""
    return {name: ops.convert_to_numpy(v).astype("float32") for name, v in _variables(model).items()}
