"""Validation while training: photos that were held back are attacked, and searched for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.preprocess import preprocess
from neardup.training.log import Row
from neardup.training.network import Embed, Network
from neardup.training.trainer import Validation

# Few enough for a minute on two cores: 60 photos in 10 attacks, and a gallery of 600.
GALLERY, QUERIES, NEGATIVES = 600, 60, 150
FIGURES = ("uap", "recall_at_1", "recall_at_1pct_false_alarms")


def validation_on(photos: Sequence[Path], input_size: int) -> Validation:
    """Judges a network on these photos, with the fast part of the evaluation suite."""
    from neardup.evaluation.suite import QUICK_ATTACKS, evaluate

    def judge(network: Network, embed: Embed) -> Row:
        def embed_images(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
            return embed(np.stack([preprocess(image, input_size) for image in images]))

        report = evaluate(
            photos, embed_images, attacks=QUICK_ATTACKS, gallery=GALLERY, queries=QUERIES, negatives=NEGATIVES
        ).as_json()
        return {name: report[name] for name in FIGURES}

    return Validation(FIGURES, judge)
