"""One run of `index` after another: what is embedded, what is counted, what is forgotten."""

import os
from queue import Queue

import pytest
from PIL import ImageOps

from neardup.errors import BadInput
from neardup.images.globs import Globs
from neardup.index import Index
from neardup.jobs.index import Here, Indexer, index_images
from neardup.prepare import Threads
from neardup.sources.walk import Walk
from tests.conftest import draw_photo
from tests.mean_colour import RECORD, SmallModel, mean_colour


@pytest.fixture
def embedder():
    return mean_colour()


def run_index(index, embedder, *roots, label=False, on_progress=lambda report: None, parts=False):
    walk = Walk(roots, leave_out=index, label_from_folder=label)
    with Index.write(index, RECORD) as writer, Threads(2) as executor:
        here = Here(embedder, executor, parts=parts)
        return Indexer(writer, here, on_progress, parts=parts).run(walk, walk.whole_roots)


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


def test_a_changed_file_keeps_the_label_that_an_earlier_run_gave_it(tmp_path, photos, embedder):
    paths = photos(2, "photos/roses")
    index = tmp_path / "index"
    run_index(index, embedder, tmp_path / "photos", label=True)
    draw_photo(9).save(paths[0])
    assert run_index(index, embedder, tmp_path / "photos").indexed == 1
    assert [image.label for image in Index.open(index)] == ["roses", "roses"]


def test_parts_are_embedded_where_they_are_asked_for(tmp_path, photos, embedder):
    """Of what was indexed without, too, once; a byte copy has those of the first; a file that cannot be read is not
    read again for them."""
    paths = photos(3)
    paths[1].write_bytes(b"no image")
    (tmp_path / "photos" / "copy.jpg").write_bytes(paths[0].read_bytes())
    folder, index = tmp_path / "photos", tmp_path / "index"
    run_index(index, embedder, folder)
    assert len(Index.open(index).parts()[0]) == 0
    assert counts(run_index(index, embedder, folder, parts=True)) == (3, 0, 0, 1, 3)
    assert embedder.engine.embedded == 2 + 2 * 6
    rows, parts = Index.open(index).parts()
    assert parts.shape == (len(rows), 5, 3) == (2, 5, 3)

    with Index.write(index, RECORD) as writer:  # what says that it cannot be read stays as it is
        state = writer.state(paths[1])
        writer.fail(paths[1], size_bytes=state.size_bytes, mtime_ns=state.mtime_ns, error="remembered")
    again = run_index(index, embedder, folder, parts=True)
    assert (counts(again), again.failed[0].error) == ((0, 3, 0, 1, 3), "remembered")
    photos(1, first=9)
    assert counts(run_index(index, embedder, folder)) == (1, 3, 0, 1, 4)  # without: those that there are stay
    assert len(Index.open(index).parts()[0]) == 2
    assert counts(run_index(index, embedder, folder, parts=True)) == (1, 3, 0, 1, 4)
    assert len(Index.open(index).parts()[0]) == 3


YEAR_NS = int(365.2425 * 86400 * 1e9)


@pytest.mark.parametrize("year", [2300, 2400, 1600])
def test_a_date_that_64_bits_do_not_hold_stops_nothing(tmp_path, photos, embedder, year):
    paths = photos(3)
    paths[1].write_bytes(b"no image")
    for path in paths[:2]:
        os.utime(path, ns=(0, (year - 1970) * YEAR_NS))
    if abs(paths[0].stat().st_mtime_ns) < 2**63:
        pytest.skip("this file system holds no such date")
    assert counts(run_index(tmp_path / "index", embedder, tmp_path / "photos")) == (2, 0, 0, 1, 2)
    assert counts(run_index(tmp_path / "index", embedder, tmp_path / "photos")) == (0, 2, 0, 1, 2)
    os.utime(paths[0], ns=(0, 0))
    assert counts(run_index(tmp_path / "index", embedder, tmp_path / "photos")) == (1, 1, 0, 1, 2)


@pytest.fixture
def job(tmp_path, tiny_model, capfd):
    """Runs the job; returns its report and what it had to say. It prints nothing."""

    def run(*paths, **options):
        said = []
        report = index_images(
            paths, tmp_path / "index", model=str(tiny_model.folder), threads=2, say=said.append, **options
        )
        assert capfd.readouterr() == ("", "")
        return report, said

    return run


def recorded(tmp_path):
    with Index.open(tmp_path / "index") as index:
        return sorted(image.path.name for image in index)


def test_the_job_says_what_was_passed_over(job, photos, tmp_path):
    photos(2)
    for name in ("1.cr2", "2.CR2", "3.svg", "notes.txt"):
        (tmp_path / "photos" / name).touch()
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "000.jpg").symlink_to(tmp_path / "photos" / "000.jpg")
    report, said = job(tmp_path / "photos", str(tmp_path / "links"))
    assert counts(report) == (2, 0, 0, 0, 2)
    assert report.passed_over == {".cr2": 2, ".svg": 1}
    assert said == [
        f"Warning: {tmp_path}/links: holds links, which are not followed, and no images; give the folder that they"
        " lead to"
    ]


def test_what_globs_leave_out_leaves_the_index(job, photos, tmp_path):
    photos(3)
    photos(2, "photos/cache", first=5)
    assert job(tmp_path / "photos")[0].indexed == 5
    assert counts(job(tmp_path / "photos", globs=Globs(exclude=("cache", "001*")))[0]) == (0, 2, 3, 0, 2)
    assert recorded(tmp_path) == ["000.jpg", "002.jpg"]
    assert counts(job(tmp_path / "photos", globs=Globs(include=("cache",)))[0]) == (2, 0, 2, 0, 2)
    assert recorded(tmp_path) == ["005.jpg", "006.jpg"]


def test_the_total_is_told_meanwhile(job, photos, tmp_path):
    photos(40)
    told = Queue()
    seen = []
    report, _ = job(tmp_path / "photos", on_total=told.put, on_progress=lambda report: seen.append(report.indexed))
    assert told.get(timeout=10) == report.images == 40
    assert seen == [32, 40]


def test_paths_of_a_list_that_a_root_offers_too_count_once(job, photos, tmp_path):
    paths = photos(3)
    hidden = photos(1, "photos/.hidden", first=7)
    report, _ = job(tmp_path / "photos", listed=[paths[0], hidden[0], paths[0], hidden[0], tmp_path / "gone.jpg"])
    assert (report.indexed, report.unchanged, report.images) == (4, 0, 4)
    assert [failure.path.name for failure in report.failed] == ["gone.jpg"]


def test_the_job_raises_before_it_makes_anything(job, tmp_path):
    with pytest.raises(BadInput, match="nowhere"):
        job(tmp_path / "nowhere")
    assert not (tmp_path / "index").exists()
