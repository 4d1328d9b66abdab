"""Hash tables as sorted signatures, so that a bucket is a slice and the tables map straight from .npy files.

A bucket of fewer bits is the slice of one value of the high bits, so one set of stored tables serves every number of
bits up to the stored one: a query chooses it from the number of rows, and nothing is rebuilt as rows are added.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput
from neardup.lsh.probing import MAX_PROBES, probe_signatures

MAX_ROWS = 1 << 32
BLOCK_QUERIES = 64
# Candidates gathered at a time, before each is counted once: 4 Mi, some 100 MiB.
BLOCK_CANDIDATES = 1 << 22
# A key holds the query above this bit, the row below it, and in bit 0 whether the bucket is the query's own.
QUERY_SHIFT = 48


@dataclass(frozen=True)
class HashTables:
    """Rows sorted by signature, once per table."""

    signatures: NDArray[np.unsignedinteger]  # (tables, n) uint32 (uint64 above 32 bits), ascending in each table
    rows: NDArray[np.uint32]  # (tables, n), same order; equal signatures keep their rows ascending
    directory: NDArray[np.uint32] | None = None  # (tables, 2**bits + 1): where each bucket of so many bits starts

    @classmethod
    def build(cls, signatures: NDArray[np.uint64], *, bits: int) -> "HashTables":
        """Sort the signatures of n embeddings, numbered 0 to n - 1.

        signatures: (n, tables) uint64, below 2**bits
        """
        n, tables = signatures.shape
        if n >= MAX_ROWS:
            raise BadInput(f"{n} rows in one set of hash tables: at most {MAX_ROWS - 1}; add them in parts")
        result = cls(np.empty((tables, n), np.uint32 if bits <= 32 else np.uint64), np.empty((tables, n), np.uint32))
        for table in range(tables):
            _sort_into(result, table, signatures[:, table], np.arange(n, dtype=np.uint32))
        return result

    @classmethod
    def merge(cls, parts: Sequence["HashTables"]) -> "HashTables":
        """One set of tables for the rows of all parts, numbered across them in order; the same as one build."""
        tables, n = parts[0].rows.shape[0], sum(len(part) for part in parts)
        if n >= MAX_ROWS:
            raise BadInput(f"{n} rows in one set of hash tables: at most {MAX_ROWS - 1}; keep them in parts")
        offsets = np.cumsum([0, *(len(part) for part in parts)])
        result = cls(np.empty((tables, n), parts[0].signatures.dtype), np.empty((tables, n), np.uint32))
        for table in range(tables):
            shifted = [part.rows[table] + np.uint32(offset) for part, offset in zip(parts, offsets, strict=False)]
            _sort_into(
                result, table, np.concatenate([part.signatures[table] for part in parts]), np.concatenate(shifted)
            )
        return result

    def __len__(self) -> int:
        """The number of rows in each table."""
        return int(self.rows.shape[1])

    def with_directory(self, bits: int, stored: int) -> "HashTables":
        """The same tables with a directory of bucket starts: a bucket of `bits` bits is then found without a search.

        It takes 4 * 2**bits bytes a table.
        """
        tables = len(self.rows)
        directory = np.zeros((tables, 2**bits + 1), np.uint32)
        shift = self.signatures.dtype.type(stored - bits)
        for table in range(tables):
            counts = np.bincount((self.signatures[table] >> shift).astype(np.int64), minlength=2**bits)
            np.cumsum(counts, out=directory[table, 1:])
        return HashTables(self.signatures, self.rows, directory)

    def has_directory(self, bits: int) -> bool:
        return self.directory is not None and self.directory.shape[1] == 2**bits + 1

    def slices(self, wanted: NDArray[np.uint64], bits: int, stored: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Begin and size of the buckets wanted, a (queries, tables, probes) array of signatures of `bits` bits."""
        if self.directory is not None and self.has_directory(bits):
            row = np.arange(len(self.directory), dtype=np.int64)[:, None] * self.directory.shape[1]
            position = wanted.astype(np.int64) + row
            begin = self.directory.reshape(-1).take(position).astype(np.int64)
            return begin, self.directory.reshape(-1).take(position + 1) - begin
        lowest = wanted << np.uint64(stored - bits)
        highest = lowest | np.uint64((1 << (stored - bits)) - 1)
        # In the tables' own dtype: with any other, searchsorted would first convert the whole table.
        lowest, highest = lowest.astype(self.signatures.dtype), highest.astype(self.signatures.dtype)
        begin, end = np.empty(wanted.shape, np.int64), np.empty(wanted.shape, np.int64)
        for table, ordered in enumerate(self.signatures):
            begin[:, table] = ordered.searchsorted(lowest[:, table])
            end[:, table] = ordered.searchsorted(highest[:, table], side="right")
        return begin, end - begin


def _sort_into(
    result: HashTables, table: int, signatures: NDArray[np.unsignedinteger], rows: NDArray[np.uint32]
) -> None:
    if result.signatures.dtype == np.uint32:
        # Signature and row in one 64-bit key: NumPy sorts plain integers several times faster than it argsorts.
        keys = (signatures.astype(np.uint64) << np.uint64(32)) | rows
        keys.sort()
        result.signatures[table] = keys >> np.uint64(32)
        result.rows[table] = keys & np.uint64(0xFFFFFFFF)
    else:
        order = np.argsort(signatures, kind="stable")
        result.signatures[table] = signatures[order]
        result.rows[table] = rows[order]


