"""The index folder, format 5: its files, and what holds at every instant.

    catalog.sqlite      SQLite, application_id 0x6E647570 ("ndup"), user_version 5; its tables stand in catalog.py.
                        WAL where the file system allows it: catalog.sqlite-wal and -shm are part of it then.
    segments/<number>/  immutable, listed in the catalogue with row count, sizes and SHA-256 of its files; a number is
                        never used twice
        embeddings.npy  (n, dim) float16     rows of unit length before rounding
        contents.npy    (n,) int64           catalogue ids of the rows, ascending; segments do not overlap
        signatures.npy  (tables, n) uint32   of the rounded embeddings, `bits` wide, ascending within a table
        rows.npy        (tables, n) uint32   the row within this segment that each signature is of
    segments/<number>.tmp/  being written; no one else reads it
    writer.lock         held by the one writer; the system releases it when that process ends, however it ends
    writer.txt          "<pid> <host>" of the writer, for the message that a second one shows
    catalog.damaged     a catalogue that could not be read when the index was rebuilt or repaired; later ones are
                        catalog.damaged.2 and so on
    owner.json          whose index this is: neardup.index.owner
    actions/<number>.jsonl  journals of applied plans: neardup.actions.journal

Arrays are .npy version 1.0, little-endian, C order, never pickled. Hyperplanes are drawn from the catalogue's seed.

Promises. A commit is one SQLite transaction: segment files are written and synced under a temporary name, renamed,
and the folder synced, before the transaction that lists them; files are deleted only after the transaction that
unlists them. So after a crash, a full disk or Ctrl-C at any instant the folder holds the last commit, whole, and at
most files that no one lists, which the next writer removes. Readers take no lock that a writer waits for. Opening
checks sizes and order; `neardup verify` checks everything (verify.py), as does a merge what it copies.
"""

import hashlib
import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from neardup.durable import sync_directory
from neardup.errors import BadInput, DamagedIndex, IndexLocked
from neardup.lsh import HashTables
from neardup.reading import UnfitFile, digest_regular, open_regular, read_regular

CATALOG = "catalog.sqlite"
SEGMENTS = "segments"
LOCK = "writer.lock"
FILES = ("embeddings.npy", "contents.npy", "signatures.npy", "rows.npy")
REBUILD = "mend it with 'neardup repair', or rebuild with 'neardup index PATH --rebuild'"

DIGEST_BYTES = 32
DIGESTS_BYTES = DIGEST_BYTES * len(FILES)

_BLOCK_VALUES = 1 << 18  # compared at a time
_BLOCK_ROWS = 16_384  # rows copied at a time while segments are merged


@dataclass(frozen=True)
class SegmentRecord:
    """A segment as the catalogue lists it; sizes are in bytes, digests SHA-256, both in the order of FILES."""

    number: int
    rows: int
    first: int  # lowest content id
    last: int  # highest content id
    sizes: tuple[int, int, int, int]
    digests: bytes = b""  # 4 x 32 bytes; empty in an index made before format 5, until it is repaired

    def digest(self, file: int) -> bytes | None:
        """SHA-256 of one of FILES; None where nobody knows."""
        return self.digests[file * DIGEST_BYTES : (file + 1) * DIGEST_BYTES] or None


@dataclass(frozen=True)
class Segment:
    """The rows of one segment, memory-mapped: they stay readable when the files are deleted."""

    embeddings: NDArray[np.float16]  # (n, dim)
    contents: NDArray[np.int64]  # (n,), ascending
    tables: HashTables  # (tables, n) each
    maps: tuple[tuple[Path, mmap.mmap, int], ...] = ()  # what the arrays are mapped from, and its size in bytes

    def check(self) -> None:
        """Raise DamagedIndex where a file was cut short since it was mapped.

        To read beyond its end would kill the process. Called before each use: a file cut within the milliseconds of
        that use, or a disk that fails in them, still does. Reading rows by calls instead of maps would rule that out,
        at 30 to 100 times the price of a row.
        """
        for path, mapped, size in self.maps:
            if mapped.size() < size:
                raise DamagedIndex(f"{path}: was cut short while it was open; {REBUILD}")


