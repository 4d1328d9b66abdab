"""Why two images match: similarity, shared buckets, and what was done to one of them to make the other."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.index import Index, catalog
from neardup.index.catalog import Hashing
from neardup.index.store import CATALOG
from neardup.index.writer import HASHING
from neardup.lsh import draw_hyperplanes, signatures, tune
from neardup.matching.colours import Colours, compare_colours, lay_over
from neardup.matching.geometry import Alignment, Box, align, load_picture

__all__ = ["Alignment", "Box", "Colours", "Explanation", "Shared", "explain", "hashing_for", "shared_buckets"]

# Without an index: the bits of a bucket grow with the number of images.
TYPICAL_ROWS = 100_000


@dataclass(frozen=True)
class Shared:
    """Buckets that both images fall into."""

    tables: int  # m
    of: int  # L
    bits: int

    @property
    def jaccard(self) -> float:
        return self.tables / (2 * self.of - self.tables)


@dataclass(frozen=True)
class Explanation:
    a: Path
    b: Path
    similarity: float
    threshold: float
    shared: Shared
    size_a: tuple[int, int]  # width, height in pixels, upright
    size_b: tuple[int, int]
    alignment: Alignment | None  # None: no reliable one was found
    colours: Colours | None

    @property
    def duplicate(self) -> bool:
        return self.similarity >= self.threshold


def hashing_for(folder: Path | None, digest: str) -> tuple[Hashing, int]:
    """How the index in this folder hashes, and the bits of its buckets; where there is none, or one of another model,
    what an index of TYPICAL_ROWS images would have. Raises BadInput, DamagedIndex."""
    if folder is not None:
        with Index.open(folder) as index:
            if index.model is not None and index.model.digest == digest and index.bits is not None:
                with closing(catalog.open_to_read(folder)) as connection:
                    settings = catalog.read_settings(connection, folder / CATALOG)
                if settings is not None:
                    return settings[1], index.bits
    return HASHING, tune(TYPICAL_ROWS, tables=HASHING.tables, stored_bits=HASHING.bits).bits


def shared_buckets(first: NDArray[np.float32], second: NDArray[np.float32], hashing: Hashing, *, bits: int) -> Shared:
    """In how many tables two embeddings share the bucket of `bits` bits.

    first, second: (dim,) float32, of unit length
    """
    planes = draw_hyperplanes(tables=hashing.tables, bits=hashing.bits, dim=len(first), seed=hashing.seed)
    # float16, as an index keeps them.
    stored = signatures(np.stack([first, second]).astype(np.float16), planes)
    buckets = stored >> np.uint64(hashing.bits - bits)
    return Shared(int((buckets[0] == buckets[1]).sum()), hashing.tables, bits)


def explain(a: Path, b: Path, *, similarity: float, threshold: float, shared: Shared) -> Explanation:
    """Find what was done to A to make B; raises UnreadableImage."""
    picture_a, picture_b = load_picture(a), load_picture(b)
    alignment = align(picture_a, picture_b)
    return Explanation(
        a=a,
        b=b,
        similarity=similarity,
        threshold=threshold,
        shared=shared,
        size_a=(picture_a.width, picture_a.height),
        size_b=(picture_b.width, picture_b.height),
        alignment=alignment,
        colours=compare_colours(picture_b, lay_over(picture_a, picture_b, alignment)) if alignment else None,
    )
