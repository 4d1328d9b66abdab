"""What a training run is made of, and the batches that it sees: all of it follows from the recipe and the step."""

from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput, UnreadableImage


@dataclass(frozen=True)
class Recipe:
    """Self-supervised copy detection after SSCD (Pizzi et al., arXiv 2202.10261)."""

    steps: int
    size: int = 128  # edge of a view, in pixels
    photos: int = 128  # in a batch; each is seen in two views
    learning_rate: float = 1.5e-3
    warmup_steps: int = 60
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    temperature: float = 0.05
    entropy_weight: float = 5.0
    average: float = 0.995  # momentum of the weights' moving average
    same_folder: float = 0.5  # share of a batch from one folder: look-alikes are the hard negatives
    untouched: float = 0.8  # share of pairs whose first view is the photo as it is, as an indexed one is
    hardness: tuple[float, float] = (0.7, 1.2)  # at the start, and from 60 % of the steps on
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "size", "photos"):
            if getattr(self, name) < 2:
                raise BadInput(f"training: {name} is at least 2, not {getattr(self, name)}")
        if self.precision not in ("float32", "mixed_bfloat16", "mixed_float16"):
            raise BadInput(f"training: precision {self.precision!r} is not one of float32, mixed_bfloat16")

    def hardness_at(self, step: int) -> float:
        start, end = self.hardness
        return start + (end - start) * min(1.0, step / (0.6 * self.steps))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Batch:
    views: NDArray[np.uint8]  # (2 * photos, size, size, 3)
    photos: NDArray[np.int32]  # (2 * photos,), which photo each is a view of


@lru_cache(maxsize=512)
def _load(path: Path, size: int) -> NDArray[np.uint8] | None:
    from neardup.images import load_image

    try:
        return load_image(path, size=size)
    except (UnreadableImage, BadInput):
        return None


class Batches:
    """Batch number `step` of a recipe over some photos: a function of its arguments alone, so that a run resumes."""

    def __init__(self, recipe: Recipe, paths: list[Path]) -> None:
        self.recipe, self.paths = recipe, paths
        folders: dict[Path, list[int]] = defaultdict(list)
        for number, path in enumerate(paths):
            folders[path.parent].append(number)
        self._folders = [np.array(numbers) for numbers in folders.values()]
        sizes = np.array([len(numbers) for numbers in self._folders], float)
        self._folder_share = sizes / sizes.sum()

    def choose(self, step: int) -> NDArray[np.int64]:
        """Numbers of the photos of a batch: some of one folder, the rest from anywhere, none twice."""
        rng = np.random.default_rng([self.recipe.seed, step, 0])
        wanted = min(self.recipe.photos, len(self.paths))
        folder = self._folders[rng.choice(len(self._folders), p=self._folder_share)]
        alike = rng.permutation(folder)[: int(wanted * self.recipe.same_folder)]
        others = rng.permutation(len(self.paths))
        others = others[~np.isin(others, alike)]
        return np.concatenate([alike, others])[:wanted]

    def make(self, step: int) -> Batch:
        """Unreadable photos are left out of their batch."""
        import cv2

        from neardup.training.augment import augment

        cv2.setNumThreads(1)
        recipe = self.recipe
        chosen = [(int(n), _load(self.paths[n], 2 * recipe.size)) for n in self.choose(step)]
        photos = [(n, photo) for n, photo in chosen if photo is not None]
        if len(photos) < 2:
            raise BadInput("training: fewer than two photos of a batch can be read; check the folder with 'index'")
        hardness = recipe.hardness_at(step)
        views, numbers = [], []
        for position, (number, photo) in enumerate(photos):
            rng = np.random.default_rng([recipe.seed, step, 1, number])
            strangers = (position + rng.integers(1, len(photos), 4)) % len(photos)
            others = [photos[i][1] for i in strangers]
            if rng.random() < recipe.untouched:
                first = cv2.resize(photo, (recipe.size, recipe.size), interpolation=cv2.INTER_AREA)
            else:
                first = augment(photo, recipe.size, rng, others=others, hardness=hardness)
            second = augment(photo, recipe.size, rng, others=others, hardness=hardness)
            views += [first, second]
            numbers += [number, number]
        return Batch(np.stack(views), np.array(numbers, np.int32))
