"""A reader trusts nothing: what is wrong in an index folder is named, and never a crash or a wrong answer."""

import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from small_index import DIM, MODEL, digest_of, embedding_of, paths_of, put, segments_of

from neardup.errors import BadInput, DamagedIndex, NeardupError
from neardup.index import Index, catalog
from neardup.index.notes import pair_of, record_found, record_verdicts

Damage = Callable[[Path], None]


def truncate(name: str, by: int = 1) -> Damage:
    def damage(folder: Path) -> None:
        os.truncate(folder / name, (folder / name).stat().st_size - by)

    return damage


def delete(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def overwrite(name: str, content: bytes, at: int = 0) -> Damage:
    def damage(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.seek(at)
            file.write(content)

    return damage


def replace_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """Another array in place of one, with the size that the catalogue lists made to agree."""

    def damage(folder: Path) -> None:
        path = folder / name
        np.save(path, change(np.load(path)))
        column = path.stem + "_bytes"
        edit_catalog(f"UPDATE segments SET {column} = {path.stat().st_size} WHERE number = {path.parent.name}")(folder)

    return damage


def change_value(index: tuple[int, ...], value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[index] = value
        return array

    return change


def edit_catalog(*statements: str) -> Damage:
    def damage(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return damage


def make_fifo(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def pickled(name: str) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / name
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        edit_catalog(f"UPDATE segments SET {path.stem}_bytes = {path.stat().st_size} WHERE number = 1")(folder)

    return damage


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate("segments/1/embeddings.npy"), r"embeddings.npy: holds 1087 bytes, the catalogue says 1088"),
        (truncate("segments/2/rows.npy", by=64), r"2/rows.npy: holds \d+ bytes, the catalogue says"),
        (overwrite("segments/1/contents.npy", b"more", at=368), r"contents.npy: holds 372 bytes"),
        (delete("segments/1/signatures.npy"), "signatures.npy: missing"),
        (lambda folder: shutil.rmtree(folder / "segments"), "embeddings.npy: missing"),
        (make_fifo("segments/1/rows.npy"), "rows.npy: not a regular file"),
        (overwrite("segments/1/embeddings.npy", b"PK\x03\x04"), "no .npy header"),
        (overwrite("segments/1/embeddings.npy", b"\xff" * 100, at=10), "no .npy header"),
        (overwrite("segments/1/embeddings.npy", b"\x02", at=6), r"no .npy header \(version \(2, 0\)"),
        (pickled("segments/1/contents.npy"), "contents.npy: object"),
        (replace_array("segments/1/embeddings.npy", lambda a: a.astype("<f4")), "float32 .* expected float16"),
        (replace_array("segments/1/embeddings.npy", lambda a: a[:-1]), r"\(29, 16\), expected float16 \(30, 16\)"),
        (replace_array("segments/1/embeddings.npy", lambda a: a[:, :-1]), r"\(30, 15\), expected float16 \(30, 16\)"),
        (replace_array("segments/1/embeddings.npy", np.asfortranarray), "expected float16"),
        (replace_array("segments/1/signatures.npy", lambda a: a[:-1]), r"\(7, 30\), expected uint32 \(8, 30\)"),
        (replace_array("segments/1/signatures.npy", lambda a: a[:, ::-1].copy()), "table 0 are not ascending"),
        (replace_array("segments/1/rows.npy", change_value((7, 29), 30)), "table 7 names row 30 of 30"),
        (replace_array("segments/1/rows.npy", change_value((0, 0), 2**32 - 1)), "names row 4294967295 of 30"),
        (replace_array("segments/1/contents.npy", change_value((0,), 7)), "content ids are not those"),
        (replace_array("segments/1/contents.npy", change_value((5,), 2**62)), "content ids are not those"),
        (edit_catalog("UPDATE segments SET rows = 31 WHERE number = 1"), r"\(30, 16\), expected float16 \(31, 16\)"),
        (edit_catalog("UPDATE segments SET rows = 1 << 40"), "impossible"),
        (edit_catalog("UPDATE segments SET rows = 0"), "impossible"),
        (edit_catalog("UPDATE segments SET rows = 'many'"), "impossible"),
        (edit_catalog("UPDATE segments SET first = 30 WHERE number = 2"), "segment 2 overlaps another"),
        (edit_catalog("UPDATE segments SET number = 9 WHERE number = 2"), "segments/9/embeddings.npy: missing"),
        (edit_catalog("UPDATE meta SET value = 1 << 50 WHERE key = 'dim'"), "meta has dim"),
        (edit_catalog("UPDATE meta SET value = 17 WHERE key = 'dim'"), r"expected float16 \(30, 17\)"),
        (edit_catalog("UPDATE meta SET value = '8' WHERE key = 'tables'"), "meta has tables = '8'"),
        (edit_catalog("UPDATE meta SET value = 33 WHERE key = 'bits'"), "meta has bits = 33"),
        (edit_catalog("UPDATE meta SET value = -1 WHERE key = 'seed'"), "meta has seed = -1"),
        (edit_catalog("DELETE FROM meta WHERE key = 'decoder'"), r"meta has \["),
        (edit_catalog("INSERT INTO meta VALUES ('more', 1)"), r"meta has \["),
        (edit_catalog("DELETE FROM meta"), "lists segments but no model"),
        (edit_catalog("UPDATE meta SET value = CAST(x'ff' AS TEXT) WHERE key = 'name'"), "UTF-8"),
        (edit_catalog("UPDATE meta SET value = zeroblob(2000000) WHERE key = 'name'"), "too big"),
        (edit_catalog("PRAGMA user_version = 99"), "format 99 is newer than this neardup can read"),
        (edit_catalog("PRAGMA user_version = 0"), "format 0 does not exist"),
        (edit_catalog("PRAGMA user_version = -1"), "format -1 does not exist"),
        (edit_catalog("PRAGMA application_id = 7"), "application_id 0x7 is not a neardup catalogue's"),
        (edit_catalog("CREATE TRIGGER t AFTER INSERT ON images BEGIN SELECT 1; END"), "t is not part of format 5"),
        (
            edit_catalog(
                "ALTER TABLE meta RENAME TO m",
                "CREATE TRIGGER meta AFTER INSERT ON images BEGIN SELECT 1; END",
                "ALTER TABLE m RENAME TO meta",
            ),
            "meta is not part of format 5",
        ),
        (edit_catalog("CREATE VIEW v AS SELECT 1"), "v is not part of format 5"),
        (edit_catalog("CREATE TABLE more (x)"), "more is not part of format 5"),
        (edit_catalog("CREATE INDEX more ON contents (abs(width))"), "more is not part of format 5"),
        (edit_catalog("DROP TABLE images", "CREATE VIEW images AS SELECT * FROM failures"), "images is not part of"),
        (edit_catalog("DROP TABLE dead"), "table dead is missing"),
        (edit_catalog("DROP INDEX images_by_content"), "images_by_content is missing"),
        (overwrite("catalog.sqlite", b"not a database, " * 4096), "file is not a database"),
        (overwrite("catalog.sqlite", b"\xff" * 3000, at=100), "malformed"),
        (truncate("catalog.sqlite", by=4096 * 3), "malformed"),
        (delete("catalog.sqlite"), "catalog.sqlite: missing, though segments/ holds embeddings"),
        (make_fifo("catalog.sqlite"), "catalog.sqlite: not a regular file"),
    ],
)
def test_a_damaged_index_is_refused_and_can_be_rebuilt(filled, damage, reason):
    damage(filled)
    with pytest.raises(DamagedIndex, match=reason) as caught:
        Index.open(filled)
    assert "rebuild with 'neardup index PATH --rebuild'" in str(caught.value)
    assert str(filled) in str(caught.value)
    assert "\n" not in str(caught.value)
    with Index.write(filled, MODEL, rebuild=True) as writer:
        put(writer, "/new.jpg", "new")
    assert paths_of(filled) == {"/new.jpg"}
    assert len(segments_of(filled)) == 1


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (replace_array("segments/1/embeddings.npy", change_value((3, 5), np.nan)), "an embedding is not a number"),
        (edit_catalog("DELETE FROM images WHERE path = CAST('/photos/3.jpg' AS BLOB)"), "no image has content 4"),
        (edit_catalog("UPDATE images SET path = 3 WHERE path = CAST('/photos/3.jpg' AS BLOB)"), "where a name belongs"),
        (edit_catalog("UPDATE images SET path = x'' WHERE path = CAST('/photos/3.jpg' AS BLOB)"), "without a path"),
        (edit_catalog("UPDATE images SET label = 1.5"), "1.5 where a name belongs"),
    ],
)
def test_damage_behind_the_opening_is_found_by_the_query_that_meets_it(filled, damage, reason):
    damage(filled)
    index = Index.open(filled)
    with pytest.raises(DamagedIndex, match=reason):
        index.query(embedding_of(3))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (edit_catalog("UPDATE images SET content = 99 WHERE content = 4"), "1 images have no content"),
        (edit_catalog("UPDATE contents SET id = 99 WHERE id = 4", "UPDATE images SET content = 99 WHERE content = 4"),
         "content 99 has no embedding"),
    ],
)  # fmt: skip
def test_damage_behind_the_opening_is_found_by_the_listing_that_meets_it(filled, damage, reason):
    damage(filled)
    index = Index.open(filled)
    with pytest.raises(DamagedIndex, match=reason):
        list(index)


