"""Views of photos, those that look alike to the network together."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput
from neardup.training.batches import Batch, as_it_is, load
from neardup.training.recipe import CopyRecipe


class CopyBatches:
    """Batch number `step` of a recipe over some photos: a function of its arguments alone, so that a run resumes."""

    def __init__(self, recipe: CopyRecipe, paths: Sequence[Path], look_alikes: NDArray[np.int32] | None = None) -> None:
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
        """(photos * views) images, the views of a photo one after the other; unreadable photos are left out."""
        import cv2

        from neardup.training.copies.augment import augment

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
