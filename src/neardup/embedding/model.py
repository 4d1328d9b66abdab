"""A model on disk: a folder with config.json and the files it names, found by name or by path.

A BiT has weights.npz and model.onnx; an imported SavedModel the folder saved_model, and model.onnx where it could be
made of it; an imported ONNX file is model.onnx alone.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from neardup.embedding.architecture import Architecture
from neardup.embedding.thresholds import parse_similarity, threshold_of
from neardup.errors import BadModel
from neardup.lsh.hyperplanes import LARGEST_DIM
from neardup.reading import digest_regular, read_json
from neardup.text import said

FORMAT = 1
DEFAULT = "copy-r26x05"
GRAPH = "model.onnx"
LARGEST_CONFIG_BYTES = 1 << 20
# Weights of the largest BiT in float32 have 3.7 GB; a graph of ONNX cannot have more than 2 GiB.
LARGEST_FILE_BYTES = 4 << 30


@dataclass(frozen=True)
class SavedModel:
    """A network of TensorFlow's: a SavedModel in the folder `saved_model`."""

    endpoint: str  # the attribute or signature to call, such as bit_model or serving_default; "" calls the object
    dim: int
    input_range: tuple[float, float]  # where pixel values 0 and 255 go

    def __post_init__(self) -> None:
        low, high = self.input_range
        if not low < high or self.dim < 1 or not isinstance(self.endpoint, str):
            raise BadModel(f"saved model: input range {self.input_range}, dim {self.dim}: neither can be so")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "SavedModel":
        low, high = fields["input_range"]
        return cls(fields["endpoint"], int(fields["dim"]), (float(low), float(high)))


@dataclass(frozen=True)
class OnnxNetwork:
    """A network that came as an ONNX file: model.onnx, with what is done to pixels before it in the graph itself."""

    dim: int
    preprocessing: dict[str, Any]  # as it was said at the import; for people

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "OnnxNetwork":
        return cls(int(fields["dim"]), dict(fields["preprocessing"]))


Network = Architecture | SavedModel | OnnxNetwork


@dataclass(frozen=True)
class Model:
    """What config.json says, checked; the files that it names are checked when they are used."""

    folder: Path
    name: str
    network: Network
    input_size: int
    thresholds: dict[str, float]  # cosine similarity by name; empty where nobody has calibrated
    files: dict[str, str]  # sha256 by file name

    @property
    def dim(self) -> int:
        return self.network.dim

    @property
    def architecture(self) -> Architecture:
        """What a BiT is made of; raises BadModel where the model is something else."""
        if not isinstance(self.network, Architecture):
            raise BadModel(f"model {self.name} is {self.kind}, and a BiT-ResNet is needed here; name another model")
        return self.network

    @property
    def kind(self) -> str:
        """In words."""
        kinds = {Architecture: "a BiT-ResNet", SavedModel: "a TensorFlow SavedModel", OnnxNetwork: "an ONNX graph"}
        return kinds[type(self.network)]

    @property
    def reference(self) -> str:
        """What finds this model again: its name, or the path of a folder outside those that are searched."""
        return self.name if self.folder.parent in model_folders() else str(self.folder.absolute())

    @cached_property
    def digest(self) -> str:
        """Names the embedding space: two models of one digest give comparable embeddings."""
        content: Any
        if isinstance(self.network, SavedModel):  # of which the graph, made or not, is a copy
            content = {name: digest for name, digest in self.files.items() if name != GRAPH}
        else:
            content = self.files[GRAPH if isinstance(self.network, OnnxNetwork) else "weights.npz"]
        space = [self.network.to_json(), self.input_size, content]
        return hashlib.sha256(json.dumps(space, sort_keys=True).encode()).hexdigest()

    def file(self, name: str) -> Path:
        """Path of one of the model's files, its content checked against the digest in config.json."""
        path = self.folder / name
        if name == GRAPH and name not in self.files and isinstance(self.network, SavedModel):
            raise BadModel(
                f"model {self.name}: no ONNX graph could be made of it when it was imported; with the package tf2onnx"
                f" here, 'neardup models import {self.folder / 'saved_model'} --name NEW' tries again"
            )
        if name not in self.files:
            raise BadModel(f"{self.folder}: the model has no {name}; export it anew")
        try:
            found = digest_regular(path, LARGEST_FILE_BYTES)
        except OSError as error:
            raise BadModel(f"{path}: {error.strerror}; install neardup or download the model again") from error
        if found != self.files[name]:
            raise BadModel(f"{path}: damaged, its sha256 is not the one in config.json; fetch the model again")
        return path

    def threshold(self, wanted: str | float, say: Callable[[str], None] = lambda line: None) -> float:
        """A cosine from a number in [-1, 1], or from a threshold's name; `say` hears where that is a guess."""
        return threshold_of(self.thresholds, wanted, model=self.name, say=say)


