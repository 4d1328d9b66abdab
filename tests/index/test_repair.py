"""Every kind of damage is named by `verify` and mended by `repair`, and nothing that can be read is lost."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from small_index import MODEL, digest_of, embedding_of, paths_of, put, segments_of
from test_damage import (
    TO_FORMAT_1,
    TO_FORMAT_4,
    change_value,
    delete,
    edit_catalog,
    make_fifo,
    overwrite,
    pickled,
    replace_array,
    truncate,
)

from neardup.errors import DamagedIndex, IndexLocked, NeardupError, NotTrusted
from neardup.index import Index, store
from neardup.index.notes import load_verdicts, pair_of, record_found, record_verdicts
from neardup.index.repair import Repaired, repair_index
from neardup.index.verify import find_damage

Damage = Callable[[Path], None]
PAIR = pair_of(digest_of(3), digest_of(4))
VERDICTS = {PAIR: "not", pair_of(digest_of("gone"), digest_of("too")): "duplicate"}


@pytest.fixture
def kept(filled: Path) -> Path:
    """With a verdict about what is there and one about what is not, a dead content, a failure and parts."""
    record_verdicts(filled, VERDICTS)
    record_found(filled, pixels={digest_of(3): digest_of(5)}, links={PAIR: "{}"}, matcher=1)
    with Index.write(filled, MODEL) as writer:
        put(writer, "/photos/40.jpg", 39)  # a byte copy
        writer.forget(Path("/photos/7.jpg"))
        writer.fail(Path("/photos/broken.jpg"), size_bytes=1, mtime_ns=1, error="truncated")
    with closing(sqlite3.connect(filled / "catalog.sqlite")) as connection, connection:
        connection.execute("INSERT INTO parts VALUES (3, ?)", (embedding_of("part").astype("<f2").tobytes(),))
    return filled


def named(folder: Path) -> str:
    return "\n".join(f"{f.path.relative_to(folder)}: {f.wrong}" for f in find_damage(folder)[0])


def damaged(folder: Path) -> bool:
    return any(finding.is_damage for finding in find_damage(folder)[0])


def repaired(folder: Path) -> Repaired:
    """Repair, after which all promises hold: verify finds nothing, and reading and writing work."""
    result = repair_index(folder, trust=True)
    assert not [finding for finding in result.left if finding.is_damage]
    with Index.open(folder) as index:
        images = list(index)
        assert len(images) == result.images
        numbers = [min(int(image.path.stem), 39) for image in images]  # 40 is a byte copy of 39
        if numbers:
            embeddings = index.embeddings_of(np.array([image.row for image in images], np.int64))
            assert np.allclose(embeddings, [UNIT[number] for number in numbers], atol=1e-3)
        assert [image.digest for image in images] == [digest_of(number) for number in numbers]
        for number in numbers[::13]:
            assert index.query(UNIT[number], k=1)[0].similarity > 0.999
    with Index.write(folder, MODEL) as writer:
        put(writer, "/new.jpg", "new")
    assert not damaged(folder)
    with Index.open(folder) as index:
        assert index.query(embedding_of("new"), k=1)[0].path == Path("/new.jpg")
    return result


ALL = 40  # of 40 images and a byte copy one was forgotten


def flip(name: str, at: int, bits: int = 0x80) -> Damage:
    def damage(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.seek(at)
            [byte] = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ bits]))

    return damage


def swap(first: str, second: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / first).rename(folder / "aside")
        (folder / second).rename(folder / first)
        (folder / "aside").rename(folder / second)

    return damage


def overwrite_page(number: int) -> Damage:
    return overwrite("catalog.sqlite", b"\xa5" * 4096, at=4096 * (number - 1))


def checkpoint(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def page_of(table: str, folder: Path) -> int:
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        found = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))
        return int(found.fetchone()[0])


UNIT = [embedding_of(number) for number in range(40)]
HEAD = 128  # of an .npy file of these shapes


@pytest.mark.parametrize(
    ("damage", "name", "lost"),
    [
        # One row each: its image comes back with the next run.
        (flip("segments/1/embeddings.npy", HEAD + 32 * 5 + 1, 0x40), "1/embeddings.npy: does not hold what", 1),
        (flip("segments/1/embeddings.npy", HEAD + 32 * 5 + 1), "1/embeddings.npy: does not hold what", 1),
        (truncate("segments/1/embeddings.npy"), "1/embeddings.npy: holds 1,087 bytes", 1),
        (truncate("segments/1/embeddings.npy", by=32 * 4), "1/embeddings.npy: holds 960 bytes", 4),
        (replace_array("segments/1/embeddings.npy", change_value((3, 5), np.nan)), "1/embeddings.npy: does not", 1),
        (edit_catalog("DELETE FROM contents WHERE id = 4"), "1 rows of a content that is not there", 1),
        (edit_catalog("UPDATE images SET content = 99 WHERE content = 4"), "1 rows of a content that is not", 1),
        (edit_catalog("UPDATE contents SET id = 99 WHERE id = 4", "UPDATE images SET content = 99 WHERE content = 4"),
         "contents: 1 that segment 1 holds are not there", 1),
        (edit_catalog("UPDATE contents SET width = 'wide' WHERE id = 4"), "contents: 1 rows that cannot be so", 1),
        # Whole segments.
        (delete("segments/2/embeddings.npy"), "2/embeddings.npy: missing", 11),
        (lambda folder: shutil.rmtree(folder / "segments" / "2"), "2/rows.npy: missing", 11),
        (lambda folder: shutil.rmtree(folder / "segments"), "1/rows.npy: missing", ALL),
        (make_fifo("segments/2/embeddings.npy"), "2/embeddings.npy: cannot be read (not a regular file)", 11),
        (edit_catalog("UPDATE meta SET value = 1 << 50 WHERE key = 'dim'"), "meta has dim", ALL),
        # What follows from the rest.
        (overwrite("segments/1/embeddings.npy", b"\xff" * 100, at=10), "1/embeddings.npy: does not hold what", 0),
        (flip("segments/1/contents.npy", HEAD + 8 * 4), "1/contents.npy: does not hold what", 0),
        (delete("segments/1/contents.npy"), "1/contents.npy: missing", 0),
        (truncate("segments/1/contents.npy", by=100), "1/contents.npy: holds 268 bytes", 0),
        (pickled("segments/1/contents.npy"), "1/contents.npy: does not hold what", 0),
        (flip("segments/2/signatures.npy", HEAD + 4 * 7), "2/signatures.npy: does not hold what", 0),
        (delete("segments/2/signatures.npy"), "2/signatures.npy: missing", 0),
        (flip("segments/2/rows.npy", HEAD + 4 * 7, 1), "2/rows.npy: does not hold what", 0),
        (make_fifo("segments/1/rows.npy"), "1/rows.npy: cannot be read", 0),
        (swap("segments/1/rows.npy", "segments/2/rows.npy"), "1/rows.npy: holds", 0),
        (swap("segments/1", "segments/2"), "segments/1/embeddings.npy does", 0),
        (lambda folder: (folder / "segments/2").rename(folder / "segments/7"), "segments/7/embeddings.npy does", 0),
        (edit_catalog("UPDATE meta SET value = 5 WHERE key = 'seed'"), "30 of 30 rows have other signatures", 0),
        (edit_catalog("UPDATE meta SET value = 6 WHERE key = 'tables'"), "signatures.npy: is not of the shape", 0),
        (edit_catalog("UPDATE segments SET rows = 31 WHERE number = 1"), "segment 1: has other contents than", 0),
        (edit_catalog("UPDATE segments SET rows = 1 << 40 WHERE number = 1"), "impossible", 0),
        (edit_catalog("UPDATE segments SET first = 30 WHERE number = 2"), "segment 2 overlaps another", 0),
        (edit_catalog("UPDATE segments SET digests = x'00'"), "checksums that cannot be so", 0),
        (edit_catalog("DELETE FROM segments WHERE number = 2"), "contents: 10 that no segment holds", 11),
        (edit_catalog("DROP TABLE segments"), "table segments is missing", 0),
        (edit_catalog("UPDATE contents SET damaged = CAST(x'ff' AS TEXT) WHERE id = 4"), "contents: 1 rows that", 0),
        (edit_catalog("DELETE FROM dead"), "1 that no image has are not known to be dead", 0),
        (edit_catalog("INSERT INTO dead VALUES (3)"), "dead: 1 rows of a content that an image has", 0),
        (edit_catalog("INSERT INTO dead VALUES (99)"), "dead: 1 rows of a content that is not there", 0),
        (edit_catalog("UPDATE parts SET embeddings = x'0011'"), "parts: 1 rows that are not 16 numbers", 0),
        (edit_catalog("INSERT INTO parts VALUES (99, zeroblob(32))"), "parts: 1 rows of a content that is not", 0),
        (edit_catalog("UPDATE failures SET decoder = x'00'"), "failures: 1 rows that cannot be so", 0),
        (edit_catalog("UPDATE links SET matcher = 'x'"), "links: 1 rows that cannot be so", 0),
        (edit_catalog("UPDATE links SET found = CAST(x'ff' AS TEXT)"), "links: 1 rows that cannot be so", 0),
        (edit_catalog("UPDATE pixels SET pixels = 7"), "pixels: 1 rows that cannot be so", 0),
        (edit_catalog("INSERT INTO looks VALUES (x'00', x'00', 1, 1, x'')"), "looks: 1 rows that cannot be so", 0),
        (edit_catalog("INSERT INTO roots VALUES (x'2f', '{\"a\": -1}')"), "roots: 1 rows that cannot be so", 0),
        (edit_catalog("INSERT INTO roots VALUES (x'2f', 'none')"), "roots: 1 rows that cannot be so", 0),
        (edit_catalog("UPDATE home SET path = 3"), "home: 1 rows that cannot be so", 0),
        (edit_catalog("INSERT INTO verdicts VALUES (x'01', x'02', 'maybe')"), "verdicts: 1 rows that cannot be so", 0),
        (edit_catalog("UPDATE verdicts SET first = second, second = first"), "verdicts: 2 rows that cannot be so", 0),
        (edit_catalog("CREATE TRIGGER t AFTER INSERT ON images BEGIN SELECT 1; END"), "t is not part of format", 0),
        (edit_catalog("CREATE TABLE more (x)"), "more is not part of format", 0),
        (edit_catalog("DROP INDEX images_by_content"), "images_by_content is missing", 0),
        (edit_catalog("PRAGMA application_id = 7"), "application_id 0x7", 0),
        (edit_catalog("PRAGMA user_version = 99"), "format 99 is newer", 0),
    ],
)  # fmt: skip
def test_damage_is_named_and_mended(kept, damage, name, lost):
    damage(kept)
    assert name in named(kept)
    assert damaged(kept)
    result = repaired(kept)
    assert result.lost_images + (result.unread.get("images") or 0) == lost
    assert result.images == ALL - lost
    assert load_verdicts(kept) == VERDICTS
    assert all(map(result.is_mended, (finding for finding in result.found if finding.is_damage)))


@pytest.mark.parametrize("change", ["label = 1.5", "path = x''", "mtime_ns = 'abc'", "inode = -1"])
def test_an_image_that_cannot_be_so_leaves_the_index(kept, change):
    edit_catalog(f"UPDATE images SET {change} WHERE path = CAST('/photos/3.jpg' AS BLOB)")(kept)
    assert "images: 1 rows that cannot be so" in named(kept)
    assert repaired(kept).unread == {"images": 1}
    assert paths_of(kept) == {f"/photos/{n}.jpg" for n in range(41) if n not in (3, 7)} | {"/new.jpg"}


TABLES = ("images", "contents", "segments", "verdicts", "failures", "links", "meta", "sqlite_sequence", "dead")


@pytest.mark.parametrize("table", TABLES)
def test_of_a_catalogue_with_a_bad_page_all_the_others_are_read(kept, table):
    checkpoint(kept)
    overwrite_page(page_of(table, kept))(kept)
    assert named(kept)
    result = repaired(kept)
    assert result.kept == kept / "catalog.damaged"
    assert result.images == {"images": 0, "contents": 0, "meta": 0}.get(table, ALL)
    assert load_verdicts(kept) == ({} if table == "verdicts" else VERDICTS)


def test_any_page_may_be_bad(kept):
    """Verdicts are lost with their own page alone."""
    checkpoint(kept)
    whole = kept.parent / "whole"
    shutil.copytree(kept, whole)
    lost = []
    for page in range(1, 1 + (whole / "catalog.sqlite").stat().st_size // 4096):
        shutil.rmtree(kept)
        shutil.copytree(whole, kept)
        overwrite_page(page)(kept)
        if damaged(kept):
            repaired(kept)
        if load_verdicts(kept) != VERDICTS:
            lost.append(page)
    assert lost == [1, page_of("verdicts", whole)]  # the first holds the schema


def test_a_table_is_read_from_both_ends(folder):
    with Index.write(folder, MODEL) as writer:
        for content in range(2000):
            put(writer, f"/photos/{content}.jpg", content)
    checkpoint(folder)
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        pages = "SELECT pageno FROM dbstat WHERE name = 'images' AND pagetype = 'leaf' ORDER BY path"
        try:
            leaves = [page for (page,) in connection.execute(pages)]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite has no dbstat")
    overwrite_page(leaves[len(leaves) // 2])(folder)
    result = repair_index(folder)
    assert 0 < result.unread["images"] < 150
    assert result.images == 2000 - result.unread["images"]
    assert len(paths_of(folder)) == result.images


def test_a_catalogue_that_is_gone_is_made_of_the_one_set_aside(kept):
    """As a repair that was cut short leaves it."""
    checkpoint(kept)
    (kept / "catalog.sqlite").rename(kept / "catalog.damaged")
    assert "missing, though segments/ holds embeddings" in named(kept)
    assert repaired(kept).images == ALL


def test_numbers_of_another_time_are_not_believed(kept):
    """A catalogue set aside long ago, and segments that came after it, without checksums to tell."""
    edit_catalog(*TO_FORMAT_4)(kept)
    checkpoint(kept)
    (kept / "catalog.sqlite").rename(kept / "catalog.damaged")
    result = repair_index(kept)
    assert (result.images, result.lost_images) == (0, ALL)
    assert load_verdicts(kept) == VERDICTS


def test_a_catalogue_set_aside_is_not_overwritten_by_the_next(kept):
    for name in ("catalog.damaged", "catalog.damaged.2", "catalog.damaged.3"):
        edit_catalog("CREATE TABLE more (x)")(kept)
        assert repair_index(kept).kept == kept / name
    assert load_verdicts(kept) == VERDICTS


@pytest.mark.parametrize("statements", [TO_FORMAT_4, TO_FORMAT_1])
def test_repair_gives_an_old_index_its_checksums(filled, statements):
    edit_catalog(*statements)(filled)
    assert not damaged(filled)
    assert "segments/1: made before there were checksums" in named(filled)
    assert repaired(filled).images == 40
    assert named(filled) == ""
    flip("segments/1/contents.npy", HEAD)(filled)
    assert "does not hold what was written" in named(filled)


@pytest.mark.parametrize(("file", "at", "lost"), [("embeddings", 32 * 5 + 1, 1), ("signatures", 28, 1)])
def test_without_checksums_embeddings_and_tables_vouch_for_each_other(filled, file, at, lost):
    edit_catalog(*TO_FORMAT_4)(filled)
    flip(f"segments/1/{file}.npy", HEAD + at)(filled)
    assert damaged(filled)
    assert repaired(filled).lost_images <= 2 * lost


def test_a_repair_can_be_cut_short_anywhere(kept, monkeypatch):
    """Each step of writing fails once; the next repair goes on, and nothing is lost by it."""
    flip("segments/1/contents.npy", HEAD + 8 * 4)(kept)
    edit_catalog("CREATE TABLE more (x)")(kept)
    checkpoint(kept)
    whole = kept.parent / "whole"
    shutil.copytree(kept, whole)
    failed = 0
    for number in range(100):
        steps = iter(range(1000))

        def failing(function, steps=steps, number=number):
            def step(*args, **kwargs):
                if next(steps) == number:
                    raise OSError(5, "Input/output error")
                return function(*args, **kwargs)

            return step

        shutil.rmtree(kept)
        shutil.copytree(whole, kept)
        with monkeypatch.context() as patch:
            for name in ("fsync", "mkdir", "rename", "replace"):
                patch.setattr(os, name, failing(getattr(os, name)))
            try:
                repair_index(kept, trust=True)
            except NeardupError:
                failed += 1
        if next(steps) <= number:
            break
        repair_index(kept, trust=True)
        assert load_verdicts(kept) == VERDICTS
        with Index.open(kept) as index:
            assert index.images == ALL
        assert not damaged(kept)
    assert failed >= 10


def test_a_sound_index_is_left_alone(kept):
    before = {path: path.read_bytes() for path in kept.rglob("*.npy")}
    assert named(kept) == ""
    assert repair_index(kept).found == []
    assert {path: path.read_bytes() for path in kept.rglob("*.npy")} == before
    assert not (kept / "catalog.damaged").exists()


def test_an_index_without_a_commit_is_whole(tmp_path):
    (tmp_path / "new").mkdir()
    assert find_damage(tmp_path / "new")[0] == []


def test_what_is_no_part_of_an_index_is_named_and_left(kept):
    (kept / "segments" / "2019").mkdir()
    (kept / "segments" / "2019" / "a.jpg").touch()
    (kept / "segments" / "9.tmp").mkdir()
    assert not damaged(kept)
    assert "segments/2019: is no part of this index" in named(kept)
    assert "segments/9.tmp: being written, or left" in named(kept)
    repair_index(kept)
    assert (kept / "segments" / "2019" / "a.jpg").exists()
    assert not (kept / "segments" / "9.tmp").exists()


def test_a_catalogue_of_a_later_neardup_is_left_alone(kept):
    edit_catalog("PRAGMA user_version = 99", "CREATE TABLE more (x)")(kept)
    with pytest.raises(DamagedIndex, match="later neardup; update this one"):
        repair_index(kept)
    assert not (kept / "catalog.damaged").exists()


def test_an_index_of_someone_else_is_repaired_when_it_is_trusted(kept):
    other = kept.parent / "copy"
    shutil.copytree(kept, other)
    assert "owner.json: moved or copied since you used it" in named(other)
    assert not damaged(other)
    with pytest.raises(NotTrusted, match="give --trust once"):
        repair_index(other)
    assert repair_index(other, trust=True).left == []
    mark = json.loads((other / "owner.json").read_text())
    (other / "owner.json").write_text(json.dumps(mark | {"mac": "0" * 64}))
    assert "owner.json: not known to be an index of yours" in named(other)
    truncate("owner.json")(other)
    assert "owner.json: cannot be read" in named(other)
    assert damaged(other)


def test_one_writer_at_a_time(kept):
    with Index.write(kept, MODEL), pytest.raises(IndexLocked):
        repair_index(kept)
    assert not damaged(kept)
    assert segments_of(kept) == ["1", "2"]


def test_links_are_not_followed(kept):
    (kept / "segments").rename(kept.parent / "elsewhere")
    (kept / "segments").symlink_to(kept.parent / "elsewhere")
    assert "segments: is a link" in named(kept)
    with pytest.raises(DamagedIndex, match="segments: is a link"):
        repair_index(kept)
    assert store.segment_numbers(kept) == [2, 1]
