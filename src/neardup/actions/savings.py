"""How much of a disk files take up, where one may have several names."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path


def freed_bytes(paths: Iterable[Path]) -> list[int | None]:
    """What the disk gets back for each of these names when all of them go, in this order.

    A file is counted once, at the last of its names, by the blocks that it takes up. None for a name whose file goes
    on under another one, which is not among these; 0 for what is not there.
    """
    found: list[os.stat_result | None] = []
    for path in paths:
        try:
            found.append(path.lstat())
        except OSError:
            found.append(None)
    left = Counter((stat.st_dev, stat.st_ino) for stat in found if stat)
    stays = {(stat.st_dev, stat.st_ino) for stat in found if stat and left[stat.st_dev, stat.st_ino] < stat.st_nlink}
    freed: list[int | None] = []
    for stat in found:
        file = (stat.st_dev, stat.st_ino) if stat else None
        if stat is None or file is None:
            freed.append(0)
            continue
        left[file] -= 1
        # Some file systems tell no blocks, or have not decided on any yet.
        freed.append(None if file in stays else 0 if left[file] else stat.st_blocks * 512 or stat.st_size)
    return freed
