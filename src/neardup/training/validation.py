"""Validation while training: photos that were held back are attacked, and searched for."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.preprocess import preprocess

# Few enough for a minute on two cores: 60 photos in 10 attacks, and a gallery of 600.
GALLERY, QUERIES, NEGATIVES = 600, 60, 150


def validation_on(
    photos: Sequence[Path], input_size: int
) -> Callable[[Callable[[NDArray[np.uint8]], NDArray[np.float32]]], dict[str, float]]:
    """A function that judges a network on these photos, with the fast part of the evaluation suite.

    It takes a function from (n, size, size, 3) uint8 to (n, dim) embeddings, and returns the figures by name.
    """
    from neardup.evaluation.suite import QUICK_ATTACKS, evaluate

    def validate(embed: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> dict[str, float]:
        def embed_images(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
            return embed(np.stack([preprocess(image, input_size) for image in images]))

        report = evaluate(
            photos, embed_images, attacks=QUICK_ATTACKS, gallery=GALLERY, queries=QUERIES, negatives=NEGATIVES
        ).as_json()
        return {name: report[name] for name in ("uap", "recall_at_1", "recall_at_1pct_false_alarms")}

    return validate
