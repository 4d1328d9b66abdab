"""What an engine is: a model in memory, ready to run, and how it gets there."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.model import Model


class Engine(Protocol):
    """A model in memory, ready to run."""

    @property
    def name(self) -> str: ...

    @property
    def precision(self) -> str:
        """What it computes in: f32, f16, bf16 or int8."""
        ...

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, size, size, 3) uint8 RGB to (n, dim) float32 unit rows."""
        ...


class Load(Protocol):
    def __call__(self, model: Model, threads: int | None, precision: str | None) -> Engine:
        """Load a model.

        threads:   processor cores to use; None leaves it to the runtime
        precision: one of the engine's; None takes its default
        Raises EngineUnavailable or MissingPackage, without the engine's name, where it cannot run here; BadModel where
        it does not take the model.
        """
        ...


@dataclass(frozen=True)
class EngineSpec:
    """An engine by the name that users type."""

    name: str
    package: str  # what it imports, as `neardup.packages` knows it
    precisions: tuple[str, ...]  # those it can be asked for
    load: Load
