"""Hashes as unit rows: cosine and Hamming distance say the same."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from neardup.errors import MissingPackage
from neardup.evaluation.baselines import load_baselines

BITS = {"phash": 64, "dhash": 64, "pdq": 256}


def some_photos() -> list[np.ndarray]:
    cells = np.random.default_rng(4).integers(0, 256, (6, 9, 9, 3), dtype=np.uint8)
    return [np.array(Image.fromarray(photo).resize((90, 70), Image.Resampling.BICUBIC)) for photo in cells]


def test_rows_are_unit_and_equal_photos_have_cosine_one():
    pytest.importorskip("imagehash")
    pytest.importorskip("pdqhash")
    photos = some_photos()
    for name, embed in load_baselines().items():
        rows = embed(photos)
        assert rows.shape == (6, BITS[name])
        assert rows.dtype == np.float32
        cosines = rows @ embed(photos).T
        assert (np.diag(cosines) == 1).all()
        assert (cosines[~np.eye(6, dtype=bool)] < 0.7).all()


def test_cosine_is_one_minus_twice_the_share_of_differing_bits():
    imagehash = pytest.importorskip("imagehash")
    pytest.importorskip("pdqhash")
    first, second = some_photos()[:2]
    distance = imagehash.phash(Image.fromarray(first)) - imagehash.phash(Image.fromarray(second))
    rows = load_baselines()["phash"]([first, second])
    assert float(rows[0] @ rows[1]) == 1 - 2 * distance / 64


def test_without_the_libraries_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(MissingPackage, match=r"imagehash: pip install 'neardup\[baselines\]'"):
        load_baselines()
