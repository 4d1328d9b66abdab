"""Where a link is now whose album was moved as a whole: the index, run over its new place, knows the keeper there."""

from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from neardup.actions import files
from neardup.actions.records import Record
from neardup.actions.steps import Action
from neardup.errors import NeardupError
from neardup.index import Index


class Elsewhere:
    """The images of an index as it is, read when a link's folder is found to be away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def now(self, action: Action, record: Record) -> Record:
        """The record with the paths of today: what leads from the one to the other must lead there still."""
        if action not in ("hardlink", "symlink") or record.path.parent.is_dir():
            return record
        for keeper in self._places.get(record.digest, ()):
            path = _moved_alike(record.path, record.keeper, keeper)
            if path is not None and _is_link_to(path, keeper):
                return replace(record, path=path, keeper=keeper)
        return record

    @cached_property
    def _places(self) -> dict[bytes, list[Path]]:
        """Paths by SHA-256."""
        found: dict[bytes, list[Path]] = {}
        with suppress(NeardupError), Index.open(self._folder) as index:  # without an index the link stays unfound
            for image in index:
                found.setdefault(image.digest, []).append(image.path)
        return found


def _moved_alike(path: Path, old: Path, new: Path) -> Path | None:
    """Where a file is if it was moved with another, which was at `old` and is at `new`; None where that tells nothing.

    What the two paths end in alike has moved from the one folder to the other.
    """
    from_folder, to_folder = old, new
    while from_folder.name and from_folder.name == to_folder.name:
        from_folder, to_folder = from_folder.parent, to_folder.parent
    if from_folder == old:
        return None
    return to_folder / path.relative_to(from_folder) if path.is_relative_to(from_folder) else None


def _is_link_to(path: Path, keeper: Path) -> bool:
    if path == keeper or not keeper.is_file() or keeper.is_symlink():
        return False
    return files.leads_to(path, keeper) if path.is_symlink() else files.is_same_file(path, keeper)
