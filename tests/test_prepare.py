import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageOps

from neardup.embedding import Embedder
from neardup.errors import BadInput, UnreadableImage
from neardup.images import DECODER
from neardup.index import Index, Model
from neardup.prepare import AHEAD, Indexer, Preparer, Seen, distinct_roots, embed_images, find_sources
from neardup.sources import ImageFile
from tests.conftest import draw_photo


class MeanColour:
    """An engine that can be worked out by hand: the mean colour, as a direction."""

    name, precision = "mean-colour", "f32"

    def __init__(self):
        self.embedded = 0

    def run(self, pixels):
        self.embedded += len(pixels)
        rows = pixels.reshape(len(pixels), -1, 3).mean(axis=1).astype(np.float32) + 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class SmallModel:
    name, digest, input_size, dim = "mean-colour", "0" * 64, 16, 3


@pytest.fixture
def embedder():
    return Embedder(SmallModel(), MeanColour())


RECORD = Model("mean-colour", "0" * 64, "mean-colour", "f32", DECODER, 3)


def run_index(index, embedder, *roots, label=False, interval=10.0, on_progress=lambda report: None):
    roots = distinct_roots(roots)
    with Index.write(index, RECORD, commit_interval_s=interval) as writer:
        indexer = Indexer(writer, embedder, threads=2, on_progress=on_progress)
        sources = find_sources(roots, leave_out=index, label_from_folder=label, on_error=lambda path, error: None)
        return indexer.run(sources, lambda: roots)


def counts(report):
    return report.indexed, report.unchanged, report.removed, len(report.failed), report.images


def test_only_what_is_new_or_changed_is_embedded(tmp_path, photos, embedder):
    paths = photos(40)
    folder, index = paths[0].parent, tmp_path / "index"
    assert counts(run_index(index, embedder, folder)) == (40, 0, 0, 0, 40)
    assert embedder.engine.embedded == 40
    assert counts(run_index(index, embedder, folder)) == (0, 40, 0, 0, 40)

    photos(3, first=40)
    draw_photo(99).save(paths[0])
    draw_photo(98).save(paths[1])
    for path in paths[-4:]:
        path.unlink()
    assert counts(run_index(index, embedder, folder)) == (5, 34, 4, 0, 39)
    assert embedder.engine.embedded == 45
    assert {image.path for image in Index.open(index)} == set(folder.iterdir())


def test_a_moved_file_is_not_embedded_again(tmp_path, photos, embedder):
    paths = photos(5)
    run_index(tmp_path / "index", embedder, tmp_path / "photos")
    paths[2].rename(paths[2].with_name("moved.jpg"))
    assert counts(run_index(tmp_path / "index", embedder, tmp_path / "photos")) == (1, 4, 1, 0, 5)
    assert embedder.engine.embedded == 5


def test_byte_copies_are_embedded_once(tmp_path, photos, embedder):
    paths = photos(2)
    for number in range(70):  # over several batches
        (paths[0].parent / f"copy{number}.jpg").write_bytes(paths[0].read_bytes())
    report = run_index(tmp_path / "index", embedder, tmp_path / "photos")
    assert counts(report) == (72, 0, 0, 0, 72)
    assert embedder.engine.embedded == report.embedded == 2


def test_an_unreadable_file_costs_nothing_else(tmp_path, photos, embedder):
    paths = photos(6)
    paths[3].write_bytes(paths[3].read_bytes()[:600])
    paths[4].write_bytes(b"")
    report = run_index(tmp_path / "index", embedder, tmp_path / "photos")
    assert counts(report) == (4, 0, 0, 2, 4)
    assert [failure.path for failure in report.failed] == paths[3:5]
    assert all(failure.error and "\n" not in failure.error for failure in report.failed)

    again = run_index(tmp_path / "index", embedder, tmp_path / "photos")
    assert counts(again) == (0, 4, 0, 2, 4)
    assert [f.error for f in again.failed] == [f.error for f in report.failed]

    draw_photo(3).save(paths[3])
    assert counts(run_index(tmp_path / "index", embedder, tmp_path / "photos")) == (1, 4, 0, 1, 5)


def test_an_image_that_turns_bad_leaves_the_index(tmp_path, photos, embedder):
    paths = photos(3)
    run_index(tmp_path / "index", embedder, tmp_path / "photos")
    paths[1].write_bytes(b"no image any more")
    assert counts(run_index(tmp_path / "index", embedder, tmp_path / "photos")) == (0, 2, 0, 1, 2)
    assert {image.path for image in Index.open(tmp_path / "index")} == {paths[0], paths[2]}


def test_what_vanished_elsewhere_stays(tmp_path, photos, embedder):
    photos(3, "a")
    gone = photos(3, "ab", first=10)
    run_index(tmp_path / "index", embedder, tmp_path / "a", tmp_path / "ab")
    gone[0].unlink()
    assert counts(run_index(tmp_path / "index", embedder, tmp_path / "a")) == (0, 3, 0, 0, 6)
    assert counts(run_index(tmp_path / "index", embedder, tmp_path / "ab")) == (0, 2, 1, 0, 5)


