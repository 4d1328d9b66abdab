"""An index as one Parquet file, which vector databases load as it is.

Columns, a row for each image, in the order of the index: byte copies have a row each, and the same embedding.

    path        string          the file's path; bytes that are no UTF-8 stand as \\xff
    path_bytes  binary          the path's bytes where they are no UTF-8, else null: os.fsdecode makes the path of them
    digest      string          SHA-256 of the file, in hexadecimal
    label       string          null where there is none
    width       int32           pixels, upright
    height      int32
    embedding   fixed_size_list<float16>[dim]   of unit length before it was rounded

The file's metadata say neardup.model, neardup.model_digest, neardup.dim and neardup.similarity (cosine).
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from neardup.durable import replacing
from neardup.errors import BadInput, DamagedIndex
from neardup.index import Index, IndexedImage
from neardup.index.store import REBUILD
from neardup.packages import load_package
from neardup.text import plain

# Numbers of a row group, 16 MiB of float16: what is in memory at a time, 32,768 images at 256 numbers each.
VALUES_AT_A_TIME = 1 << 23


@dataclass(frozen=True)
class ExportReport:
    """What was written."""

    file: Path
    images: int
    dim: int
    model: str
    size_bytes: int
    seconds: float


def export_embeddings(index: Path, file: Path) -> ExportReport:
    """Write every image of an index, in place of the file that may be there: whole, or not at all.

    Memory: a row group, for any number of images. Raises BadInput, DamagedIndex, MissingPackage without pyarrow.
    """
    started = time.monotonic()
    load_package("pyarrow", "export")
    with Index.open(index) as opened:
        if opened.model is None:
            raise BadInput(f"{index}: holds no images yet; add some with 'neardup index PATH'")
        try:
            with replacing(file) as target:
                _write(opened, target)
            size_bytes = file.stat().st_size
        except OSError as error:
            raise BadInput(f"{file}: {error.strerror}; choose another file") from error
        seconds = time.monotonic() - started
        return ExportReport(file, opened.images, opened.model.dim, opened.model.name, size_bytes, seconds)


def _write(index: Index, file: BinaryIO) -> None:
    import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

    assert index.model is not None
    schema = _schema(index)
    images = iter(index)
    rows = max(1, VALUES_AT_A_TIME // index.model.dim)
    # Digests and numbers of an embedding hardly ever come twice, so that a dictionary of them is of no use.
    with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=["label"]) as writer:
        while block := list(islice(images, rows)):
            writer.write_table(_table(index, block, schema))


def _schema(index: Index) -> Any:
    import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]

    assert index.model is not None
    facts = {
        "neardup.model": index.model.name,
        "neardup.model_digest": index.model.digest,
        "neardup.dim": str(index.model.dim),
        "neardup.similarity": "cosine",
    }
    columns = {
        "path": pa.string(),
        "path_bytes": pa.binary(),
        "digest": pa.string(),
        "label": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "embedding": pa.list_(pa.float16(), index.model.dim),
    }
    return pa.schema(list(columns.items()), metadata=facts)


def _table(index: Index, block: Sequence[IndexedImage], schema: Any) -> Any:
    import pyarrow as pa

    assert index.model is not None
    rows = index.embeddings_of(np.array([image.row for image in block], np.int64))
    if not np.isfinite(rows).all():
        raise DamagedIndex(f"{index.folder}: an embedding is not a number; {REBUILD}")
    names = [os.fsencode(image.path) for image in block]
    columns = {
        "path": [name.decode("utf-8", "backslashreplace") for name in names],
        "path_bytes": list(_not_text(names)),
        "digest": [image.digest.hex() for image in block],
        "label": [None if image.label is None else plain(image.label) for image in block],
        "width": [image.width for image in block],
        "height": [image.height for image in block],
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel(), pa.float16()), index.model.dim),
    }
    return pa.table(columns, schema=schema)


def _not_text(names: Sequence[bytes]) -> Iterator[bytes | None]:
    for name in names:
        try:
            name.decode("utf-8")
        except UnicodeDecodeError:
            yield name
        else:
            yield None
