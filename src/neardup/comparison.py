"""Two images: how similar, and is one a copy of the other?"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neardup.embedding import Embedder
from neardup.images import load_image
from neardup.search import ROUNDING


@dataclass(frozen=True)
class Comparison:
    a: str
    b: str
    similarity: float  # cosine, -1 to 1
    l2: float  # distance on the unit sphere, 0 to 2: the root of 2 - 2 * similarity
    duplicate: bool
    threshold: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def compare_images(a: Path, b: Path, embedder: Embedder, min_similarity: str | float) -> Comparison:
    """Compare two image files; raises UnreadableImage, or BadInput for a threshold that the model has not."""
    threshold = embedder.model.threshold(min_similarity)
    size = embedder.model.input_size
    first, second = embedder.embed([load_image(path, size=size) for path in (a, b)]).astype(np.float64)
    similarity = float(np.clip(first @ second, -1.0, 1.0))
    is_duplicate = similarity >= threshold - ROUNDING
    distance = float(np.linalg.norm(first - second))
    return Comparison(os.path.abspath(a), os.path.abspath(b), similarity, distance, is_duplicate, threshold)
