"""ONNX files that map pictures to vectors, into model folders: with what is done to pixels put before, a norm after.

The graph is a stranger's: it is parsed here and never run in this process before it has been tried in one of its own,
with an end to its time and memory. Data outside the file is refused. What its pixels look like must be said, by
options, by ONNX's own metadata (Image.NominalPixelRange, Image.BitmapPixelFormat) or by a preprocessor_config.json
beside it, as Hugging Face has them: a guess would give embeddings that are wrong and look right.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neardup.durable import replace_file
from neardup.embedding.conversion.verify import draw_samples
from neardup.embedding.model import FORMAT, GRAPH, LARGEST_CONFIG_BYTES, OnnxNetwork, check_dim
from neardup.embedding.trial import try_graph
from neardup.errors import BadInput, BadModel
from neardup.packages import load_package
from neardup.reading import digest_regular, read_json, read_regular
from neardup.text import said

Layout = Literal["nchw", "nhwc"]
Triple = tuple[float, float, float]

LARGEST_GRAPH_BYTES = (2 << 30) - 1  # what a protocol buffer can hold
INPUT_SIZE = 224
CONFIG = "preprocessor_config.json"
# https://github.com/onnx/onnx/blob/main/docs/MetadataProps.md
RANGES = {
    "NominalRange_0_255": (0.0, 255.0),
    "Normalized_0_1": (0.0, 1.0),
    "Normalized_1_1": (-1.0, 1.0),
    "NominalRange_16_235": (16.0, 235.0),
}
FORMATS = {"Rgb8": False, "Bgr8": True}  # whether blue comes first


@dataclass(frozen=True)
class Channels:
    """What is said of an ONNX file's input beside its size and range; None: nothing."""

    layout: Layout | None = None
    mean: Triple | None = None  # of red, green and blue, taken away once pixels are in the input range
    std: Triple | None = None  # what is left is divided by it


NOTHING_SAID = Channels()


@dataclass(frozen=True)
class Preprocessing:
    """Everything done to uint8 pixels before the graph."""

    input_size: int
    input_range: tuple[float, float]
    layout: Layout
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    blue_first: bool = False

    def __post_init__(self) -> None:
        low, high = self.input_range
        numbers = np.array([low, high, *self.mean, *self.std], np.float64)
        if not np.isfinite(numbers).all() or not low < high or min(self.std) <= 0:
            raise BadInput(
                f"input range {self.input_range}, mean {self.mean}, std {self.std}: give finite numbers, a range that"
                " rises and a std above 0"
            )
        if not 32 <= self.input_size <= 1024:
            raise BadInput(f"input size {self.input_size} is not between 32 and 1024")


def import_onnx(
    source: Path,
    folder: Path,
    name: str,
    input_size: int | None,
    input_range: tuple[float, float] | None,
    output: str | None,
    channels: Channels,
) -> None:
    """Write model.onnx and config.json into `folder`; raises BadModel, BadInput or MissingPackage."""
    onnx = load_package("onnx", str(source))
    graph = _read(onnx, source)
    entry = _entry(onnx, source, graph)
    chosen = _output(source, graph, output)
    done = _preprocessing(source, onnx, graph, entry, input_size, input_range, channels)
    from neardup.embedding.onnx_wrap import wrap

    wrapped = wrap(graph, entry.name, chosen, done)
    folder.mkdir(parents=True)
    replace_file(folder / GRAPH, wrapped.SerializeToString())
    rows = try_graph(folder / GRAPH, draw_samples(done.input_size, 8), source)
    check_dim(source, rows.shape[1])
    dim = wrapped.graph.output[0].type.tensor_type.shape.dim[1]
    dim.dim_value = rows.shape[1]  # in place of its name
    replace_file(folder / GRAPH, wrapped.SerializeToString())
    config = {
        "format": FORMAT,
        "name": name,
        "onnx": OnnxNetwork(rows.shape[1], {**asdict(done), "output": chosen}).to_json(),
        "input_size": done.input_size,
        "preprocessing": "upright RGB, squashed to a square, bicubic with antialiasing",
        "dim": rows.shape[1],
        "thresholds": {},
        "files": {GRAPH: digest_regular(folder / GRAPH)},
    }
    replace_file(folder / "config.json", f"{json.dumps(config, indent=2)}\n".encode())


def _read(onnx: Any, source: Path) -> Any:
    try:
        graph = onnx.load_model_from_string(read_regular(source, LARGEST_GRAPH_BYTES))
    except OSError as error:
        raise BadModel(f"{source}: {error.strerror}; give the file of a model") from error
    except Exception as error:  # protobuf's errors share no base class
        raise BadModel(f"{source}: not an ONNX file ({said(error)})") from error
    if any(onnx.external_data_helper.uses_external_data(tensor) for tensor in _tensors(graph)):
        raise BadModel(f"{source}: keeps its weights in other files, which are not read; save it as one file")
    try:
        onnx.checker.check_model(graph)
    except Exception as error:  # ValidationError, and what protobuf raises
        raise BadModel(f"{source}: not a sound ONNX graph ({said(error)})") from error
    return graph


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor in a model, those of subgraphs, attributes and functions included."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            repeated = hasattr(value, "__len__") and not hasattr(value, "ListFields")
            for each in value if repeated else [value]:
                if each.DESCRIPTOR.name == "TensorProto":
                    yield each
                else:
                    yield from _tensors(each)


