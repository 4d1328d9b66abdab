"""Standard input: one image, or a list of paths."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from neardup.errors import BadInput, UnreadableImage
from neardup.images import MAX_FILE_BYTES

STDIN = "-"
_LONGEST_PATH_BYTES = 1 << 16


@dataclass(frozen=True)
class StandardInput:
    """The bytes of one image on a stream, which gives them once; None where it is closed."""

    stream: BinaryIO | None
    name: str = STDIN
    label: str | None = None
    most_bytes: int = MAX_FILE_BYTES

    def read(self) -> bytes:
        if self.stream is None:
            raise UnreadableImage("standard input is closed")
        try:
            content = self.stream.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise UnreadableImage(f"standard input cannot be read: {error.strerror}") from error
        if len(content) > MAX_FILE_BYTES:
            raise UnreadableImage(f"more than {MAX_FILE_BYTES} bytes on standard input")
        return content


def read_paths(stream: BinaryIO | None, *, end: bytes = b"\n") -> Iterator[Path]:
    """The paths of a list, made absolute, as they come; they are bytes, for names need not be valid Unicode.

    end: what ends a path. Lines may end in CR LF; a name that ends in CR takes NUL
    Raises BadInput, at once, where the stream is closed.
    """
    if stream is None:
        raise BadInput("standard input is closed; give the list of paths there, or leave '-' out")
    return (_absolute(path, end) for path in _parts(stream, end) if path)


def _parts(stream: BinaryIO, end: bytes) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(1 << 16):
        *parts, rest = (rest + block).split(end)
        if len(rest) > _LONGEST_PATH_BYTES:
            raise BadInput("what comes on standard input is no list of paths; give one path a line")
        yield from parts
    yield rest


def _absolute(path: bytes, end: bytes) -> Path:
    return Path(os.path.abspath(os.fsdecode(path.removesuffix(b"\r") if end == b"\n" else path)))
