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
    final_size: int = 0  # edge of a view in the last fifth of the steps; 0: as before
    frozen_blocks: int = 0  # blocks that stay as they began, with the root: much of a step's time, few weights
    photos: int = 96  # in a batch
    views: int = 3  # of each photo
    learning_rate: float = 1.5e-3
    warmup_steps: int = 60
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    temperature: float = 0.05
    pooled_weight: float = 1.0  # of InfoNCE with the negatives of the whole batch
    margin: float = 0.15  # cosine by which a positive is to be above those
    entropy_weight: float = 5.0
    average: float = 0.995  # momentum of the weights' moving average
    alike: int = 4  # photos of a batch that look alike to the network itself, together: the hard negatives
    mine_every: int = 1500  # steps after which look-alikes are looked for anew
    same_folder: float = 0.5  # share of a batch from one folder, while the network knows no look-alikes
    untouched: float = 0.9  # share of photos whose first view is the photo as it is, as an indexed one is
    hardness: tuple[float, float] = (0.6, 0.85)  # at the start, and from 60 % of the steps on
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "size", "photos", "views", "alike"):
            if getattr(self, name) < 2:
                raise BadInput(f"training: {name} is at least 2, not {getattr(self, name)}")
        if not 0 <= self.frozen_blocks <= 4:
            raise BadInput(f"training: frozen_blocks is 0 to 4, not {self.frozen_blocks}")
        if self.precision not in ("float32", "mixed_bfloat16", "mixed_float16"):
            raise BadInput(f"training: precision {self.precision!r} is not one of float32, mixed_bfloat16")

    def hardness_at(self, step: int) -> float:
        start, end = self.hardness
        return start + (end - start) * min(1.0, step / (0.6 * self.steps))

    def size_at(self, step: int) -> int:
        return self.final_size if self.final_size and step >= 0.8 * self.steps else self.size

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Batch:
    views: NDArray[np.uint8]  # (photos * views, size, size, 3), the views of a photo one after the other
    photos: NDArray[np.int32]  # (photos * views,), which photo each is a view of


@lru_cache(maxsize=512)
def load(path: Path, size: int) -> NDArray[np.uint8] | None:
    from neardup.images import load_image

    try:
        return load_image(path, size=size)
    except (UnreadableImage, BadInput):
        return None


class Batches:
    """Batch number `step` of a recipe over some photos: a function of its arguments alone, so that a run resumes."""

    def __init__(self, recipe: Recipe, paths: list[Path], look_alikes: NDArray[np.int32] | None = None) -> None:
        """look_alikes: (n, k) numbers of the photos most like each, -1 for none (`mine`); else folders serve."""
        self.recipe, self.paths, self.look_alikes = recipe, paths, look_alikes
        folders: dict[Path, list[int]] = defaultdict(list)
        for number, path in enumerate(paths):
            folders[path.parent].append(number)
        self._folders = [np.array(numbers) for numbers in folders.values()]
        sizes = np.array([len(numbers) for numbers in self._folders], float)
        self._folder_share = sizes / sizes.sum()

    def choose(self, step: int) -> NDArray[np.int64]:
        """Numbers of the photos of a batch, none twice."""
        rng = np.random.default_rng([self.recipe.seed, step, 0])
        wanted = min(self.recipe.photos, len(self.paths))
        order = rng.permutation(len(self.paths))
        if self.look_alikes is not None:
            return self._families(order, rng)[:wanted]
        folder = self._folders[rng.choice(len(self._folders), p=self._folder_share)]
        alike = rng.permutation(folder)[: int(wanted * self.recipe.same_folder)]
        return np.concatenate([alike, order[~np.isin(order, alike)]])[:wanted]

    def _families(self, order: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Photos in random order, each followed by a few of its look-alikes; enough for a batch."""
        assert self.look_alikes is not None
        chosen: dict[int, None] = {}
        for number in order:
            if len(chosen) >= self.recipe.photos:
                break
            if int(number) in chosen:
                continue
            found = self.look_alikes[number]
            near = rng.permutation(found[found >= 0])[: self.recipe.alike - 1]
            chosen.update(dict.fromkeys([int(number), *map(int, near)]))
        return np.array(list(chosen), np.int64)

    def make(self, step: int) -> Batch:
        """Unreadable photos are left out of their batch."""
        import cv2

        from neardup.training.augment import augment

        cv2.setNumThreads(1)
        recipe, size = self.recipe, self.recipe.size_at(step)
        chosen = [(int(n), load(self.paths[n], 2 * size)) for n in self.choose(step)]
        photos = [(n, photo) for n, photo in chosen if photo is not None]
        if len(photos) < 2:
            raise BadInput("training: fewer than two photos of a batch can be read; check the folder with 'index'")
        hardness = recipe.hardness_at(step)
        views, numbers = [], []
        for position, (number, photo) in enumerate(photos):
            rng = np.random.default_rng([recipe.seed, step, 1, number])
            strangers = (position + rng.integers(1, len(photos), 4)) % len(photos)
            others = [photos[i][1] for i in strangers]
            edited = recipe.views
            if rng.random() < recipe.untouched:
                views.append(as_it_is(photo, size))
                edited -= 1
            views += [augment(photo, size, rng, others=others, hardness=hardness) for _ in range(edited)]
            numbers += [number] * recipe.views
        return Batch(np.stack(views), np.array(numbers, np.int32))


def as_it_is(photo: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A photo squashed to (size, size, 3), and nothing else done to it."""
    import cv2

    squashed: NDArray[np.uint8] = cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA)
    return squashed
