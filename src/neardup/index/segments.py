"""A segment looked at to the last byte: what is wrong with it, and what of it can be trusted.

Where a file's checksum holds, it is what was written. Where it does not, or nobody knows one, embeddings and tables
vouch for each other: of a row that is whole, every hyperplane of every table is on the side that its signatures say,
but for those that it lies on.
"""

import hashlib
import io
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.index.catalog import Hashing
from neardup.index.findings import REPAIR, Finding
from neardup.index.store import FILES, SEGMENTS, SegmentRecord
from neardup.lsh.hyperplanes import BLOCK_PROJECTIONS
from neardup.reading import check_regular, digest_regular, open_regular

# How far from a hyperplane a unit row is on the same side on every machine: float32 sums of 8,192 products.
_ON_THE_PLANE = 1e-4
# Of a unit row's length, after rounding to float16; a writer takes 0.01.
_LENGTH_OFF = 0.02
_BLOCK_ROWS = 16_384
_CONTENTS = FILES.index("contents.npy")


@dataclass
class Examined:
    """What there is of a segment."""

    record: SegmentRecord
    embeddings: NDArray[np.float16]  # (m, dim), m <= rows: fewer where the file was cut short
    contents: NDArray[np.int64] | None  # (rows,), ascending; None: nobody knows whose the rows are
    trusted: NDArray[np.bool_]  # (rows,)
    digests: bytes  # of the files as they are; empty where some are not there
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.findings

    @property
    def lacks_digests(self) -> bool:
        return not self.record.digests


def proves(folder: Path, record: SegmentRecord, *files: int) -> bool:
    """Whether one of these files of a segment is known to be what was written."""
    home = folder / SEGMENTS / str(record.number)
    expected = ((number, digest) for number in files if (digest := record.digest(number)) is not None)
    return any(_digest_of(home / FILES[n], record.sizes[n])[0] == digest for n, digest in expected)


def settled(folder: Path, record: SegmentRecord) -> SegmentRecord:
    """A segment as it is listed, but for its rows, first and last: those of its contents, where these are proven to be
    what was written."""
    path = folder / SEGMENTS / str(record.number) / FILES[1]
    if not proves(folder, record, _CONTENTS):
        return record
    contents = np.load(path, mmap_mode="r", allow_pickle=False)
    return replace(record, rows=len(contents), first=int(contents[0]), last=int(contents[-1]))


def examine(
    folder: Path, record: SegmentRecord, hashing: Hashing, planes: NDArray[np.float32], known: NDArray[np.int64]
) -> Examined:
    """Look at every byte of a segment; memory: its tables, and blocks of its embeddings.

    planes: (tables, bits, dim) float32
    known:  (k,) int64, the contents that the catalogue has between the segment's first and last, ascending
    """
    n, dim = record.rows, planes.shape[2]
    shapes: tuple[tuple[tuple[int, ...], str], ...] = (
        ((n, dim), "<f2"), ((n,), "<i8"), ((hashing.tables, n), "<u4"), ((hashing.tables, n), "<u4"),
    )  # fmt: skip
    files = [_File.read(folder, record, number, *shape) for number, shape in enumerate(shapes)]
    digests = b"".join(file.digest or b"" for file in files)
    result = Examined(record, files[0].data, None, np.zeros(n, bool), digests if len(digests) == 128 else b"")
    for file in files:
        if file.wrong:
            result.findings.append(Finding(file.path, file.wrong, REPAIR))
    result.contents = _contents(files[1], record, known, result)
    agree = _check_tables(files, n, hashing, planes, result)
    fit = _fit_rows(files[0], n, result)
    result.trusted = fit if files[0].is_proven else fit & agree
    return result


@dataclass(frozen=True)
class _File:
    """One of a segment's files."""

    path: Path
    data: NDArray[Any]  # whole rows, as many as there are; of tables all or none
    wrong: str | None
    is_proven: bool  # it holds what was written
    digest: bytes | None

    @classmethod
    def read(cls, folder: Path, record: SegmentRecord, number: int, shape: tuple[int, ...], dtype: str) -> "_File":
        path = folder / SEGMENTS / str(record.number) / FILES[number]
        header, expected = _header(shape, dtype), record.digest(number)
        source = path
        digest, wrong = _digest_of(path, record.sizes[number])
        if digest is not None and expected is not None and digest != expected:
            wrong = "does not hold what was written"
        elif digest is not None and not _begins_with(path, header):
            wrong = "is not of the shape that the catalogue says"
        if wrong and expected is not None and digest != expected:
            moved = next(_elsewhere(folder, path, record.sizes[number], expected), None)
            if moved is not None:
                source, digest = moved, expected
                wrong += f"; {moved.relative_to(folder)} does"
        is_proven = expected is not None and digest == expected and _begins_with(source, header)
        return cls(path, _map(source, len(header), shape, dtype), wrong, is_proven, digest)


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    return header.getvalue()


def _digest_of(path: Path, size: int) -> tuple[bytes | None, str | None]:
    """SHA-256 of a file of this size; else None, and what is wrong with it."""
    if not os.path.lexists(path):
        return None, "missing"
    try:
        actual = check_regular(path).st_size
        if actual != size:
            return None, f"holds {actual:,} bytes, the catalogue says {size:,}"
        return bytes.fromhex(digest_regular(path)), None
    except OSError as error:
        return None, f"cannot be read ({error.strerror})"


