"""The one way to read a file that someone else may have laid there: a regular one, of no more than so many bytes.

A FIFO or a device under the name of a file would be waited for, or read, for ever; a sparse file costs its maker
nothing and its reader all memory.
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BLOCK_BYTES = 1 << 20


class UnfitFile(OSError):
    """Not a regular file, or one too large: its strerror says which."""


def check_regular(path: Path, most_bytes: int | None = None) -> os.stat_result:
    """What `path` is, without opening it; a link is followed.

    Raises OSError: UnfitFile for anything but a regular file, and for one of more than `most_bytes`.
    """
    try:
        return _checked(path, path.stat(), most_bytes)
    except ValueError as error:  # a NUL in the name
        raise UnfitFile(errno.EINVAL, str(error), str(path)) from error


def open_regular(path: Path, most_bytes: int | None = None, *, follow: bool = True) -> BinaryIO:
    """Open a regular file to read, without ever waiting for it. Raises OSError as `check_regular`.

    follow: a link to a regular file is one, too
    """
    # Looked at before, since opening some devices does something; and after, since it may have been replaced.
    if follow:
        check_regular(path, most_bytes)

    def opener(name: str, _flags: int) -> int:
        descriptor = os.open(name, _OPEN_FLAGS | (0 if follow else _NOFOLLOW))
        try:
            _checked(path, os.fstat(descriptor), most_bytes)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    # By an opener the file owns its descriptor from the start: an interrupt never closes it twice.
    return open(path, "rb", opener=opener)


def read_regular(path: Path, most_bytes: int) -> bytes:
    """All bytes of a regular file of at most `most_bytes`; one that grows meanwhile is cut at the size it had.

    Raises OSError as `check_regular`.
    """
    with open_regular(path, most_bytes) as file:
        return read_all(file.read, os.fstat(file.fileno()).st_size)


def read_all(read: Callable[[int], bytes | None], size_bytes: int) -> bytes:
    """`size_bytes` by as many calls as it takes; fewer where there are no more."""
    parts = []
    while size_bytes > 0 and (part := read(size_bytes)):
        parts.append(part)
        size_bytes -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def digest_regular(path: Path, most_bytes: int | None = None) -> str:
    """SHA-256 of a regular file, in hex. Raises OSError as `check_regular`."""
    digest = hashlib.sha256()
    with open_regular(path, most_bytes) as file:
        left = os.fstat(file.fileno()).st_size
        while left > 0 and (block := file.read(min(_BLOCK_BYTES, left))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def read_json(path: Path, most_bytes: int) -> Any:
    """The value in a JSON file of at most `most_bytes`. Raises OSError as `check_regular`, ValueError as parse_json."""
    return parse_json(read_regular(path, most_bytes))


def parse_json(content: bytes | str) -> Any:
    """The value in a JSON text; raises ValueError for whatever is wrong with it, its depth included."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error


def _checked(path: Path, found: os.stat_result, most_bytes: int | None) -> os.stat_result:
    if not stat.S_ISREG(found.st_mode):
        raise UnfitFile(errno.EINVAL, "not a regular file", str(path))
    if most_bytes is not None and found.st_size > most_bytes:
        raise UnfitFile(errno.EFBIG, f"{found.st_size} bytes, more than the {most_bytes} that are read", str(path))
    return found
