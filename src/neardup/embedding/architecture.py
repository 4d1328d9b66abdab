"""What a BiT-ResNet is made of: its units, and every parameter by its released name.

Big Transfer (Kolesnikov et al., arXiv 1912.11370) is a pre-activation ResNet (He et al., arXiv 1603.05027) with
group normalisation and weight standardisation (Qiao et al., arXiv 1903.10520) instead of batch normalisation.
Keras (`bit.py`), ONNX (`onnx_graph.py`) and the weights' reader (`weights.py`) all follow this one description.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from neardup.errors import BadModel

GROUP_NORM_EPSILON = 1e-5
# Inside the root, on the biased variance, as the released weights were trained; timm and transformers use 1e-8.
STANDARDIZATION_EPSILON = 1e-10
GEM_POWER = 3
GEM_MINIMUM = 1e-6
L2_MINIMUM = 1e-12
BOTTLENECK = 4


@dataclass(frozen=True)
class Unit:
    """One bottleneck unit: 1x1 to `filters`, 3x3 with `stride`, 1x1 to 4 x `filters`, and the shortcut."""

    name: str  # resnet/block1/unit01
    inputs: int
    filters: int
    stride: int
    projected: bool  # the shortcut has a convolution of its own, where the shape changes


@dataclass(frozen=True)
class Architecture:
    """A BiT-ResNet trunk, its pooling and an optional linear projection; L2 normalisation always comes last.

    R26x0.5 is `Architecture()`, BiT's R50x1 `Architecture(units=(3, 4, 6, 3), width=1, groups=32, pooling="average",
    projection=None)`.
    """

    units: tuple[int, int, int, int] = (2, 2, 2, 2)
    width: float = 0.5
    groups: int = 16
    pooling: Literal["average", "gem"] = "gem"
    projection: int | None = 256
    # Where pixel values 0 and 255 go: [-1, 1] for the released .npz files, [0, 1] for TF-Hub's m-r50x1.
    input_range: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.units) != 4 or not all(isinstance(n, int) and 1 <= n <= 64 for n in self.units):
            raise BadModel(f"architecture: units are four numbers from 1 to 64, not {self.units}")
        whole = isinstance(self.groups, int) and self.groups >= 1
        if not whole or not 1 / 64 <= self.width <= 8 or self.channels(0) % self.groups:
            raise BadModel(f"architecture: {self.channels(0)} channels do not divide into {self.groups} groups")
        if self.pooling not in ("average", "gem"):
            raise BadModel(f"architecture: pooling is 'average' or 'gem', not {self.pooling!r}")
        if self.projection is not None and not 1 <= self.projection <= 4096:
            raise BadModel(f"architecture: projection is 1 to 4096 wide, not {self.projection}")
        low, high = self.input_range
        if not low < high:
            raise BadModel(f"architecture: input range {self.input_range} is empty")

    def channels(self, block: int) -> int:
        """Width of the bottleneck of block 0 to 3; block 0's is the root's, too."""
        return int(64 * self.width) << block

    @property
    def features(self) -> int:
        """Channels that the trunk ends with."""
        return self.channels(3) * BOTTLENECK

    @property
    def dim(self) -> int:
        return self.projection or self.features

    def blocks(self) -> Iterator[Unit]:
        """Every unit, from the root to the head."""
        inputs = self.channels(0)
        for block, count in enumerate(self.units):
            filters = self.channels(block)
            for number in range(count):
                stride = 2 if number == 0 and block > 0 else 1
                outputs = filters * BOTTLENECK
                projected = stride > 1 or inputs != outputs
                yield Unit(f"resnet/block{block + 1}/unit{number + 1:02d}", inputs, filters, stride, projected)
                inputs = outputs

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter by its released name; kernels are (height, width, in, out)."""
        root = self.channels(0)
        shapes: dict[str, tuple[int, ...]] = {"resnet/root_block/standardized_conv2d/kernel": (7, 7, 3, root)}

        def norm(name: str, channels: int) -> None:
            shapes[f"{name}/group_norm/gamma"] = shapes[f"{name}/group_norm/beta"] = (channels,)

        def conv(name: str, size: int, inputs: int, outputs: int) -> None:
            shapes[f"{name}/standardized_conv2d/kernel"] = (size, size, inputs, outputs)

        for unit in self.blocks():
            outputs = unit.filters * BOTTLENECK
            norm(f"{unit.name}/a", unit.inputs)
            conv(f"{unit.name}/a", 1, unit.inputs, unit.filters)
            norm(f"{unit.name}/b", unit.filters)
            conv(f"{unit.name}/b", 3, unit.filters, unit.filters)
            norm(f"{unit.name}/c", unit.filters)
            conv(f"{unit.name}/c", 1, unit.filters, outputs)
            if unit.projected:
                conv(f"{unit.name}/a/proj", 1, unit.inputs, outputs)
        norm("resnet", self.features)
        if self.projection is not None:
            shapes["projection/kernel"] = (self.features, self.projection)
            shapes["projection/bias"] = (self.projection,)
        return shapes

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Architecture":
        """Raises BadModel where a field is missing, unknown or out of range."""
        try:
            known = dict(fields)
            return cls(units=tuple(known.pop("units")), input_range=tuple(known.pop("input_range")), **known)
        except (TypeError, KeyError, ValueError) as error:
            raise BadModel(f"architecture: {error}") from error
