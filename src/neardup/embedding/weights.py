"""Weights under BiT's released names: exact loading from .npz, or an error with the names."""

import math
import zipfile
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neardup.durable import replacing
from neardup.errors import BadWeights, NeardupError
from neardup.reading import open_regular
from neardup.text import said

Weights = dict[str, NDArray[Any]]

# BiT's own files hold a 21,843-class head of 45 million numbers; nothing real comes near this.
MAXIMUM_BYTES = 4 << 30


# Trained numbers hardly compress: what unpacks to more times its size is made to fill the memory.
MOST_COMPRESSION = 20
_NAMES_SHOWN = 10


class Header(NamedTuple):
    """What the head of an array says, and the file agrees with."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def check_weights(weights: Weights, shapes: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raise BadWeights unless weights hold exactly the names and shapes wanted, and only finite numbers."""
    check_names(weights.keys(), shapes.keys(), source)
    for name, shape in shapes.items():
        if weights[name].shape != tuple(shape):
            raise BadWeights(f"{source}: {name} has shape {weights[name].shape}, the architecture wants {shape}")
        if not np.isfinite(weights[name]).all():
            raise BadWeights(f"{source}: {name} holds numbers that are not finite")


def check_names(found: Set[str], wanted: Set[str], source: str) -> None:
    """Raise BadWeights unless those found are those wanted."""
    if found != wanted:
        raise BadWeights(f"{source}: missing {_some(wanted - found)}, unused {_some(found - wanted)}")


def _some(names: Set[str]) -> str:
    shown = sorted(names)[:_NAMES_SHOWN]
    return f"{shown}{f' and {len(names) - len(shown)} more' if len(names) > len(shown) else ''}"


def load_weights(path: Path, shapes: Mapping[str, tuple[int, ...]], ignore: tuple[str, ...] = ()) -> Weights:
    """Read an .npz of weights; nothing is unpacked before names, shapes and types are those wanted.

    shapes: every parameter wanted, by name
    ignore: prefixes of names that are left out on purpose, such as a classifier's head
    returns: arrays as stored, float16 or float32
    Raises BadWeights where the file is not a readable .npz, or not exactly those parameters.
    """
    headers = {name: header for name, header in read_headers(path).items() if not name.startswith(ignore or ("\0",))}
    check_names(headers.keys(), shapes.keys(), str(path))
    for name, (shape, dtype) in headers.items():
        if dtype not in (np.float16, np.float32):
            raise BadWeights(f"{path}: {name} is {dtype}, not float16 or float32")
        if shape != tuple(shapes[name]):
            raise BadWeights(f"{path}: {name} has shape {shape}, the architecture wants {shapes[name]}")
    with _readable(path) as file, np.load(file, allow_pickle=False) as arrays:
        weights = {name: arrays[name] for name in headers}
    check_weights(weights, shapes, str(path))
    return weights


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays in an .npz, as `read_headers`."""
    return {name: header.shape for name, header in read_headers(path).items()}


def read_headers(path: Path) -> dict[str, Header]:
    """Heads of the arrays in an .npz, which agree with the file's sizes; raises BadWeights."""
    with _readable(path) as file, zipfile.ZipFile(file) as archive:
        size_bytes = sum(entry.file_size for entry in archive.infolist())
        if size_bytes > min(MAXIMUM_BYTES, MOST_COMPRESSION * path.stat().st_size):
            raise BadWeights(f"{path}: unpacks to {size_bytes:,} bytes; this is no file of BiT weights")
        return {entry.filename.removesuffix(".npy"): _header(archive, entry) for entry in archive.infolist()}


def _header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Header:
    with archive.open(entry) as file:
        if np.lib.format.read_magic(file) != (1, 0):  # later versions allow headers of 4 GiB
            raise ValueError(f"{entry.filename} is not .npy version 1.0")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if file.tell() + math.prod(shape) * dtype.itemsize != entry.file_size or min(shape, default=0) < 0:
            raise ValueError(f"{entry.filename} says {shape}, which is not what it holds")
    return Header(shape, dtype)


@contextmanager
def _readable(path: Path) -> Iterator[BinaryIO]:
    """The file, open; whatever is wrong with what is read from it becomes BadWeights."""
    try:
        with open_regular(path, MAXIMUM_BYTES) as file:
            yield file
    except NeardupError:
        raise
    except Exception as error:  # zipfile, its decompressors and NumPy raise nearly everything for damaged files
        raise BadWeights(f"{path}: not a readable .npz of weights ({said(error)}); fetch the file again") from error


def save_weights(path: Path, weights: Weights) -> None:
    """Write weights as float16, in the order of their names."""
    with np.errstate(over="ignore"):  # looked for below
        rounded: dict[str, Any] = {name: weights[name].astype(np.float16) for name in sorted(weights)}
    for name, array in rounded.items():
        if not np.isfinite(array).all():
            raise BadWeights(f"{path}: {name} leaves float16's range; lower the learning rate")
    with replacing(path) as file:
        np.savez(file, **rounded)  # NumPy 1 would take allow_pickle for one of the arrays
