"""Whether two ways to run a model give the same embeddings."""

import numpy as np
from numpy.typing import NDArray

# Cosine between two engines' rows of one photo from which nobody need care which of them made it: similarities differ
# in the fourth decimal. bfloat16 comes to 0.99995 with the shipped model (the worst of 600 photos 0.9997); pictures of
# one colour, which leave group normalisation nothing but rounding, come to 0.998.
AGREEMENT = 0.9995


def similarities(rows: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine of each row to the one beside it; -1 for all where a row is not finite or not a unit row.

    rows, reference: (n, dim) float32
    returns:         (n,) float32
    """
    if (
        rows.shape != reference.shape
        or not np.isfinite(rows).all()
        or np.abs(np.linalg.norm(rows, axis=1) - 1).max() > 1e-2
    ):
        return np.full(len(reference), -1, np.float32)
    return np.asarray((rows * reference).sum(axis=1))


def smallest_similarity(rows: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """The worst of `similarities`."""
    return float(similarities(rows, reference).min())


def with_direction(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(n,) whether each row is a unit row: a network without a bias gives nothing at all for a black picture."""
    return np.asarray(np.linalg.norm(rows, axis=1) > 0.5)
