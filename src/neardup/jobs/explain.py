"""Why two images match: similarity, shared buckets, and what was done to one of them to make the other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.embedding import load_embedder
from neardup.images import load_image
from neardup.index import Index
from neardup.index.catalog import Hashing
from neardup.index.writer import HASHING
from neardup.jobs.compare import Comparison, compare_with
from neardup.lsh import draw_hyperplanes, signatures, tune
from neardup.sources import read_stored

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
    comparison: Comparison
    shared: Shared


def explain(
    a: Path,
    b: Path,
    *,
    index: Path | None = None,
    model: str = "default",
    engine: str = "auto",
    min_similarity: str | float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Explanation:
    """Compare two image files, and say how an index would find one from the other.

    index: whose hash tables are meant; None, or one of another model: those of an index of TYPICAL_ROWS images
    Raises UnreadableImage with the path, BadInput, DamagedIndex.
    """
    embedder = load_embedder(model, engine, images=2)
    comparison = compare_with(embedder, a, b, min_similarity, say)
    size = embedder.model.input_size
    first, second = embedder.embed([load_image(read_stored(path), size=size) for path in (a, b)])
    hashing, bits = hashing_for(index, embedder.model.digest)
    return Explanation(comparison, shared_buckets(first, second, hashing, bits=bits))


def hashing_for(folder: Path | None, digest: str) -> tuple[Hashing, int]:
    """How the index in this folder hashes, and the bits of its buckets; where there is none, or one of another model,
    what an index of TYPICAL_ROWS images would have. Raises BadInput, DamagedIndex."""
    if folder is not None:
        with Index.open(folder) as index:
            is_meant = index.model is not None and index.model.digest == digest
            if is_meant and index.hashing is not None and index.bits is not None:
                return index.hashing, index.bits
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
