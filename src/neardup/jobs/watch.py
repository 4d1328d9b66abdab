"""Keep an index up to date as files come, change and go, a batch at a time."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from neardup.embedding import AUTO, Embedder, load_embedder
from neardup.errors import BadInput
from neardup.jobs.index import IndexReport, index_images, recorded_precision
from neardup.packages import load_package
from neardup.sources.datasets import is_dataset
from neardup.sources.objects import is_objects
from neardup.sources.stdin import STDIN

QUIET_MS = 1000  # without a change, which ends a batch
LONGEST_MS = 60_000  # that a batch is waited for, while changes keep coming


def watch_images(
    paths: Sequence[str],
    index: Path,
    *,
    model: str | Embedder = "default",
    engine: str = AUTO,
    threads: int | None = None,
    stop: Any = None,
    **options: Any,
) -> Iterator[IndexReport]:
    """`index_images` once, then after every batch of changes below the paths: a batch ends when for a second nothing
    more has changed, and is committed before its report comes.

    Every batch walks the paths anew, so that what is left out, links and vanished files are as in any other run.
    stop:    a threading.Event that ends it; without one it goes on until KeyboardInterrupt, which it raises
    options: those of `index_images`
    Raises BadInput for paths that cannot be watched, MissingPackage without watchfiles, and what `index_images` raises.
    """
    for path in paths:
        if path == STDIN or is_dataset(path) or is_objects(path):
            raise BadInput(f"{path}: only folders and files can be watched; leave it out, or --watch")
    watchfiles = load_package("watchfiles", "--watch")
    if isinstance(model, Embedder):
        embedder = model
    else:
        embedder = load_embedder(model, engine, threads=threads, recorded=recorded_precision(index))
    # Before the first run, so that no change between the two is missed.
    changes = watchfiles.watch(
        *paths, watch_filter=_outside(index), debounce=LONGEST_MS, step=QUIET_MS, stop_event=stop, rust_timeout=500,
        yield_on_timeout=True, raise_interrupt=True,
    )  # fmt: skip
    next(changes, None)
    yield index_images(paths, index, model=embedder, threads=threads, **options)
    options["rebuild"] = False
    for batch in changes:
        if batch:
            yield index_images(paths, index, model=embedder, threads=threads, **options)


def _outside(folder: Path) -> Callable[[object, str], bool]:
    """Whether a change is not one that indexing itself makes: in an index among the pictures, a commit is a change."""
    within = os.path.realpath(folder)

    def is_outside(change: object, path: str) -> bool:
        return not Path(os.path.realpath(path)).is_relative_to(within)

    return is_outside
