"""Find the image files under a path, and read one of them, touching nothing but regular files."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from enum import Enum, auto
from operator import itemgetter
from pathlib import Path

from neardup.errors import BadInput, UnreadableImage
from neardup.images.formats import HEAD_BYTES, IMAGE_EXTENSIONS, SHARED_EXTENSIONS, format_of

MAX_FILE_BYTES = 2**30

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

OnError = Callable[[Path, OSError], None]


def find_images(root: Path, *, leave_out: Path | None = None, on_error: OnError | None = None) -> Iterator[Path]:
    """The image files under `root`, folder by folder, names in the order of their bytes; no two have the same path.

    An image is a regular file with a known image extension, or one without an extension whose first bytes are an
    image's. Files and folders whose name begins with a dot are left out, and so is the folder `leave_out`. Symbolic
    links below `root` are not followed: a photo seen under two paths would look like a copy that may be deleted. `root`
    itself may be a link, hidden, or a file: a regular file is offered whatever its extension, because it was named.

    on_error: called with each folder or file below `root` that could not be looked at, and the walk goes on: whatever
              is there is unknown, not gone. Without it, the first one raises BadInput.
    Raises BadInput where `root` is missing, unreadable, or neither a folder nor a regular file.
    """
    try:
        found = root.stat()
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(root):
                pass
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(f"{shown(root)}: {reason}; give a folder or an image file that can be read") from error
    if stat.S_ISREG(found.st_mode):
        return iter([root])
    if not stat.S_ISDIR(found.st_mode):
        raise BadInput(f"{shown(root)}: neither a folder nor a regular file; give a folder or an image file")
    visited = set()
    if leave_out is not None and leave_out.exists():
        visited.add(_identity(leave_out.stat()))
    return _walk(root, visited, on_error or _refuse)


def shown(path: Path) -> str:
    """The path for a message of one line: quoted and escaped where it holds newlines or bytes that are not text."""
    return str(path) if str(path).isprintable() else repr(str(path))


def may_be_image(path: Path) -> bool:
    """Whether a walk would offer this file; true for what is missing or unreadable, which reading it will tell."""
    try:
        found = path.stat()
        kind = _kind(os.fsencode(path.name))
        if not stat.S_ISREG(found.st_mode) or kind is None:
            return False
        return kind is _Kind.IMAGE or _begins_like_an_image(path)
    except (OSError, ValueError):
        return True


def _refuse(path: Path, error: OSError) -> None:
    raise BadInput(f"{shown(path)}: {error.strerror}; make it readable, or leave it out") from error


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _walk(root: Path, visited: set[tuple[int, int]], on_error: OnError) -> Iterator[Path]:
    """Depth first. `visited` holds every folder seen, for bind mounts can make loops without a symbolic link."""
    pending = [iter([(os.fsencode(root), _Kind.FOLDER)])]
    while pending:
        step = next(pending[-1], None)
        if step is None:
            pending.pop()
            continue
        path, kind = Path(os.fsdecode(step[0])), step[1]
        try:
            if kind is _Kind.FOLDER:
                identity = _identity(path.stat())
                if identity not in visited:
                    visited.add(identity)
                    pending.append(iter(_entries(path, on_error)))
            elif kind is _Kind.IMAGE or _begins_like_an_image(path):
                yield path
        except FileNotFoundError:
            continue  # deleted since its folder was listed
        except OSError as error:
            on_error(path, error)


# Recycle bins of Windows and of network disks, which empty themselves, and thumbnails that such disks make.
_NOT_THE_USERS = frozenset(
    (b"$recycle.bin", b"recycler", b"#recycle", b"@recycle", b"@eadir", b"system volume information")
)


class _Kind(Enum):
    FOLDER = auto()
    IMAGE = auto()
    UNKNOWN = auto()  # its first bytes decide


def _entries(folder: Path, on_error: OnError) -> list[tuple[bytes, _Kind]]:
    """The visible folders and possible images in a folder, as paths in the order of their bytes."""
    entries = []
    with os.scandir(os.fsencode(folder)) as listing:
        for entry in listing:
            if entry.name.startswith(b"."):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name.lower() in _NOT_THE_USERS:
                        continue
                    entries.append((entry.path, _Kind.FOLDER))
                elif (kind := _kind(entry.name)) and entry.is_file(follow_symlinks=False):
                    entries.append((entry.path, kind))
            except OSError as error:
                on_error(Path(os.fsdecode(entry.path)), error)
    entries.sort(key=itemgetter(0))
    return entries


def _kind(name: bytes) -> _Kind | None:
    """What a file of this name may be, None for nothing of interest."""
    ending = name.rpartition(b".")[2].lower() if b"." in name else b""
    if ending in IMAGE_EXTENSIONS:
        return _Kind.IMAGE
    return _Kind.UNKNOWN if not ending or ending in SHARED_EXTENSIONS else None


def _begins_like_an_image(path: Path) -> bool:
    descriptor = os.open(path, _OPEN_FLAGS | getattr(os, "O_NOFOLLOW", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        return format_of(os.read(descriptor, HEAD_BYTES)) is not None
    finally:
        os.close(descriptor)


def read_file(path: Path) -> bytes:
    """All bytes of a regular file of at most MAX_FILE_BYTES; a link to one is followed.

    Raises UnreadableImage, whose message leaves the path to the caller. A FIFO or a device is refused without waiting
    for it: opening never blocks, and what was opened is looked at before anything is read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableImage("not a regular file")
        descriptor = os.open(path, _OPEN_FLAGS)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise UnreadableImage("not a regular file")
            if found.st_size > MAX_FILE_BYTES:
                raise UnreadableImage(f"{found.st_size} bytes, more than the {MAX_FILE_BYTES} that are read")
            return _read_all(file.read, found.st_size)
    except OSError as error:
        reason = "the file is gone" if error.errno == errno.ENOENT else f"cannot be read: {error.strerror or error}"
        raise UnreadableImage(reason) from error
    except ValueError as error:  # a NUL in the path
        raise UnreadableImage(f"cannot be read: {error}") from error


def _read_all(read: Callable[[int], bytes | None], size_bytes: int) -> bytes:
    """A file that grows while it is read is cut at the size it had, one that shrinks gives what is left."""
    parts = []
    while size_bytes > 0 and (part := read(size_bytes)):
        parts.append(part)
        size_bytes -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