def test_any_byte_may_be_wrong(filled):
    """Random bytes in every file: an answer or a NeardupError, nothing else."""
    rng = np.random.default_rng(1)
    files = sorted(path for path in filled.rglob("*") if path.suffix in (".npy", ".sqlite"))
    outcomes = set()
    for attempt in range(200):
        path = files[attempt % len(files)]
        content = path.read_bytes()
        changed = bytearray(content)
        # Headers and page heads are the places where a byte decides the most.
        at = int(rng.integers(0, min(len(content), 256))) if attempt % 2 else int(rng.integers(0, len(content)))
        changed[at : at + 4] = rng.bytes(min(4, len(content) - at))
        path.write_bytes(changed)
        try:
            with Index.open(filled) as index:
                matches = index.query(embedding_of(3), k=50) + index.query(embedding_of(3), k=50, exact=True)
                listed = list(index)
                index.buckets(5)
            outcomes.add("read")
            assert all(-1 <= match.similarity <= 1 for match in matches)
            assert len(listed) <= 40
        except NeardupError:
            outcomes.add("refused")
        path.write_bytes(content)
    assert outcomes == {"read", "refused"}
    assert len(paths_of(filled)) == 40


def test_a_catalogue_that_cannot_be_read_is_kept_aside(filled):
    overwrite("catalog.sqlite", b"not a database, ")(filled)
    with pytest.raises(DamagedIndex), Index.write(filled, MODEL):
        pass
    assert segments_of(filled) == ["1", "2"]
    with Index.write(filled, MODEL, rebuild=True):
        pass
    assert (filled / "catalog.damaged").read_bytes()[:16] == b"not a database, "
    assert Index.open(filled).images == 0