def find_candidates(
    tables: Sequence[HashTables],
    embedding: NDArray[np.float32],
    hyperplanes: NDArray[np.float32],
    *,
    bits: int,
    probes: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows in the buckets that a query looks into.

    tables:      in order; rows are numbered across them
    embedding:   (dim,) float32
    hyperplanes: (tables, stored bits, dim) float32, those that the stored signatures were made with
    bits:        bits that make a bucket, the high ones of the stored
    probes:      buckets looked into in each table; 1: the query's own only
    returns:     rows (c,) int64 ascending, each once, and in how many tables each shares the query's own bucket (c,)
                 int64: 0 when only a probed neighbour bucket held it
    """
    blocks = candidate_blocks(tables, embedding[None, :], hyperplanes, bits=bits, probes=probes)
    [(_, rows, shared)] = blocks
    return rows, shared


def candidate_blocks(
    tables: Sequence[HashTables],
    embeddings: NDArray[np.float32],
    hyperplanes: NDArray[np.float32],
    *,
    bits: int,
    probes: int,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """`find_candidates` for many queries (q, dim), a bounded block of whole queries at a time.

    yields: query (c,) int64 ascending, row (c,) int64 ascending within a query, shared (c,) int64
    """
    stored = hyperplanes.shape[1]
    if not 1 <= bits <= stored or not 1 <= probes <= MAX_PROBES:
        raise BadInput(f"bits={bits}, probes={probes}: bits must be 1 to {stored}, probes 1 to {MAX_PROBES}")
    planes = hyperplanes[:, stored - bits :]
    for start in range(0, len(embeddings), BLOCK_QUERIES):
        part = embeddings[start : start + BLOCK_QUERIES]
        wanted = probe_signatures(np.ascontiguousarray((planes @ part.T).transpose(2, 0, 1)), probes)
        found = [tables_part.slices(wanted, bits, stored) for tables_part in tables]
        sizes = sum((size.sum(axis=(1, 2)) for _, size in found), np.zeros(len(part), np.int64))
        first = 0
        while first < len(part):
            # As many queries as fit the budget, and at least one.
            last = first + max(1, int(np.searchsorted(np.cumsum(sizes[first:]), BLOCK_CANDIDATES, side="right")))
            slices = [(begin[first:last], size[first:last]) for begin, size in found]
            gather = _gather_by_counting if sizes[first] > BLOCK_CANDIDATES else _gather
            queries, rows, shared = gather(tables, slices)
            yield queries + (start + first), rows, shared
            first = last


Slices = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
Gathered = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def _gather(tables: Sequence[HashTables], slices: Slices) -> Gathered:
    """Concatenate the slices of each query and count each row once. Row, then query, lie in one sorted 64-bit key."""
    keys = [np.empty(0, np.int64)]
    offset = 0
    for part, (begin, size) in zip(tables, slices, strict=True):
        _, count, probes = size.shape
        flat = size.ravel()
        used = flat.nonzero()[0]
        flat = flat[used]
        end = flat.cumsum()
        if len(used):
            table_start = (used // probes % count) * len(part)
            positions = np.repeat(begin.ravel()[used] + table_start - end + flat, flat) + np.arange(end[-1])
            rows = part.rows.reshape(-1).take(positions).astype(np.int64) + offset
            is_exact = used % probes == 0
            labels = (used // (count * probes) << QUERY_SHIFT) | is_exact
            keys.append((rows << 1) + np.repeat(labels, flat))
        offset += len(part)
    ordered = np.concatenate(keys)
    ordered.sort()
    if not len(ordered):
        return ordered, ordered, ordered
    identity = ordered >> 1
    starts = np.flatnonzero(np.concatenate(([True], identity[1:] != identity[:-1])))
    identity = identity[starts]
    queries = identity >> (QUERY_SHIFT - 1)
    return queries, identity - (queries << (QUERY_SHIFT - 1)), np.add.reduceat(ordered & 1, starts)


def _gather_by_counting(tables: Sequence[HashTables], slices: Slices) -> Gathered:
    """The same for one query whose buckets hold much of the collection: memory grows with rows, not rows x tables."""
    rows, shared = [], []
    offset = 0
    for part, ([begin], [size]) in zip(tables, slices, strict=True):
        seen = np.zeros(len(part), bool)
        count = np.zeros(len(part), np.int64)
        for table, probe in zip(*np.nonzero(size), strict=True):
            bucket = part.rows[table, begin[table, probe] : begin[table, probe] + size[table, probe]]
            seen[bucket] = True
            if probe == 0:
                count[bucket] += 1
        found = np.flatnonzero(seen)
        rows.append(found + offset)
        shared.append(count[found])
        offset += len(part)
    result = np.concatenate(rows)
    return np.zeros(len(result), np.int64), result, np.concatenate(shared)
