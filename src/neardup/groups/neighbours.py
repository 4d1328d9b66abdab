"""Pairs of contents that may be duplicates, by the cosine of their embeddings."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.groups.images import Images
from neardup.lsh import find_pairs

# Of the pairs exactly at the similarity, the share that the tables find; of closer ones more.
RECALL = 0.99
# The embeddings are float16: find_pairs must not lose a pair to their rounding, which the final similarity undoes.
_ROUNDING = 5e-4
# Contents up to which comparing all with all is faster than the tables at FLOOR.
EXACT_CONTENTS = 200_000
# Of each content, so many candidates at the most, the closest from each cosine on: 97 of 100 edited copies reach 0.40,
# with less than one stranger a photo. Small crops, and pictures with another laid over them, lie below, but closer than
# most strangers do.
TIERS = ((0.40, 64), (0.33, 6))
FLOOR = min(floor for floor, _ in TIERS)
# Above EXACT_CONTENTS, since there the pairs of strangers grow with the square of the collection.
TABLES_FLOOR = 0.70
# The same for what is close to a part of a picture, where parts were indexed: few are pasted into anything.
PARTS_TIERS = ((0.40, 24),)
# Cosine below which nearly all candidates are strangers: they come last, and in an order in which the sketches of two
# blocks of contents are enough at any time.
WEAK, _BLOCK_CONTENTS = 0.5, 10_000
_BLOCK_VALUES = 1 << 24


@dataclass(frozen=True)
class Pairs:
    """p pairs of contents, a < b, by falling similarity, then a, then b; weak ones block by block."""

    a: NDArray[np.int64]  # (p,)
    b: NDArray[np.int64]
    similarities: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True)
class Neighbours:
    """Of content c: contents[starts[c] : starts[c + 1]], ascending, and their similarities."""

    starts: NDArray[np.int64]
    contents: NDArray[np.int32]
    similarities: NDArray[np.float64]

    def of(self, content: int) -> slice:
        return slice(int(self.starts[content]), int(self.starts[content + 1]))


# Of the unit embeddings and first rows: the pairs of each block (`pairs_of_block`), in any order.
ExactPairs = Callable[[NDArray[np.float32], Sequence[int]], Iterable[NDArray[np.int64]]]


def propose(
    images: Images,
    exact_pairs: ExactPairs | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Pairs, float]:
    """Candidates for a look at the pictures, and the cosine from which on they were proposed.

    exact_pairs: does the products, in place of this process
    on_progress: called with the contents that were compared with all others, and how many there are
    """
    if len(images) <= EXACT_CONTENTS:
        unit = images.unit()
        starts = range(0, len(unit), rows_of_block(len(unit)))
        found = exact_pairs(unit, starts) if exact_pairs else (pairs_of_block(unit, start) for start in starts)
        keys = [np.empty(0, np.int64)]
        for done, block in enumerate(found, 1):
            keys.append(block)
            on_progress(min(done * rows_of_block(len(unit)), len(unit)), len(unit))
        exact = np.unique(np.concatenate(keys))
        near = _of_one_kind(images, np.union1d(exact, _pairs_by_parts(images)))
        return _ordered(images, near // len(images), near % len(images)), FLOOR
    pairs = pairs_above(images, TABLES_FLOOR)
    return pairs, TABLES_FLOOR


def pairs_above(images: Images, min_similarity: float) -> Pairs:
    """Every pair at this cosine or above that the tables find; of a crowd only the pairs with its representative."""
    parts_a, parts_b = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    least = max(-1.0, min_similarity - _ROUNDING)
    for a, b, _ in find_pairs(images.embeddings, min_similarity=least, recall=RECALL):
        near = (images.similarities(a, b) >= min_similarity) & (images.raw[a] == images.raw[b])
        parts_a.append(a[near])
        parts_b.append(b[near])
    return _ordered(images, np.concatenate(parts_a), np.concatenate(parts_b))


def _of_one_kind(images: Images, keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Without pairs of a RAW file and another: a RAW is no duplicate of its JPEG, and has only its preview to show."""
    n = max(len(images), 1)
    kept: NDArray[np.int64] = keys[images.raw[keys // n] == images.raw[keys % n]]
    return kept


def neighbours_of(pairs: Pairs, contents: int) -> Neighbours:
    source = np.concatenate([pairs.a, pairs.b])
    target = np.concatenate([pairs.b, pairs.a]).astype(np.int32)
    order = np.lexsort((target, source))
    starts = np.searchsorted(source[order], np.arange(contents + 1))
    values = np.concatenate([pairs.similarities, pairs.similarities])
    return Neighbours(starts, target[order], values[order])


def _pairs_by_parts(images: Images) -> NDArray[np.int64]:
    """Pairs of contents of which one is close to a part of the other, as `pairs_of_block` gives them.

    Where the index has embeddings of parts: what was pasted into a picture resembles that part of it.
    """
    rows, parts = images.index.parts()
    known = np.isin(rows, images.rows)
    rows, parts = rows[known], parts[known]
    if not len(rows):
        return np.empty(0, np.int64)
    n = len(images)
    by_row = np.argsort(images.rows)
    contents = by_row[np.searchsorted(images.rows[by_row], rows)]
    unit = images.unit()
    keys = [np.empty(0, np.int64)]
    block = max(1, _BLOCK_VALUES // max(n, 1))
    for start in range(0, len(contents), block):
        own = contents[start : start + block]
        closest = np.full((len(own), n), -1, np.float32)
        for part in range(parts.shape[1]):
            values = _finite(parts[start : start + block, part])
            values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
            np.maximum(closest, values @ unit.T, out=closest)
        closest[np.arange(len(own)), own] = -2  # itself
        local, columns = _near(closest, PARTS_TIERS)
        keys.append(np.minimum(own[local], columns) * n + np.maximum(own[local], columns))
    return np.unique(np.concatenate(keys))


def _finite(values: NDArray[np.float16]) -> NDArray[np.float32]:
    """Numbers that are none, as in a damaged catalogue, resemble nothing."""
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def rows_of_block(n: int) -> int:
    """Rows whose products with all n are made at a time: 64 MiB of float32."""
    return max(1, _BLOCK_VALUES // max(n, 1))


def pairs_of_block(unit: NDArray[np.float32], start: int) -> NDArray[np.int64]:
    """Pairs of a content of this block with any, at a floor or above, that are among the `most` closest of the former.

    unit: (n, dim), of unit length; returns a * n + b, a < b, each once
    """
    n = len(unit)
    products: NDArray[np.float32] = unit[start : start + rows_of_block(n)] @ unit.T
    products[np.arange(len(products)), np.arange(start, start + len(products))] = -2  # itself
    rows, columns = _near(products, TIERS)
    rows = rows + start
    return np.unique(np.minimum(rows, columns) * n + np.maximum(rows, columns))


def _near(
    products: NDArray[np.float32], tiers: Sequence[tuple[float, int]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the products that are at a tier's floor or above, of each row its `most` largest; pairs that
    several tiers have come several times."""
    rows, columns = np.nonzero(products >= min(floor for floor, _ in tiers))
    values = products[rows, columns]
    kept_rows, kept_columns = [], []
    for floor, most in tiers:
        high = values >= floor
        near, at = rows[high], columns[high]
        counts = np.bincount(near, minlength=len(products))
        if counts.max(initial=0) > most:
            near, at = _closest(near, at, values[high], counts, most)
        kept_rows.append(near)
        kept_columns.append(at)
    return np.concatenate(kept_rows), np.concatenate(kept_columns)


def _closest(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.float32],
    counts: NDArray[np.int64],
    most: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each row its `most` closest columns; among equals the first ones, so that a crowd shares them."""
    few = counts[rows] <= most
    kept_rows, kept_columns = [rows[few]], [columns[few]]
    starts = np.concatenate([[0], np.cumsum(counts)])
    for row in np.flatnonzero(counts > most):
        own = slice(starts[row], starts[row + 1])
        hits = columns[own]
        # To 1e-5, so that equal pictures are equal here, however the product was summed; value and column in one key.
        keys = np.rint(-1e5 * values[own]).astype(np.int64) * (1 << 32) + hits
        kept_rows.append(np.full(most, row, np.int64))
        kept_columns.append(hits[np.argpartition(keys, most)[:most]])
    return np.concatenate(kept_rows), np.concatenate(kept_columns)


def _ordered(images: Images, a: NDArray[np.int64], b: NDArray[np.int64]) -> Pairs:
    similarities = images.similarities(a, b)
    weak = similarities < WEAK
    blocks = [np.where(weak, side // _BLOCK_CONTENTS, 0) for side in (b, a)]
    order = np.lexsort((b, a, -similarities, *blocks, weak))
    return Pairs(a[order], b[order], similarities[order])
