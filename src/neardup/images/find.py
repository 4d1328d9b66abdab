"""Find the image files under a path. Only regular files are offered, and hardly any is opened: names tell."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from operator import itemgetter
from pathlib import Path

from neardup.errors import BadInput
from neardup.images.files import begins_like_an_image, shown
from neardup.images.formats import (
    IMAGE_EXTENSIONS,
    JPEG_XL_EXTENSIONS,
    RAW_EXTENSIONS,
    SHARED_EXTENSIONS,
    UNREAD_EXTENSIONS,
)
from neardup.images.globs import Globs
from neardup.images.jpeg_xl import can_read_jpeg_xl
from neardup.images.raw import can_read_raw

OnError = Callable[[Path, OSError], None]

# An empty file in a folder of files that were put aside as duplicates: a walk leaves out the folder.
SET_ASIDE = ".neardup-moved"


def find_images(root: Path, *, leave_out: Path | None = None, on_error: OnError | None = None) -> Iterator[Path]:
    """The image files under `root`, folder by folder, names in the order of their bytes; no two have the same path.

    An image is a regular file with a known image extension, or one without an extension whose first bytes are an
    image's. Files and folders whose name begins with a dot are left out, and so are the folder `leave_out` and folders
    below `root` that hold a file `SET_ASIDE`. Symbolic links below `root` are not followed: a photo seen under two
    paths would look like a copy that may be deleted. `root` itself may be a link, hidden, or a file: a regular file is
    offered whatever its extension, because it was named.

    on_error: called with each folder or file below `root` that could not be looked at, and the walk goes on: whatever
              is there is unknown, not gone. Without it, the first one raises BadInput.
    Raises BadInput where `root` is missing, unreadable, or neither a folder nor a regular file.
    """
    if is_file(root):
        return iter([root])
    finder = Finder(on_error or _refuse)
    if leave_out is not None:
        finder.leave_out(leave_out)
    return finder.images_below(root)


def is_file(root: Path) -> bool:
    """Whether what was named is a file; if not, it is a folder. Raises BadInput where it is neither, or unreadable."""
    try:
        found = root.stat()
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(root):
                pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(f"{shown(root)}: {reason}; give a folder or an image file that can be read") from error
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise BadInput(f"{shown(root)}: neither a folder nor a regular file; give a folder or an image file")
    return stat.S_ISREG(found.st_mode)


def is_set_aside(folder: Path) -> bool:
    """Whether a folder is marked as one of duplicates that were moved there."""
    try:
        return stat.S_ISREG((folder / SET_ASIDE).lstat().st_mode)
    except OSError:
        return False


def identity(found: os.stat_result) -> tuple[int, int]:
    """What a file or folder has in common with itself under another path."""
    return found.st_dev, found.st_ino


def _refuse(path: Path, error: OSError) -> None:
    raise BadInput(f"{shown(path)}: {error.strerror}; make it readable, or leave it out") from error


# Recycle bins of Windows and of network disks, which empty themselves, and thumbnails that such disks make.
_NOT_THE_USERS = frozenset(
    (b"$recycle.bin", b"recycler", b"#recycle", b"@recycle", b"@eadir", b"system volume information")
)


class _Kind(Enum):
    FOLDER = auto()
    IMAGE = auto()
    UNKNOWN = auto()  # its first bytes decide


@dataclass
class Finder:
    """Walks that share what they saw: a folder is entered once, whatever links and bind mounts lead to it."""

    on_error: OnError = _refuse
    globs: Globs | None = None
    passed_over: Counter[str] = field(default_factory=Counter)  # what looks like a picture and is not read, by ending
    links: int = 0  # to pictures or folders, not followed
    set_aside: list[Path] = field(default_factory=list)  # folders of moved duplicates, left out
    volumes: list[Path] = field(default_factory=list)  # folders that begin another volume than the one above them
    _entered: set[tuple[int, int]] = field(default_factory=set)

    def leave_out(self, folder: Path) -> None:
        """Take a folder for one that was entered before."""
        if folder.exists():
            self._entered.add(identity(folder.stat()))

    def images_below(self, root: Path) -> Iterator[Path]:
        """Depth first."""
        prefix = len(os.fsencode(root).rstrip(b"/")) + 1
        volumes: list[int] = []  # of the folders under way
        pending = [iter([(os.fsencode(root), _Kind.FOLDER)])]
        while pending:
            step = next(pending[-1], None)
            if step is None:
                pending.pop()
                del volumes[-1:]
                continue
            path, kind = Path(os.fsdecode(step[0])), step[1]
            try:
                if kind is _Kind.FOLDER:
                    folder = identity(path.stat())
                    if path != root and is_set_aside(path):
                        self.set_aside.append(path)
                    elif folder not in self._entered:
                        self._entered.add(folder)
                        pending.append(iter(self._entries(path, prefix)))
                        if volumes and volumes[-1] != folder[0]:
                            self.volumes.append(path)
                        volumes.append(folder[0])
                elif kind is _Kind.IMAGE or begins_like_an_image(path):
                    yield path
            except FileNotFoundError:
                continue  # deleted since its folder was listed
            except OSError as error:
                self.on_error(path, error)

    def offers(self, path: Path) -> bool:
        """Whether a walk that came by would offer this file; true for what is missing, which reading it will tell."""
        try:
            if not stat.S_ISREG(path.stat().st_mode) or (self.globs and not self.globs.take(path.name)):
                return False
            kind = self._kind(os.fsencode(path.name))
            return kind is _Kind.IMAGE or (kind is _Kind.UNKNOWN and begins_like_an_image(path))
        except (OSError, ValueError):
            return True

    def _entries(self, folder: Path, prefix: int) -> list[tuple[bytes, _Kind]]:
        """The visible folders and possible images in a folder, as paths in the order of their bytes.

        prefix: how much of a path is that of the root
        """
        entries = []
        with os.scandir(os.fsencode(folder)) as listing:
            for entry in listing:
                if entry.name.startswith(b"."):
                    continue
                try:
                    if (kind := self._kind_of(entry, entry.path[prefix:])) is not None:
                        entries.append((entry.path, kind))
                except OSError as error:
                    self.on_error(Path(os.fsdecode(entry.path)), error)
        entries.sort(key=itemgetter(0))
        return entries

    def _kind_of(self, entry: "os.DirEntry[bytes]", relative: bytes) -> _Kind | None:
        """What an entry is to a walk, None for nothing."""
        if entry.is_dir(follow_symlinks=False):
            if entry.name.lower() in _NOT_THE_USERS or (self.globs and self.globs.leave_out(os.fsdecode(relative))):
                return None
            return _Kind.FOLDER
        if self.globs and not self.globs.take(os.fsdecode(relative)):
            return None
        if entry.is_symlink():
            self.links += entry.is_dir() or _kind(entry.name) is not None
            return None
        return self._kind(entry.name) if entry.is_file(follow_symlinks=False) else None

    def _kind(self, name: bytes) -> _Kind | None:
        """What a file of this name may be; counts it where it is of a kind that is not read."""
        kind = _kind(name)
        if kind is None and (ending := _ending(name)) in UNREAD_EXTENSIONS:
            self.passed_over["." + ending.decode("ascii")] += 1
        return kind


@cache
def _readable() -> frozenset[bytes]:
    """Endings of images, those among them that a package more makes readable."""
    jpeg_xl = JPEG_XL_EXTENSIONS if can_read_jpeg_xl() else frozenset()
    return IMAGE_EXTENSIONS | jpeg_xl | (RAW_EXTENSIONS if can_read_raw() else frozenset())


def _ending(name: bytes) -> bytes:
    return name.rpartition(b".")[2].lower() if b"." in name else b""


def _kind(name: bytes) -> _Kind | None:
    """What a file of this name may be, None for nothing of interest."""
    ending = _ending(name)
    if ending in _readable():
        return _Kind.IMAGE
    return _Kind.UNKNOWN if not ending or ending in SHARED_EXTENSIONS else None
