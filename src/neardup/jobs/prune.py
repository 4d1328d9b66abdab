"""Forget what lay below folders that are gone for good."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from neardup.errors import BadInput
from neardup.index import Index
from neardup.index.roots import is_away
from neardup.jobs.index import IndexReport


def prune_index(
    index: Path, roots: Iterable[str | Path], *, say: Callable[[str], None] = lambda line: None
) -> IndexReport:
    """Forget every image below these folders; nothing but the index is changed, and what was said of images stays.

    say: called before waiting for another writer
    Raises BadInput for a folder that is there and holds something, or below which nothing is recorded, and what
    `Index.write` raises.
    """
    started = time.monotonic()
    report = IndexReport()
    folders = [Path(os.path.abspath(root)) for root in roots]
    for folder in folders:
        if os.path.lexists(folder) and not is_away(os.fsencode(folder)):
            raise BadInput(f"{folder}: is there; 'neardup index' brings it up to date, --prune forgets what is gone")
    with Index.open(index) as opened:
        model = opened.model
    if model is None:
        raise BadInput(f"{index}: holds no images yet, so that there is nothing to forget")
    with Index.write(index, model, wait=say) as writer:
        for folder in folders:
            removed = writer.prune(folder)
            if removed is None:
                raise BadInput(f"{folder}: nothing is recorded below it; 'neardup info' lists the folders")
            report.removed += removed
        report.images = writer.images
    report.seconds = time.monotonic() - started
    return report
