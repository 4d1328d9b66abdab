"""Models of other makes into model folders: released BiT weights, TensorFlow SavedModels, .keras and .onnx files.

Nothing is unpickled, and no code that a .keras file carries is run. A SavedModel is a TensorFlow graph, and
TensorFlow's operations can read and write files: import what comes from people you trust.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neardup.durable import replace_file
from neardup.embedding.architecture import BOTTLENECK, Architecture
from neardup.embedding.conversion.tensorflow_graph import write_agreeing_graph
from neardup.embedding.conversion.verify import draw_samples
from neardup.embedding.export import export_model
from neardup.embedding.importing_onnx import NOTHING_SAID, Channels, import_onnx
from neardup.embedding.model import FORMAT, GRAPH, LARGEST_FILE_BYTES, Model, SavedModel, check_dim, read_model
from neardup.embedding.runtimes import import_tensorflow
from neardup.embedding.weights import load_weights, read_shapes
from neardup.errors import BadInput, BadModel, BadWeights, ConversionFailed, EngineUnavailable, MissingPackage
from neardup.reading import check_regular, digest_regular, open_regular

RELEASED_GROUPS = 32
RELEASED_RANGE = (-1.0, 1.0)
# As the Keras example scales its images, and TF-Hub's BiT expects them.
SAVED_MODEL_RANGE = (0.0, 1.0)
INPUT_SIZE = 224
TRIED = 8  # pictures
HEAD = "resnet/head/"
# The Keras example's model holds the embedding part under this name; its own signature gives class scores.
EXAMPLE_ENDPOINT = "bit_model"


def import_model(
    source: Path,
    target: Path,
    *,
    input_size: int | None = None,
    input_range: tuple[float, float] | None = None,
    endpoint: str | None = None,
    channels: Channels = NOTHING_SAID,
    say: Callable[[str], None] = lambda line: None,
) -> Model:
    """Make the model folder `target` from a released .npz, a .keras or .onnx file or a SavedModel's folder.

    input_size:  edge of the square input; None: what the model says, else 224
    input_range: where pixel values 0 and 255 go; None: [-1, 1] for .npz, [0, 1] for TensorFlow's; what an .onnx file
                 says, else [0, 1] where `channels` says more, else an error
    endpoint:    what to call of a SavedModel; None: bit_model where there is one, else its serving signature; of an
                 .onnx file, the output to take, where it has several
    channels:    of an .onnx file: what else is done to pixels
    say:         hears where an imported SavedModel will run on TensorFlow alone, and why
    Raises BadInput, BadModel or BadWeights; `target` appears whole or not at all.
    """
    if channels != NOTHING_SAID and source.suffix != ".onnx":
        raise BadInput(f"{source}: layout, mean and std are said of .onnx files; leave them out")
    if target.exists():
        raise BadInput(f"{target}: exists; remove it, or give another --name")
    target.parent.mkdir(parents=True, exist_ok=True)
    making = target.with_name(f".{target.name}.importing")
    if making.is_symlink():  # what it leads to is someone's own
        making.unlink()
    shutil.rmtree(making, ignore_errors=True)
    try:
        if source.is_dir():
            _import_saved_model(source, making, target.name, input_size, input_range, endpoint, say)
        elif source.suffix == ".keras":
            _check_source(source)
            _import_keras(source, making, target.name, input_size, input_range, say)
        elif source.suffix == ".onnx":
            import_onnx(source, making, target.name, input_size, input_range, endpoint, channels)
        elif source.suffix == ".npz":
            _import_released(source, making, target.name, input_size, input_range)
        else:
            raise BadInput(f"{source}: neither a SavedModel's folder nor a .keras, .onnx or .npz file")
        making.rename(target)
    except OSError as error:
        raise BadModel(f"{target}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return read_model(target)


def name_of(source: Path) -> str:
    """A model's name from a file's: BiT-M-R50x1.npz becomes bit-m-r50x1."""
    stem = source.stem if source.suffix in (".npz", ".keras", ".onnx") else source.name
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-.")
    if not name:
        raise BadInput(f"{source}: no name can be made of this; give one with --name")
    return name


def check_name(name: str) -> str:
    """A name that can be a folder's everywhere; raises BadInput for another."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,100}", name) or name == "default":
        raise BadInput(f"name {name!r}: use lower-case letters, digits, '.', '_' and '-', not 'default'")
    return name


