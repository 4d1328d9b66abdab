"""Exact cosine similarity: of a query's candidates, or of every row (the yardstick).

Embeddings are (n, dim) floating with unit rows, in memory or a float16 memory map; they are gathered and converted to
float32 in bounded blocks, so that memory does not grow with the number of rows.
"""

from typing import overload

import numpy as np
from numpy.typing import NDArray

# Values of one block: 1 Mi float32, 4 MiB, which stays in a cache of ordinary size.
BLOCK_VALUES = 1 << 20


def rerank(
    embedding: NDArray[np.float32], embeddings: NDArray[np.floating], rows: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k most similar of these rows, best first; equal similarities in ascending row order.

    embedding: (dim,) float32, a unit vector
    rows:      (c,) int64, each at most once
    returns:   rows (min(k, c),) int64, cosine similarities, same shape, float32
    """
    similarities = similarities_of(embedding, embeddings, rows)
    best = best_first(similarities, rows, k=k)
    return rows[best], similarities[best]


def exact(
    embedding: NDArray[np.float32], embeddings: NDArray[np.floating], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """`rerank` over every row, read in order."""
    similarities = np.empty(len(embeddings), np.float32)
    block = max(1, BLOCK_VALUES // max(1, embeddings.shape[1]))
    for start in range(0, len(embeddings), block):
        similarities[start : start + block] = _cosines(embedding, embeddings[start : start + block])
    np.clip(similarities, -1, 1, out=similarities)
    rows = best_first(similarities, k=k)
    return rows, similarities[rows]


def similarities_of(
    embedding: NDArray[np.float32], embeddings: NDArray[np.floating], rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Cosine similarity of the embedding to each of these rows: (c,) float32 in [-1, 1]."""
    result = np.empty(len(rows), np.float32)
    block = max(1, BLOCK_VALUES // max(1, embeddings.shape[1]))
    for start in range(0, len(rows), block):
        result[start : start + block] = _cosines(embedding, np.take(embeddings, rows[start : start + block], axis=0))
    return np.clip(result, -1, 1, out=result)


def _cosines(embedding: NDArray[np.float32], rows: NDArray[np.floating]) -> NDArray[np.float32]:
    with np.errstate(invalid="ignore"):  # a damaged row gives NaN, which callers look for
        part = np.asarray(rows, np.float32)
        similarities: NDArray[np.float32] = part @ embedding
        if rows.dtype == np.float16:
            # Rounded rows are not quite of unit length, and an image would not be at 1.0 to itself.
            similarities /= np.sqrt(np.einsum("ij,ij->i", part, part))
    return similarities


# What the cosine of an image with itself may fall short of 1 by, in float32.
ROUNDING = 1e-6


@overload
def reaches(similarity: float, threshold: float) -> bool: ...


@overload
def reaches(similarity: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]: ...


def reaches(similarity: float | NDArray[np.floating], threshold: float) -> bool | NDArray[np.bool_]:
    """Whether a cosine is at a threshold or above, but for rounding: an image is at 1 to itself."""
    return similarity >= threshold - ROUNDING


def best_first(similarities: NDArray[np.float32], *tie_breakers: NDArray[np.generic], k: int) -> NDArray[np.int64]:
    """Positions of the k largest, best first; among equals the smaller tie breakers, then the earlier position."""
    if k < 1 or not len(similarities):
        return np.empty(0, np.int64)
    # Everything that ties with the k-th stays in, so that the tie breakers decide.
    kth = len(similarities) - k
    positions = np.flatnonzero(similarities >= np.partition(similarities, kth)[kth] if kth > 0 else similarities >= -2)
    keys = [positions, *(breaker[positions] for breaker in reversed(tie_breakers)), -similarities[positions]]
    order: NDArray[np.int64] = positions[np.lexsort(keys)[:k]]
    return order
