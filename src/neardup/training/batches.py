"""What a network sees in a step, made by other processes while it trains."""

import os
import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput, UnreadableImage

AHEAD = 3  # batches made before they are needed


@dataclass(frozen=True)
class Batch:
    images: NDArray[np.uint8]  # (n, size, size, 3)
    targets: NDArray[np.int32]  # (n,) what each shows: the number of a photo, or of a class


class Batches(Protocol):
    """Batch number `step`: a function of that alone, so that a run resumes. It goes to other processes: pickled."""

    def make(self, step: int) -> Batch: ...


@lru_cache(maxsize=512)
def load(path: Path, size: int) -> NDArray[np.uint8] | None:
    """A photo for views of `size` pixels, (h, w, 3) RGB; None where it cannot be read."""
    from neardup.sources import load_stored

    try:
        return load_stored(path, size=size)
    except (UnreadableImage, BadInput):
        return None


def as_it_is(photo: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A photo squashed to (size, size, 3), and nothing else done to it."""
    import cv2

    squashed: NDArray[np.uint8] = cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA)
    return squashed


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


def stream(batches: Batches, first: int, end: int, workers: int) -> Generator[Batch]:
    """Batches first..end - 1 in order, made by other processes while the network trains; a few ahead, never more."""
    if not workers:
        yield from map(batches.make, range(first, end))
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (batches,)) as pool:
        pending: deque[Future[Batch]] = deque()
        try:
            for step in range(first, end):
                while len(pending) < AHEAD + workers and step + len(pending) < end:
                    pending.append(pool.submit(_make, step + len(pending)))
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
