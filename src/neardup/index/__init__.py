"""An index: images under folders of yours, with their embeddings, hashed so that a query reads few of them."""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neardup import search
from neardup.errors import BadInput, DamagedIndex, ModelMismatch
from neardup.index import catalog, store
from neardup.index.catalog import Hashing, Model
from neardup.index.notes import Notes
from neardup.index.store import CATALOG, REBUILD, Segment, SegmentRecord
from neardup.index.writer import FileState, IndexWriter, open_writer
from neardup.lsh import draw_hyperplanes, find_candidates, tune
from neardup.lsh.probing import MAX_PROBES
from neardup.lsh.tuning import expected_recall

__all__ = ["Bucket", "FileState", "Index", "IndexWriter", "IndexedImage", "Match", "Model", "QueryResult"]

_IMAGES_AT_A_TIME = 4096


@dataclass(frozen=True)
class Match:
    """An indexed image that resembles the query."""

    path: Path
    label: str | None
    similarity: float  # cosine, -1 to 1
    jaccard: float  # of the two images' sets of (table, bucket) pairs: m / (2 L - m)
    tables: int  # m: how many of the L tables have both in one bucket
    size_bytes: int = 0
    digest: bytes = b""  # SHA-256 of the file
    width: int = 0  # pixels, upright
    height: int = 0
    relation: str | None = None  # exact, copy, edited, similar or other; None: the pictures were not looked at
    change: str | None = None  # what was done to the query to make it, or the other way round, in words


@dataclass(frozen=True)
class QueryResult:
    candidates: int  # distinct contents whose similarity was computed
    matches: list[Match]  # best first


@dataclass(frozen=True)
class Bucket:
    """A bucket of table 0 and the images in it."""

    signature: int
    images: list[tuple[Path, str | None]]  # path and label, by path


class IndexedImage(NamedTuple):
    path: Path
    label: str | None
    size_bytes: int
    mtime_ns: int
    digest: bytes  # SHA-256 of the file; byte copies share it, and the row
    width: int  # pixels, upright
    height: int
    margin: float  # share of the area that is a flat margin
    row: int  # of `Index.embeddings`, numbered across them