def released_architecture(
    shapes: dict[str, tuple[int, ...]], input_range: tuple[float, float] = RELEASED_RANGE
) -> Architecture:
    """What the shapes of released BiT weights, without the head, say about the network."""
    try:
        channels = shapes["resnet/root_block/standardized_conv2d/kernel"][3]
        found = (re.match(r"resnet/block([1-4])/unit(\d\d)/", name) for name in shapes)
        units = {(int(match[1]), int(match[2])) for match in found if match}
        counts = [max(unit for block, unit in units if block == wanted) for wanted in (1, 2, 3, 4)]
        features = shapes["resnet/group_norm/gamma"][0]
    except (KeyError, IndexError, ValueError) as error:
        raise BadWeights(f"not the names of a released BiT-ResNet ({error}); nothing else is read from .npz") from error
    if features != (channels << 3) * BOTTLENECK:
        raise BadWeights(f"{features} channels do not follow from a root of {channels}; this is no BiT-ResNet")
    first, second, third, fourth = counts
    return Architecture((first, second, third, fourth), channels / 64, RELEASED_GROUPS, "average", None, input_range)


def load_released(path: Path, input_range: tuple[float, float] = RELEASED_RANGE) -> tuple[Architecture, dict[str, Any]]:
    """A released .npz: its architecture, and its weights in float32 without the classifier's head."""
    shapes = {name: shape for name, shape in read_shapes(path).items() if not name.startswith(HEAD)}
    architecture = released_architecture(shapes, input_range)
    return architecture, load_weights(path, architecture.parameters(), ignore=(HEAD,))


def _import_released(
    source: Path, folder: Path, name: str, input_size: int | None, input_range: tuple[float, float] | None
) -> None:
    architecture, weights = load_released(source, input_range or RELEASED_RANGE)
    check_dim(source, architecture.dim)
    export_model(folder, name, architecture, weights, input_size or INPUT_SIZE)


def _import_keras(
    source: Path,
    folder: Path,
    name: str,
    input_size: int | None,
    input_range: tuple[float, float] | None,
    say: Callable[[str], None],
) -> None:
    """A .keras file becomes a SavedModel, which needs none of its classes any more."""
    tensorflow = import_tensorflow(wanted_by=str(source))
    import keras

    try:
        # Safe mode refuses Lambda layers and whatever else would run code from the file.
        network = keras.saving.load_model(source, compile=False, safe_mode=True)
    except Exception as error:  # its errors share no base class
        raise BadModel(f"{source}: Keras does not load it safely ({_first_line(error)})") from error
    shape = network.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3:
        raise BadModel(f"{source}: takes {shape}, not a batch of RGB images (n, height, width, 3)")
    size = _size(source, input_size, shape)
    module = tensorflow.Module()
    module.network = network
    spec = tensorflow.TensorSpec((None, size, size, 3), tensorflow.float32, name="images")

    @tensorflow.function(input_signature=[spec])  # type: ignore[untyped-decorator,unused-ignore]
    def serve(images: Any) -> dict[str, Any]:
        return {"embedding": network(images, training=False)}

    copied = folder / "saved_model"
    folder.mkdir(parents=True)
    tensorflow.saved_model.save(module, str(copied), signatures={"serving_default": serve})
    _finish(source, folder, name, size, input_range, "serving_default", say)


