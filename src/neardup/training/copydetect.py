"""Self-supervised training for copy detection: a folder of photos in, weights out; no labels.

Each step shows the network a few views of every photo of a batch, most often the photo as it is and edited versions,
and asks it to tell the views of that photo from all others (InfoNCE), while nearest strangers are pushed apart
(entropy). Photos that look alike to the network come in one batch (mining). The weights' moving average is kept.
"""

import csv
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from neardup.embedding.architecture import Architecture
from neardup.embedding.bit import build_bit, get_weights, set_weights
from neardup.embedding.weights import Weights, check_weights, save_weights
from neardup.errors import BadInput
from neardup.training.losses import entropy, info_nce, pooled_info_nce
from neardup.training.mining import mine
from neardup.training.recipe import Batch, Batches, Recipe

AHEAD = 3  # batches made before they are needed
Validate = Callable[[Callable[[NDArray[np.uint8]], NDArray[np.float32]]], dict[str, float]]


class CopyDetector(keras.Model):
    """The trunk with its loss."""

    def __init__(self, trunk: keras.Model, recipe: Recipe) -> None:
        super().__init__()
        self.trunk, self.recipe = trunk, recipe

    def call(self, views: Any, training: bool = False) -> Any:
        return self.trunk(views, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        recipe = self.recipe
        loss = info_nce(y_pred, y, recipe.temperature) + recipe.entropy_weight * entropy(y_pred, y)
        return loss + recipe.pooled_weight * pooled_info_nce(y_pred, y, recipe.temperature, recipe.margin)


def build_trainer(architecture: Architecture, recipe: Recipe, start: Weights | None) -> CopyDetector:
    keras.utils.set_random_seed(recipe.seed)
    keras.mixed_precision.set_global_policy(recipe.precision)
    size = None if recipe.final_size else recipe.size
    trunk = build_bit(architecture, size)
    if start is not None:
        set_weights(trunk, start)
    if recipe.frozen_blocks:
        frozen = ("resnet__root_block", *(f"resnet__block{n + 1}" for n in range(recipe.frozen_blocks)))
        for layer in trunk.layers:
            layer.trainable = not layer.name.startswith(frozen)
    model = CopyDetector(trunk, recipe)
    model.build((None, size, size, 3))
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, recipe.steps - recipe.warmup_steps), alpha=0.01,
        warmup_target=recipe.learning_rate, warmup_steps=recipe.warmup_steps,
    )  # fmt: skip
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay, global_clipnorm=recipe.clip_norm)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    optimizer.build(model.trainable_variables)
    return model


class MovingAverage:
    """Exponential moving average of weights by name, with the start-up correction min(m, (1 + t) / (10 + t))."""

    def __init__(self, weights: Weights, momentum: float) -> None:
        self.weights, self.momentum = weights, momentum

    def update(self, weights: Weights, step: int) -> None:
        momentum = min(self.momentum, (1 + step) / (10 + step))
        for name, value in weights.items():
            self.weights[name] += (1 - momentum) * (value - self.weights[name])


@dataclass
class Checkpoint:
    """Everything that a run needs to go on as if it had never stopped."""

    step: int
    state: dict[str, NDArray[Any]]  # the trainer's and the optimizer's variables, in order
    average: Weights
    look_alikes: NDArray[np.int32] | None = None

    @staticmethod
    def _variables(model: CopyDetector) -> dict[str, Any]:
        variables = [*model.variables, *model.optimizer.variables]
        return {f"state/{number:04d}": variable for number, variable in enumerate(variables)}

    @classmethod
    def of(
        cls, model: CopyDetector, average: MovingAverage, step: int, look_alikes: NDArray[np.int32] | None
    ) -> "Checkpoint":
        state = {name: ops.convert_to_numpy(v) for name, v in cls._variables(model).items()}
        return cls(step, state, average.weights, look_alikes)

    def restore(self, model: CopyDetector) -> MovingAverage:
        variables = self._variables(model)
        check_weights(self.state, {name: tuple(v.shape) for name, v in variables.items()}, "checkpoint")
        for name, variable in variables.items():
            variable.assign(self.state[name])
        return MovingAverage(self.average, model.recipe.average)

    def write(self, path: Path) -> None:
        """After a crash, path holds the old checkpoint or the new, whole."""
        temporary = path.with_name(path.name + ".tmp")
        arrays: dict[str, Any] = {"step": np.int64(self.step), **self.state}
        arrays |= {f"average/{name}": value for name, value in self.average.items()}
        if self.look_alikes is not None:
            arrays["look_alikes"] = self.look_alikes
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        with np.load(path, allow_pickle=False) as file:
            state = {name: file[name] for name in file.files if name.startswith("state/")}
            average = {name[8:]: file[name] for name in file.files if name.startswith("average/")}
            look_alikes = file["look_alikes"] if "look_alikes" in file.files else None
            return cls(int(file["step"]), state, average, look_alikes)


_batches: Batches | None = None  # a worker process's own


def _start_worker(batches: Batches) -> None:
    global _batches
    _batches = batches
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next batch for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make(step: int) -> Batch:
    assert _batches is not None
    return _batches.make(step)


