"""The one way to replace a file: after a crash, a full disk or Ctrl-C it holds the old content or the new, whole."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside `path` that takes its place when the block ends; on an error it is removed.

    The name is one that nobody can guess, and the file is made anew, so that no link laid there beforehand is followed.
    A link at `path` itself is replaced, not what it leads to. Raises OSError.
    """
    temporary = path.with_name(f".neardup-{secrets.token_hex(8)}.tmp")
    try:
        with os.fdopen(os.open(temporary, _FLAGS, 0o666), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, in place of the one that may be there. Raises OSError."""
    with replacing(path) as file:
        file.write(content)


def sync_directory(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
