"""Perceptual hashes as embedders: what people use today, judged by the same code as the model.

A hash of b bits becomes a row of b values ±1/sqrt(b), so that the cosine of two rows is 1 - 2 * Hamming distance / b
and everything written for embeddings works on hashes. Both 64 and 256 are squares of powers of two: the cosines are
exact in float32, and equal distances are equal similarities.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neardup.errors import MissingPackage
from neardup.evaluation.attacks import Photo
from neardup.packages import load_package

# Photos to (n, dim) float32 unit rows.
Embed: TypeAlias = Callable[[list[Photo]], NDArray[np.float32]]


def load_baselines() -> tuple[dict[str, Embed], list[str]]:
    """pHash and dHash (64 bits, imagehash) and PDQ (256 bits, Meta's code through pdqhash).

    returns: those that can run here, by name; and for each library that is not installed a line that says so
    """
    found: dict[str, Embed] = {}
    missing = []
    try:
        imagehash = load_package("imagehash", "pHash and dHash")
        found["phash"] = _embed_bits(lambda photo: imagehash.phash(Image.fromarray(photo)).hash)
        found["dhash"] = _embed_bits(lambda photo: imagehash.dhash(Image.fromarray(photo)).hash)
    except MissingPackage as error:
        missing.append(str(error))
    try:
        pdqhash = load_package("pdqhash", "PDQ")
        found["pdq"] = _embed_bits(lambda photo: pdqhash.compute(photo)[0])
    except MissingPackage as error:
        missing.append(str(error))
    return found, missing


def _embed_bits(bits_of: Callable[[Photo], object]) -> Embed:
    def embed(photos: list[Photo]) -> NDArray[np.float32]:
        bits = np.array([np.ravel(np.asarray(bits_of(photo), dtype=bool)) for photo in photos])
        size = np.float32(1 / np.sqrt(bits.shape[1]))
        return np.where(bits, size, -size)

    return embed