class Index:
    """What an index held when it was opened; later commits do not change it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / CATALOG
        # Threads may not meet within one connection: with Python 3.12's sqlite3 one gets the other's row, or an error.
        self._lock = threading.Lock()
        self._connection = catalog.open_to_read(folder)
        # Closes the connection when the index is dropped, since nobody is asked to.
        self._closer = weakref.finalize(self, self._connection.close)
        with catalog.damage_named(self._path):
            settings = catalog.read_settings(self._connection, self._path)
            self.model: Model | None = settings[0] if settings else None
            self.hashing: Hashing | None = settings[1] if settings else None
            records = catalog.read_segments(self._connection, self._path)
            self._dead = catalog.read_dead(self._connection)
            self.images = int(self._connection.execute("SELECT count(*) FROM images").fetchone()[0])
        self._segments = [self._open_segment(folder, record) for record in records]
        self._offsets = np.cumsum([0, *(record.rows for record in records)])
        self.size_bytes = sum(sum(record.sizes) for record in records) + (
            self._path.stat().st_size if self._path.exists() else 0
        )

    def _open_segment(self, folder: Path, record: SegmentRecord) -> Segment:
        if self.model is None or self.hashing is None:
            raise DamagedIndex(f"{self._path}: lists segments but no model; {REBUILD}")
        return store.open_segment(folder, record, dim=self.model.dim, tables=self.hashing.tables)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Index":
        """Map the last commit; an empty index where none was made yet.

        raises: BadInput when there is no such folder, DamagedIndex
        """
        folder = Path(path)
        if not os.path.isdir(folder):  # noqa: PTH112 (answers no where Path.is_dir raises)
            raise BadInput(f"{folder}: no index there; make one with 'neardup index PATH --index {folder}'")
        missing = None
        while True:
            try:
                return cls(folder)
            except FileNotFoundError as error:
                # A writer merged the segment away after this reader saw the list: the list has changed then. The same
                # file missing twice is damage, since segment numbers are never used again.
                if error.filename is None or error.filename == missing:
                    raise DamagedIndex(f"{error.filename}: missing; {REBUILD}") from error
                missing = error.filename
            except OSError as error:
                place = error.filename or folder
                raise BadInput(f"{place}: {error.strerror}; check its permissions and the disk") from error

    @staticmethod
    def write(
        path: str | os.PathLike[str],
        model: Model,
        *,
        rebuild: bool = False,
        wait: Callable[[str], None] | None = None,
        commit_interval_s: float = 10.0,
    ) -> AbstractContextManager[IndexWriter]:
        """Change an index, made if need be: `with Index.write(...) as writer:`. Leaving the block commits; an
        exception takes back what came after the last commit.

        rebuild: start over; readers find the old index until the first commit, which deletes it
        wait:    called with a line to show before waiting for another writer; None: raise IndexLocked instead
        raises:  IndexLocked, ModelMismatch (another digest or dim than the index was made with), DamagedIndex,
                 IndexNotWritten
        """
        return open_writer(Path(path), model, rebuild=rebuild, wait=wait, commit_interval_s=commit_interval_s)

    def close(self) -> None:
        """Let go of the snapshot; matches and embeddings already handed out stay valid."""
        self._closer()

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def embeddings(self) -> Sequence[NDArray[np.float16]]:
        """Memory maps of (n, dim) float16, unit rows before rounding; rows are numbered across them. Some rows may
        belong to images that are gone: `live_rows` has the others."""
        return [segment.embeddings for segment in self._segments]

    def embeddings_of(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """The embeddings of ascending rows, of which some may come twice: (k, dim) float16."""
        assert self.model is not None
        result = np.empty((len(rows), self.model.dim), np.float16)
        for segment, where, local in self._by_segment(rows):
            result[where] = segment.embeddings[local]
        return result

    @property
    def notes(self) -> Notes:
        """What is known of contents beside their embeddings, in the same snapshot."""
        return Notes(self._connection, self._lock, self._path)

    def parts(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Rows whose contents have embeddings of their parts, ascending (k,), and those: (k, parts, dim) float16."""
        if self.model is None:
            return np.empty(0, np.int64), np.empty((0, 0, 0), np.float16)
        with self._lock, catalog.damage_named(self._path):
            found = self._connection.execute(
                "SELECT content, embeddings FROM parts WHERE content IN (SELECT content FROM images) ORDER BY content"
            ).fetchall()
        width = 2 * self.model.dim
        sizes = {len(blob) if isinstance(blob, bytes) else -1 for _, blob in found}
        if len(sizes) > 1 or any(size < width or size % width for size in sizes):
            raise DamagedIndex(f"{self._path}: embeddings of parts are not of {self.model.dim} numbers; {REBUILD}")
        if not found:
            return np.empty(0, np.int64), np.empty((0, 0, self.model.dim), np.float16)
        rows = self._rows_of(np.array([content for content, _ in found], np.int64))
        values = np.frombuffer(b"".join(blob for _, blob in found), "<f2")
        return rows, values.reshape(len(found), max(sizes, default=0) // width, self.model.dim)

    @cached_property
    def live_rows(self) -> NDArray[np.int64]:
        """Rows whose content some image has, ascending: (contents,) int64."""
        live = [np.flatnonzero(~self._is_dead(segment.contents)) for segment in self._segments]
        return np.concatenate(
            [rows + offset for rows, offset in zip(live, self._offsets, strict=False)] or [np.empty(0, np.int64)]
        )

    @property
    def tables(self) -> int | None:
        return self.hashing.tables if self.hashing else None

    @cached_property
    def bits(self) -> int | None:
        """Bits that make a bucket: they grow with the number of rows."""
        if self.hashing is None:
            return None
        rows = int(self._offsets[-1]) - len(self._dead)
        return tune(rows, tables=self.hashing.tables, stored_bits=self.hashing.bits).bits

    @property
    def expected_recall(self) -> float | None:
        """The share of images at cosine 0.9 that a query finds, by theory."""
        if self.hashing is None or self.bits is None:
            return None
        return expected_recall(0.9, tables=self.hashing.tables, bits=self.bits, probes=_probes(self.bits))

    def query(
        self, embedding: NDArray[np.floating], k: int = 4, *, min_similarity: float | None = None, exact: bool = False
    ) -> list[Match]:
        """The k most similar images, best first: by similarity, then jaccard, then path; byte copies each count.

        embedding:      (dim,) floating, of unit length
        min_similarity: leave out those below
        exact:          compare with every row, without LSH
        raises:         ModelMismatch when the length is not the index's, BadInput, DamagedIndex
        """
        return self.search(embedding, k, min_similarity=min_similarity, exact=exact).matches

    def search(
        self, embedding: NDArray[np.floating], k: int = 4, *, min_similarity: float | None = None, exact: bool = False
    ) -> QueryResult:
        """`query`, and how many candidates it looked at."""
        if k < 1:
            raise BadInput(f"k={k}: at least 1")
        if self.model is None:
            return QueryResult(0, [])
        if embedding.shape != (self.model.dim,):
            raise ModelMismatch(
                f"{self._path.parent}: holds embeddings of dim {self.model.dim} ({self.model.name}), "
                f"the query's shape is {embedding.shape}; embed it with the same model"
            )
        query = np.asarray(embedding, np.float32)
        if not np.isfinite(query).all():
            raise BadInput("the query's embedding is not finite; embed the image again")
        rows, shared = self._find_candidates(query, probes=1 if exact else None)
        if exact:
            shared_rows, exact_shared = rows, shared
            rows, shared = self.live_rows, np.zeros(len(self.live_rows), np.int64)
            shared[np.searchsorted(rows, shared_rows)] = exact_shared
        similarities = self._similarities(query, rows)
        if np.isnan(similarities).any():
            raise DamagedIndex(f"{self._path.parent}: an embedding is not a number; {REBUILD}")
        candidates = len(rows)
        if min_similarity is not None:
            kept = search.reaches(similarities, min_similarity)
            rows, shared, similarities = rows[kept], shared[kept], similarities[kept]
        # Similarity and jaccard rank contents; within a tie of both, paths do, so the tie at the end stays whole.
        best = search.best_first(similarities, -shared, k=k)
        if len(best) < len(rows):
            last = best[-1]
            tied = np.flatnonzero((similarities == similarities[last]) & (shared == shared[last]))
            best = np.union1d(best, tied)
        matches = self._matches(rows[best], similarities[best], shared[best])
        return QueryResult(candidates, matches[:k])

    def propose(
        self, embeddings: NDArray[np.floating], *, most: int = 50, exact: bool = False
    ) -> tuple[QueryResult, list[Match]]:
        """What a picture and its parts propose: the result for the whole, and what any of them is close to.

        embeddings: (1 + parts, dim), of unit length: of the whole, then of its parts
        returns:    as `search` with k = most for the whole; the `most` closest of each, by the closest of them, with
                    the similarity of the whole
        """
        whole = self.search(embeddings[0], most, exact=exact)
        if self.model is None:
            return whole, []
        queries = np.asarray(embeddings, np.float32)
        closest: dict[int, float] = {}
        for query in queries:
            rows = self.live_rows if exact else self._find_candidates(query, None)[0]
            similarities = self._similarities(query, rows)
            for position in search.best_first(similarities, k=most).tolist():
                row = int(rows[position])
                closest[row] = max(closest.get(row, -1.0), float(similarities[position]))
        rows = np.array(sorted(closest), np.int64)
        similarities = self._similarities(queries[0], rows)
        near, shared = self._find_candidates(queries[0], probes=1)
        tables = np.zeros(len(rows), np.int64)
        place = np.searchsorted(near, rows)
        found = place < len(near)
        found[found] = near[place[found]] == rows[found]
        tables[found] = shared[place[found]]
        matches = self._matches(rows, similarities, tables)
        by_content = dict(zip(self._digests(rows), rows.tolist(), strict=True))
        matches.sort(key=lambda match: (-closest[by_content[match.digest]], os.fsencode(match.path)))
        return whole, matches

    def _digests(self, rows: NDArray[np.int64]) -> list[bytes]:
        """SHA-256 of the contents of these ascending rows."""
        with self._lock, catalog.damage_named(self._path):
            select = "SELECT digest FROM contents WHERE id = ?"
            found = [self._connection.execute(select, (c,)).fetchone() for c in self._contents_of(rows).tolist()]
        return [bytes(row[0]) for row in found]

    def _find_candidates(
        self, query: NDArray[np.float32], probes: int | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Live rows ascending, and in how many tables each shares the query's bucket; probes None: as many as pay."""
        assert self.bits is not None
        # Rounded as the indexed rows are, so that an image shares every bucket with itself.
        rounded = query.astype(np.float16).astype(np.float32)
        rows, shared = find_candidates(
            [segment.tables for segment in self._segments],
            rounded,
            self._hyperplanes,
            bits=self.bits,
            probes=_probes(self.bits) if probes is None else probes,
        )
        if len(self._dead):
            live = ~self._is_dead(self._contents_of(rows))
            rows, shared = rows[live], shared[live]
        # A damaged table may list a row twice.
        return rows, np.minimum(shared, len(self._hyperplanes))

    @cached_property
    def _hyperplanes(self) -> NDArray[np.float32]:
        assert self.model is not None
        assert self.hashing is not None
        return draw_hyperplanes(
            tables=self.hashing.tables, bits=self.hashing.bits, dim=self.model.dim, seed=self.hashing.seed
        )

    def _is_dead(self, contents: NDArray[np.int64]) -> NDArray[np.bool_]:
        if not len(self._dead):
            return np.zeros(len(contents), bool)
        dead: NDArray[np.bool_] = self._dead[np.searchsorted(self._dead[:-1], contents)] == contents
        return dead

    def _by_segment(self, rows: NDArray[np.int64]) -> Iterator[tuple[Segment, slice, NDArray[np.int64]]]:
        """For ascending rows: each segment, where its rows are among them, and its rows within it."""
        bounds = np.searchsorted(rows, self._offsets).tolist()
        for segment, offset, start, stop in zip(self._segments, self._offsets, bounds, bounds[1:], strict=False):
            if start < stop:
                yield segment, slice(start, stop), rows[start:stop] - offset

    def _similarities(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        result = np.empty(len(rows), np.float32)
        for segment, where, local in self._by_segment(rows):
            result[where] = search.similarities_of(query, segment.embeddings, local)
        return result

    def _contents_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        result = np.empty(len(rows), np.int64)
        for segment, where, local in self._by_segment(rows):
            result[where] = segment.contents[local]
        return result

    def _matches(
        self, rows: NDArray[np.int64], similarities: NDArray[np.float32], shared: NDArray[np.int64]
    ) -> list[Match]:
        """Every image of these contents, best first."""
        order = np.argsort(rows)
        contents = np.empty(len(rows), np.int64)
        contents[order] = self._contents_of(rows[order])
        tables = len(self._hyperplanes)
        matches = [
            Match(path, label, similarity, m / (2 * tables - m), m, size_bytes, digest, width, height)
            for content, similarity, m in zip(contents.tolist(), similarities.tolist(), shared.tolist(), strict=True)
            for path, label, size_bytes, digest, width, height in self._images_of(content)
        ]
        return sorted(matches, key=lambda match: (-match.similarity, -match.jaccard, os.fsencode(match.path)))

    def _images_of(self, content: int) -> list[tuple[Path, str | None, int, bytes, int, int]]:
        """Path, label, size in bytes, digest, width and height of a content's images, by path."""
        with self._lock, catalog.damage_named(self._path):
            found = self._connection.execute(
                "SELECT path, label, size_bytes, digest, width, height"
                " FROM images JOIN contents ON contents.id = images.content WHERE content = ? ORDER BY path",
                (content,),
            ).fetchall()
        if not found:
            raise DamagedIndex(f"{self._path}: no image has content {content}, which a segment holds; {REBUILD}")
        for _, _, size_bytes, digest, width, height in found:
            self._check_facts(size_bytes, 0, digest, width, height, 0.0)
        return [(self._decode_path(path), catalog.decode_name(label), *facts) for path, label, *facts in found]

    def _decode_path(self, path: object) -> Path:
        name = catalog.decode_name(path)
        if not name or "\0" in name:
            raise DamagedIndex(f"{self._path}: an image without a path; {REBUILD}")
        return Path(name)

    def __iter__(self) -> Iterator[IndexedImage]:
        """Every image, by rising row, then path; read as they are asked for."""
        with catalog.damage_named(self._path):
            cursor = self._connection.cursor()
            select = (
                "SELECT path, label, size_bytes, mtime_ns, digest, width, height, margin, contents.id"
                " FROM images CROSS JOIN contents ON contents.id = images.content ORDER BY images.content, path"
            )
            with self._lock:
                cursor.execute(select)
            count = 0
            while block := self._fetch(cursor):
                rows = self._rows_of(np.array([image[8] for image in block], np.int64))
                for image, row in zip(block, rows.tolist(), strict=True):
                    path, label, *facts = image[:8]
                    self._check_facts(*facts)
                    yield IndexedImage._make((self._decode_path(path), catalog.decode_name(label), *facts, row))
                count += len(block)
        if count != self.images:
            raise DamagedIndex(f"{self._path}: {self.images - count} images have no content; {REBUILD}")

    def _check_facts(
        self, size_bytes: object, mtime_ns: object, digest: object, width: object, height: object, margin: object
    ) -> None:
        """SQLite keeps whatever type it is given; of integers it keeps 64 bits."""
        whole = all(isinstance(number, int) for number in (size_bytes, mtime_ns, width, height))
        good = whole and size_bytes >= 0 and 0 < width < 2**31 and 0 < height < 2**31  # type: ignore[operator]
        good = good and isinstance(digest, bytes) and len(digest) == 32
        if not good or not isinstance(margin, float) or not 0 <= margin < 1:
            raise DamagedIndex(f"{self._path}: what it says of an image cannot be so; {REBUILD}")

    def _fetch(self, cursor: sqlite3.Cursor) -> list[Any]:
        with self._lock:
            return cursor.fetchmany(_IMAGES_AT_A_TIME)

    def _rows_of(self, contents: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of ascending content ids."""
        result = np.full(len(contents), -1, np.int64)
        for segment, offset in zip(self._segments, self._offsets.tolist(), strict=False):
            start = np.searchsorted(contents, segment.contents[0])
            stop = np.searchsorted(contents, segment.contents[-1], side="right")
            wanted = contents[start:stop]
            position = np.searchsorted(segment.contents, wanted)
            found = segment.contents[position] == wanted
            result[start:stop] = np.where(found, position + offset, -1)
        if (result < 0).any():
            raise DamagedIndex(f"{self._path}: content {contents[result < 0][0]} has no embedding; {REBUILD}")
        return result

    def buckets(self, n: int) -> list[Bucket]:
        """The n smallest buckets of table 0 with two contents or more, the smaller first, then by signature."""
        if self.hashing is None or self.bits is None or not self._segments:
            return []
        unused = np.uint32(self.hashing.bits - self.bits)
        signatures = np.concatenate([segment.tables.signatures[0] >> unused for segment in self._segments])
        rows = np.concatenate(
            [
                segment.tables.rows[0].astype(np.int64) + offset
                for segment, offset in zip(self._segments, self._offsets, strict=False)
            ]
        )
        order = np.argsort(rows)
        live = np.empty(len(rows), bool)
        live[order] = ~self._is_dead(self._contents_of(rows[order]))
        signatures, rows = signatures[live], rows[live]
        order = np.argsort(signatures, kind="stable")
        signatures, rows = signatures[order], rows[order]
        values, starts, sizes = np.unique(signatures, return_index=True, return_counts=True)
        shared = np.flatnonzero(sizes >= 2)
        smallest = shared[np.argsort(sizes[shared], kind="stable")][:n]
        return [
            Bucket(int(values[bucket]), self._images_of_rows(rows[starts[bucket] : starts[bucket] + sizes[bucket]]))
            for bucket in smallest
        ]

    def _images_of_rows(self, rows: NDArray[np.int64]) -> list[tuple[Path, str | None]]:
        contents = self._contents_of(np.sort(rows)).tolist()
        images = [(path, label) for content in contents for path, label, *_ in self._images_of(content)]
        return sorted(images, key=lambda image: os.fsencode(image[0]))


def _probes(bits: int) -> int:
    """Buckets that a query looks into in each table.

    A few would do for 99 % of what is at cosine 0.9, but copies that lost much (crops, turns) lie between 0.6 and 0.8;
    and beside embedding the query, which takes milliseconds, all that there may be cost next to nothing.
    """
    return int(min(MAX_PROBES, 2**bits))
