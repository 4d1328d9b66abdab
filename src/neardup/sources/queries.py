"""What can be asked for: image files, folders of them, data sets and their records, URLs, standard input."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from neardup.errors import BadInput
from neardup.images import OnError, find_images
from neardup.sources.datasets import Dataset, is_dataset, open_dataset
from neardup.sources.records import StoredImage, is_record
from neardup.sources.source import ImageFile, Kept, Source
from neardup.sources.stdin import STDIN, StandardInput
from neardup.sources.url import Download


def open_queries(
    images: Iterable[str],
    *,
    leave_out: Path,
    allow_private: bool,
    stdin: BinaryIO | None,
    on_error: OnError | None = None,
) -> Iterator[Source]:
    """The images that arguments stand for, in order; a folder stands for every image below it, tfds:NAME[:SPLIT] for
    its records.

    on_error: called with each folder below a given one that cannot be looked into; without it, the first raises
    Raises BadInput at once for a path that is missing, or a data set that cannot be had; an image that cannot be read
    is found out when it is read. What cannot be read twice, or only by fetching it twice, comes as Kept.
    """
    given = [_absolute(image) for image in images]
    for image in given:
        if isinstance(image, Path) and not is_record(image):
            find_images(image)  # checks that it is there
    opened = [open_dataset(image) if isinstance(image, str) and is_dataset(image) else image for image in given]
    return _sources(opened, leave_out, allow_private, stdin, on_error)


def count_queries(images: Iterable[str], *, leave_out: Path) -> int:
    """How many images arguments stand for, that `open_queries` takes."""
    found = 0
    for given in map(_absolute, images):
        if isinstance(given, Path) and not is_record(given):
            found += sum(1 for _ in find_images(given, leave_out=leave_out, on_error=lambda path, error: None))
        else:
            found += len(open_dataset(given)) if isinstance(given, str) and is_dataset(given) else 1
    return found


def _absolute(image: str) -> Path | str:
    if is_dataset(image):
        return image
    if not is_url(image) and "://" in image and not os.path.lexists(image):
        raise BadInput(f"{image}: of URLs, only http:// and https:// are fetched; download it, and give the file")
    return image if is_url(image) or image == STDIN else Path(os.path.abspath(image))


def is_url(image: str) -> bool:
    return image.lower().startswith(("http://", "https://"))


def _sources(
    images: list[Path | str | Dataset],
    leave_out: Path,
    allow_private: bool,
    stdin: BinaryIO | None,
    on_error: OnError | None,
) -> Iterator[Source]:
    for image in images:
        if isinstance(image, Dataset):
            yield from image
        elif isinstance(image, Path) and is_record(image):
            yield StoredImage(image)
        elif isinstance(image, Path):
            yield from map(ImageFile, find_images(image, leave_out=leave_out, on_error=on_error))
        elif image == STDIN:
            yield Kept(StandardInput(stdin))
        else:
            yield Kept(Download(image, allow_private))
