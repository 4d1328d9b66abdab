"""Read an image file, or its first bytes, and open nothing but regular files."""

import errno
import os
from pathlib import Path
from typing import NamedTuple

from neardup.errors import UnreadableImage
from neardup.images.formats import HEAD_BYTES, format_of
from neardup.reading import UnfitFile, open_regular, read_regular

MAX_FILE_BYTES = 2**30

_LAST_NS = 2**63 - 1


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
    try:
        with open_regular(path, follow=False) as file:
            return format_of(file.read(HEAD_BYTES)) is not None
    except UnfitFile:
        return False


def read_file(path: Path) -> bytes:
    """All bytes of a regular file of at most MAX_FILE_BYTES; a link to one is followed.

    Raises UnreadableImage, whose message leaves the path to the caller. A FIFO or a device is refused without waiting
    for it: opening never blocks, and what was opened is looked at before anything is read.
    """
    try:
        return read_regular(path, MAX_FILE_BYTES)
    except UnfitFile as error:
        raise UnreadableImage(error.strerror) from error
    except MemoryError as error:
        raise UnreadableImage("not enough memory to read it") from error
    except OSError as error:
        reason = "the file is gone" if error.errno == errno.ENOENT else f"cannot be read: {error.strerror or error}"
        raise UnreadableImage(reason) from error
