"""Records of data sets read again by their path, without TensorFlow: a shard, and the record's number in it.

A shard is a TFRecord file: of each record its length (8 bytes, little-endian), a checksum of that (4), the record, a
checksum of it (4). A record is a tf.train.Example, a protocol buffer of named features:

    Example {1: Features {1: {1: name, 2: Feature {1: BytesList {1: value, ...}}}, ...}}

https://www.tensorflow.org/tutorials/load_data/tfrecord, https://protobuf.dev/programming-guides/encoding
"""

import os
import re
import stat
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.errors import UnreadableImage
from neardup.images import MAX_FILE_BYTES, load_image, modified_ns, read_file
from neardup.images.files import shown
from neardup.images.formats import HEAD_BYTES, format_of
from neardup.sources.objects import is_object_path

# As `Dataset` names records: by what TensorFlow Datasets calls the shard, and the number.
_RECORD = re.compile(r"(.+\.([a-z_]+)-\d{5,}-of-\d{5,})__(\d{1,9})", re.DOTALL)
_LENGTH_BYTES, _BEFORE, _AROUND = 8, 12, 16
# Of a protocol buffer's fields: numbers of any length, what has its size before it, 8 and 4 bytes.
_NUMBER, _SIZED, _FIXED = 0, 2, {1: 8, 5: 4}
MOST_RECORDS = 10_000_000  # of one shard; 80 MB to know where each begins
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True)
class StoredImage:
    """A record of a data set, by the path that an index records."""

    path: Path
    label: str | None = None
    most_bytes: int = MAX_FILE_BYTES

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self) -> bytes:
        return read_stored(self.path)


def is_record(path: Path) -> bool:
    """Whether a path is a record's: named as one, and no file."""
    return _RECORD.fullmatch(path.name) is not None and not os.path.lexists(path)


def read_stored(path: Path) -> bytes:
    """The image at a path that an index records: a file's bytes, or a record's. Raises UnreadableImage."""
    if is_object_path(path):  # what an index says is no reason to use someone's keys
        raise UnreadableImage("is in object storage; only files are read again")
    return _read_record(path) if is_record(path) else read_file(path)


def load_stored(path: Path, *, size: int | None = None) -> NDArray[np.uint8]:
    """The pixels at a path that an index records, as `load_image` gives a file's; the error says the path."""
    try:
        return load_image(read_stored(path), size=size)
    except UnreadableImage as error:
        raise UnreadableImage(f"{shown(path)}: {error}") from error


def _read_record(path: Path) -> bytes:
    found = _RECORD.fullmatch(path.name)
    assert found is not None
    shard, format, number = path.with_name(found[1]), found[2], int(found[3])
    if format != "tfrecord":
        raise UnreadableImage(f"a record of an {format} file; of data sets, only tfrecord files are read again")
    try:
        descriptor = os.open(shard, _FLAGS)
    except FileNotFoundError as error:
        raise UnreadableImage("a record of a data set that is gone") from error
    except (OSError, ValueError) as error:
        raise UnreadableImage(f"the data set cannot be read: {getattr(error, 'strerror', error)}") from error
    try:
        return _image_of(_record(descriptor, shard, number))
    except (OSError, ValueError, IndexError) as error:
        raise UnreadableImage(f"a record of a damaged data set ({error}); prepare it anew") from error
    finally:
        os.close(descriptor)


def _record(descriptor: int, shard: Path, number: int) -> bytes:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("no regular file")
    begins = _begins(shard, found.st_size, modified_ns(found), found.st_ino)
    if number >= len(begins) - 1:
        raise ValueError(f"{len(begins) - 1} records, and none of number {number}")
    size_bytes = begins[number + 1] - begins[number] - _AROUND
    if size_bytes > MAX_FILE_BYTES:
        raise ValueError(f"a record of {size_bytes} bytes")
    record = os.pread(descriptor, size_bytes, begins[number] + _BEFORE)
    if len(record) < size_bytes:
        raise ValueError("it ends in the middle of a record")
    return record


@lru_cache(maxsize=64)
def _begins(shard: Path, size_bytes: int, mtime_ns: int, inode: int) -> "array[int]":
    """Where each record begins, and where the last one ends."""
    begins = array("Q", [0])
    with os.fdopen(os.open(shard, _FLAGS), "rb", buffering=1 << 16) as file:
        while begins[-1] < size_bytes and len(begins) <= MOST_RECORDS:
            file.seek(begins[-1])
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if begins[-1] + _AROUND + length > size_bytes:
                raise ValueError("it ends in the middle of a record")
            begins.append(begins[-1] + _AROUND + length)
    return begins


def _image_of(example: bytes) -> bytes:
    """The feature that `Dataset` takes: `image`, else the only one that is an image."""
    features = dict(_features(memoryview(example)))
    if "image" in features:
        return bytes(features["image"])
    images = [value for value in features.values() if format_of(bytes(value[:HEAD_BYTES]))]
    if len(images) != 1:
        raise ValueError(f"{len(images)} images in one record")
    return bytes(images[0])


def _features(example: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Names and values of the features that hold bytes; of several values the first."""
    for features in _parts(example, 1):
        for entry in _parts(features, 1):
            for name, feature in zip(_parts(entry, 1), _parts(entry, 2), strict=False):
                value = next((v for values in _parts(feature, 1) for v in _parts(values, 1)), None)
                if value is not None:
                    yield str(name, "utf-8", "replace"), value


def _parts(message: memoryview, wanted: int) -> Iterator[memoryview]:
    """The fields of this number, of those that have a length."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        size, after = _varint(message, at) if kind in (_NUMBER, _SIZED) else (_FIXED.get(kind, len(message)), at)
        at = after
        if kind == _NUMBER:
            continue
        if size > len(message) - at:
            raise ValueError("it holds no tf.train.Example")
        if kind == _SIZED and tag >> 3 == wanted:
            yield message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends; raises IndexError at the end."""
    value = 0
    for shift in range(0, 64, 7):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("it holds no tf.train.Example")