def _begins_with(path: Path, header: bytes) -> bool:
    with open_regular(path) as file:
        return file.read(len(header)) == header


def _elsewhere(folder: Path, path: Path, size: int, digest: bytes) -> Iterator[Path]:
    """Files of this name in other segments that hold what was written here: names may have been swapped."""
    for other in sorted((folder / SEGMENTS).glob(f"*/{path.name}")):
        if other != path and _digest_of(other, size)[0] == digest:
            yield other


def _map(path: Path, start: int, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """What lies behind the header, whatever that says; of (rows, ...) as many rows as there are, else all or none."""
    empty: NDArray[Any] = np.empty((0, *shape[1:]), dtype)
    row_bytes = int(np.prod(shape[1:], dtype=object)) * np.dtype(dtype).itemsize
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            rows = min(shape[0], max(0, size - start) // row_bytes)
            if not rows:
                return empty
            mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return empty
    return np.frombuffer(mapped, dtype, rows * row_bytes // np.dtype(dtype).itemsize, start).reshape(rows, *shape[1:])


def _contents(
    file: _File, record: SegmentRecord, known: NDArray[np.int64], result: Examined
) -> NDArray[np.int64] | None:
    """Whose the rows are: by the file where it can be believed, else by the catalogue where that has as many."""
    contents = file.data
    bounds = (record.first, record.last)
    sound = len(contents) == record.rows and bool(np.all(contents[1:] > contents[:-1]))
    sound = sound and (int(contents[0]), int(contents[-1])) == bounds
    if sound and (file.is_proven or (record.digest(1) is None and file.wrong is None)):
        return contents
    if not file.wrong:
        result.findings.append(Finding(file.path, "its contents are not those that the catalogue lists", REPAIR))
    if len(known) != record.rows:
        return None
    expected = record.digest(1)
    if expected is None:
        return known
    found = hashlib.sha256(_header(known.shape, "<i8") + known.astype("<i8").tobytes()).digest()
    return known if found == expected else None


def _check_tables(
    files: list[_File], n: int, hashing: Hashing, planes: NDArray[np.float32], result: Examined
) -> NDArray[np.bool_]:
    """Which rows have the signatures that the tables hold: (n,) bool."""
    embeddings, signatures, rows = files[0], files[2], files[3]
    if len(signatures.data) != hashing.tables or len(rows.data) != hashing.tables:
        return np.zeros(n, bool)
    stored = np.zeros((n, hashing.tables), np.uint32)
    for table in range(hashing.tables):
        order, values = rows.data[table], signatures.data[table]
        seen = np.zeros(n, bool)
        seen[order[order < n]] = True
        if not seen.all() and not rows.wrong:
            result.findings.append(Finding(rows.path, f"table {table} does not hold each row once", REPAIR))
        if np.any(values[1:] < values[:-1]) and not signatures.wrong:
            result.findings.append(Finding(signatures.path, f"table {table} is not in order", REPAIR))
        stored[order[order < n], table] = values[order < n]
    agree = agreeing(embeddings.data, stored, planes)
    wrong = int(np.count_nonzero(~agree[: len(embeddings.data)]))
    if wrong and not (embeddings.wrong or signatures.wrong or rows.wrong):
        told = f"{wrong:,} of {n:,} rows have other signatures than their embeddings and the seed give"
        result.findings.append(Finding(signatures.path, told, REPAIR))
    return agree


def agreeing(
    embeddings: NDArray[np.float16], stored: NDArray[np.uint32], planes: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Which rows lie on the sides of all hyperplanes that their signatures say, or on the plane itself.

    embeddings: (m, dim), m <= n; stored: (n, tables); planes: (tables, bits, dim)
    returns:    (n,) bool, False for rows without an embedding
    """
    tables, bits, dim = planes.shape
    flat = planes.reshape(tables * bits, dim).T
    shifts = np.arange(bits, dtype=np.uint32)
    near = _ON_THE_PLANE * float(np.linalg.norm(planes, axis=2).max())
    result = np.zeros(len(stored), bool)
    block = max(1, BLOCK_PROJECTIONS // (tables * bits))
    for start in range(0, len(embeddings), block):
        with np.errstate(invalid="ignore", over="ignore"):
            sides = embeddings[start : start + block].astype(np.float32) @ flat
        said = stored[start : start + len(sides), :, None] >> shifts & np.uint32(1) != 0
        differ = (sides > 0).reshape(said.shape) != said
        result[start : start + len(sides)] = ~np.any(differ.reshape(sides.shape) & ~(np.abs(sides) < near), axis=1)
        if bits < 32:  # nothing above them
            result[start : start + len(sides)] &= ~np.any(stored[start : start + len(sides)] >> np.uint32(bits), axis=1)
    return result


def _fit_rows(file: _File, n: int, result: Examined) -> NDArray[np.bool_]:
    """Which rows are finite and of unit length: (n,) bool."""
    fit = np.zeros(n, bool)
    for start in range(0, len(file.data), _BLOCK_ROWS):
        with np.errstate(invalid="ignore", over="ignore"):
            lengths = np.linalg.norm(file.data[start : start + _BLOCK_ROWS].astype(np.float32), axis=1)
        fit[start : start + len(lengths)] = np.abs(lengths - 1) < _LENGTH_OFF
    unfit = n - int(np.count_nonzero(fit))
    if unfit and not file.wrong:
        result.findings.append(Finding(file.path, f"{unfit:,} of {n:,} rows are not of unit length", REPAIR))
    return fit
