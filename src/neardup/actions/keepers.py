"""No plan removes what it keeps, however the two are spelled: `a/../x.jpg`, through a link, in capitals."""

import os
from collections import defaultdict
from functools import cache
from pathlib import Path

from neardup.actions import files
from neardup.actions.steps import Plan
from neardup.errors import BadInput

# Device and inode.
_Identity = tuple[int, int]


def check_keepers(plan: Plan) -> None:
    """Raise BadInput for a plan that removes what it keeps, under whatever name: a keeper, the copy of a film.

    So for what goes along with a picture as for the picture.
    """
    real_folder = cache(os.path.realpath)  # many files, few folders

    def entry(path: Path) -> str:
        return os.path.join(real_folder(path.parent), path.name)  # noqa: PTH118 (half a million of them)

    keepers = {step.keeper for step in plan.steps}
    keepers |= {file.copy for step in plan.steps for file in step.along if file.copy is not None}
    entries = {entry(keeper) for keeper in keepers}
    by_identity: defaultdict[_Identity, list[Path]] = defaultdict(list)
    for keeper in keepers:
        if identity := _identity(keeper):
            by_identity[identity].append(keeper)
    for path in (path for step in plan.steps for path in (step.path, *(file.path for file in step.along))):
        identity = _identity(path)
        # A file with several names keeps its bytes while one of them is left: what counts is the entry in its folder.
        same = by_identity.get(identity, []) if identity else []
        if entry(path) in entries or any(files.is_same_entry(path, keeper) for keeper in same):
            raise BadInput(f"{path}: the plan removes it, and keeps it for another file; make the plan again")


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return None  # then its own step fails
    return found.st_dev, found.st_ino
