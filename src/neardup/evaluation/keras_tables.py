"""The Keras example's hash tables, to be measured against: Python dictionaries, a loop for everything.

https://keras.io/examples/vision/near_dup_search/ draws 8 hyperplanes for each of 10 tables, files every image under
its bucket in each, and scores a query by how often an image shares its bucket. The steps are the example's, in its
order; among them is the division of the counts by the embedding's size, which makes its "Jaccard score" nearly zero.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BITS = 8
TABLES = 10


def _bucket(signs: NDArray[np.bool_]) -> int:
    number = 0
    for bit, sign in enumerate(signs):
        if sign:
            number += 1 << bit
    return number


class DictTables:
    """Ten dictionaries of lists."""

    def __init__(self, dim: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.dim = dim
        self._planes = [rng.standard_normal((dim, BITS)) for _ in range(TABLES)]
        self._tables: list[dict[int, list[dict[str, Any]]]] = [{} for _ in range(TABLES)]

    def add(self, number: int, embedding: NDArray[np.float32]) -> None:
        entry = {"image": f"{number}"}
        for planes, table in zip(self._planes, self._tables, strict=True):
            table.setdefault(_bucket(np.dot(embedding, planes) > 0), []).append(entry)

    def hits(self, embedding: NDArray[np.float32]) -> int:
        """Entries in the query's buckets, over all tables: what the example prints as `Matches`."""
        buckets = zip(self._planes, self._tables, strict=True)
        return sum(len(table.get(_bucket(np.dot(embedding, planes) > 0), [])) for planes, table in buckets)

    def query(self, embedding: NDArray[np.float32], k: int) -> list[tuple[str, float]]:
        """The k entries that share most buckets, with their scores."""
        found: list[dict[str, Any]] = []
        for planes, table in zip(self._planes, self._tables, strict=True):
            found.extend(table.get(_bucket(np.dot(embedding, planes) > 0), []))
        counts: dict[str, int] = {}
        for entry in found:
            counts[entry["image"]] = counts.get(entry["image"], 0) + 1
        scores = {image: count / self.dim for image, count in counts.items()}
        return sorted(scores.items(), key=lambda item: item[1], reverse=True)[:k]
