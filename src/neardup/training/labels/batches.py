"""Views of labelled pictures, so many of each class."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput, UnreadableImage
from neardup.training.batches import Batch, as_it_is
from neardup.training.recipe import LabelRecipe


@lru_cache(maxsize=4096)  # 320 MB at 160 pixels: decoding costs more than the rest of a view
def squashed(path: Path, size: int) -> NDArray[np.uint8] | None:
    """A picture as (size, size, 3) RGB; None where it cannot be read."""
    from neardup.sources import load_stored

    try:
        return as_it_is(load_stored(path, size=size), size)
    except (UnreadableImage, BadInput):
        return None


class LabelBatches:
    """Batch number `step`: as many pictures of each of its classes."""

    def __init__(self, recipe: LabelRecipe, paths: Sequence[Path], labels: NDArray[np.int32]) -> None:
        """labels: (n,) the number of each picture's class."""
        self.recipe, self.paths = recipe, paths
        self._classes = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}

    def choose(self, step: int) -> list[tuple[int, int]]:
        """Numbers of pictures with their classes; a picture comes twice only where its class has too few."""
        rng = np.random.default_rng([self.recipe.seed, step, 0])
        count = max(2, min(len(self._classes), self.recipe.photos // self.recipe.each))
        chosen: list[tuple[int, int]] = []
        for label in rng.permutation(list(self._classes))[:count]:
            pictures = self._classes[int(label)]
            wanted = max(2, self.recipe.photos // count)
            drawn = rng.choice(pictures, wanted, replace=len(pictures) < wanted)
            chosen += [(int(number), int(label)) for number in drawn]
        return chosen

    def make(self, step: int) -> Batch:
        """Unreadable pictures are left out of their batch."""
        import cv2

        cv2.setNumThreads(1)
        views, labels = [], []
        for position, (number, label) in enumerate(self.choose(step)):
            picture = squashed(self.paths[number], self.recipe.squashed)
            if picture is not None:
                rng = np.random.default_rng([self.recipe.seed, step, 1, position])
                views.append(view(picture, self.recipe, rng))
                labels.append(label)
        if len(views) < 2:
            raise BadInput("training: fewer than two pictures of a batch can be read; check the folder with 'index'")
        return Batch(np.stack(views), np.array(labels, np.int32))


def view(picture: NDArray[np.uint8], recipe: LabelRecipe, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A part of the picture, mirrored half of the time, turned and zoomed: (size, size, 3); what lies beyond its edge
    is the picture reflected there.
    """
    import cv2

    edge, size = len(picture), recipe.size
    angle = 2 * np.pi * rng.uniform(-recipe.rotation, recipe.rotation)
    zoom = 1 + rng.uniform(-recipe.zoom, recipe.zoom)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    room = max(0, edge - size) / 2
    left, top = rng.uniform(-room, room, 2)
    # From a place in the view to one in the picture.
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    turn = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
    shift = np.array([left, top]) + (edge - 1) / 2 - turn @ np.full(2, (size - 1) / 2)
    matrix = np.column_stack([turn, shift])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    made: NDArray[np.uint8] = cv2.warpAffine(picture, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return made
