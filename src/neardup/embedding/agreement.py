"""Whether two ways to run a model give the same embeddings."""

import numpy as np
from numpy.typing import NDArray

# Cosine between two engines' rows of one picture from which nobody need care which of them made it: similarities then
# differ in the fourth decimal. bfloat16 comes to 0.9999 with the shipped model.
AGREEMENT = 0.9995


def smallest_similarity(rows: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """The worst cosine between rows of the same number; -1 where a row is not finite or not a unit row.

    rows, reference: (n, dim) float32
    """
    if rows.shape != reference.shape or not np.isfinite(rows).all():
        return -1.0
    if np.abs(np.linalg.norm(rows, axis=1) - 1).max() > 1e-2:
        return -1.0
    return float((rows * reference).sum(axis=1).min())
