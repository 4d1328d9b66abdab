"""What can be asked for: image files, folders of them, URLs, standard input."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from neardup.errors import BadInput, UnreadableImage
from neardup.images import MAX_FILE_BYTES, find_images
from neardup.images.files import OnError
from neardup.pipeline import ImageFile, Source

STDIN = "-"


@dataclass(frozen=True)
class Download:
    """An image behind a URL, fetched when it is read."""

    name: str
    allow_private: bool
    label: str | None = None

    @property
    def path(self) -> Path:
        return Path(self.name)

    def stat(self) -> tuple[int, int]:
        return 0, 0

    def read(self) -> bytes:
        from neardup.fetch import fetch_image

        try:
            return fetch_image(self.name, allow_private=self.allow_private)
        except BadInput as error:
            raise UnreadableImage(str(error)) from error


@dataclass(frozen=True)
class StandardInput:
    """The bytes of one image on a stream; None where it is closed."""

    stream: BinaryIO | None
    name: str = STDIN
    label: str | None = None

    @property
    def path(self) -> Path:
        return Path(self.name)

    def stat(self) -> tuple[int, int]:
        return 0, 0

    def read(self) -> bytes:
        return self._content

    @cached_property
    def _content(self) -> bytes:
        """Kept, because a stream gives its bytes once."""
        if self.stream is None:
            raise UnreadableImage("standard input is closed")
        try:
            content = self.stream.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise UnreadableImage(f"standard input cannot be read: {error.strerror}") from error
        if len(content) > MAX_FILE_BYTES:
            raise UnreadableImage(f"more than {MAX_FILE_BYTES} bytes on standard input")
        return content


def open_queries(
    images: Iterable[str],
    *,
    leave_out: Path,
    allow_private: bool,
    stdin: BinaryIO | None,
    on_error: OnError | None = None,
) -> Iterator[Source]:
    """The images that arguments stand for, in order; a folder stands for every image below it.

    on_error: called with each folder below a given one that cannot be looked into; without it, the first raises
    Raises BadInput at once for a path that is missing; an image that cannot be read is found out when it is read.
    """
    given = [_absolute(image) for image in images]
    for image in given:
        if isinstance(image, Path):
            find_images(image)  # checks that it is there
    return _sources(given, leave_out, allow_private, stdin, on_error)


def _absolute(image: str) -> Path | str:
    is_url = image.lower().startswith(("http://", "https://"))
    if not is_url and "://" in image and not os.path.lexists(image):
        raise BadInput(f"{image}: of URLs, only http:// and https:// are fetched; download it, and give the file")
    return image if is_url or image == STDIN else Path(os.path.abspath(image))


def _sources(
    images: list[Path | str], leave_out: Path, allow_private: bool, stdin: BinaryIO | None, on_error: OnError | None
) -> Iterator[Source]:
    for image in images:
        if isinstance(image, Path):
            yield from map(ImageFile, find_images(image, leave_out=leave_out, on_error=on_error))
        elif image == STDIN:
            yield StandardInput(stdin)
        else:
            yield Download(image, allow_private)