def _import_saved_model(
    source: Path,
    folder: Path,
    name: str,
    input_size: int | None,
    input_range: tuple[float, float] | None,
    endpoint: str | None,
    say: Callable[[str], None],
) -> None:
    tensorflow = import_tensorflow(wanted_by=str(source))
    if not (source / "saved_model.pb").is_file():
        raise BadModel(f"{source}: holds no saved_model.pb; give the folder of a TensorFlow 2 SavedModel")
    folder.mkdir(parents=True)
    copied = folder / "saved_model"
    # Links are followed: a model folder is whole in itself.
    shutil.copytree(source, copied, copy_function=_copy_regular)
    try:
        loaded = tensorflow.saved_model.load(str(copied))
    except Exception as error:  # its errors share no base class
        raise BadModel(f"{source}: TensorFlow cannot load it ({_first_line(error)})") from error
    if endpoint is None:
        if callable(getattr(loaded, EXAMPLE_ENDPOINT, None)):
            endpoint = EXAMPLE_ENDPOINT
        else:
            endpoint = next((s for s in ("serving_default", "serve") if s in loaded.signatures), "")
    shape: tuple[int | None, ...] = ()
    if endpoint in loaded.signatures:
        inputs = list(loaded.signatures[endpoint].structured_input_signature[1].values())
        if len(inputs) != 1:
            raise BadModel(f"{source}: {endpoint} takes {len(inputs)} inputs, not one batch of images")
        shape = tuple(inputs[0].shape or ())
    _finish(source, folder, name, _size(source, input_size, shape), input_range, endpoint, say)


def _check_source(source: Path) -> None:
    try:
        check_regular(source, LARGEST_FILE_BYTES)
    except OSError as error:
        raise BadModel(f"{source}: {error.strerror}; give the file of a model") from error


def _copy_regular(source: str, target: str) -> None:
    """For copytree, which would copy a device without end."""
    with open_regular(Path(source), LARGEST_FILE_BYTES) as original, Path(target).open("xb") as copy:
        shutil.copyfileobj(original, copy)


def _size(source: Path, wanted: int | None, shape: tuple[int | None, ...]) -> int:
    """Edge of the square input: what the model fixes, else what is wanted, else 224."""
    fixed = {edge for edge in shape[1:3] if edge}
    if len(fixed) > 1 or (fixed and wanted and wanted not in fixed):
        raise BadInput(f"{source}: takes images of {shape[1:3]}; neardup makes squares, of that size where it is fixed")
    return next(iter(fixed), wanted or INPUT_SIZE)


def _finish(
    source: Path,
    folder: Path,
    name: str,
    size: int,
    input_range: tuple[float, float] | None,
    endpoint: str,
    say: Callable[[str], None],
) -> None:
    """Try the SavedModel on pictures, write model.onnx where that can be done, and config.json."""
    from neardup.embedding.engines.tensorflow import SavedEmbedding

    scale = input_range or SAVED_MODEL_RANGE
    embed = SavedEmbedding(str(folder / "saved_model"), endpoint, scale)
    samples = draw_samples(size, TRIED)
    try:
        rows = np.asarray(embed(samples))
    except EngineUnavailable:
        raise
    except BadModel:
        raise
    except Exception as error:  # TensorFlow's errors share no base class with Python's
        raise BadModel(
            f"{source}: {endpoint or 'it'} does not take (n, {size}, {size}, 3) images ({_first_line(error)})"
        ) from error
    if rows.ndim != 2 or len(rows) != TRIED or rows.shape[1] < 2:
        raise BadModel(f"{source}: {endpoint or 'it'} gives {rows.shape} for {TRIED} images, not a row for each")
    check_dim(source, rows.shape[1])
    if not np.isfinite(rows).all():
        raise BadModel(f"{source}: {endpoint or 'it'} gives numbers that are not finite; try another input range")
    try:
        write_agreeing_graph(embed, samples, rows, folder / GRAPH)
    except (MissingPackage, ConversionFailed, BadModel) as error:
        say(f"TensorFlow alone will run it: {error}")
    files = {
        path.relative_to(folder).as_posix(): digest_regular(path)
        for path in sorted([*(folder / "saved_model").rglob("*"), *folder.glob(GRAPH)])
        if path.is_file()
    }
    config = {
        "format": FORMAT,
        "name": name,
        "saved_model": SavedModel(endpoint, rows.shape[1], scale).to_json(),
        "input_size": size,
        "preprocessing": "upright RGB, squashed to a square, bicubic with antialiasing",
        "dim": rows.shape[1],
        "thresholds": {},
        "files": files,
    }
    replace_file(folder / "config.json", f"{json.dumps(config, indent=2)}\n".encode())


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