def _entry(onnx: Any, source: Path, graph: Any) -> Any:
    """The one input that is no weight: a batch of pictures."""
    weights = {tensor.name for tensor in graph.graph.initializer}
    inputs = [each for each in graph.graph.input if each.name not in weights]
    if len(inputs) != 1 or len(_shape(inputs[0])) != 4:
        shown = ", ".join(f"{each.name} {_shape(each)}" for each in inputs) or "nothing"
        raise BadModel(f"{source}: takes {shown}, not one batch of pictures")
    numbers = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.UINT8)
    if inputs[0].type.tensor_type.elem_type not in numbers:
        raise BadModel(f"{source}: takes {inputs[0].name} in neither float, float16 nor uint8")
    return inputs[0]


def _shape(value: Any) -> tuple[int | None, ...]:
    return tuple(dim.dim_value or None for dim in value.type.tensor_type.shape.dim)


def _output(source: Path, graph: Any, wanted: str | None) -> str:
    outputs = {each.name: _shape(each) for each in graph.graph.output}
    shown = ", ".join(f"{name} {shape}" for name, shape in outputs.items())
    if wanted is None and len(outputs) != 1:
        raise BadInput(f"{source}: gives {shown}; name the one that is the vector with --endpoint")
    chosen = next(iter(outputs)) if wanted is None else wanted
    if chosen not in outputs:
        raise BadInput(f"{source}: gives no {chosen!r}; there are {shown}")
    shape = outputs[chosen]
    # (n, dim), or (n, dim, 1, 1) as pooling leaves it; nothing is known of a shape that is not stated.
    if shape and (len(shape) < 2 or any(edge not in (1, None) for edge in shape[2:])):
        raise BadModel(f"{source}: {chosen} is {shape}, not a vector for each picture; --endpoint names another output")
    return chosen


def _preprocessing(
    source: Path,
    onnx: Any,
    graph: Any,
    entry: Any,
    input_size: int | None,
    input_range: tuple[float, float] | None,
    channels: Channels,
) -> Preprocessing:
    """Options first, then what the file or the one beside it says."""
    layout = channels.layout or _layout(source, entry)
    edges = _shape(entry)[2:4] if layout == "nchw" else _shape(entry)[1:3]
    fixed = {edge for edge in edges if edge}
    if len(fixed) > 1 or (fixed and input_size and input_size not in fixed):
        raise BadInput(f"{source}: takes pictures of {edges}; neardup makes squares, of that size where it is fixed")
    if _shape(entry)[1 if layout == "nchw" else 3] not in (3, None):
        raise BadInput(f"{source}: takes {_shape(entry)}, which is no batch of RGB pictures in {layout.upper()}")
    beside = _read_beside(source)
    size = next(iter(fixed), input_size or beside.get("size") or INPUT_SIZE)
    metadata = {each.key: each.value for each in graph.metadata_props}
    format_ = metadata.get("Image.BitmapPixelFormat", "Rgb8")
    if format_ not in FORMATS:
        raise BadModel(f"{source}: its metadata asks for pixels in {format_:.40}; RGB and BGR can be had")
    said_range = input_range or RANGES.get(metadata.get("Image.NominalPixelRange", ""))
    mean, std = channels.mean, channels.std
    if said_range is None and mean is None and std is None:
        said_range, mean, std = beside.get("range"), beside.get("mean"), beside.get("std")
    if said_range is None and (mean is not None or std is not None):
        said_range = (0.0, 1.0)
    if said_range is None and entry.type.tensor_type.elem_type == onnx.TensorProto.UINT8:
        said_range = (0.0, 255.0)
    if said_range is None:
        raise BadInput(
            f"{source}: does not say how its pixels are scaled; give --input-range LOW HIGH, or --mean R G B and"
            f" --std R G B (of pixels from 0 to 1), or put its {CONFIG} beside it"
        )
    done = Preprocessing(size, said_range, layout, blue_first=FORMATS[format_])
    return replace(done, mean=mean or done.mean, std=std or done.std)


def _layout(source: Path, entry: Any) -> Layout:
    """From where the three colours are in the shape."""
    _, first, _, last = _shape(entry)
    if first == 3 and last != 3:
        return "nchw"
    if last == 3 and first != 3:
        return "nhwc"
    raise BadInput(f"{source}: takes {_shape(entry)}; say with --layout where its colours are, nchw or nhwc")


def _read_beside(source: Path) -> dict[str, Any]:
    """size, range, mean and std from Hugging Face's file beside a model or above its folder `onnx`; none: empty."""
    folders = [source.parent, *([source.parent.parent] if source.parent.name == "onnx" else [])]
    path = next((folder / CONFIG for folder in folders if (folder / CONFIG).is_file()), None)
    if path is None:
        return {}
    try:
        fields: dict[str, Any] = read_json(path, LARGEST_CONFIG_BYTES)
        size = fields.get("crop_size") or fields.get("size")
        if isinstance(size, dict):
            size = size.get("height") or size.get("shortest_edge")
        top = 255 * float(fields.get("rescale_factor", 1 / 255)) if fields.get("do_rescale", True) else 255.0
        found: dict[str, Any] = {"size": int(size) if size else None, "range": (0.0, top)}
        if fields.get("do_normalize", "image_mean" in fields):
            found["mean"], found["std"] = (
                tuple(float(each) for each in fields[key]) for key in ("image_mean", "image_std")
            )
        if any(len(found[key]) != 3 for key in ("mean", "std") if key in found):
            raise ValueError("mean and std are three numbers each")
    except (OSError, KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise BadModel(f"{path}: not a preprocessor's config ({said(error)}); mend it, or move it away") from error
    return found