def model_folders() -> list[Path]:
    """Where models are looked for by name: those shipped, those downloaded or imported by this user."""
    package = Path(__file__).parents[1] / "models"
    shipped = package if package.is_dir() else Path(__file__).parents[3] / "models"
    return [shipped, user_models()]


def user_models() -> Path:
    """Folder of this user's own models: $NEARDUP_MODELS, else the platform's data folder."""
    if folder := os.environ.get("NEARDUP_MODELS"):
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_data_dir("neardup")) / "models"


def find_model(name: str = "default") -> Model:
    """Find a model by name, or by the path of its folder; raises BadModel with what there is."""
    if name == "default":
        name = DEFAULT
    if os.sep in name or name.startswith("."):
        return read_model(Path(name))
    for folder in model_folders():
        if os.path.isfile(folder / name / "config.json"):  # noqa: PTH113 (answers no where Path.is_file raises)
            return read_model(folder / name)
    raise BadModel(f"no model named {name!r:.80}; 'neardup models list' shows those there are")


def check_recorded(reference: str, index: Path) -> None:
    """Refuse to run what an index asks for where that could do anything: indexes come from anywhere.

    A TensorFlow graph can read and write files; one that this user imported has a name, and no path.
    Raises BadModel.
    """
    model = find_model(reference)
    if isinstance(model.network, SavedModel) and model.reference != model.name:
        raise BadModel(
            f"{index}: asks for the SavedModel in {model.folder}, which may do anything on this computer; if you trust"
            " it, 'neardup models import' it, and rebuild the index with it"
        )


def check_dim(source: Path, dim: int) -> None:
    """Raises BadModel for embeddings that no index holds."""
    if dim > LARGEST_DIM:
        raise BadModel(
            f"{source}: gives {dim:,} numbers for an image, more than the {LARGEST_DIM:,} that an index holds"
        )


def read_model(folder: Path) -> Model:
    """Read config.json; raises BadModel with the field that is missing or wrong."""
    path = folder / "config.json"
    try:
        config: dict[str, Any] = read_json(path, LARGEST_CONFIG_BYTES)
        if config["format"] != FORMAT:
            raise BadModel(f"{path}: format {config['format']}, this neardup reads {FORMAT}; upgrade neardup")
        network: Network
        if "saved_model" in config:
            network = SavedModel.from_json(config["saved_model"])
        elif "onnx" in config:
            network = OnnxNetwork.from_json(config["onnx"])
        else:
            network = Architecture.from_json(config["architecture"])
        model = Model(
            folder,
            name=_text(config["name"]),
            network=network,
            input_size=int(config["input_size"]),
            thresholds={str(k): parse_similarity(v) for k, v in config["thresholds"].items()},
            files={_text(k): _text(v) for k, v in config["files"].items()},
        )
        model.digest  # noqa: B018 (fails here, not later, where weights.npz is not listed)
    except OSError as error:
        raise BadModel(f"{path}: {error.strerror}; give a model's folder or name") from error
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise BadModel(f"{path}: not a model's config ({said(error)})") from error
    if not 32 <= model.input_size <= 1024:
        raise BadModel(f"{path}: input size {model.input_size} is not between 32 and 1024")
    check_dim(path, model.dim)
    if any("\\" in name or name.startswith("/") or ".." in name.split("/") for name in model.files):
        raise BadModel(f"{path}: files outside the model's folder")
    return model


def _text(value: object) -> str:
    """Text that names a file and fits a catalogue; raises ValueError for half a character, which JSON can spell."""
    text = str(value)
    if b"\0" in text.encode("utf-8"):
        raise ValueError(f"{text!r:.40} is no name")
    return text
