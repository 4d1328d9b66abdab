"""Where moved files go: their names there, and the folders that are made for them and can be taken away again."""

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from neardup.actions import files
from neardup.durable import sync_directory
from neardup.images.find import SET_ASIDE, is_set_aside


@dataclass(frozen=True)
class Place:
    """What tells where a moved file lies, and what was made for it there; its own path and the plan tell the rest."""

    number: int  # 1 for its own name, n for `name (n).jpg`
    stem_length: int  # how much of its name comes before that number: the stem of the picture that it belongs to
    folders: int = 0  # how many were made for it, the innermost ones
    mark: bool = False  # whether the mark that sets the folder apart was made, too

    def path(self, of: Path, to: Path, root: Path | None) -> Path:
        """Where the file is in the folder `to`."""
        return folder_below(to, root, of) / files.numbered(of, self.number, self.stem_length)

    def made(self, target: Path, to: Path) -> list[Path]:
        """The folders and the mark, outermost first."""
        made = list(reversed(target.parents[: self.folders]))
        if self.mark:
            made.insert(made.index(to) + 1 if to in made else 0, to / SET_ASIDE)
        return made


class Places:
    """Free names below a folder, where files keep their place below a root; without a root all lie side by side."""

    def __init__(self, to: Path, root: Path | None) -> None:
        self._to, self._root = to, root
        self._numbers: dict[Path, int] = {}

    def of_unit(self, path: Path, along: Iterable[Path]) -> dict[Path, Place]:
        """A free place for a picture and each file that belongs to it, all with one number where names are taken."""
        unit = {file: _stem_length(file, path.stem) for file in (path, *along)}
        # As files of one name come by the thousand, the search goes on where it ended.
        first = folder_below(self._to, self._root, path) / path.name
        number = self._numbers.get(first, 1)
        while any(os.path.lexists(place.path(file, self._to, self._root)) for file, place in _all(unit, number)):
            number += 1
        self._numbers[first] = number
        return dict(_all(unit, number))


def folder_below(to: Path, root: Path | None, path: Path) -> Path:
    """The folder that a file from below a root has below `to`; `to` itself for any other."""
    if root is None or ".." in path.parts or not path.is_relative_to(root) or path == root:
        return to
    return to / path.parent.relative_to(root)


def _all(unit: dict[Path, int], number: int) -> Iterable[tuple[Path, Place]]:
    return ((path, Place(number, length)) for path, length in unit.items())


def _stem_length(path: Path, stem: str) -> int:
    """`name (2).jpg`, and `name (2).jpg.xmp` of what belongs to it."""
    begins_alike = path.name[: len(stem)].lower() == stem.lower() and len(path.name) > len(stem)
    return len(stem) if begins_alike else len(path.stem)


def check(to: Path) -> None:
    """Raises OSError where files cannot be moved to a folder, there or still to be made."""
    place = next(path for path in (to, *to.parents) if os.path.lexists(path))
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def to_make(to: Path, target: Path) -> tuple[int, bool]:
    """How many folders are to be made before a file is moved below `to`, and whether a mark is.

    One that is new or empty gets the mark, so that no index takes in what is moved there.
    """
    missing = sum(not os.path.lexists(folder) for folder in target.parents)
    return missing, will_be_set_aside(to) and not is_set_aside(to)


def will_be_set_aside(to: Path) -> bool:
    """Whether what is moved there stays out of an index: not in a folder with files of its own, which would, too."""
    try:
        return is_set_aside(to) or not any(to.iterdir())
    except OSError:
        return True


def make(made: Iterable[Path]) -> None:
    """Make these folders, and the mark."""
    for path in made:
        if path.name == SET_ASIDE:
            path.touch()
        else:
            path.mkdir(exist_ok=True)
        sync_directory(path.parent)


def clear(made: Sequence[Path], target: Path) -> None:
    """Take away those of the folders made for a target that are empty, with the mark where nothing else is there."""
    for path in reversed(made):
        with suppress(OSError):
            if path in target.parents:
                path.rmdir()
            elif path.name == SET_ASIDE and path.parent in target.parents and _holds_the_mark_alone(path.parent):
                path.unlink()


def _holds_the_mark_alone(folder: Path) -> bool:
    return (
        is_set_aside(folder)
        and (folder / SET_ASIDE).lstat().st_size == 0
        and [path.name for path in folder.iterdir()] == [SET_ASIDE]
    )
