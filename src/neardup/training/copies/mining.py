"""Hard negatives: which photos look most alike to the network that is being trained."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.training.batches import as_it_is, load
from neardup.training.copies.losses import COPIES
from neardup.training.network import Embed

NEAREST = 16
"""Look-alikes of a photo that are kept."""

PART = 20_000
"""Photos among which the look-alikes of one are searched: time grows with n * PART, memory with CHUNK * PART."""

CHUNK = 256


def mine(paths: Sequence[Path], embed: Embed, size: int, seed: int) -> NDArray[np.int32]:
    """The photos most similar to each, but for its copies: (len(paths), NEAREST) int32, padded with -1.

    A mirrored photo is a copy too: pairs are judged by the greater similarity of both ways round.
    """
    rows, mirrored, readable = _embed(paths, embed, size)
    found = np.full((len(paths), NEAREST), -1, np.int32)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(readable))
    for part in np.array_split(order, max(1, -(-len(order) // PART))):
        for start in range(0, len(part), CHUNK):
            chunk = part[start : start + CHUNK]
            similarities = rows[chunk] @ rows[part].T
            copies = np.maximum(similarities, mirrored[chunk] @ rows[part].T) >= COPIES
            similarities[copies | (chunk[:, None] == part)] = -np.inf
            nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :NEAREST]
            usable = np.isfinite(np.take_along_axis(similarities, nearest, axis=1))
            found[chunk, : nearest.shape[1]] = np.where(usable, part[nearest], -1)
    return found


def _embed(
    paths: Sequence[Path], embed: Embed, size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Rows of the photos, rows of their mirror images, and which photos could be read."""
    rows, mirrored, readable = [], [], []
    for start in range(0, len(paths), CHUNK):
        photos = [load(path, 2 * size) for path in paths[start : start + CHUNK]]
        readable += [photo is not None for photo in photos]
        blank = np.zeros((size, size, 3), np.uint8)
        views = np.stack([blank if photo is None else as_it_is(photo, size) for photo in photos])
        rows.append(embed(views))
        mirrored.append(embed(np.ascontiguousarray(views[:, :, ::-1])))
    return np.concatenate(rows), np.concatenate(mirrored), np.array(readable)
