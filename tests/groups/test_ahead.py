"""Looks made in advance, here in the same process: the groups, and all that is recorded, are those without them."""

import os
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from PIL import Image, ImageDraw

from neardup.groups import find_groups
from neardup.groups.ahead import Wanted
from neardup.groups.images import Images
from neardup.groups.looking import Comparer, content_of
from neardup.groups.neighbours import pairs_of_block
from neardup.index import IN_DOUBT, Index
from neardup.matching.pixels import pixel_digest
from tests.conftest import draw_scene
from tests.groups.a_gallery import DIM, index_files, save_gallery


class SameProcess:
    """What neardup.distributed.groups has others do."""

    def __init__(self, chunk: int) -> None:
        self.chunk, self.looks, self._unread, self._in_doubt = chunk, 0, {}, set()

    def exact_pairs(self, unit, starts) -> Iterator[np.ndarray]:
        return (pairs_of_block(unit, start) for start in reversed(starts))

    def look(self, images: Images, wanted: Sequence[Wanted]):
        comparer = Comparer(images, self._in_doubt.add)
        for each in reversed(wanted):
            self.looks += 1
            yield each, comparer.compare(*each)
        self._unread |= comparer.unreadable

    def why_unread(self):
        return self._unread

    def in_doubt(self):
        return self._in_doubt

    def pixels(self, images: Images, contents: Sequence[int]):
        return ((each, pixel_digest(content_of(images, each, self._in_doubt.add)) or b"") for each in contents)


@pytest.fixture
def gallery(tmp_path):
    """Versions of two scenes, one of them written on, the same pixels in two formats, strangers, and a collage."""
    first, second = draw_scene(1, 320, 240), draw_scene(2, 320, 240)
    written = first.copy()
    ImageDraw.Draw(written).text((60, 90), "NOT THE SAME", fill="white", font_size=36)
    collage = Image.new("RGB", (660, 240), "grey")
    collage.paste(first, (0, 0))
    collage.paste(second, (340, 0))
    pictures = {
        "a.png": first, "a.bmp": first, "a_crop.jpg": first.crop((20, 10, 300, 230)), "a_written.png": written,
        "b.png": second, "b_mirror.jpg": second.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "collage.png": collage,
        "gone.jpg": second.resize((300, 225)), "stranger.jpg": draw_scene(10, 320, 240),
    }  # fmt: skip
    return save_gallery(tmp_path / "gallery", pictures)


def embeddings_of(paths, spread):
    """Nearer to each other the nearer their names are, and all of them candidates."""
    rows = np.random.default_rng(0).standard_normal((len(paths), DIM)).astype(np.float32) * spread
    rows[:, 0] += 1
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(("chunk", "spread"), [(3, 0.12), (1000, 0.12), (1000, 0.3)])
def test_groups_are_the_same(gallery, tmp_path, chunk, spread):
    results = []
    workers = SameProcess(chunk)
    for name, helped in (("plain", None), ("ahead", workers)):
        index_files(tmp_path / name, gallery, embeddings_of(gallery, spread)).close()
        if name == "plain":
            gone, stranger = gallery[7].read_bytes(), gallery[8].read_bytes()
        gallery[7].unlink()
        gallery[8].write_bytes(gone)  # which the index does not know
        totals = []
        with Index.open(tmp_path / name) as index:
            groups = list(find_groups(index, workers=helped, on_totals=totals.append))
        gallery[7].write_bytes(gone)
        gallery[8].write_bytes(stranger)
        with Index.open(tmp_path / name) as index:
            links = sorted(index._connection.execute("SELECT * FROM links").fetchall())
            doubts = index._connection.execute("SELECT path FROM images WHERE ctime_ns = ?", (IN_DOUBT,)).fetchall()
        assert links
        assert doubts == [(os.fsencode(gallery[8]),)]
        results.append((groups, totals, links))
    assert workers.looks > 0
    assert len(results[0][0]) >= 2
    assert results[0][:2] == results[1][:2]
    assert results[0][2] == results[1][2]
