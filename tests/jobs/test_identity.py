"""A file that changed is seen, whatever its size and time say; one that did not is not embedded again."""

import os
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from neardup.images import stat_of
from neardup.index import Index
from neardup.index.notes import record_doubts
from tests.conftest import draw_photo
from tests.jobs.test_index import counts, run_index
from tests.mean_colour import mean_colour

WHOLE_SECOND = 1_700_000_000


@pytest.fixture
def embedder():
    return mean_colour()


@pytest.fixture
def index(tmp_path):
    return tmp_path / "index"


@pytest.fixture
def scans(tmp_path):
    """Two pictures of one size in bytes and one time, in a folder each."""
    paths = [tmp_path / "scans" / name / "scan.bmp" for name in ("a", "b")]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        draw_photo(number).save(path)
        os.utime(path, (WHOLE_SECOND, WHOLE_SECOND))
    return paths


def digests(index):
    with Index.open(index) as opened:
        return {str(image.path): image.digest for image in opened}


def edit(index, *statements):
    with closing(sqlite3.connect(index / "catalog.sqlite", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def swap(a, b):
    aside = a.with_name("aside")
    a.rename(aside)
    b.rename(a)
    aside.rename(b)


def write_in_place(path):
    """As `exiftool -P` does: other bytes, the size and the time as they were."""
    found = path.stat()
    content = bytearray(path.read_bytes())
    content[-40:] = bytes(40)
    path.write_bytes(content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("change", ["files", "folders", "in place", "anew"])
def test_other_bytes_of_the_same_size_and_time_are_seen(tmp_path, scans, index, embedder, change):
    run_index(index, embedder, tmp_path / "scans")
    before = digests(index)
    if change == "files":
        swap(*scans)
    elif change == "folders":
        swap(*(path.parent for path in scans))
    elif change == "in place":
        write_in_place(scans[0])
    else:  # written beside it and put in its place
        copy = scans[0].with_name("new")
        copy.write_bytes(scans[0].read_bytes())
        write_in_place(copy)
        os.utime(copy, (WHOLE_SECOND, WHOLE_SECOND))
        copy.replace(scans[0])
    changed = 2 if change in ("files", "folders") else 1
    assert counts(run_index(index, embedder, tmp_path / "scans")) == (changed, 2 - changed, 0, 0, 2)
    after = digests(index)
    assert sum(after[path] != before[path] for path in before) == changed
    assert counts(run_index(index, embedder, tmp_path / "scans")) == (0, 2, 0, 0, 2)


def test_folders_that_changed_names_in_one_tick_of_the_clock_are_seen(tmp_path, scans, index, embedder):
    """Nothing but the inode tells then."""
    run_index(index, embedder, tmp_path / "scans")
    swap(*(path.parent for path in scans))
    times = {str(path): path.stat().st_ctime_ns for path in scans}
    for path, ctime_ns in times.items():
        edit(index, f"UPDATE images SET ctime_ns = {ctime_ns} WHERE path = CAST('{path}' AS BLOB)")
    assert counts(run_index(index, embedder, tmp_path / "scans")) == (2, 0, 0, 0, 2)


@pytest.mark.parametrize("change", ["mode", "link", "rename"])
def test_what_changes_the_entry_alone_costs_no_embedding(tmp_path, photos, index, embedder, change):
    path, *_ = photos(3)
    run_index(index, embedder, tmp_path / "photos")
    if change == "mode":
        path.chmod(0o600)
    elif change == "link":
        (tmp_path / "elsewhere").hardlink_to(path)
    else:
        path.rename(tmp_path / "elsewhere")
        (tmp_path / "elsewhere").rename(path)
    assert counts(run_index(index, embedder, tmp_path / "photos")) == (0, 3, 0, 0, 3)
    assert embedder.engine.embedded == 3
    with closing(sqlite3.connect(index / "catalog.sqlite")) as connection:  # so that it is read once
        [(ctime_ns,)] = connection.execute("SELECT ctime_ns FROM images WHERE path = ?", (os.fsencode(path),))
    assert ctime_ns == path.stat().st_ctime_ns


@pytest.fixture
def reads(monkeypatch):
    """Names of the files that are read."""
    from neardup.sources import source

    names = []
    read_file = source.read_file
    monkeypatch.setattr(source, "read_file", lambda path: (names.append(path.name), read_file(path))[1])
    return names


def test_inodes_that_change_with_every_mount_cost_no_reading(tmp_path, photos, index, embedder, reads):
    photos(5)
    run_index(index, embedder, tmp_path / "photos")
    reads.clear()
    edit(index, "UPDATE images SET inode = inode + 1000000")
    assert counts(run_index(index, embedder, tmp_path / "photos")) == (0, 5, 0, 0, 5)
    assert reads == []


def test_an_older_index_learns_what_it_did_not_know_without_reading(tmp_path, scans, index, embedder, reads):
    run_index(index, embedder, tmp_path / "scans")
    edit(index, "UPDATE images SET ctime_ns = 0, inode = 0")
    reads.clear()
    assert counts(run_index(index, embedder, tmp_path / "scans")) == (0, 2, 0, 0, 2)
    assert reads == []
    swap(*scans)
    assert counts(run_index(index, embedder, tmp_path / "scans")) == (2, 0, 0, 0, 2)


def test_a_file_in_doubt_is_read_once_even_where_no_clock_tells(tmp_path, scans, index, embedder, reads):
    """As after `dedup` or `groups` found other bytes in it than were indexed."""
    run_index(index, embedder, tmp_path / "scans")
    before = digests(index)
    write_in_place(scans[0])
    edit(index, "UPDATE images SET ctime_ns = 0, inode = 0")  # a disk of another system, say
    edit(index, f"UPDATE images SET ctime_ns = {scans[1].stat().st_ctime_ns} WHERE path LIKE '%/b/%'")
    record_doubts(index, [scans[0]])
    reads.clear()
    assert counts(run_index(index, embedder, tmp_path / "scans")) == (1, 1, 0, 0, 2)
    assert reads == ["scan.bmp"]
    assert digests(index)[str(scans[0])] != before[str(scans[0])]
    reads.clear()
    assert counts(run_index(index, embedder, tmp_path / "scans")) == (0, 2, 0, 0, 2)
    assert reads == []


def test_a_file_that_could_not_be_read_is_tried_again_when_it_changed_unseen(tmp_path, photos, index, embedder):
    path, *_ = photos(2)
    good = path.read_bytes()
    path.write_bytes(bytes(len(good)))
    os.utime(path, (WHOLE_SECOND, WHOLE_SECOND))
    assert counts(run_index(index, embedder, tmp_path / "photos")) == (1, 0, 0, 1, 1)
    path.write_bytes(good)
    os.utime(path, (WHOLE_SECOND, WHOLE_SECOND))
    assert counts(run_index(index, embedder, tmp_path / "photos")) == (1, 1, 0, 0, 2)


def test_numbers_of_64_bits_fit():
    """CIFS gives inodes above 2**63."""
    found = stat_of(SimpleNamespace(st_size=10, st_mtime_ns=2**70, st_ctime_ns=-(2**70), st_ino=2**64 - 5))
    assert all(abs(number) < 2**63 for number in found)
    assert found.inode