def test_a_folder_of_that_name_that_is_not_ours_is_left_alone(folder):
    theirs = folder / "segments" / "holiday"
    theirs.mkdir(parents=True)
    with Index.write(folder, MODEL) as writer:
        put(writer, "/a.jpg", "a")
    assert theirs.is_dir()


# What takes an index back to an earlier format: 5 brought checksums, 4 ctimes, roots, looks and what a file says of its
# origin, 3 what comparing pictures has found and their parts, 2 margins.
ORIGIN = ("taken_ms", "camera", "quality", "damaged")
TO_FORMAT_4 = ("ALTER TABLE segments DROP COLUMN digests", "PRAGMA user_version = 4")
TO_FORMAT_3 = (
    *TO_FORMAT_4,
    "DROP TABLE home", "DROP TABLE roots", "DROP TABLE looks", "DROP INDEX images_by_inode",
    "ALTER TABLE images DROP COLUMN inode", "ALTER TABLE images DROP COLUMN ctime_ns",
    "ALTER TABLE failures DROP COLUMN ctime_ns",
    *(f"ALTER TABLE contents DROP COLUMN {name}" for name in ORIGIN), "PRAGMA user_version = 3",
)  # fmt: skip
TO_FORMAT_2 = (*TO_FORMAT_3, "DROP TABLE links", "DROP TABLE parts", "PRAGMA user_version = 2")
TO_FORMAT_1 = (*TO_FORMAT_2, "ALTER TABLE contents DROP COLUMN margin", "PRAGMA user_version = 1")


