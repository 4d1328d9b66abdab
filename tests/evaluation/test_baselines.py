"""Hashes as unit rows: cosine and Hamming distance say the same."""

from __future__ import annotations

import sys

import imagehash
import numpy as np
import pytest
from PIL import Image

from neardup.evaluation.baselines import load_baselines

BITS = {"phash": 64, "dhash": 64, "pdq": 256}


def some_photos() -> list[np.ndarray]:
    cells = np.random.default_rng(4).integers(0, 256, (6, 9, 9, 3), dtype=np.uint8)
    return [np.array(Image.fromarray(photo).resize((90, 70), Image.Resampling.BICUBIC)) for photo in cells]


def test_rows_are_unit_and_equal_photos_have_cosine_one():
    photos = some_photos()
    baselines, missing = load_baselines()
    assert (baselines.keys(), missing) == (BITS.keys(), [])
    for name, embed in baselines.items():
        rows = embed(photos)
        assert rows.shape == (6, BITS[name])
        assert rows.dtype == np.float32
        cosines = rows @ embed(photos).T
        assert (np.diag(cosines) == 1).all()
        assert (cosines[~np.eye(6, dtype=bool)] < 0.7).all()


def test_cosine_is_one_minus_twice_the_share_of_differing_bits():
    first, second = some_photos()[:2]
    distance = imagehash.phash(Image.fromarray(first)) - imagehash.phash(Image.fromarray(second))
    rows = load_baselines()[0]["phash"]([first, second])
    assert float(rows[0] @ rows[1]) == 1 - 2 * distance / 64


@pytest.mark.parametrize(
    ("package", "left", "said"),
    [
        ("imagehash", {"pdq"}, "pHash and dHash: the package imagehash is not installed"),
        ("pdqhash", {"phash", "dhash"}, "PDQ: the package pdqhash is not installed"),
    ],
)
def test_what_is_missing_is_named_and_the_others_are_there(monkeypatch, package, left, said):
    monkeypatch.setitem(sys.modules, package, None)
    baselines, [line] = load_baselines()
    assert baselines.keys() == left
    assert line == f"{said}; pip install 'neardup[baselines]'"
