"""Where moved files go: their names there, and the folders that are made for them and can be taken away again."""

import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from neardup.actions import files
from neardup.durable import sync_directory
from neardup.images.find import SET_ASIDE, is_set_aside


class Numbers:
    """Free names below a folder for pictures, one after the other."""

    def __init__(self, to: Path, root: Path | None) -> None:
        self._to, self._root = to, root
        self._numbers: dict[Path, int] = {}

    def of_unit(self, picture: Path, along: Iterable[Path]) -> int:
        """The number with which the names of a picture and of each file that belongs to it are free."""
        place = self._place(picture, 1)
        # As files of one name come by the thousand, the search goes on where it ended.
        number = self._numbers.get(place, 1)
        unit = tuple(along)
        while self._is_taken(picture, unit, number):
            number += 1
        self._numbers[place] = number
        return number

    def _is_taken(self, picture: Path, along: Sequence[Path], number: int) -> bool:
        places = (self._place(picture, number), *(self._place(path, number, picture.stem) for path in along))
        return any(map(os.path.lexists, places))

    def _place(self, path: Path, number: int, stem: str | None = None) -> Path:
        return place_of(path, number, stem, to=self._to, root=self._root)


def place_of(path: Path, number: int, stem: str | None, *, to: Path, root: Path | None) -> Path:
    """Where a file is moved: to its place below the root; without a root, or from elsewhere, to the folder itself.

    stem: of the picture that it belongs to
    """
    name = files.numbered(path, number) if stem is None else files.numbered(path, number, stem)
    if root is None or ".." in path.parts or not path.is_relative_to(root):
        return to / name
    return to / path.parent.relative_to(root) / name


def check(to: Path) -> None:
    """Raises OSError where files cannot be moved to a folder, there or still to be made."""
    place = next(path for path in (to, *to.parents) if os.path.lexists(path))
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def to_make(to: Path, target: Path) -> tuple[int, bool]:
    """What is to be made before a file is moved: how many folders, from the innermost, and whether `to` gets a mark,
    so that no index takes in what is moved there."""
    missing = next(n for n, folder in enumerate(target.parents) if os.path.lexists(folder))
    return missing, will_be_set_aside(to) and not is_set_aside(to)


def will_be_set_aside(to: Path) -> bool:
    """Whether what is moved there stays out of an index: not in a folder with files of its own, which would, too."""
    try:
        return is_set_aside(to) or not any(to.iterdir())
    except OSError:
        return True


def make(to: Path, target: Path, made: int, *, marked: bool) -> None:
    for folder in reversed(list(target.parents)[:made]):
        folder.mkdir(exist_ok=True)
        sync_directory(folder.parent)
    if marked:
        (to / SET_ASIDE).touch()
        sync_directory(to)


def clear(to: Path, target: Path, made: int, *, marked: bool) -> None:
    """Take away those of the folders made for a target that are empty, with the mark where nothing else is there."""
    for folder in target.parents:
        with suppress(OSError):
            if folder == to and marked and _holds_the_mark_alone(to):
                (to / SET_ASIDE).unlink()
        if made > 0:
            with suppress(OSError):
                folder.rmdir()
            made -= 1
        if folder == to and made <= 0:
            return


def _holds_the_mark_alone(folder: Path) -> bool:
    return (
        is_set_aside(folder)
        and (folder / SET_ASIDE).lstat().st_size == 0
        and [path.name for path in folder.iterdir()] == [SET_ASIDE]
    )
