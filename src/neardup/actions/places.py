"""Where moved files go: their names there, and the folders that are made for them and can be taken away again."""

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from neardup.durable import sync_directory
from neardup.images.find import SET_ASIDE, is_set_aside

_LONGEST_NAME_BYTES = 255


class Places:
    """Free names below a folder, where files keep their place below a root; without a root all lie side by side."""

    def __init__(self, to: Path, root: Path | None) -> None:
        self._to, self._root = to, root
        self._numbers: dict[Path, int] = {}

    def of_unit(self, path: Path, along: Iterable[Path]) -> dict[Path, Path]:
        """A free place for a picture and each file that belongs to it, all with one number where names are taken."""
        folder = self._to / self._below_root(path)
        unit = [path, *along]
        # As files of one name come by the thousand, the search goes on where it ended.
        number = self._numbers.get(folder / path.name, 1)
        places = _numbered_unit(folder, unit, number)
        while any(os.path.lexists(place) for place in places.values()):
            number += 1
            places = _numbered_unit(folder, unit, number)
        self._numbers[folder / path.name] = number
        return places

    def _below_root(self, path: Path) -> Path:
        if self._root is None or ".." in path.parts or not path.is_relative_to(self._root):
            return Path()
        return path.parent.relative_to(self._root)


def _numbered_unit(folder: Path, unit: Sequence[Path], number: int) -> dict[Path, Path]:
    stem = unit[0].stem
    return {path: folder / (path.name if number == 1 else _numbered(path, number, stem)) for path in unit}


def _numbered(path: Path, number: int, stem: str) -> str:
    """`name (2).jpg`, and `name (2).jpg.xmp` of what belongs to it; cut to what a file system takes."""
    begin, end = path.name[: len(stem)], path.name[len(stem) :]
    if begin.lower() != stem.lower() or not end:
        begin, end = path.stem, path.suffix
    ending = f" ({number}){end}"
    while begin and len(os.fsencode(begin + ending)) > _LONGEST_NAME_BYTES:
        begin = begin[:-1]
    return begin + ending


def check(to: Path) -> None:
    """Raises OSError where files cannot be moved to a folder, there or still to be made."""
    place = next(path for path in (to, *to.parents) if os.path.lexists(path))
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def to_make(to: Path, folder: Path) -> tuple[Path, ...]:
    """What is to be made before files are moved to a folder, `to` or one below, outermost first.

    One that is new or empty gets a mark, so that no index takes in what is moved there.
    """
    made = _missing(to)
    if will_be_set_aside(to) and not is_set_aside(to):
        made = (*made, to / SET_ASIDE)
    return (*made, *(path for path in _missing(folder) if path not in made))


def will_be_set_aside(to: Path) -> bool:
    """Whether what is moved there stays out of an index: not in a folder with files of its own, which would, too."""
    try:
        return is_set_aside(to) or not any(to.iterdir())
    except OSError:
        return True


def _missing(folder: Path) -> tuple[Path, ...]:
    return tuple(reversed([path for path in (folder, *folder.parents) if not os.path.lexists(path)]))


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
