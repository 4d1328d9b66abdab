"""Every pair of rows above a similarity, by joining the rows of each bucket.

One table at a time: sort the signatures, so that a bucket is a run of equal ones; compare the rows of each run
exactly. Two rows at cosine s share a bucket of one table with probability p^bits, p = 1 - arccos(s) / pi, so
ceil(log(1 - recall) / log(1 - p^bits)) tables find them with probability `recall`, and more often above s. Extra
tables, not multi-probe: a table costs one matrix product and one sort of all rows, less than ordering every row's
probes does. How many bits is measured, not assumed: real embeddings crowd into few buckets, so the number that makes
hashing plus comparing cheapest is read off the bucket sizes of a first table.

Crowds. A million white images would make 10^12 pairs. A row with more than CROWD rows above the similarity in its
bucket becomes their representative: each is paired with it alone and takes no further part, so of a crowd come back
pairs found until then and (representative, member) for every member, each of them compared exactly. The same holds
once a row has collected more than CROWD pairs over several tables. A member's pairs with rows that are not similar
enough to its representative can be lost. Without crowds nothing is left out. The number of pairs is so bounded by about
100 a row, and memory by the rows, their signatures for a few tables, and the pairs.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput
from neardup.lsh.hyperplanes import draw_hyperplanes, signatures
from neardup.lsh.tables import MAX_ROWS
from neardup.lsh.tuning import same_side_probability
from neardup.search import ROUNDING

Rows = NDArray[np.int64]  # (m,) numbers of rows
PairBlock = tuple[Rows, Rows, NDArray[np.float32]]

CROWD = 64
# Rows tried as representatives of a bucket larger than CROWD, as often as that finds any, but at most so many times.
LEADERS = 16
CROWD_PASSES = 16
# A larger bucket, of rows unlike each other, is split by further bits: comparing it whole would take its square.
LARGEST_BUCKET = 1 << 12
MAX_DEPTH = 8
STORED_BITS = 32
# Before two rows are compared exactly, their sketches are: 128 further bits, which pairs far below the similarity
# differ in too often. A pair at the similarity is lost to that with the probability below.
SKETCH_WORDS = 2
SKETCH_LOSS = 1e-4
BLOCK_SKETCHES = 1 << 18
# Values of the rows compared at a time: 4 MiB of float32.
BLOCK_VALUES = 1 << 20
# Signatures held at a time, 8 bytes each.
BLOCK_SIGNATURES = 1 << 24
MAX_TABLES = 2048
# Seconds for a row's signature bit, for sorting a row, and for each pair of sketches, measured on 2 cores at 256
# dimensions; only their ratios matter.
BIT_COST, ROW_COST, PAIR_COST = 6e-9, 1.5e-7, 3e-8


def tables_for(similarity: float, *, bits: int, recall: float) -> int:
    """The fewest tables that bring two rows at this cosine together at least once with probability `recall`."""
    together = same_side_probability(similarity) ** bits
    # What comparing by sketch loses is made up for.
    wanted = min(recall + SKETCH_LOSS, (1 + recall) / 2)
    if together >= wanted:
        return 1
    return math.ceil(math.log1p(-wanted) / math.log1p(-together)) if together > 0 else MAX_TABLES + 1


def most_differing_bits(similarity: float) -> int:
    """The fewest bits such that the sketches of two rows at this cosine differ in more with probability SKETCH_LOSS."""
    bits, differ = 64 * SKETCH_WORDS, 1 - same_side_probability(similarity)
    within = 0.0
    for count in range(bits + 1):
        within += math.comb(bits, count) * differ**count * (1 - differ) ** (bits - count)
        if within >= 1 - SKETCH_LOSS:
            return count
    return bits


def find_pairs(
    embeddings: NDArray[np.floating],
    *,
    min_similarity: float,
    recall: float = 0.99,
    seed: int = 0,
    bits: int | None = None,
    tables: int | None = None,
) -> Iterator[PairBlock]:
    """Pairs of rows at this cosine or above, each once, in blocks as they are found.

    embeddings: (n, dim) floating unit rows; may be a float16 memory map
    recall:     expected of the pairs at exactly `min_similarity`; higher ones are found more often
    bits:       of a signature; None: those that make the least work, by the bucket sizes of one table
    tables:     None: as many as `recall` takes with these bits; a number needs bits
    yields:     a, b (p,) int64 with a < b, cosine similarities (p,) float32
    """
    if not 0 < recall < 1 or not -1 <= min_similarity <= 1:
        raise BadInput(
            f"recall={recall}, min_similarity={min_similarity}: recall between 0 and 1, similarity in [-1, 1]"
        )
    if len(embeddings) >= MAX_ROWS:
        raise BadInput(f"{len(embeddings)} rows: pairs are found among at most {MAX_ROWS - 1}")
    if (tables is not None and (bits is None or tables < 1)) or (bits is not None and not 1 <= bits <= STORED_BITS):
        raise BadInput(
            f"bits={bits}, tables={tables}: bits from 1 to {STORED_BITS}, and tables, from 1, with bits alone"
        )
    if bits is None:
        bits, tables = choose_bits(embeddings, min_similarity, recall, seed)
    elif tables is None:
        tables = tables_for(min_similarity, bits=bits, recall=recall)
        if tables > MAX_TABLES:
            raise BadInput(
                f"bits={bits}: takes more than {MAX_TABLES} tables at cosine {min_similarity}; give fewer bits"
            )
    return _Join(embeddings, min_similarity, seed).run(bits, tables)


def choose_bits(embeddings: NDArray[np.floating], min_similarity: float, recall: float, seed: int) -> tuple[int, int]:
    """Bits and tables with the least estimated work, from the bucket sizes of one table.

    0 bits and 1 table where opposite rows are to be found: only one bucket for all brings them together.
    """
    n, dim = embeddings.shape
    if n < 2:
        return 0, 1
    planes = draw_hyperplanes(tables=1, bits=STORED_BITS, dim=dim, seed=seed)
    # Each wide signature once: copies will be taken out as crowds, and must not speak for fewer, larger buckets.
    wide = np.unique(signatures(embeddings, planes)[:, 0])
    best = (math.inf, 0, 1)
    for bits in range(1, STORED_BITS + 1):
        tables = tables_for(min_similarity, bits=bits, recall=recall)
        if tables > MAX_TABLES:
            break
        _, sizes = _runs(wide >> np.uint64(STORED_BITS - bits))
        pairs = float((sizes * (sizes - 1) / 2).sum())
        best = min(best, (tables * (n * (bits * BIT_COST + ROW_COST) + pairs * PAIR_COST), bits, tables))
    return best[1], best[2]


@dataclass(frozen=True)
class _Rows:
    """Rows, and what they are compared by: a table's step is pure, and knows no other table."""

    embeddings: NDArray[np.floating]  # (n, dim)
    sketches: NDArray[np.uint64]  # (n, SKETCH_WORDS)
    most_differing: int  # bits of sketches of rows that are near enough
    least: np.float32  # cosine

    def pairs_in_buckets(self, rows: Rows, ends: NDArray[np.int64]) -> Iterator[tuple[Rows, Rows]]:
        """Pairs of one bucket whose sketches are near, in blocks (a, b).

        rows: (m,) by bucket, ascending in each; ends: (m,) where the bucket of each position ends
        """
        sketches = self.sketches.take(rows, axis=0)
        positions = np.flatnonzero(ends > np.arange(1, len(rows) + 1))
        distance = 1
        while len(positions):
            for start in range(0, len(positions), BLOCK_SKETCHES):
                first = positions[start : start + BLOCK_SKETCHES]
                differing = _count_bits(sketches.take(first, axis=0) ^ sketches.take(first + distance, axis=0))
                near = first[differing <= self.most_differing]
                yield rows[near], rows[near + distance]
            distance += 1
            positions = positions[ends[positions] > positions + distance]

    def sketched_near(self, row: int, others: Rows) -> Rows:
        """Those of the others whose sketches are near the row's."""
        differing = _count_bits(self.sketches.take(others, axis=0) ^ self.sketches[row])
        return others[differing <= self.most_differing]

    def similarities(self, a: Rows, b: Rows) -> NDArray[np.float32]:
        similarities: NDArray[np.float32] = np.einsum("ij,ij->i", self.values(a), self.values(b))
        return similarities

    def similarities_to(self, row: int, others: Rows) -> NDArray[np.float32]:
        return np.concatenate([self.values(part) @ self.values(row) for part in self.blocks(others)])

    def signatures(self, rows: Rows, planes: NDArray[np.float32]) -> NDArray[np.uint64]:
        """(m,) of one table."""
        return np.concatenate([signatures(self.values(part), planes)[:, 0] for part in self.blocks(rows)])

    def values(self, rows: Rows | int) -> NDArray[np.float32]:
        return np.asarray(np.take(self.embeddings, rows, axis=0), np.float32)

    def blocks(self, rows: Rows) -> Iterator[Rows]:
        block = max(1, BLOCK_VALUES // self.embeddings.shape[1])
        for start in range(0, len(rows), block):
            yield rows[start : start + block]


class _Crowds:
    """What the tables so far have found, and which rows still take part: of a crowd its representative alone."""

    def __init__(self, rows: int) -> None:
        self.active = np.ones(rows, bool)
        self._rows = rows
        self._degree = np.zeros(rows, np.int64)
        self._found = np.empty(0, np.int64)  # a * n + b, ascending
        self._new: list[NDArray[np.int64]] = []  # the same, of the table at work

    def unfound(self, a: Rows, b: Rows) -> NDArray[np.bool_]:
        """Which pairs no earlier table has found."""
        keys = a * self._rows + b
        if not len(self._found):
            return np.ones(len(keys), bool)
        place = np.minimum(np.searchsorted(self._found, keys), len(self._found) - 1)
        unknown: NDArray[np.bool_] = self._found[place] != keys
        return unknown

    def remember(self, a: Rows, b: Rows) -> None:
        self._new.append(a * self._rows + b)

    def settle(self) -> None:
        """After a table: remember its pairs, and let the neighbours of rows that have too many take no further part."""
        if not self._new:
            return
        n = self._rows
        new = np.concatenate(self._new)
        self._new = []
        self._degree += np.bincount(new // n, minlength=n) + np.bincount(new % n, minlength=n)
        self._found = np.concatenate([self._found, new])
        self._found.sort()
        hubs = np.flatnonzero(self.active & (self._degree > CROWD))
        if not len(hubs):
            return
        is_hub = np.zeros(n, bool)
        is_hub[hubs] = True
        a, b = self._found // n, self._found % n
        hub = np.concatenate([a[is_hub[a]], b[is_hub[b]]])
        neighbour = np.concatenate([b[is_hub[a]], a[is_hub[b]]])
        order = np.argsort(hub, kind="stable")
        hub, neighbour = hub[order], neighbour[order]
        # The largest first; a hub that was a neighbour of a larger one is no hub any more.
        for row in hubs[np.argsort(-self._degree[hubs], kind="stable")].tolist():
            if self.active[row]:
                self.active[neighbour[np.searchsorted(hub, row) : np.searchsorted(hub, row, side="right")]] = False


class _Join:
    """One run, table after table."""

    def __init__(self, embeddings: NDArray[np.floating], min_similarity: float, seed: int) -> None:
        self.embeddings = embeddings
        self.min_similarity = min_similarity
        self.seed = seed
        self.crowds = _Crowds(len(embeddings))
        self.table = 0

    def run(self, bits: int, tables: int) -> Iterator[PairBlock]:
        n, dim = self.embeddings.shape
        if n < 2:
            return
        planes = draw_hyperplanes(tables=SKETCH_WORDS, bits=64, dim=dim, seed=self.seed + 1)
        self.rows = _Rows(
            self.embeddings,
            signatures(self.embeddings, planes),
            most_differing_bits(self.min_similarity),
            np.float32(self.min_similarity - ROUNDING),
        )
        for hashed in self._tables(bits, tables):
            rows = np.flatnonzero(self.crowds.active)
            yield from self._join(rows, hashed[rows], depth=0)
            self.crowds.settle()
            self.table += 1

    def _tables(self, bits: int, tables: int) -> Iterator[NDArray[np.uint64]]:
        """Signatures (n,) of each table."""
        n, dim = self.embeddings.shape
        if bits == 0:
            yield np.zeros(n, np.uint64)
            return
        group = max(1, min(16, BLOCK_SIGNATURES // n))
        planes = draw_hyperplanes(tables=tables, bits=bits, dim=dim, seed=self.seed)
        for start in range(0, tables, group):
            yield from signatures(self.embeddings, planes[start : start + group]).T

    def _join(self, rows: Rows, hashed: NDArray[np.uint64], *, depth: int) -> Iterator[PairBlock]:
        """Compare the rows (ascending) of equal signature."""
        # Signature and row in one key: rows ascend within a bucket, so that a < b comes of itself.
        keys = (hashed << np.uint64(32)) | rows.astype(np.uint64)
        keys.sort()
        rows, ordered = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64), keys >> np.uint64(32)
        starts, sizes = _runs(ordered)
        large = sizes > CROWD
        if large.any():
            for start, size in zip(starts[large].tolist(), sizes[large].tolist(), strict=True):
                yield from self._join_crowds(rows[start : start + size])
            kept = self.crowds.active[rows]
            rows, ordered = rows[kept], ordered[kept]
            starts, sizes = _runs(ordered)
        ends = np.repeat(starts + sizes, sizes)
        for start, size in zip(starts[sizes > LARGEST_BUCKET], sizes[sizes > LARGEST_BUCKET], strict=True):
            bucket = slice(start, start + size)
            if depth < MAX_DEPTH:
                yield from self._join(rows[bucket], self._split(rows[bucket], depth), depth=depth + 1)
                ends[bucket] = 0
            else:
                ends[bucket] = np.minimum(
                    ends[bucket], start + (np.arange(size) // LARGEST_BUCKET + 1) * LARGEST_BUCKET
                )
        for a, b in self.rows.pairs_in_buckets(rows, ends):
            yield from self._compare(a, b)

    def _split(self, rows: Rows, depth: int) -> NDArray[np.uint64]:
        """Signatures of further bits, others in each table, for the rows of a bucket that is too large."""
        bits = math.ceil(math.log2(len(rows) / LARGEST_BUCKET)) + 1
        seed = self.seed + 2 + self.table * MAX_DEPTH + depth
        planes = draw_hyperplanes(tables=1, bits=bits, dim=self.embeddings.shape[1], seed=seed)
        return self.rows.signatures(rows, planes)

    def _compare(self, a: Rows, b: Rows) -> Iterator[PairBlock]:
        """Of these pairs, those above the similarity that no earlier table has found."""
        fresh = np.flatnonzero(self.crowds.unfound(a, b))
        for part in self.rows.blocks(fresh):
            yield from self._report(a[part], b[part], self.rows.similarities(a[part], b[part]))

    def _report(self, a: Rows, b: Rows, similarities: NDArray[np.float32]) -> Iterator[PairBlock]:
        near = similarities >= self.rows.least
        if near.any():
            a, b = a[near], b[near]
            self.crowds.remember(a, b)
            yield a, b, np.clip(similarities[near], -1, 1)

    def _join_crowds(self, rows: Rows) -> Iterator[PairBlock]:
        """Pair the rows that resemble a representative with it, and let them take no further part."""
        active = self.crowds.active
        for _ in range(CROWD_PASSES):
            leaders = rows[np.linspace(0, len(rows) - 1, LEADERS).astype(np.int64)]
            crowded = False
            for leader in leaders.tolist():
                if not active[leader]:
                    continue
                # By sketch, then exactly, and only where enough are left.
                others = self.rows.sketched_near(leader, rows[active[rows] & (rows != leader)])
                if len(others) <= CROWD:
                    continue
                similarities = self.rows.similarities_to(leader, others)
                members = others[similarities >= self.rows.least]
                if len(members) > CROWD:
                    crowded = True
                    active[members] = False
                    a, b = np.minimum(leader, others), np.maximum(leader, others)
                    fresh = self.crowds.unfound(a, b)
                    yield from self._report(a[fresh], b[fresh], similarities[fresh])
            rows = rows[active[rows]]
            if not crowded or len(rows) <= CROWD:
                break


def _runs(ordered: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and lengths of the runs of equal values."""
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return starts, np.diff(starts, append=len(ordered))


def _count_bits(sketches: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Bits set in each sketch (n, 2)."""
    if hasattr(np, "bitwise_count"):
        counts = np.bitwise_count(sketches)
        in_either: NDArray[np.uint8] = counts[:, 0] + counts[:, 1]
    else:  # NumPy 1.26
        in_either = np.unpackbits(sketches.view(np.uint8), axis=1).sum(axis=1, dtype=np.uint8)
    return in_either
