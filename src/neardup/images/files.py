"""Read an image file, or its first bytes, and open nothing but regular files."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from neardup.errors import UnreadableImage
from neardup.images.formats import HEAD_BYTES, format_of

MAX_FILE_BYTES = 2**30

_LAST_NS = 2**63 - 1
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def shown(path: Path) -> str:
    """The path for a message of one line: quoted and escaped where it holds newlines or bytes that are not text."""
    return str(path) if str(path).isprintable() else repr(str(path))


def modified_ns(found: os.stat_result) -> int:
    """Modification time in nanoseconds since 1970, as far as 63 bits go, which is what an index keeps: 1677 to 2262.

    File systems hold more, and a camera whose clock was wrong, or a hand-made archive, brings any date.
    """
    return max(-_LAST_NS, min(found.st_mtime_ns, _LAST_NS))


class FileStat(NamedTuple):
    """What tells whether a file has changed, without reading it, in numbers of at most 63 bits."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int = 0  # when its entry changed last, which nobody sets at will; 0: nobody knows
    inode: int = 0  # 0: it has none


def stat_of(found: os.stat_result) -> FileStat:
    ctime_ns = max(-_LAST_NS, min(found.st_ctime_ns, _LAST_NS))
    return FileStat(found.st_size, modified_ns(found), ctime_ns, found.st_ino & _LAST_NS)


def begins_like_an_image(path: Path) -> bool:
    """Whether the first bytes of a regular file are those of a known format; links are not followed; raises OSError."""
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
