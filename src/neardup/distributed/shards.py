"""Shards: a few hundred images that are worked on together, and what came of them as a Parquet file.

A shard is named by everything that its results depend on, so that an interrupted run finds those that are done. It ends
where a path's checksum says so: when the next run begins in the middle, its later shards are the same ones again.
"""

import hashlib
import os
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from neardup.durable import replace_file
from neardup.images import FileStat
from neardup.images.exif import Taken
from neardup.index import Model
from neardup.prepare import Prepared
from neardup.sources import StoredSource

# Images of a shard, on average and at the most: 12 MiB and 24 MiB of pixels on their way to the model at 176 px.
_MEAN, _MOST = 128, 256
_ENDING = ".shard.parquet"
# What 256 images with their parts come to at 16,384 numbers each.
_MOST_BYTES = 1 << 26


@dataclass(frozen=True)
class Recipe:
    """What the results depend on beside the files."""

    model: Model
    parts: bool


@dataclass(frozen=True)
class Shard:
    sources: tuple[StoredSource, ...]
    name: str


def cut(sources: Iterable[StoredSource], recipe: Recipe) -> Iterator[Shard]:
    """The sources in their order, as shards; each is asked for its size and time."""
    waiting: list[StoredSource] = []
    for source in sources:
        waiting.append(source)
        if len(waiting) >= _MOST or zlib.crc32(os.fsencode(source.path)) % _MEAN == 0:
            yield Shard(tuple(waiting), _name(waiting, recipe))
            waiting = []
    if waiting:
        yield Shard(tuple(waiting), _name(waiting, recipe))


def _name(sources: Sequence[StoredSource], recipe: Recipe) -> str:
    digest = hashlib.sha256(repr((recipe, len(sources))).encode())
    for source in sources:
        try:
            state: FileStat | None = source.stat()
        except (OSError, ValueError):  # gone since it was listed: reading it will tell
            state = None
        digest.update(repr((os.fsencode(source.path), state)).encode())
    return digest.hexdigest()[:32]


class Store:
    """Results in a folder of the index's."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self._recipe = folder, recipe

    def save(self, name: str, results: Sequence[Prepared]) -> None:
        """Raises OSError."""
        self.folder.mkdir(exist_ok=True)
        replace_file(self.folder / (name + _ENDING), _encoded(results))

    def load(self, shard: Shard) -> list[Prepared] | None:
        """None where there are no results, or what is there cannot be those."""
        path = self.folder / (shard.name + _ENDING)
        with suppress(OSError, ValueError, TypeError, KeyError, ArithmeticError):
            if stat.S_ISREG(path.lstat().st_mode) and path.stat().st_size <= _MOST_BYTES:
                results = _decoded(path.read_bytes(), self._recipe)
                return results if len(results) == len(shard.sources) else None
        return None

    def clear(self) -> None:
        """Delete what `save` wrote, and the folder where nothing else is in it."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.endswith(_ENDING):
                    path.unlink()
            self.folder.rmdir()


# Of a result those fields that are plain values.
_FACTS = tuple(f.name for f in fields(Prepared) if f.name not in ("pixels", "parts", "embeddings", "taken"))


def _encoded(results: Sequence[Prepared]) -> bytes:
    import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
    import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

    columns = {name: [getattr(result, name) for result in results] for name in _FACTS}
    columns["embeddings"] = [None if r.embeddings is None else r.embeddings.astype("<f2").tobytes() for r in results]
    columns |= {"when_ms": [r.taken.when_ms for r in results], "kinds": [r.taken.kinds for r in results]}
    types = {"digest": pa.binary(), "embeddings": pa.binary(), "quality": pa.int8(), "when_ms": pa.int64()}
    types |= {"error": pa.string(), "damaged": pa.string()}
    arrays = {name: pa.array(values, types.get(name)) for name, values in columns.items()}
    target = BytesIO()
    pq.write_table(pa.table(arrays), target, compression="none")
    return target.getvalue()


def _decoded(content: bytes, recipe: Recipe) -> list[Prepared]:
    """Raises ValueError (pyarrow's errors are of that kind), TypeError or KeyError for what is no shard."""
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(BytesIO(content)).to_pylist()
    return [_checked(row, recipe) for row in rows]


def _checked(row: dict[str, Any], recipe: Recipe) -> Prepared:
    blob = row.pop("embeddings")
    values = None
    if blob is not None:
        values = np.frombuffer(blob, "<f2").reshape(-1, recipe.model.dim)
        if (len(values) > 1) != recipe.parts or not np.isfinite(values).all():
            raise ValueError("embeddings of another run")
    taken = Taken(row.pop("when_ms"), row.pop("kinds"))
    result = Prepared(**row, taken=taken, embeddings=values)
    if result.error is None and not (isinstance(result.digest, bytes) and len(result.digest) == 32):
        raise ValueError("a content without a digest")
    return result
