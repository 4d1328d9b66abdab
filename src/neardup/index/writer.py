"""Adding to an index: one writer at a time, all or nothing at every commit."""

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput, DamagedIndex, IndexNotWritten, ModelMismatch, NeardupError
from neardup.index import catalog, looks, owner, store
from neardup.index import roots as roots_of
from neardup.index.catalog import Hashing, Model, decode_name
from neardup.index.looks import Look
from neardup.index.roots import Away, Root, is_at_or_below, is_away, outermost, range_below
from neardup.index.store import CATALOG, REBUILD, Segment, SegmentRecord
from neardup.lsh import HashTables, draw_hyperplanes, signatures

# Kept for the life of an index. 24 bits serve up to 2**24 rows at about a row a bucket; eight tables with a few dozen
# probes reach 99 % recall at cosine 0.9, and cost an eighth of what the embeddings take.
HASHING = Hashing(tables=8, bits=24, seed=0)

_MOST_PENDING_ROWS = 65_536
_LONGEST_ERROR = 1000  # characters

_P = ParamSpec("_P")
_R = TypeVar("_R")


class FileState(NamedTuple):
    """What the index knows of a file: its content id, or why it could not be decoded."""

    size_bytes: int
    mtime_ns: int
    content: int | None
    label: str | None
    error: str | None
    ctime_ns: int = 0  # 0: not known; IN_DOUBT: its bytes were found to be others
    inode: int = 0  # 0: not known


