"""Unit rows, and unit rows at a given cosine to others."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Rows = NDArray[np.float32]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture
def unit_rows(rng: np.random.Generator) -> Callable[[int, int], Rows]:
    def draw(n: int, dim: int) -> Rows:
        rows = rng.standard_normal((n, dim))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    return draw


@pytest.fixture
def turned(rng: np.random.Generator) -> Callable[[Rows, float], Rows]:
    def turn(rows: Rows, similarity: float) -> Rows:
        aside = rng.standard_normal(rows.shape)
        aside -= (aside * rows).sum(axis=1, keepdims=True) * rows
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        return (similarity * rows + np.sqrt(1 - similarity**2) * aside).astype(np.float32)

    return turn
