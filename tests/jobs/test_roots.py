"""Folders that were indexed are remembered: a disk that is away, an index that moved, what is gone for good."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from neardup.errors import BadInput, DamagedIndex
from neardup.index import Index
from neardup.index.notes import pair_of, record_verdicts
from neardup.jobs.index import index_images
from neardup.jobs.prune import prune_index
from tests.jobs.test_index import counts
from tests.mean_colour import RECORD, mean_colour


@pytest.fixture
def run(tmp_path):
    """Runs the job; returns its report and what it had to say."""

    def run(*paths, index=tmp_path / "index", **options):
        said = []
        report = index_images(paths, index, model=mean_colour(), threads=2, say=said.append, **options)
        return report, said

    return run


def paths_in(index):
    with Index.open(index) as opened:
        return sorted(str(image.path) for image in opened)


def roots_in(index):
    with Index.open(index) as opened:
        return {str(root.path): (root.images, root.is_there) for root in opened.roots}


@pytest.mark.parametrize("given", ["the root", "the folder above"])
@pytest.mark.parametrize("now", ["empty", "missing"])
def test_a_disk_that_is_away_takes_nothing_out_of_the_index(run, photos, tmp_path, given, now):
    photos(3, "media/disk/photos")
    photos(2, "media/other", first=7)
    disk, media = tmp_path / "media/disk", tmp_path / "media"
    run(disk, media)
    disk.rename(tmp_path / "away")
    if now == "empty":
        disk.mkdir()
    elif given == "the root":
        with pytest.raises(BadInput, match="No such file"):
            run(disk)
        assert len(paths_in(tmp_path / "index")) == 5
        return
    (media / "other" / "007.jpg").unlink()
    report, said = run(disk if given == "the root" else media)
    removed = 0 if given == "the root" else 1  # what vanished elsewhere leaves as ever
    assert (report.removed, report.images) == (removed, 5 - removed)
    assert [(away.path, away.images) for away in report.away] == [(disk, 3)]
    assert said == [
        f"Warning: {disk}: gone or empty, and 3 of its images stay in the index; if they are gone for good: neardup"
        f" index --prune {disk}"
    ]
    assert roots_in(tmp_path / "index")[str(disk)] == (3, False)
    shutil.rmtree(disk, ignore_errors=True)
    (tmp_path / "away").rename(disk)
    report, said = run(media)
    assert (report.indexed, report.unchanged, report.away, said) == (0, 4, [], [])


def test_a_volume_below_a_root_is_remembered(run, photos, tmp_path, monkeypatch):
    """Whoever unmounts a stick finds its folder gone, not empty."""
    photos(2, "media/stick/photos")
    photos(1, "media/here", first=5)
    stick = tmp_path / "media" / "stick"
    from neardup.images import find

    identity = find.identity
    inodes = {path.stat().st_ino for path in (stick, stick / "photos")}
    monkeypatch.setattr(
        find, "identity", lambda found: (99 if found.st_ino in inodes else identity(found)[0], found.st_ino)
    )
    run(tmp_path / "media")
    assert roots_in(tmp_path / "index") == {str(tmp_path / "media"): (3, True), str(stick): (2, True)}
    shutil.rmtree(stick)
    report, _ = run(tmp_path / "media")
    assert (report.removed, [away.path for away in report.away]) == (0, [stick])


def test_what_was_deleted_in_a_folder_that_is_there_leaves_the_index(run, photos, tmp_path):
    photos(2, "photos/2019")
    photos(2, "photos/2020", first=5)
    run(tmp_path / "photos")
    shutil.rmtree(tmp_path / "photos/2019")
    report, said = run(tmp_path / "photos")
    assert (report.removed, report.images, said) == (2, 2, [])


def test_prune_forgets_a_root_that_is_gone_for_good(run, photos, tmp_path):
    photos(3, "old")
    (tmp_path / "old" / "bad.jpg").write_bytes(b"no image")
    photos(2, "old-and-new", first=7)  # a name that begins alike
    index = tmp_path / "index"
    run(tmp_path / "old", tmp_path / "old-and-new")
    with pytest.raises(BadInput, match="old: is there"):
        prune_index(index, [tmp_path / "old"])
    shutil.rmtree(tmp_path / "old")
    with pytest.raises(BadInput, match="nowhere: nothing is recorded below it"):
        prune_index(index, [tmp_path / "nowhere"])
    report = prune_index(index, [tmp_path / "old"])
    assert (report.removed, report.images) == (3, 2)
    assert list(roots_in(index)) == [str(tmp_path / "old-and-new")]
    with Index.open(index) as opened:
        assert len(opened.live_rows) == 2
    with pytest.raises(BadInput, match="nothing is recorded"):
        prune_index(index, [tmp_path / "old"])


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        ("photos/.neardup", "photos", "pictures"),  # a folder renamed, with the index in it
        ("disk/photos/.neardup", "disk", "mnt/usb"),  # a disk mounted elsewhere
        ("disk/index", "disk", "usb"),  # the index beside the photos
        ("disk/caches/neardup/index", "disk", "usb"),
    ],
)
def test_an_index_that_moved_with_its_photos_goes_on(run, photos, tmp_path, place, old, new):
    folder = "photos" if old == "photos" else "disk/photos"
    paths = photos(3, folder)
    bad = paths[0].with_name(os.fsdecode(b"\xff bad.jpg"))
    bad.write_bytes(b"no image")
    run(tmp_path / folder, index=tmp_path / place)
    (tmp_path / new).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / old).rename(tmp_path / new)
    index = tmp_path / place.replace(old, new, 1)
    moved = [str(path).replace(f"/{old}/", f"/{new}/") for path in paths]
    before = (index / "catalog.sqlite").read_bytes()
    assert paths_in(index) == moved
    with Index.open(index) as opened:
        assert opened.query(next(iter(opened.embeddings))[0], k=3)[0].path.exists()
    target = tmp_path / folder.replace(old, new, 1)
    assert roots_in(index) == {str(target): (3, True)}
    assert (index / "catalog.sqlite").read_bytes() == before  # a reader writes nothing
    report, said = run(target, index=index)
    assert (counts(report), said) == ((0, 3, 0, 1, 3), [])
    assert paths_in(index) == moved
    with closing(sqlite3.connect(index / "catalog.sqlite")) as connection:
        paths = connection.execute(
            "SELECT path FROM images UNION SELECT path FROM failures UNION SELECT path FROM roots"
        )
        assert all(isinstance(path, bytes) and path.startswith(os.fsencode(target)) for (path,) in paths)


def test_an_index_that_was_copied_goes_on_with_the_photos_that_are_there(run, photos, tmp_path):
    paths = photos(3)
    run(tmp_path / "photos", index=tmp_path / "photos/.neardup")
    shutil.copytree(tmp_path / "photos", tmp_path / "copy")
    assert paths_in(tmp_path / "copy/.neardup") == [str(path) for path in paths]


def test_what_did_not_move_along_stays_where_it_was(run, photos, tmp_path):
    photos(2, "a/photos")
    photos(2, "a/elsewhere", first=5)
    index = tmp_path / "a/photos/.neardup"
    run(tmp_path / "a/photos", tmp_path / "a/elsewhere", index=index)
    (tmp_path / "b").mkdir()
    (tmp_path / "a/photos").rename(tmp_path / "b/photos")
    assert paths_in(tmp_path / "b/photos/.neardup") == [
        str(tmp_path / path)
        for path in ("a/elsewhere/005.jpg", "a/elsewhere/006.jpg", "b/photos/000.jpg", "b/photos/001.jpg")
    ]


def test_whoever_writes_first_after_a_move_records_it(run, photos, tmp_path):
    photos(2)
    run(tmp_path / "photos", index=tmp_path / "photos/.neardup")
    (tmp_path / "photos").rename(tmp_path / "moved")
    index = tmp_path / "moved/.neardup"
    with Index.open(index) as opened:
        pair = pair_of(*(image.digest for image in opened))
    record_verdicts(index, {pair: "not"})
    (tmp_path / "photos").mkdir()  # the old place is another one's now
    (tmp_path / "photos/x").touch()
    assert paths_in(index) == [str(tmp_path / "moved" / name) for name in ("000.jpg", "001.jpg")]


def test_what_is_indexed_at_the_new_place_already_counts_there_alone(run, photos, tmp_path):
    paths = photos(2)
    index = tmp_path / "photos/.neardup"
    run(tmp_path / "photos", index=index)
    with Index.write(index, RECORD) as writer:
        state = writer.state(paths[0])
        writer.fail(tmp_path / "moved" / "000.jpg", size_bytes=state.size_bytes, mtime_ns=1, error="of another time")
        with Index.open(index) as opened:
            digest = next(iter(opened)).digest
        writer.add(tmp_path / "moved" / "001.jpg", size_bytes=1, mtime_ns=1, digest=digest, width=1, height=1)
    (tmp_path / "photos").rename(tmp_path / "moved")
    report, _ = run(tmp_path / "moved", index=tmp_path / "moved/.neardup")
    assert (report.images, report.failed, report.removed) == (2, [], 0)
    with Index.open(tmp_path / "moved/.neardup") as opened:
        assert len(opened.live_rows) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO roots VALUES ('/text', '{}')",
        "INSERT INTO roots VALUES (CAST('relative' AS BLOB), '{}')",
        "INSERT INTO roots VALUES (CAST('/a' AS BLOB), '[1')",
        "INSERT INTO roots VALUES (CAST('/a' AS BLOB), '{\"a\": -1}')",
        "INSERT INTO roots VALUES (CAST('/a' AS BLOB), '{\"a\": \"b\"}')",
        "UPDATE home SET path = 5",
        "UPDATE home SET path = CAST('' AS BLOB)",
    ],
)
def test_roots_that_cannot_be_so_are_damage(run, photos, tmp_path, statement):
    photos(1)
    run(tmp_path / "photos")
    with closing(sqlite3.connect(tmp_path / "index" / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute(statement)
    with pytest.raises(DamagedIndex), Index.open(tmp_path / "index") as opened:
        assert opened.roots is None


def test_small_pictures_are_passed_over_and_counted(run, photos, tmp_path):
    """Also what an earlier run indexed; a byte copy of a known picture; not for good."""
    from tests.conftest import draw_photo

    paths = photos(2)  # 120 x 90
    draw_photo(5, width=300, height=60).save(tmp_path / "photos" / "strip.png")
    shutil.copy(paths[0], tmp_path / "photos" / "copy.jpg")
    assert counts(run(tmp_path / "photos")[0]) == (4, 0, 0, 0, 4)
    report, _ = run(tmp_path / "photos", min_pixels=61)
    assert (counts(report), report.passed_over) == ((0, 3, 1, 0, 3), {"too small": 1})
    report, _ = run(tmp_path / "photos", min_pixels=61)
    assert (counts(report), report.passed_over) == ((0, 3, 0, 0, 3), {"too small": 1})
    with Index.open(tmp_path / "index") as opened:
        assert opened.passed_over() == {"too small": 1}
    report, _ = run(tmp_path / "photos", min_pixels=91)
    assert (counts(report), report.passed_over) == ((0, 0, 3, 0, 0), {"too small": 4})
    assert counts(run(tmp_path / "photos", min_pixels=90)[0]) == (3, 0, 0, 0, 3)
    assert counts(run(tmp_path / "photos")[0]) == (1, 3, 0, 0, 4)


def test_info_knows_what_was_passed_over_in_every_root(run, photos, tmp_path):
    photos(1, "a")
    photos(1, "b")
    for name in ("a/1.svg", "a/2.svg", "b/3.mov"):
        (tmp_path / name).touch()
    run(tmp_path / "a")
    run(tmp_path / "b")
    (tmp_path / "a" / "1.svg").unlink()
    run(tmp_path / "a")
    with Index.open(tmp_path / "index") as opened:
        assert opened.passed_over() == {".mov": 1, ".svg": 1}
    run(tmp_path)  # the outer one counts from now on
    with Index.open(tmp_path / "index") as opened:
        assert opened.passed_over() == {".mov": 1, ".svg": 1}
