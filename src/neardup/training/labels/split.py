"""Which labelled pictures are trained on, and which are kept to judge by: settled before anything else, by a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput


@dataclass(frozen=True)
class Labelled:
    path: Path
    label: str


@dataclass(frozen=True)
class Split:
    pictures: tuple[Labelled, ...]
    is_held_out: NDArray[np.bool_]  # (n,)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({each.label for each in self.pictures}))

    @property
    def training(self) -> tuple[list[Path], NDArray[np.int32]]:
        """Pictures to train on, and the number of each one's class."""
        return self._part(~self.is_held_out)

    @property
    def held_out(self) -> tuple[list[Path], NDArray[np.int32]]:
        return self._part(self.is_held_out)

    def _part(self, wanted: NDArray[np.bool_]) -> tuple[list[Path], NDArray[np.int32]]:
        numbers = {name: number for number, name in enumerate(self.classes)}
        part = [each for each, is_wanted in zip(self.pictures, wanted, strict=True) if is_wanted]
        return [each.path for each in part], np.array([numbers[each.label] for each in part], np.int32)


def split(pictures: Sequence[Labelled], held_out: float, seed: int) -> Split:
    """Hold out this share of every class, rounded; at least two of a class stay.

    Raises BadInput for fewer than two classes, and for a class of one picture.
    """
    labels = np.array([each.label for each in pictures])
    names, counts = np.unique(labels, return_counts=True)
    if len(names) < 2:
        raise BadInput(f"training: needs two classes, found {len(names)}; give a folder with one of pictures for each")
    if counts.min() < 2:
        raise BadInput(
            f"training: class {str(names[counts.argmin()])!r} has one picture; give it another, or leave it out"
        )
    rng = np.random.default_rng([seed, 2])
    is_held_out = np.zeros(len(labels), bool)
    for name, count in zip(names, counts, strict=True):
        numbers = rng.permutation(np.flatnonzero(labels == name))
        is_held_out[numbers[: min(round(held_out * count), count - 2)]] = True
    return Split(tuple(pictures), is_held_out)
