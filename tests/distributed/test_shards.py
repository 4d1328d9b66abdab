"""Shards without Ray: where they end, what is kept of them, and what is not believed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neardup.distributed.shards import Recipe, Store, cut
from neardup.images.exif import Taken
from neardup.index import Model
from neardup.prepare import Prepared
from neardup.sources import ImageFile

pytest.importorskip("pyarrow", reason="pip install 'neardup[ray]'")

RECIPE = Recipe(Model("tiny", "ab" * 32, "onnx", "f32", "pillow", 4), parts=False)


@pytest.fixture
def sources():
    """Of paths that are the same in every run, since shards end by these; nothing lies there."""
    return [ImageFile(Path(f"/nowhere/photos/{number}.jpg")) for number in range(1500)]


def test_shards_hold_every_source_once_in_order(sources):
    shards = list(cut(sources, RECIPE))
    assert [source for shard in shards for source in shard.sources] == sources
    assert 1500 / 256 <= len(shards) <= 30
    assert max(len(shard.sources) for shard in shards) <= 256


def test_a_run_that_begins_in_the_middle_comes_to_the_same_shards(sources):
    whole = [shard.name for shard in cut(sources, RECIPE)]
    later = [shard.name for shard in cut(sources[700:], RECIPE)]
    assert len(set(later) & set(whole)) >= len(later) - 3


@pytest.mark.parametrize("change", ["file", "model", "parts"])
def test_a_shard_of_something_else_has_another_name(sources, tmp_path, change):
    sources[0] = ImageFile(tmp_path / "first.jpg")
    sources[0].path.write_bytes(b"x")
    [before, *_] = cut(sources[:50], RECIPE)
    recipe = RECIPE
    if change == "file":
        sources[0].path.write_bytes(b"longer")
    elif change == "model":
        recipe = Recipe(Model("tiny", "cd" * 32, "onnx", "f32", "pillow", 4), parts=False)
    else:
        recipe = Recipe(RECIPE.model, parts=True)
    [after, *_] = cut(sources[:50], recipe)
    assert before.name != after.name


def results():
    row = np.array([[1, 0, 0, 0]], "<f2")
    return [
        Prepared(b"\1" * 32, 40, 30, 0.1234567890123, taken=Taken(None, 5), quality=87, embeddings=row),
        Prepared(b"\2" * 32),
        Prepared(b"\4" * 32, 40, 30, taken=Taken(-(2**41), 7), damaged="it ends early", embeddings=row),
        Prepared(b"\3" * 32, error="broken", lasting=True),
        Prepared(error="the file is gone"),
    ]


def test_what_was_saved_comes_back(tmp_path, sources):
    [shard] = cut(sources[:5], RECIPE)
    store = Store(tmp_path / "ray", RECIPE)
    assert store.load(shard) is None
    store.save(shard.name, results())
    for saved, loaded in zip(results(), store.load(shard), strict=True):
        assert (saved.embeddings is None) == (loaded.embeddings is None)
        if saved.embeddings is not None:
            assert np.array_equal(saved.embeddings, loaded.embeddings)
        assert replace(saved, embeddings=None) == replace(loaded, embeddings=None)
    store.clear()
    assert not (tmp_path / "ray").exists()


@pytest.mark.parametrize("damage", ["cut", "noise", "fewer", "dim", "nan", "folder", "link"])
def test_what_cannot_be_a_shard_is_none(tmp_path, sources, damage):
    [shard] = cut(sources[:5], RECIPE)
    store = Store(tmp_path / "ray", RECIPE)
    store.save(shard.name, results())
    [path] = (tmp_path / "ray").iterdir()
    good = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(good[: len(good) // 2])
    elif damage == "noise":
        path.write_bytes(b"PAR1" + bytes(range(256)) + b"PAR1")
    elif damage == "fewer":
        store.save(shard.name, results()[:4])
    elif damage in ("dim", "nan"):
        row = np.full((1, 4 if damage == "nan" else 3), np.nan, "<f2")
        store.save(shard.name, [Prepared(b"\1" * 32, 40, 30, embeddings=row), *results()[1:]])
    elif damage == "folder":
        path.mkdir()
    else:
        (tmp_path / "elsewhere").write_bytes(good)
        path.symlink_to(tmp_path / "elsewhere")
    assert store.load(shard) is None
