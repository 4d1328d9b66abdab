"""Sign codes: a few bytes for each embedding, searched by Hamming distance as a first stage before exact cosines.

Two unit rows at angle a differ in a share a / pi of the bits (Charikar 2002). Hyperplanes that are orthogonal to each
other, as many at a time as there are dimensions, bring less chance into that share (Ji et al., "Super-Bit LSH", 2012).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput
from neardup.lsh.hyperplanes import draw_hyperplanes, signatures

WORD = 64
MAX_CODE_BITS = 4096
# Codes compared at a time: 1 MiB of words.
_BLOCK_WORDS = 1 << 17


@dataclass(frozen=True)
class SignCodes:
    """The codes of n rows, in words of 64 bits."""

    words: NDArray[np.uint64]  # (n, bits / 64)
    hyperplanes: NDArray[np.float32]  # (bits / 64, 64, dim)

    @classmethod
    def build(cls, parts: Iterable[NDArray[np.floating]], *, bits: int, dim: int, seed: int = 0) -> "SignCodes":
        """Code rows, which are numbered across the parts.

        parts: (n, dim) floating, unit rows; may be float16 memory maps
        bits:  of a code, a multiple of 64; raises BadInput for others
        """
        planes = _orthogonal(bits, dim, seed)
        words = [signatures(part, planes) for part in parts]
        return cls(np.concatenate(words) if words else np.empty((0, bits // WORD), np.uint64), planes)

    @property
    def bytes_per_row(self) -> int:
        return int(self.words.shape[1]) * 8

    def distances(self, embedding: NDArray[np.floating]) -> NDArray[np.uint16]:
        """Of every row's code to that of an embedding (dim,): in how many bits they differ, (n,)."""
        code = signatures(embedding[None], self.hyperplanes)
        result = np.empty(len(self.words), np.uint16)
        block = max(1, _BLOCK_WORDS // self.words.shape[1])
        for start in range(0, len(result), block):
            differing = self.words[start : start + block] ^ code
            result[start : start + block] = count_bits(differing).sum(axis=1, dtype=np.uint16)
        return result

    def nearest(
        self, embedding: NDArray[np.floating], first: int, among: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """The `first` rows nearest by Hamming distance, ascending; of rows as near as the last one the earlier.

        among: rows to choose from, ascending; None: all
        """
        distances = self.distances(embedding)
        rows = np.arange(len(distances)) if among is None else among
        distances = distances[rows]
        if first >= len(rows):
            return rows
        last = np.partition(distances, first - 1)[first - 1]
        nearer, tied = np.flatnonzero(distances < last), np.flatnonzero(distances == last)
        return np.sort(rows[np.concatenate([nearer, tied[: first - len(nearer)]])])


def check_code_bits(bits: int) -> None:
    if not (0 < bits <= MAX_CODE_BITS and bits % WORD == 0):
        raise BadInput(f"codes of {bits} bits: a multiple of {WORD}, up to {MAX_CODE_BITS}")


def count_bits(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """How many bits of each word are set, same shape."""
    if hasattr(np, "bitwise_count"):  # from NumPy 2 on
        counts: NDArray[np.uint8] = np.bitwise_count(words)
        return counts
    return count_bits_by_table(words)


def count_bits_by_table(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """`count_bits` where NumPy cannot count: a look-up for each 16 bits."""
    halves = _ones()[np.ascontiguousarray(words).view(np.uint16)]
    counts: NDArray[np.uint8] = halves.reshape(*words.shape, 4).sum(axis=-1, dtype=np.uint8)
    return counts


@lru_cache(maxsize=1)
def _ones() -> NDArray[np.uint8]:
    bits = np.unpackbits(np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2), axis=1)
    ones: NDArray[np.uint8] = bits.sum(axis=1, dtype=np.uint8)
    return ones


def _orthogonal(bits: int, dim: int, seed: int) -> NDArray[np.float32]:
    """(bits / 64, 64, dim) hyperplanes, each `dim` of them orthogonal to each other."""
    check_code_bits(bits)
    drawn = draw_hyperplanes(tables=bits // WORD, bits=WORD, dim=dim, seed=seed).reshape(bits, dim)
    parts = [np.linalg.qr(drawn[start : start + dim].T)[0].T for start in range(0, bits, dim)]
    return np.concatenate(parts).astype(np.float32).reshape(bits // WORD, WORD, dim)
