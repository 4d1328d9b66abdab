"""Converted variants of a model: each in a folder of its own, usable once variant.json is in it.

The folder's name says all that a built engine depends on: the model's digest, what runs it, the GPU, TensorRT's version
and the precision. Another GPU or TensorRT looks elsewhere and finds nothing, which is the point.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neardup.durable import replace_file
from neardup.embedding.model import LARGEST_CONFIG_BYTES, Model
from neardup.errors import BadModel
from neardup.reading import digest_regular, read_json

RECORD = "variant.json"
PRECISIONS = {"FP32": "f32", "FP16": "f16", "INT8": "int8"}


@dataclass(frozen=True)
class Target:
    """What a variant is made for."""

    engine: str  # tensorrt or tf-trt
    provider: str  # what computes: tensorrt, cuda or cpu
    gpu: str | None
    tensorrt: str | None  # its version

    def key(self, precision: str) -> str:
        parts = (self.engine, self.provider, self.gpu or "no GPU", self.tensorrt or "none", precision)
        return "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", part) for part in parts)


@dataclass(frozen=True)
class Variant:
    """A converted model that was verified against the reference."""

    engine: str
    provider: str
    precision: str
    folder: str  # absolute; holds the graph or SavedModel, and the engines built from it
    similarity: float  # smallest cosine to the reference's embeddings
    images: int  # that it was verified on
    files: dict[str, str]  # sha256 by path below the folder

    def file(self, name: str) -> Path:
        """Path of one of the files, its content checked; raises BadModel where it changed since it was verified."""
        path = Path(self.folder) / name
        if name not in self.files or digest_of(path) != self.files[name]:
            raise BadModel(f"{path}: not what was verified; run 'neardup convert-trt' again")
        return path


def cache_folder(model: Model) -> Path:
    """Where this user's variants of a model lie, by the digest of its embedding space."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("neardup")) / "engines" / model.digest[:32]


def register(model: Model, target: Target, variant: Variant) -> None:
    """Make a verified variant findable, in one rename."""
    folder = cache_folder(model) / target.key(variant.precision)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / RECORD, f"{json.dumps(asdict(variant), indent=2)}\n".encode())


def unregister(model: Model, target: Target, precision: str) -> None:
    (cache_folder(model) / target.key(precision) / RECORD).unlink(missing_ok=True)


def find_variant(model: Model, target: Target, precision: str | None = None) -> Variant | None:
    """The variant registered for a target; without a precision, the one registered last."""
    wanted = [precision] if precision else list(PRECISIONS.values())
    records = [cache_folder(model) / target.key(each) / RECORD for each in wanted]
    records = [record for record in records if record.is_file()]
    return read_record(max(records, key=lambda record: record.stat().st_mtime_ns)) if records else None


def read_record(path: Path) -> Variant:
    """Raises BadModel where the record is not one."""
    try:
        fields: dict[str, Any] = read_json(path, LARGEST_CONFIG_BYTES)
        return Variant(**fields)
    except (OSError, ValueError, TypeError) as error:
        raise BadModel(f"{path}: not a variant's record ({error}); run 'neardup convert-trt' again") from error


def digest_of(path: Path) -> str:
    """SHA-256 of a file in hex; raises BadModel where it cannot be read."""
    try:
        return digest_regular(path)
    except OSError as error:
        raise BadModel(f"{path}: {error.strerror}; run 'neardup convert-trt' again") from error
