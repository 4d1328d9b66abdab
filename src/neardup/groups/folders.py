"""Folder rules: duplicates only across folders, or only within one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neardup.groups.keep import prefixes


@dataclass(frozen=True)
class FolderRule:
    """Only images of one folder share a group ("within"), or a keeper takes only from other folders ("across").

    folders: an image belongs to the deepest of these that it lies below, others are left out; empty: to its parent
    """

    kind: Literal["across", "within"]
    folders: tuple[Path, ...] = ()


def number_folders(paths: Sequence[bytes], rule: FolderRule | None) -> NDArray[np.int64]:
    """A number for each image's folder, -1 where the rule leaves the image out; without a rule they all share one."""
    if rule is None:
        return np.zeros(len(paths), np.int64)
    numbers: dict[bytes, int] = {}
    if not rule.folders:
        return np.fromiter((numbers.setdefault(path.rpartition(b"/")[0], len(numbers)) for path in paths), np.int64)
    deepest_first = [(number, prefix) for number, folder in enumerate(rule.folders) for prefix in prefixes([folder])]
    deepest_first.sort(key=lambda place: -len(place[1]))
    return np.fromiter(
        (next((n for n, prefix in deepest_first if path.startswith(prefix)), -1) for path in paths), np.int64
    )
