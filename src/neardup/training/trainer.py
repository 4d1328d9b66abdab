"""The loop of a training run, and its files; what is trained for is an objective's to know.

A run's folder: checkpoint.npz, weights.npz and best.npz (by validation), log.csv; recipe.json and photos.json say what
it was begun with (`beginning.py`).
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from neardup.embedding.architecture import Architecture
from neardup.embedding.bit import get_weights
from neardup.embedding.weights import save_weights
from neardup.training.batches import Batch, Batches, stream
from neardup.training.beginning import CHECKPOINT, Beginning, agree
from neardup.training.checkpoint import Checkpoint, MovingAverage
from neardup.training.log import Log, Row
from neardup.training.network import Embed, Network, Reference
from neardup.training.recipe import Recipe

CHECKPOINT_SECONDS = 600.0


@dataclass(frozen=True)
class Stretch:
    """Steps in which nothing changes but the batch."""

    batches: Batches
    end: int  # the first step that is not of it


class Objective(Protocol):
    """What a network is trained for: its loss, and what it is shown."""

    @property
    def recipe(self) -> Recipe: ...

    @property
    def architecture(self) -> Architecture: ...

    @property
    def beginning(self) -> Beginning:
        """What a run follows from: two runs that agree in it are one."""

    memory: dict[str, NDArray[Any]]
    """What has been found out on the way, beside the network: it is kept in checkpoints."""

    def build(self, step: int) -> Network:
        """The compiled network as it is while this step is trained."""

    def stretch(self, network: Network, step: int, embed: Callable[[], Embed]) -> Stretch:
        """What follows from this step on; the network is made ready for it. embed: the weights as they are by now."""


@dataclass(frozen=True)
class Validation:
    """How well a network does on what was held back."""

    figures: tuple[str, ...]  # by name; the first says which weights are best
    judge: Callable[[Network, Embed], Row]  # returns the figures
    lower_is_better: bool = False


def train(
    objective: Objective,
    output: Path,
    *,
    validation: Validation | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    report: Callable[[Row], None] = lambda row: None,
) -> Path:
    """Train, or go on where the run in the folder `output` was stopped.

    report:  called with each row of the log
    returns: path of the best weights by validation, else of the last, float16, under released names
    Raises BadInput where that folder holds another run.
    """
    output.mkdir(parents=True, exist_ok=True)
    run = _Run(objective, output, validation)
    saved_at = time.monotonic()
    try:
        while not run.over:
            stretch = objective.stretch(run.network, run.step, run.embed)
            run.ready_for = run.step
            with closing(stream(stretch.batches, run.step, stretch.end, run.recipe.workers)) as batches:
                begun = time.monotonic()
                for batch in batches:
                    report(run.train_on(batch, begun))
                    if time.monotonic() - saved_at >= checkpoint_seconds or run.over:
                        run.save()
                        saved_at = time.monotonic()
                    if run.over:
                        break
                    begun = time.monotonic()
    except KeyboardInterrupt:
        run.save()
        raise
    finally:
        run.log.close()
    return run.best if run.best.exists() else run.weights


class _Run:
    """A run between two steps, and its files; a checkpoint in the folder is where it goes on."""

    def __init__(self, objective: Objective, output: Path, validation: Validation | None) -> None:
        self.checkpoint, self.weights, self.best = (output / n for n in (CHECKPOINT, "weights.npz", "best.npz"))
        self.objective, self.recipe, self.validation = objective, objective.recipe, validation
        agree(objective.beginning, output)
        saved = Checkpoint.read(self.checkpoint) if self.checkpoint.exists() else None
        self.step = saved.step if saved else 0
        self.ready_for = saved.ready_for if saved else 0
        self.network = objective.build(self.ready_for)
        self.average = MovingAverage(get_weights(self.network.trunk), self.recipe.average)
        if saved:
            saved.restore(self.network)
            self.average.weights, objective.memory = saved.average, saved.memory
        self._reference: Reference | None = None
        figures, lower = (validation.figures, validation.lower_is_better) if validation else ((), False)
        self.log = Log(output / "log.csv", self.step, figures, lower)
        self._seconds, self._views = 0.0, 0

    @property
    def over(self) -> bool:
        return self.step >= self.recipe.steps or 0 < self.recipe.patience <= self.log.since_best

    def embed(self) -> Embed:
        self._reference = self._reference or Reference(self.objective.architecture)
        return self._reference.embed(self.average.weights)

    def train_on(self, batch: Batch, begun: float) -> Row:
        """One step, and its row of the log; begun: when the wait for the batch began, by time.monotonic."""
        loss = float(self.network.train_on_batch(batch.images, batch.targets))
        self.step += 1
        self.average.update(get_weights(self.network.trunk), self.step)
        self._views += len(batch.images)
        self._seconds += time.monotonic() - begun
        row: Row = {"step": self.step, "loss": loss, "views_per_second": self._views / self._seconds}
        if self.validation and (self.step % self.recipe.validate_every == 0 or self.step == self.recipe.steps):
            row |= self.validation.judge(self.network, self.embed())
        if self.log.add(row):
            save_weights(self.best, self.average.weights)
        return row

    def save(self) -> None:
        memory = self.objective.memory
        Checkpoint.of(self.network, self.average, self.step, self.ready_for, memory).write(self.checkpoint)
        save_weights(self.weights, self.average.weights)