def open_segment(folder: Path, record: SegmentRecord, *, dim: int, tables: int) -> Segment:
    """Map a segment's files after checking them against the catalogue.

    Raises FileNotFoundError when a file is gone, DamagedIndex when one is not what the catalogue says.
    """
    n = record.rows
    expected: tuple[tuple[tuple[int, ...], str], ...] = (
        ((n, dim), "<f2"),
        ((n,), "<i8"),
        ((tables, n), "<u4"),
        ((tables, n), "<u4"),
    )
    home = folder / SEGMENTS / str(record.number)
    mapped = [
        _map(home / name, size, shape, dtype)
        for name, size, (shape, dtype) in zip(FILES, record.sizes, expected, strict=True)
    ]
    embeddings, contents, signatures, rows = (array for array, _ in mapped)
    if contents[0] != record.first or contents[-1] != record.last or not _ascending(contents):
        raise DamagedIndex(f"{home / FILES[1]}: content ids are not those the catalogue lists; {REBUILD}")
    for table in range(tables):
        # Buckets are found by bisection, and a row beyond the segment would be read as one of another segment.
        if not _ascending(signatures[table], strictly=False):
            raise DamagedIndex(f"{home / FILES[2]}: signatures of table {table} are not ascending; {REBUILD}")
        if rows[table].max() >= n:
            raise DamagedIndex(f"{home / FILES[3]}: table {table} names row {rows[table].max()} of {n}; {REBUILD}")
    maps = tuple((home / name, held, size) for name, (_, held), size in zip(FILES, mapped, record.sizes, strict=True))
    return Segment(embeddings, contents, HashTables(signatures, rows), maps)


def check_digests(folder: Path, record: SegmentRecord) -> None:
    """Raise DamagedIndex where a file of a segment does not hold the bytes that were written."""
    for number, (name, size) in enumerate(zip(FILES, record.sizes, strict=True)):
        path, expected = folder / SEGMENTS / str(record.number) / name, record.digest(number)
        if expected is not None and bytes.fromhex(digest_regular(path, size)) != expected:
            raise DamagedIndex(f"{path}: does not hold what was written; {REBUILD}")


def _ascending(values: NDArray[Any], *, strictly: bool = True) -> bool:
    """Block by block: of a sparse file that says that it holds a billion, the first tells."""
    for start in range(0, len(values), _BLOCK_VALUES):
        block = values[start : start + _BLOCK_VALUES + 1]
        if np.any(block[1:] <= block[:-1] if strictly else block[1:] < block[:-1]):
            return False
    return True


def _opened(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except UnfitFile as error:
        raise DamagedIndex(f"{path}: {error.strerror}; {REBUILD}") from error


def _map(path: Path, size: int, shape: tuple[int, ...], dtype: str) -> tuple[NDArray[Any], mmap.mmap]:
    with _opened(path) as file:
        actual = os.fstat(file.fileno()).st_size
        if actual != size:
            raise DamagedIndex(f"{path}: holds {actual} bytes, the catalogue says {size}; {REBUILD}")
        try:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"version {version}")
            found_shape, fortran_order, found_dtype = np.lib.format.read_array_header_1_0(file)
        except Exception as error:  # the parser meets bytes that anyone may have written
            raise DamagedIndex(f"{path}: no .npy header ({error}); {REBUILD}") from error
        if found_shape != shape or fortran_order or found_dtype != np.dtype(dtype):
            raise DamagedIndex(f"{path}: {found_dtype} {found_shape}, expected {np.dtype(dtype)} {shape}; {REBUILD}")
        start = file.tell()
        if size - start != np.dtype(dtype).itemsize * int(np.prod(shape, dtype=object)):
            raise DamagedIndex(f"{path}: {size - start} bytes do not hold {shape} {np.dtype(dtype)}; {REBUILD}")
        try:
            mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        except ValueError as error:  # cut short just now
            raise DamagedIndex(f"{path}: {error}; {REBUILD}") from error
        # A plain array over the map: np.memmap's own indexing costs microseconds in every query.
        return np.frombuffer(mapped, dtype, offset=start).reshape(shape), mapped


def write_segment(folder: Path, number: int, parts: Sequence[tuple[Segment, NDArray[np.bool_]]]) -> SegmentRecord:
    """Write the kept rows of the parts, in order, as one segment; it is live once a commit lists it.

    parts: segments with ascending content ids, each with (n,) bool, True where a row is kept; at least one is
    Memory: one table's signatures and rows, and a block of embeddings.
    """
    segments = folder / SEGMENTS
    temporary = segments / f"{number}.tmp"
    temporary.mkdir(parents=True)
    kept = [np.flatnonzero(keep) for _, keep in parts]
    n = sum(len(rows) for rows in kept)
    dim = parts[0][0].embeddings.shape[1]
    tables = len(parts[0][0].tables.rows)

    with _new_array(temporary / FILES[0], (n, dim), "<f2") as embedding_file:
        for (part, _), rows in zip(parts, kept, strict=True):
            for start in range(0, len(rows), _BLOCK_ROWS):
                embedding_file.write(part.embeddings[rows[start : start + _BLOCK_ROWS]].tobytes())
    contents = np.concatenate([part.contents[rows] for (part, _), rows in zip(parts, kept, strict=True)])
    with _new_array(temporary / FILES[1], (n,), "<i8") as content_file:
        content_file.write(contents.tobytes())
    with (
        _new_array(temporary / FILES[2], (tables, n), "<u4") as signature_file,
        _new_array(temporary / FILES[3], (tables, n), "<u4") as row_file,
    ):
        for table in range(tables):
            table_signatures, table_rows = _merge_table(parts, table)
            signature_file.write(table_signatures.tobytes())
            row_file.write(table_rows.tobytes())

    sync_directory(temporary)
    temporary.rename(segments / str(number))
    sync_directory(segments)
    sizes = tuple((segments / str(number) / name).stat().st_size for name in FILES)
    written = (embedding_file, content_file, signature_file, row_file)
    digests = b"".join(file.digest.digest() for file in written)
    return SegmentRecord(
        number, n, int(contents[0]), int(contents[-1]), (sizes[0], sizes[1], sizes[2], sizes[3]), digests
    )


