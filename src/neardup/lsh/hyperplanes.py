"""Random hyperplanes and the signatures they give: sign random projections (Charikar, STOC 2002)."""

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput

MAX_BITS = 64
# Of what an index may hold. Sizes of arrays follow from it, and indexes and models come from anywhere.
LARGEST_DIM = 8192
# Projections in memory at a time: 4 Mi float32, 16 MiB.
BLOCK_PROJECTIONS = 1 << 22


def draw_hyperplanes(*, tables: int, bits: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    """Gaussian hyperplanes through the origin; the first tables are the same whatever the number of tables.

    returns: (tables, bits, dim) float32
    raises:  BadInput for a size below 1, more than 64 bits, or a negative seed
    """
    if min(tables, bits, dim) < 1 or bits > MAX_BITS:
        raise BadInput(f"tables={tables}, bits={bits}, dim={dim}: each must be at least 1, and bits at most {MAX_BITS}")
    if seed < 0:
        raise BadInput(f"seed={seed}: must not be negative")
    return np.random.default_rng(seed).standard_normal((tables, bits, dim), dtype=np.float32)


def signatures(embeddings: NDArray[np.floating], hyperplanes: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Hash every embedding once per table.

    embeddings:  (n, dim) floating, unit rows; may be a float16 memory map
    hyperplanes: (tables, bits, dim) float32, bits <= 64
    returns:     (n, tables) uint64; bit b is set where the dot product with hyperplane b is > 0
    """
    tables, bits, dim = hyperplanes.shape
    planes = hyperplanes.reshape(tables * bits, dim).T
    result = np.zeros((len(embeddings), tables), np.uint64)
    # Little-endian bit order puts bit b of the signature at bit b of the byte string, whatever the number of bits.
    packed = np.zeros((0, tables, 8), np.uint8)
    block = max(1, BLOCK_PROJECTIONS // (tables * bits))
    for start in range(0, len(embeddings), block):
        part = np.asarray(embeddings[start : start + block], np.float32)
        if len(packed) != len(part):
            packed = np.zeros((len(part), tables, 8), np.uint8)
        positive = (part @ planes > 0).reshape(len(part), tables, bits)
        packed[:, :, : (bits + 7) // 8] = np.packbits(positive, axis=2, bitorder="little")
        result[start : start + block] = packed.view("<u8")[:, :, 0]
    return result