@contextmanager
def open_writer(
    folder: Path,
    model: Model,
    *,
    rebuild: bool = False,
    hashing: Hashing | None = None,
    wait: Callable[[str], None] | None = None,
    commit_interval_s: float = 10.0,
) -> Iterator["IndexWriter"]:
    """Lock the index, made if need be, and commit at the end, unless the block raises: see `Index.write`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / store.SEGMENTS).mkdir(exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder}: cannot hold an index ({error.strerror}); choose another folder") from error
    with store.write_lock(folder, wait):
        if owner.is_blank(folder):
            with suppress(NeardupError):  # it is an index all the same; what acts on files asks again, and says why
                owner.claim(folder)
        try:
            connection = catalog.open_to_write(folder, rebuild=rebuild)
        except (sqlite3.Error, OSError) as error:
            raise _not_written(folder, None, error) from error
        with closing(connection):
            writer = IndexWriter(
                folder, connection, model, rebuild=rebuild, hashing=hashing, commit_interval_s=commit_interval_s
            )
            try:
                yield writer
                writer.commit()
            finally:
                writer.roll_back()


def _not_written(folder: Path, images: int | None, error: Exception) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DamagedIndex(f"{folder / CATALOG}: {error}; {REBUILD}")
    full = code == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    advice = "free some space" if full else "check the disk, its free space and permissions"
    held = "is as its last commit left it" if images is None else f"holds the {images} images of its last commit"
    return IndexNotWritten(f"{folder}: {error}; the index {held}: {advice}, then run again")


def _encoded(name: str | None) -> bytes | None:
    return None if name is None else os.fsencode(name)


def _check_stat(path: Path, size_bytes: int, mtime_ns: int, ctime_ns: int, inode: int = 0) -> None:
    times_fit = all(-(2**63) <= time_ns < 2**63 for time_ns in (mtime_ns, ctime_ns))
    if not (0 <= size_bytes < 2**63 and times_fit and 0 <= inode < 2**63):
        raise BadInput(
            f"{path}: {size_bytes} bytes, modified at {mtime_ns} ns, changed at {ctime_ns} ns, inode {inode}:"
            " more than the catalogue holds"
        )


def _whole(method: Callable[Concatenate["IndexWriter", _P], _R], /) -> Callable[Concatenate["IndexWriter", _P], _R]:
    """One step at a time; one that fails or is interrupted half-way takes everything since the last commit with it."""

    @wraps(method)
    def step(self: "IndexWriter", *args: _P.args, **kwargs: _P.kwargs) -> _R:
        with self._lock:
            if self._failed:
                raise IndexNotWritten(
                    f"{self._folder}: an earlier step failed or was interrupted; the index holds the "
                    f"{self._committed_images} images of its last commit: run again to go on"
                )
            try:
                return method(self, *args, **kwargs)
            except (BadInput, ModelMismatch):  # found before anything was changed
                raise
            except BaseException as error:
                self._failed = True
                self.roll_back()
                if isinstance(error, (sqlite3.Error, OSError)):
                    raise _not_written(self._folder, self._committed_images, error) from error
                raise

    return cast("Callable[Concatenate[IndexWriter, _P], _R]", step)


class IndexWriter:
    """Changes to an index; nothing is visible to readers, or survives a crash, before `commit`.

    warning: a line to show when the model is the recorded one but ran otherwise, else None
    """

    def __init__(
        self,
        folder: Path,
        connection: sqlite3.Connection,
        model: Model,
        *,
        rebuild: bool,
        hashing: Hashing | None,
        commit_interval_s: float,
    ) -> None:
        self._folder = folder
        # Threads may not meet within one connection: with Python 3.12's sqlite3 one gets the other's row, or an error.
        self._lock = threading.RLock()
        self._connection = connection
        self._model = model
        self._commit_interval_s = commit_interval_s
        self._failed = False
        self._lost_images = False
        self._pending: list[NDArray[np.float16]] = []
        self._pending_contents: list[int] = []
        self._committed_images = 0
        self.warning: str | None = None
        with catalog.damage_named(folder / CATALOG):
            self._committed_images = self.images
            self._remove_unlisted()
        self._start(rebuild, hashing)
        self._check_segments()
        self._last_commit = time.monotonic()

    def _check_segments(self) -> None:
        """Find damage now: what is added to an index that nobody can open is lost."""
        for record in catalog.read_segments(self._connection, self._folder / CATALOG):
            self._open_segment(record)

    def _open_segment(self, record: SegmentRecord) -> Segment:
        try:
            return store.open_segment(self._folder, record, dim=self._model.dim, tables=self._hashing.tables)
        except FileNotFoundError as error:  # no other writer can have merged it away
            raise DamagedIndex(f"{error.filename}: missing; {REBUILD}") from error

    @_whole
    def _start(self, rebuild: bool, hashing: Hashing | None) -> None:
        path = self._folder / CATALOG
        # The paths of a run, half a million perhaps: SQLite keeps them in a file of its own where they become many.
        self._connection.execute("CREATE TEMP TABLE seen (path BLOB PRIMARY KEY) WITHOUT ROWID")
        # Always in a transaction: outside one, every `state` would take and release SQLite's own locks.
        self._connection.execute("BEGIN IMMEDIATE")
        if rebuild:
            # Part of the first commit: until then readers and a crash find the old index. From then on the new one
            # grows by commits like any other, so that an interrupted rebuild is resumed by an ordinary run, and needs
            # no room for two. Waiting for the whole would lose hours of work to protect what can be computed again.
            for table in ("images", "contents", "dead", "failures", "segments", "meta", "pixels", "parts", "roots"):
                self._connection.execute(f"DELETE FROM {table}")
        settings = catalog.read_settings(self._connection, path)
        is_empty = self._connection.execute("SELECT 1 FROM contents LIMIT 1").fetchone() is None
        wanted = hashing or HASHING
        if settings is None or (is_empty and settings != (self._model, wanted)):
            settings = self._model, wanted
            catalog.write_settings(self._connection, *settings)
        recorded, self._hashing = settings
        if (recorded.digest, recorded.dim) != (self._model.digest, self._model.dim):
            raise ModelMismatch(
                f"{self._folder}: holds embeddings of {recorded.name} ({recorded.digest[:12]}, dim {recorded.dim}), "
                f"not of {self._model.name} ({self._model.digest[:12]}, dim {self._model.dim}); "
                "use that model, or start over with 'neardup index PATH --rebuild'"
            )
        if hashing is not None and hashing != self._hashing:
            raise BadInput(
                f"{self._folder}: was made with {self._hashing.shown}, not with {hashing.shown};"
                " leave them out, or start over with 'neardup index PATH --rebuild'"
            )
        changed = recorded.differences(self._model.precision, self._model.decoder)
        if changed:
            self.warning = f"{self._folder}: {', '.join(changed)}; similarities may differ in the third decimal"
        self._hyperplanes = draw_hyperplanes(
            tables=self._hashing.tables, bits=self._hashing.bits, dim=self._model.dim, seed=self._hashing.seed
        )
        top = self._connection.execute("SELECT max(id) FROM contents").fetchone()[0]
        self._next_content = 1 if top is None else int(top) + 1
        if not 0 < self._next_content < 2**62 or not 0 <= self._last_segment() < 2**62:
            raise DamagedIndex(f"{path}: numbers of contents and segments that cannot be so; {REBUILD}")

    @property
    def images(self) -> int:
        """Paths in the index, this writer's changes included."""
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM images").fetchone()[0])

    @_whole
    def state(self, path: Path) -> FileState | None:
        """What is recorded of a file; None when it is new, or failed under another decoder."""
        key = os.fsencode(path)
        row = self._connection.execute(
            "SELECT size_bytes, mtime_ns, content, label, NULL, ctime_ns, inode FROM images WHERE path = ? UNION ALL "
            "SELECT size_bytes, mtime_ns, NULL, NULL, error, ctime_ns, 0 FROM failures WHERE path = ? AND decoder = ?",
            (key, key, self._model.decoder),
        ).fetchone()
        if row is None:
            return None
        size_bytes, mtime_ns, content, label, error, ctime_ns, inode = row
        return FileState(size_bytes, mtime_ns, content, decode_name(label), decode_name(error), ctime_ns, inode)

    @_whole
    def is_of_another(self, path: Path, state: FileState, *, inode: int) -> bool:
        """Whether a file that the index has under another path, like this one in size and times, has this inode."""
        select = "SELECT 1 FROM images WHERE inode = ? AND size_bytes = ? AND mtime_ns = ? AND path <> ? LIMIT 1"
        values = inode, state.size_bytes, state.mtime_ns, os.fsencode(path)
        return self._connection.execute(select, values).fetchone() is not None

    @_whole
    def restat(self, path: Path, *, ctime_ns: int, inode: int) -> None:
        """Record these of an image whose size, time and bytes are those that were recorded."""
        _check_stat(path, 0, 0, ctime_ns, inode)
        update = "UPDATE images SET ctime_ns = ?, inode = ? WHERE path = ?"
        self._connection.execute(update, (ctime_ns, inode, os.fsencode(path)))

    @_whole
    def content(self, digest: bytes) -> int | None:
        """The id of a file content whose embedding is in the index, by its SHA-256, this writer's changes included.

        Any thread may ask while another adds.
        """
        row = self._connection.execute("SELECT id FROM contents WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else int(row[0])

    def digests(self, *, with_parts: bool = False) -> Iterator[bytes]:
        """SHA-256 of every content in the index; with_parts: of those that have embeddings of their parts."""
        which = " WHERE id IN (SELECT content FROM parts)" if with_parts else ""
        with self._lock:
            found = self._connection.execute(f"SELECT digest FROM contents{which}").fetchall()
        return (bytes(digest) for (digest,) in found)

    @_whole
    def size(self, content: int | None) -> tuple[int, int]:
        """Width and height in pixels of a content; (0, 0) where it is not known."""
        row = self._connection.execute("SELECT width, height FROM contents WHERE id = ?", (content,)).fetchone()
        return (0, 0) if row is None else (row[0], row[1])

    @_whole
    def forget(self, path: Path) -> bool:
        """Take a file out of the index; returns whether it was in it."""
        key = os.fsencode(path)
        removed = self._connection.execute("DELETE FROM images WHERE path = ?", (key,)).rowcount > 0
        self._lost_images |= removed
        return removed

    @_whole
    def has_parts(self, content: int | None) -> bool:
        """Whether a content has embeddings of its parts."""
        return self._connection.execute("SELECT 1 FROM parts WHERE content = ?", (content,)).fetchone() is not None

    @_whole
    def add(
        self,
        path: Path,
        *,
        size_bytes: int,
        mtime_ns: int,
        ctime_ns: int = 0,
        inode: int = 0,
        digest: bytes,
        width: int,
        height: int,
        margin: float = 0.0,
        taken_ms: int | None = None,
        camera: int = 0,
        quality: int | None = None,
        damaged: str | None = None,
        label: str | None = None,
        embedding: NDArray[np.floating] | None = None,
        parts: NDArray[np.floating] | None = None,
    ) -> None:
        """Record an image, in place of what was recorded of this path.

        ctime_ns, inode: 0 where they are not known
        digest:    SHA-256 of the file, 32 bytes
        width, height: pixels, upright
        margin:    share of the area that is a flat margin, 0 to less than 1: neardup.images.flat_margin
        taken_ms:  when it was taken, milliseconds since 1970; camera: bits of what a camera wrote (neardup.images.exif)
        quality:   of a JPEG, 1 to 100; damaged: what is wrong with a file that could be decoded, in words
        embedding: (dim,) floating, of unit length; None when `content(digest)` is known
        parts:     (parts, dim) likewise, of parts of the image, where they are wanted
        raises:    BadInput when these are not so, IndexNotWritten
        """
        if len(digest) != 32:
            raise BadInput(f"{path}: a SHA-256 has 32 bytes, not {len(digest)}")
        _check_stat(path, size_bytes, mtime_ns, ctime_ns, inode)
        part_rows = None if parts is None else np.stack([self._row(path, part) for part in parts])
        content = self.content(digest)
        if content is None:
            if not (0 <= margin < 1 and 0 < width < 2**31 and 0 < height < 2**31):
                raise BadInput(f"{path}: {width} x {height} pixels with a margin of {margin}: these cannot be so")
            row = self._row(path, embedding)
            content = self._next_content
            self._connection.execute(
                "INSERT INTO contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (content, digest, width, height, margin, taken_ms, camera, quality, damaged),
            )
            self._next_content += 1
            self._pending.append(row)
            self._pending_contents.append(content)
        else:
            self._connection.execute("DELETE FROM dead WHERE content = ?", (content,))
        if part_rows is not None:
            self._connection.execute("REPLACE INTO parts VALUES (?, ?)", (content, part_rows.tobytes()))
        key = os.fsencode(path)
        old = self._connection.execute("SELECT content FROM images WHERE path = ?", (key,)).fetchone()
        self._lost_images |= old is not None and old != (content,)
        self._connection.execute("DELETE FROM failures WHERE path = ?", (key,))
        self._connection.execute(
            "REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, size_bytes, mtime_ns, content, _encoded(label), ctime_ns, inode),
        )

    def _row(self, path: Path, embedding: NDArray[np.floating] | None) -> NDArray[np.float16]:
        if embedding is None:
            raise BadInput(f"{path}: new content needs an embedding")
        if embedding.shape != (self._model.dim,):
            raise BadInput(f"{path}: embedding of shape {embedding.shape}, expected ({self._model.dim},)")
        length = float(np.linalg.norm(np.asarray(embedding, np.float32)))
        if not abs(length - 1) < 0.01:  # also false for NaN
            raise BadInput(f"{path}: embedding of length {length:.3f}, expected 1")
        return embedding.astype("<f2")

    @_whole
    def relabel(self, path: Path, label: str | None) -> None:
        """Give a recorded image another label."""
        self._connection.execute(
            "UPDATE images SET label = ? WHERE path = ?",
            (_encoded(label), os.fsencode(path)),
        )

    @_whole
    def fail(self, path: Path, *, size_bytes: int, mtime_ns: int, error: str, ctime_ns: int = 0) -> None:
        """Record that a file cannot be decoded, in place of what was recorded of this path."""
        _check_stat(path, size_bytes, mtime_ns, ctime_ns)
        key = os.fsencode(path)
        self._lost_images |= self._connection.execute("DELETE FROM images WHERE path = ?", (key,)).rowcount > 0
        self._connection.execute(
            "REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?)",
            (key, size_bytes, mtime_ns, self._model.decoder, _encoded(error[:_LONGEST_ERROR]), ctime_ns),
        )

    @_whole
    def saw(self, path: Path) -> bool:
        """Note that a file is there: the next `remove_vanished` spares it. False where that is known already."""
        key = os.fsencode(path)
        return self._connection.execute("INSERT OR IGNORE INTO temp.seen VALUES (?)", (key,)).rowcount > 0

    @_whole
    def remove_vanished(self, roots: Iterable[Path], splits: Iterable[Path] = ()) -> int:
        """Forget files recorded at or below the roots, and records of the splits, that were not seen; returns how many
        of them were images.

        splits: what the paths of a split's records begin with: its shards', up to their number
        """
        run = self._connection.execute
        removed = 0
        ranges = [(key, *range_below(key)) for key in map(os.fsencode, roots)]
        # Of a split '/a/x-train.tfrecord': '/a/x-train.tfrecord-00000-of-00002__17', and no other's.
        ranges += [(key, key + b"-", key + b".") for key in map(os.fsencode, splits)]
        for bounds in ranges:
            for table in ("images", "failures"):
                count = run(
                    f"DELETE FROM {table} WHERE (path = ? OR (path >= ? AND path < ?))"
                    " AND path NOT IN (SELECT path FROM temp.seen)",
                    bounds,
                ).rowcount
                removed += count if table == "images" else 0
        run("DELETE FROM temp.seen")
        self._lost_images |= removed > 0
        return removed

    @_whole
    def look(self, path: Path, digest: bytes) -> Look | None:
        """Name and size of a recorded file's picture, its pixels yet unknown; None where no verdict needs it."""
        if self._connection.execute("SELECT 1 FROM looks LIMIT 1").fetchone() is None:
            return None
        row = self._connection.execute("SELECT width, height FROM contents WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else Look(digest, path, *row)

    @_whole
    def likely_looks(self, look: Look) -> dict[bytes, bytes]:
        """Pixel digests, by the digests of their files, of contents with this name and size that verdicts are about."""
        return looks.likely_looks(self._connection, look)

    @_whole
    def take_over(self, look: Look, old: Iterable[bytes]) -> None:
        """Say of this content what was said of older ones, which have its pixels."""
        looks.keep_look(self._connection, look)
        for digest in old:
            looks.take_over(self._connection, look.digest, digest)

    @_whole
    def spare_away(self, roots: Iterable[Path]) -> list[Away]:
        """Folders at or below these, given or remembered, that are gone or empty though images are recorded there: the
        next `remove_vanished` spares what they held."""
        given = [os.fsencode(root) for root in roots]
        known = {*roots_of.read_roots(self._connection, self._folder / CATALOG), *given}
        below = (root for root in known if any(is_at_or_below(root, outer) for outer in given))
        away: list[Away] = []
        for root in outermost(root for root in below if is_away(root)):
            count = 0
            for table in ("failures", "images"):
                count = self._connection.execute(
                    f"INSERT OR IGNORE INTO temp.seen SELECT path FROM {table} WHERE path >= ? AND path < ?",
                    range_below(root),
                ).rowcount
            if count:
                away.append(Away(Path(os.fsdecode(root)), count))
        return away

    @_whole
    def record_roots(self, roots: Iterable[Root], volumes: Iterable[Path]) -> None:
        """Remember what a run was given, with what it passed over there, and volumes that it met below."""
        roots_of.record_roots(self._connection, roots, volumes)

    @_whole
    def prune(self, root: Path) -> int | None:
        """Forget a folder and all that is recorded below it; returns how many images, None where nothing was."""
        key = os.fsencode(root)
        counts = {}
        for table in ("images", "failures", "roots"):
            delete = f"DELETE FROM {table} WHERE path = ? OR (path >= ? AND path < ?)"
            counts[table] = self._connection.execute(delete, (key, *range_below(key))).rowcount
        self._lost_images |= counts["images"] > 0
        return counts["images"] if any(counts.values()) else None

    @_whole
    def remove_older(self, oldest_ns: int) -> int:
        """Forget files of a modification time before this one; returns how many of them were images."""
        removed = self._connection.execute("DELETE FROM images WHERE mtime_ns < ?", (oldest_ns,)).rowcount
        self._connection.execute("DELETE FROM failures WHERE mtime_ns < ?", (oldest_ns,))
        self._lost_images |= removed > 0
        return removed

    def commit_if_due(self) -> bool:
        """Commit when the last one is `commit_interval_s` ago, or enough is waiting in memory."""
        due = time.monotonic() - self._last_commit >= self._commit_interval_s
        if not due and len(self._pending) < _MOST_PENDING_ROWS:
            return False
        self.commit()
        return True

    @_whole
    def commit(self) -> None:
        """Make every change so far visible and durable, or raise and leave the last commit."""
        if self._lost_images:
            self._connection.execute(
                "INSERT OR IGNORE INTO dead SELECT id FROM contents"
                " WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.content = contents.id)"
            )
        self._write_segments()
        images = self.images
        self._connection.execute("COMMIT")
        self._committed_images = images
        self._lost_images = False
        self._pending.clear()
        self._pending_contents.clear()
        self._remove_unlisted()
        self._connection.execute("BEGIN IMMEDIATE")
        self._last_commit = time.monotonic()

    def _write_segments(self) -> None:
        """What is pending becomes a segment, together with older ones no larger, so that sizes at least double from
        one segment to the one before: their number stays logarithmic, and each row is copied as many times at most.
        """
        records = catalog.read_segments(self._connection, self._folder / CATALOG)
        merged: list[SegmentRecord] = []
        total = len(self._pending)
        while total and records and records[-1].rows <= total:
            merged.insert(0, records.pop())
            total += merged[0].rows
        if total:
            self._rewrite(merged, self._pending_part())
        for record in records:
            dead = self._connection.execute(
                "SELECT count(*) FROM dead WHERE content BETWEEN ? AND ?", (record.first, record.last)
            ).fetchone()[0]
            if dead > record.rows // 2:
                self._rewrite([record], [])

    def _pending_part(self) -> list[Segment]:
        embeddings = np.stack(self._pending)
        hashes = signatures(embeddings, self._hyperplanes)
        tables = HashTables.build(hashes, bits=self._hashing.bits)
        return [Segment(embeddings, np.array(self._pending_contents, np.int64), tables)]

    def _rewrite(self, old: list[SegmentRecord], pending: list[Segment]) -> None:
        """Replace segments, and what is pending, by one segment of their rows that are not dead."""
        run = self._connection.execute
        dead = catalog.read_dead(self._connection)
        for record in old:  # bytes that went bad must not get a checksum of their own
            store.check_digests(self._folder, record)
        segments = [self._open_segment(record) for record in old] + pending
        parts = [(segment, ~np.isin(segment.contents, dead)) for segment in segments]
        for record in old:
            run("DELETE FROM segments WHERE number = ?", (record.number,))
        span = int(segments[0].contents[0]), int(segments[-1].contents[-1])
        run("DELETE FROM contents WHERE id IN (SELECT content FROM dead WHERE content BETWEEN ? AND ?)", span)
        run("DELETE FROM parts WHERE content IN (SELECT content FROM dead WHERE content BETWEEN ? AND ?)", span)
        run("DELETE FROM dead WHERE content BETWEEN ? AND ?", span)
        if any(keep.any() for _, keep in parts):
            record = store.write_segment(self._folder, 1 + self._last_segment(), parts)
            catalog.list_segment(self._connection, record)

    def _last_segment(self) -> int:
        """The highest number that a segment ever had; -1 where what says so is damaged."""
        found = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'segments'").fetchone()
        last = found[0] if found else 0
        return last if isinstance(last, int) else -1

    def roll_back(self) -> None:
        """Forget everything since the last commit, and the files that it wrote."""
        self._pending.clear()
        self._pending_contents.clear()
        # Closing the connection rolls back too; what matters is the error before.
        with self._lock, suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._remove_unlisted()

    def _remove_unlisted(self) -> None:
        listed = {number for (number,) in self._connection.execute("SELECT number FROM segments")}
        store.remove_unlisted(self._folder, listed)