def _merge_table(
    parts: Sequence[tuple[Segment, NDArray[np.bool_]]], table: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    keys, offset = [], 0
    for part, keep in parts:
        new_row = np.cumsum(keep, dtype=np.uint64) - np.uint64(1) + np.uint64(offset)
        old_row = part.tables.rows[table]
        live = keep[old_row]
        keys.append(part.tables.signatures[table][live].astype(np.uint64) << np.uint64(32) | new_row[old_row[live]])
        offset += int(np.count_nonzero(keep))
    # Signature and row in one key: plain integers sort several times faster than an argsort.
    merged = np.concatenate(keys)
    merged.sort()
    return (merged >> np.uint64(32)).astype("<u4"), (merged & np.uint64(0xFFFFFFFF)).astype("<u4")


class _Digested:
    """A file being written, and the SHA-256 of what went into it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> None:
        self.digest.update(content)
        self._file.write(content)


@contextmanager
def _new_array(path: Path, shape: tuple[int, ...], dtype: str) -> Iterator[_Digested]:
    with path.open("xb") as file:
        digested = _Digested(file)
        np.lib.format.write_array_header_1_0(
            cast("BinaryIO", digested), {"descr": dtype, "fortran_order": False, "shape": shape}
        )
        yield digested
        file.flush()
        os.fsync(file.fileno())


def remove_unlisted(folder: Path, listed: set[int]) -> None:
    """Delete segment folders that the last commit does not list; the caller holds the lock."""
    with suppress(FileNotFoundError):
        for path in (folder / SEGMENTS).iterdir():
            number = path.name.removesuffix(".tmp")
            if number.isascii() and number.isdigit() and (path.suffix == ".tmp" or int(number) not in listed):
                _remove_segment(path)


def segment_numbers(folder: Path) -> list[int]:
    """Numbers that folders in segments/ have, being written or not, the highest first."""
    home = folder / SEGMENTS
    names = {path.name.removesuffix(".tmp") for path in home.iterdir()} if home.is_dir() else set()
    return sorted((int(n) for n in names if n.isascii() and n.isdigit() and len(n) < 19), reverse=True)


def is_left_over(path: Path) -> bool:
    """Whether a folder in segments/ that no one lists is what a writer makes: it may be someone's own, and a name in it
    a link to elsewhere."""
    number = path.name.removesuffix(".tmp")
    if not (number.isascii() and number.isdigit()) or path.is_symlink() or not path.is_dir():
        return False
    return all(file.name in FILES for file in path.iterdir())


def _remove_segment(path: Path) -> None:
    if not is_left_over(path):
        return
    # What cannot be deleted now does no harm, and the next writer tries again.
    with suppress(OSError):
        for name in FILES:
            (path / name).unlink(missing_ok=True)
        path.rmdir()


@contextmanager
def write_lock(folder: Path, wait: Callable[[str], None] | None) -> Iterator[None]:
    """Hold the folder's writer lock.

    wait: called once with a line to show before waiting for another writer; None: raise IndexLocked instead
    """
    from filelock import FileLock, Timeout

    if not folder.is_dir():  # the lock would make it
        raise BadInput(f"{folder}: no index here; make one with 'neardup index PATH', or give --index DIR")
    for name in (CATALOG, SEGMENTS, LOCK):
        if (folder / name).is_symlink():  # a writer would change, or delete, what is elsewhere
            raise DamagedIndex(f"{folder / name}: is a link; move the index itself, and give its place by --index")
    if (folder / LOCK).exists() and not (folder / LOCK).is_file():
        raise DamagedIndex(f"{folder / LOCK}: not a regular file; remove it")
    holder = folder / "writer.txt"
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        message = f"{folder}: {_holder(holder)} is writing to this index"
        if wait is None:
            raise IndexLocked(f"{message}; try again when it has ended") from error
        wait(f"{message}; waiting for it to end")
        lock.acquire(poll_interval=0.1)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be locked ({error.strerror}); check its permissions") from error
    try:
        with suppress(OSError):  # only a courtesy, and a full disk may still hold the index
            holder.unlink(missing_ok=True)
            with holder.open("x", encoding="utf-8") as file:
                file.write(f"{os.getpid()} {os.uname().nodename}\n")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        pid, host = read_regular(path, 512).decode("utf-8", "replace").split()
    except (OSError, ValueError):  # it has just taken the lock, or is about to give it back
        return "another process"
    return f"process {pid} on {host}"
