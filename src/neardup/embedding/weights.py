"""Weights under BiT's released names: exact loading from .npz, or an error with the names."""

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.durable import replacing
from neardup.errors import BadWeights

Weights = dict[str, NDArray[Any]]

# BiT's own files hold a 21,843-class head of 45 million numbers; nothing real comes near this.
MAXIMUM_BYTES = 4 << 30


# What zipfile, zlib and NumPy raise for damaged, encrypted and oddly compressed files.
_UNREADABLE = (
    OSError, ValueError, EOFError, KeyError, AttributeError, TypeError, MemoryError, RuntimeError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip


def check_weights(weights: Weights, shapes: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raise BadWeights unless weights hold exactly the names and shapes wanted, and only finite numbers."""
    missing, unused = shapes.keys() - weights.keys(), weights.keys() - shapes.keys()
    if missing or unused:
        raise BadWeights(f"{source}: missing {sorted(missing)}, unused {sorted(unused)}")
    for name, shape in shapes.items():
        if weights[name].shape != tuple(shape):
            raise BadWeights(f"{source}: {name} has shape {weights[name].shape}, the architecture wants {shape}")
        if not np.isfinite(weights[name]).all():
            raise BadWeights(f"{source}: {name} holds numbers that are not finite")


def load_weights(path: Path, shapes: Mapping[str, tuple[int, ...]], ignore: tuple[str, ...] = ()) -> Weights:
    """Read an .npz of weights.

    shapes: every parameter wanted, by name
    ignore: prefixes of names that are left out on purpose, such as a classifier's head
    returns: arrays as stored, float16 or float32
    Raises BadWeights where the file is not a readable .npz, or not exactly those parameters.
    """
    read_shapes(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            weights = {name: file[name] for name in file.files if not name.startswith(ignore or ("\0",))}
    except _UNREADABLE as error:
        raise _not_readable(path, error) from error
    for name, array in weights.items():
        if array.dtype not in (np.float16, np.float32):
            raise BadWeights(f"{path}: {name} is {array.dtype}, not float16 or float32")
    check_weights(weights, shapes, str(path))
    return weights


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays in an .npz, from headers that agree with the file's sizes; raises BadWeights."""
    shapes: dict[str, tuple[int, ...]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAXIMUM_BYTES:
                raise BadWeights(f"{path}: holds more than {MAXIMUM_BYTES >> 30} GiB; this is no file of BiT weights")
            for entry in archive.infolist():
                with archive.open(entry) as file:
                    if np.lib.format.read_magic(file) != (1, 0):  # later versions allow headers of 4 GiB
                        raise ValueError(f"{entry.filename} is not .npy version 1.0")
                    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                    if file.tell() + math.prod(shape) * dtype.itemsize != entry.file_size or min(shape, default=0) < 0:
                        raise ValueError(f"{entry.filename} says {shape}, which is not what it holds")
                shapes[entry.filename.removesuffix(".npy")] = shape
    except _UNREADABLE as error:
        raise _not_readable(path, error) from error
    return shapes


def _not_readable(path: Path, error: Exception) -> BadWeights:
    return BadWeights(f"{path}: not a readable .npz of weights ({error}); fetch the file again")


def save_weights(path: Path, weights: Weights) -> None:
    """Write weights as float16, in the order of their names."""
    with np.errstate(over="ignore"):  # looked for below
        rounded: dict[str, Any] = {name: weights[name].astype(np.float16) for name in sorted(weights)}
    for name, array in rounded.items():
        if not np.isfinite(array).all():
            raise BadWeights(f"{path}: {name} leaves float16's range; lower the learning rate")
    with replacing(path) as file:
        np.savez(file, **rounded)  # NumPy 1 would take allow_pickle for one of the arrays
