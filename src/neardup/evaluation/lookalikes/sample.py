"""What a generator is given to draw one picture, and what is known of a kind."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Sample:
    """One picture to draw. Whatever a generator draws by chance comes from these three, never from another picture."""

    kind: str
    number: int
    seed: int
    photos: Sequence[Path] = ()

    def common(self) -> np.random.Generator:
        """For what all pictures of the kind share: the book, the template, the deck."""
        return np.random.default_rng([self.seed, zlib.crc32(self.kind.encode())])

    def own(self) -> np.random.Generator:
        """For what this picture has by itself."""
        return np.random.default_rng([self.seed, zlib.crc32(self.kind.encode()), 1, self.number])

    def shared(self, size: int) -> np.random.Generator:
        """For what `size` pictures in a row share: a burst's scene, a slide before and after a line was added."""
        return np.random.default_rng([self.seed, zlib.crc32(self.kind.encode()), 2, self.number // size])


Generator: TypeAlias = Callable[[Sample], Image.Image]


@dataclass(frozen=True)
class Kind:
    """Pictures that look alike: how to draw them, and how such pictures are stored."""

    draw: Generator
    suffix: str = ".png"
    limit: int | None = None  # there are no more different ones than these
    of_photos: bool = False  # each is one of the caller's photos