def test_labels_follow_their_folders(tmp_path, photos, embedder):
    photos(2, "roses")
    photos(1, "tulips", first=5)
    run_index(tmp_path / "index", embedder, tmp_path / "roses", tmp_path / "tulips")
    assert {image.label for image in Index.open(tmp_path / "index")} == {None}
    run_index(tmp_path / "index", embedder, tmp_path / "roses", tmp_path / "tulips", label=True)
    assert sorted(image.label for image in Index.open(tmp_path / "index")) == ["roses", "roses", "tulips"]


def test_an_interrupted_run_goes_on_where_it_was(tmp_path, photos, embedder):
    photos(100)

    def interrupt(report):
        if report.indexed >= 64:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_index(tmp_path / "index", embedder, tmp_path / "photos", on_progress=interrupt)
    assert Index.open(tmp_path / "index").images == 64
    assert counts(run_index(tmp_path / "index", embedder, tmp_path / "photos")) == (36, 64, 0, 0, 100)
    assert embedder.engine.embedded == 100


def test_names_with_newlines_quotes_and_bytes_that_are_no_text(tmp_path, embedder):
    folder = tmp_path / "photos"
    folder.mkdir()
    names = [b'a "quoted" name.jpg', b"two\nlines.jpg", b"\xff\xfe.jpg", "ü😀.jpg".encode()]
    for number, name in enumerate(names):
        draw_photo(number).save(folder / "plain.jpg")
        (folder / "plain.jpg").rename(folder / os.fsdecode(name))
    assert counts(run_index(tmp_path / "index", embedder, folder)) == (4, 0, 0, 0, 4)
    assert {os.fsencode(image.path.name) for image in Index.open(tmp_path / "index")} == set(names)
    assert counts(run_index(tmp_path / "index", embedder, folder)) == (0, 4, 0, 0, 4)


def test_a_flat_margin_is_recorded(tmp_path, embedder, monkeypatch):
    monkeypatch.setattr(SmallModel, "input_size", 96)
    (tmp_path / "in").mkdir()
    photo = draw_photo(1)
    photo.save(tmp_path / "in/plain.png")
    ImageOps.expand(photo, photo.width // 4, (0, 0, 0)).save(tmp_path / "in/bordered.png")
    run_index(tmp_path / "index", embedder, tmp_path / "in")
    with Index.open(tmp_path / "index") as index:
        margins = {image.path.stem: (image.margin, image.width, image.height) for image in index}
    true = 1 - photo.width * photo.height / (margins["bordered"][1] * margins["bordered"][2])
    assert margins["plain"][0] == 0
    assert true - 0.04 < margins["bordered"][0] <= true


def test_roots_below_each_other_count_once(tmp_path, photos, embedder):
    paths = photos(3, "a/b")
    assert distinct_roots([tmp_path / "a", tmp_path / "a" / "b", paths[0], tmp_path / "a" / ".." / "a"]) == [
        tmp_path / "a"
    ]
    with pytest.raises(BadInput, match="nowhere"):
        distinct_roots([tmp_path / "a", tmp_path / "nowhere"])


def test_no_more_than_a_bounded_number_of_images_is_under_way(photos, embedder):
    [path] = photos(1)
    started = 0

    class Counting(ImageFile):
        def read(self):
            nonlocal started
            started += 1
            return super().read()

    stream = embed_images((Counting(path) for _ in range(10 * AHEAD)), embedder, threads=2)
    next(stream)
    time.sleep(0.05)
    assert started <= 2 * AHEAD
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prepare")]


def test_embeddings_come_in_order_with_errors_between(photos, embedder, tmp_path):
    paths = photos(5)
    paths[2].write_bytes(b"broken")
    found = list(embed_images(map(ImageFile, paths), embedder, threads=2))
    assert [image.source.path for image in found] == paths
    assert [image.error is None for image in found] == [True, True, False, True, True]
    one = next(embed_images([ImageFile(paths[4])], embedder, threads=1))
    assert one.embedding == pytest.approx(found[4].embedding, abs=1e-6)


def test_an_error_that_may_pass_is_not_remembered(tmp_path, photos, embedder):
    class Flaky(ImageFile):
        def read(self):
            raise UnreadableImage("cannot be read: Input/output error")

    prepared = Preparer(16).prepare(Flaky(Path("x.jpg")))
    assert (prepared.error, prepared.lasting) == ("cannot be read: Input/output error", False)
    assert Preparer(16).decode(b"nonsense").lasting


def test_paths_seen_are_kept_in_order_and_whole():
    seen = Seen()
    paths = [Path(f"/photos/{number}/" + "x\n" * 50) for number in range(20_000)]
    for path in paths:
        seen.add(path)
    assert list(seen) == paths
    seen.close()


def test_a_changed_file_keeps_the_label_that_an_earlier_run_gave_it(tmp_path, photos, embedder):
    paths = photos(2, "photos/roses")
    index = tmp_path / "index"
    run_index(index, embedder, tmp_path / "photos", label=True)
    draw_photo(9).save(paths[0])
    assert run_index(index, embedder, tmp_path / "photos").indexed == 1
    assert [image.label for image in Index.open(index)] == ["roses", "roses"]