def _stream(batches: Batches, first: int, last: int, workers: int) -> Generator[Batch]:
    """Batches first..last in order, made by other processes while the network trains; a few ahead, never more."""
    if not workers:
        yield from map(batches.make, range(first, last))
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (batches,)) as pool:
        pending: deque[Future[Batch]] = deque()
        try:
            for step in range(first, last):
                while len(pending) < AHEAD + workers and step + len(pending) < last:
                    pending.append(pool.submit(_make, step + len(pending)))
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def train(
    paths: list[Path],
    output: Path,
    recipe: Recipe,
    architecture: Architecture | None = None,
    start: Weights | None = None,
    *,
    validate: Validate | None = None,
    validate_every: int = 200,
    patience: int = 0,
    checkpoint_seconds: float = 600,
    workers: int = 1,
    report: Callable[[dict[str, float]], None] = lambda row: None,
) -> Path:
    """Train on photos, writing to the folder `output`: checkpoint.npz, weights.npz, best.npz, log.csv, recipe.json.

    paths:     photos in a fixed order; their folders serve as classes of look-alikes until the network knows better
    start:     weights to begin from, by released name; a checkpoint in `output` goes first
    validate:  takes a function from (n, size, size, 3) uint8 to embeddings; returns figures with "uap" among them
    patience:  validations without a better uAP before the run ends early; 0 never does
    report:    called with each row of the log
    returns:   path of the best weights by validation, else of the last, float16, under released names
    Raises BadInput for too few photos.
    """
    if len(paths) < 2:
        raise BadInput(f"training: needs at least two photos, found {len(paths)}")
    output.mkdir(parents=True, exist_ok=True)
    run = _Run(output, recipe, architecture or Architecture(), start)
    saved_at = time.monotonic()
    try:
        while run.step < recipe.steps and not run.stands_still(patience):
            if run.step % recipe.mine_every == 0 and (run.step or start is not None):
                run.mine(paths)
            until = min(recipe.steps, (run.step // recipe.mine_every + 1) * recipe.mine_every)
            with closing(_stream(Batches(recipe, paths, run.look_alikes), run.step, until, workers)) as stream:
                begun = time.monotonic()
                for batch in stream:
                    row = run.train_on(batch, begun)
                    if validate and (run.step % validate_every == 0 or run.step == recipe.steps):
                        row |= run.validate(validate)
                    run.log.add(row)
                    report(row)
                    if time.monotonic() - saved_at >= checkpoint_seconds or run.step == recipe.steps:
                        run.save()
                        saved_at = time.monotonic()
                    if run.stands_still(patience):
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

    def __init__(self, output: Path, recipe: Recipe, architecture: Architecture, start: Weights | None) -> None:
        self.recipe, self.architecture = recipe, architecture
        self.checkpoint, self.weights, self.best = (output / f"{n}.npz" for n in ("checkpoint", "weights", "best"))
        self.model = build_trainer(architecture, recipe, start)
        self.average, self.step = MovingAverage(get_weights(self.model.trunk), recipe.average), 0
        self.look_alikes: NDArray[np.int32] | None = None
        if self.checkpoint.exists():
            saved = Checkpoint.read(self.checkpoint)
            self.average, self.step, self.look_alikes = saved.restore(self.model), saved.step, saved.look_alikes
        description = {"recipe": recipe.to_json(), "architecture": architecture.to_json()}
        (output / "recipe.json").write_text(json.dumps(description, indent=2) + "\n")
        self.log = _Log(output / "log.csv", self.step)
        self._seconds, self._views = 0.0, 0

    def mine(self, paths: list[Path]) -> None:
        embed = _embedder(self.architecture, self.average.weights)
        self.look_alikes = mine(paths, embed, self.recipe.size_at(self.step), self.recipe.seed)

    def train_on(self, batch: Batch, begun: float) -> dict[str, float]:
        """One step, and its row of the log; begun: when the wait for the batch began, by time.monotonic."""
        loss = float(self.model.train_on_batch(batch.views, batch.photos))
        self.step += 1
        self.average.update(get_weights(self.model.trunk), self.step)
        self._views += len(batch.views)
        self._seconds += time.monotonic() - begun
        return {"step": self.step, "loss": loss, "views_per_second": self._views / self._seconds}

    def validate(self, validate: Validate) -> dict[str, float]:
        figures = validate(_embedder(self.architecture, self.average.weights))
        if figures["uap"] > self.log.best:
            save_weights(self.best, self.average.weights)
        return figures

    def stands_still(self, patience: int) -> bool:
        return 0 < patience <= self.log.since_best

    def save(self) -> None:
        Checkpoint.of(self.model, self.average, self.step, self.look_alikes).write(self.checkpoint)
        save_weights(self.weights, self.average.weights)


def _embedder(architecture: Architecture, weights: Weights) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The averaged weights as a function, in the reference engine, apart from the model that trains."""
    policy = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("float32")
    try:
        model = build_bit(architecture)
    finally:
        keras.mixed_precision.set_global_policy(policy)
    set_weights(model, weights)

    def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(model.predict(pixels, batch_size=32, verbose=0), np.float32)

    return embed


class _Log:
    """log.csv, continued on resume: a row per step, with the validation's figures where there were any."""

    FIELDS = ("step", "loss", "views_per_second", "uap", "recall_at_1", "recall_at_1pct_false_alarms")

    def __init__(self, path: Path, step: int) -> None:
        rows = []
        if path.exists():
            with path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        self._file = path.open("w", newline="")
        self._writer = csv.DictWriter(self._file, self.FIELDS, extrasaction="ignore")
        self._writer.writeheader()
        self._writer.writerows(rows)
        self.best, self.since_best = -1.0, 0
        for row in rows:
            if row["uap"]:
                self._judge(float(row["uap"]))

    def _judge(self, uap: float) -> None:
        self.since_best = 0 if uap > self.best else self.since_best + 1
        self.best = max(self.best, uap)

    def add(self, row: dict[str, float]) -> None:
        self._writer.writerow(row)
        self._file.flush()
        if "uap" in row:
            self._judge(row["uap"])

    def close(self) -> None:
        self._file.close()