@pytest.mark.parametrize("statements", [TO_FORMAT_4, TO_FORMAT_3, TO_FORMAT_2, TO_FORMAT_1])
def test_an_index_of_an_earlier_format_is_upgraded(filled, statements):
    """By a reader in memory, by a writer on disk; it has no links then, and keeps those that are recorded."""
    pair = pair_of(digest_of(3), digest_of(4))
    record_verdicts(filled, {pair: "not"})
    edit_catalog(*statements)(filled)
    before = (filled / "catalog.sqlite").read_bytes()
    with Index.open(filled) as index:
        assert index.query(embedding_of(3), k=1)[0].path == Path("/photos/3.jpg")
        assert {image.margin for image in index} == {0.0}
        assert index.notes.link(pair, 1) is None
        assert index.notes.verdicts() == {pair: "not"}
    assert (filled / "catalog.sqlite").read_bytes() == before
    with Index.write(filled, MODEL) as writer:
        put(writer, "/new.jpg", "new", margin=0.25, taken_ms=5, camera=7, quality=92, damaged="breaks off at 61 %")
    with closing(sqlite3.connect(filled / "catalog.sqlite")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (5,)
    record_found(filled, pixels={}, links={pair: "{}"}, matcher=1)
    with Index.open(filled) as index:
        assert sorted(image.margin for image in index) == [0.0] * 40 + [0.25]
        origins = [(image.taken_ms, image.camera, image.quality, image.damaged) for image in index]
        assert origins == [(None, 0, None, None)] * 40 + [(5, 7, 92, "breaks off at 61 %")]
        assert index.notes.link(pair, 1) == "{}"


def test_notes_upgrade_an_index_of_an_earlier_format(filled):
    """Whoever writes first."""
    edit_catalog(*TO_FORMAT_1)(filled)
    pair = pair_of(digest_of(3), digest_of(4))
    record_found(filled, pixels={digest_of(3): digest_of(5)}, links={pair: "{}"}, matcher=1)
    with Index.open(filled) as index:
        assert (index.notes.link(pair, 1), index.notes.pixels(digest_of(3))) == ("{}", digest_of(5))
        assert index.images == 40


def test_the_catalogue_of_an_older_format_is_upgraded(filled, monkeypatch):
    """By a reader in memory, by a writer on disk."""
    later = catalog.FORMAT_VERSION + 1
    table = "CREATE TABLE notes_of_later (digest BLOB PRIMARY KEY) WITHOUT ROWID"
    monkeypatch.setattr(catalog, "FORMAT_VERSION", later)
    monkeypatch.setattr(catalog, "SCHEMA", catalog.SCHEMA | {"notes_of_later": table})
    monkeypatch.setattr(catalog, "UPGRADES", {later - 1: (table,)})
    before = (filled / "catalog.sqlite").read_bytes()
    index = Index.open(filled)
    assert index.query(embedding_of(3), k=1)[0].path == Path("/photos/3.jpg")
    assert (filled / "catalog.sqlite").read_bytes() == before
    with Index.write(filled, MODEL) as writer:
        put(writer, "/new.jpg", "new")
    assert len(paths_of(filled)) == 41
    monkeypatch.undo()
    with pytest.raises(DamagedIndex, match=f"format {later} is newer"):
        Index.open(filled)


def test_the_format_is_what_its_specification_says(filled):
    """Read with NumPy and SQLite alone: files, dtypes, shapes, order."""
    with closing(sqlite3.connect(filled / "catalog.sqlite")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (0x6E647570,)
        assert connection.execute("PRAGMA user_version").fetchone() == (5,)
        assert connection.execute("SELECT number, rows, first, last FROM segments").fetchall() == [
            (1, 30, 1, 30),
            (2, 10, 31, 40),
        ]
    for number, n in ((1, 30), (2, 10)):
        home = filled / "segments" / str(number)
        arrays = {path.stem: np.load(path, allow_pickle=False) for path in home.iterdir()}
        assert {name: (array.dtype.str, array.shape) for name, array in arrays.items()} == {
            "embeddings": ("<f2", (n, DIM)),
            "contents": ("<i8", (n,)),
            "signatures": ("<u4", (8, n)),
            "rows": ("<u4", (8, n)),
        }
        assert (np.diff(arrays["signatures"].astype(np.int64)) >= 0).all()
        assert (np.sort(arrays["rows"]) == np.arange(n)).all()


@pytest.mark.parametrize(
    "change",
    [
        "contents SET width = 'abc'", "contents SET width = 1 << 40", "contents SET height = -5",
        "contents SET margin = 'abc'", "contents SET margin = 9e999", "contents SET margin = -1",
        "contents SET margin = 1",
        "images SET mtime_ns = 'abc'", "images SET mtime_ns = 1e300", "images SET size_bytes = x'00'",
        "images SET size_bytes = -1", "contents SET digest = CAST(id AS BLOB)",
        "images SET path = path || CAST(x'0041' AS BLOB)",
    ],
)  # fmt: skip
def test_facts_that_cannot_be_so_are_found_by_whoever_reads_them(filled, change):
    edit_catalog(f"UPDATE {change}")(filled)
    with pytest.raises(DamagedIndex, match="rebuild with"):
        list(Index.open(filled))


def test_links_within_an_index_lead_nowhere(filled, tmp_path):
    """A writer deletes and overwrites what it takes for its own."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "2019").mkdir(parents=True)
    (elsewhere / "2019" / "a.jpg").touch()
    (elsewhere / "notes").write_text("mine")
    (filled / "writer.txt").unlink(missing_ok=True)
    (filled / "writer.txt").symlink_to(elsewhere / "notes")
    with Index.write(filled, MODEL) as writer:
        put(writer, "/new.jpg", "new")
    assert (elsewhere / "notes").read_text() == "mine"
    for path in (filled / "segments").iterdir():
        shutil.move(path, elsewhere / path.name)
    (filled / "segments").rmdir()
    (filled / "segments").symlink_to(elsewhere)
    with pytest.raises(DamagedIndex, match="segments: is a link"), Index.write(filled, MODEL, rebuild=True):
        pass
    assert (elsewhere / "2019" / "a.jpg").exists()


def test_folders_that_a_writer_would_not_make_stay(filled):
    (filled / "segments" / "2019").mkdir()
    (filled / "segments" / "2019" / "a.jpg").touch()
    with Index.write(filled, MODEL, rebuild=True) as writer:
        put(writer, "/new.jpg", "new")
    assert (filled / "segments" / "2019" / "a.jpg").exists()
    assert not (filled / "segments" / "1").exists()


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from small_index import MODEL
from neardup.index import Index, catalog

catalog._choose_journal = lambda connection: connection.execute("PRAGMA journal_mode = DELETE").fetchone()
with Index.write(Path(sys.argv[1]), MODEL) as writer:
    writer._connection.execute("PRAGMA cache_size = 2")
    for n in range(3000):
        writer.fail(Path(f"/photos/{n:080d}.jpg"), size_bytes=1, mtime_ns=1, error="truncated")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def half_written(filled, monkeypatch):
    """Without WAL, by a writer that was killed in the middle: a rollback journal beside a catalogue that needs it."""
    monkeypatch.setattr(catalog, "_choose_journal", lambda c: c.execute("PRAGMA journal_mode = DELETE").fetchone())
    done = subprocess.run([sys.executable, "-c", KILLED_WRITER, filled], cwd=Path(__file__).parent, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (filled / "catalog.sqlite-journal").stat().st_size > 0
    return filled


def test_a_half_written_catalogue_is_read_and_rolled_back(half_written):
    with Index.open(half_written) as index:
        assert index.images == 40
    assert (half_written / "catalog.sqlite-journal").exists()  # a reader leaves it to a writer
    with Index.write(half_written, MODEL) as writer:
        put(writer, "/new.jpg", "new")
    assert len(paths_of(half_written)) == 41


def test_a_journal_that_names_another_file_is_refused(half_written, tmp_path):
    """SQLite deletes the super-journal that a journal names, once it has rolled back."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    name = str(victim).encode()
    with (half_written / "catalog.sqlite-journal").open("ab") as journal:
        journal.write(bytes(4) + name + struct.pack(">II", len(name), sum(name)) + bytes.fromhex("d9d505f920a163d7"))
    with pytest.raises(DamagedIndex, match="not a journal"):
        Index.open(half_written)
    with Index.write(half_written, MODEL, rebuild=True) as writer:
        put(writer, "/new.jpg", "new")
    assert victim.exists()


@pytest.mark.parametrize("name", ["embeddings.npy", "contents.npy", "signatures.npy", "rows.npy"])
def test_a_writer_adds_nothing_to_what_nobody_can_open(filled, name):
    truncate(f"segments/1/{name}")(filled)
    with pytest.raises(DamagedIndex, match=name), Index.write(filled, MODEL):
        pass
    (filled / "segments" / "1" / name).unlink()
    with pytest.raises(DamagedIndex, match=f"{name}: missing"), Index.write(filled, MODEL):
        pass


def test_a_merge_copies_nothing_that_went_bad(filled):
    """It would get a checksum of its own, and nobody would ever know."""
    overwrite("segments/2/embeddings.npy", b"\x01", at=300)(filled)

    def merge() -> None:
        with Index.write(filled, MODEL) as writer:
            for content in range(100, 140):
                put(writer, f"/more/{content}.jpg", content)

    with pytest.raises(DamagedIndex, match=r"2/embeddings.npy: does not hold what was written"):
        merge()
    assert segments_of(filled) == ["1", "2"]


def test_an_index_that_may_not_be_read_is_a_line(filled, monkeypatch):
    """Tests run as root, whom permissions do not stop."""
    plain_open = os.open

    def refuse(path, *arguments, **how):
        if os.fspath(path).endswith("embeddings.npy"):
            raise PermissionError(13, "Permission denied", str(path))
        return plain_open(path, *arguments, **how)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BadInput, match=r"embeddings.npy: Permission denied; check its permissions"):
        Index.open(filled)
