"""What is noted of contents: verdicts, links and pixel digests outlive paths and rebuilds, verdicts machines."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from neardup.errors import BadInput, DamagedIndex, IndexLocked, NeardupError
from neardup.index import Index, Model
from neardup.index.notes import (
    Verdict,
    export_verdicts,
    import_verdicts,
    load_verdicts,
    pair_of,
    record_found,
    record_verdicts,
)
from neardup.index.store import write_lock

MODEL = Model(name="tiny", digest="ab" * 32, engine="onnx", precision="float32", decoder="pillow", dim=4)
A, B, C = (hashlib.sha256(name).digest() for name in (b"a", b"b", b"c"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Index.write(tmp_path / "index", MODEL) as writer:
        writer.add(
            Path("/a"), size_bytes=1, mtime_ns=1, digest=A, width=1, height=1, embedding=np.eye(4, dtype=np.float32)[0]
        )
    return tmp_path / "index"


def test_a_verdict_is_kept_whichever_way_round(folder: Path) -> None:
    record_verdicts(folder, {(B, A): "not", (A, C): "later"})
    assert load_verdicts(folder) == {pair_of(A, B): "not", pair_of(C, A): "later"}
    record_verdicts(folder, {(A, B): "duplicate", (C, A): None})
    assert load_verdicts(folder) == {pair_of(A, B): "duplicate"}


def test_a_rebuild_keeps_verdicts(folder: Path) -> None:
    record_verdicts(folder, {(A, B): "not"})
    with Index.write(folder, MODEL, rebuild=True):
        pass
    assert Index.open(folder).images == 0
    assert load_verdicts(folder) == {pair_of(A, B): "not"}


@pytest.mark.parametrize(
    ("pair", "verdict", "reason"),
    [
        ((A, A), "not", "byte copies"),
        ((A, b"short"), "not", "32 bytes"),
        ((A, B), "perhaps", "one of duplicate, not, later"),
    ],
)
def test_a_verdict_that_cannot_be(folder: Path, pair: tuple[bytes, bytes], verdict: Verdict, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        record_verdicts(folder, {(A, C): "later", pair: verdict})
    assert load_verdicts(folder) == {}


def test_recording_waits_for_no_writer(folder: Path) -> None:
    with write_lock(folder, None), pytest.raises(IndexLocked, match="is writing"):
        record_verdicts(folder, {(A, B): "not"})


def test_export_and_import(folder: Path, tmp_path: Path) -> None:
    record_verdicts(folder, {(A, B): "not", (B, C): "duplicate"})
    file = tmp_path / "verdicts.json"
    assert export_verdicts(folder, file) == 2
    with Index.write(tmp_path / "other", MODEL):
        pass
    record_verdicts(tmp_path / "other", {(A, B): "later", (A, C): "later"})
    assert import_verdicts(tmp_path / "other", file) == 2
    expected = {pair_of(A, B): "not", pair_of(B, C): "duplicate", pair_of(A, C): "later"}
    assert load_verdicts(tmp_path / "other") == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a file of verdicts"),
        (b"[" * 100_000, "not a file of verdicts"),
        (b"[]", "not a file of verdicts"),
        (b'{"format": "neardup verdicts 9", "verdicts": []}', "this neardup reads"),
        (b'{"format": "neardup verdicts 1", "verdicts": [{"a": "00", "b": "11", "verdict": "not"}]}', "32 bytes"),
        (b'{"format": "neardup verdicts 1", "verdicts": [{"a": 5}]}', "not a file of verdicts"),
        (b'{"format": "neardup verdicts 1", "verdicts": [{"a": "%s", "b": "%s", "verdict": 1}]}', "verdict 1"),
    ],
)  # fmt: skip
def test_a_file_that_is_none(folder: Path, tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "verdicts.json"
    file.write_bytes(content.replace(b"%s", A.hex().encode(), 1).replace(b"%s", B.hex().encode()))
    with pytest.raises(BadInput, match=reason):
        import_verdicts(folder, file)
    assert load_verdicts(folder) == {}


def test_what_was_found_is_kept_by_matcher(folder: Path) -> None:
    """What an earlier matcher found is passed over, and goes when this one records; a rebuild keeps the rest."""
    record_found(folder, pixels={A: b"", B: C}, links={pair_of(A, B): "1", pair_of(A, C): "2"}, matcher=7)
    with Index.open(folder) as index:
        assert [index.notes.link(pair_of(A, other), 7) for other in (B, C)] == ["1", "2"]
        assert index.notes.link(pair_of(A, B), 8) is None
        assert [index.notes.pixels(digest) for digest in (A, B, C)] == [b"", C, None]
    record_found(folder, pixels={}, links={pair_of(A, C): "3"}, matcher=8)
    with Index.write(folder, MODEL, rebuild=True):
        pass
    with Index.open(folder) as index:
        assert [index.notes.link(pair_of(A, other), 8) for other in (B, C)] == [None, "3"]
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        assert connection.execute("SELECT matcher, found FROM links").fetchall() == [(8, "3")]


def test_notes_are_those_of_the_opening(folder: Path) -> None:
    with Index.open(folder) as index:
        record_found(folder, pixels={A: b"later"}, links={pair_of(A, B): "later"}, matcher=1)
        record_verdicts(folder, {(A, B): "not"})
        assert (index.notes.link(pair_of(A, B), 1), index.notes.pixels(A), index.notes.verdicts()) == (None, None, {})


def test_recording_what_was_found_waits_for_no_writer(folder: Path) -> None:
    with write_lock(folder, None), pytest.raises(IndexLocked, match="is writing"):
        record_found(folder, pixels={A: b"x"}, links={}, matcher=1)


# SQLite keeps whatever type it is given.
ODD = ["7", "1.5", "'text'", "x'00'", "x''", "zeroblob(31)", "1 << 40", "CAST(x'ff' AS TEXT)"]


@pytest.mark.parametrize("value", ODD)
def test_notes_of_another_kind_are_none_or_named(folder: Path, value: str) -> None:
    """Indexes come from anywhere: no crash, and no memory for a number that says how much."""
    with closing(sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute(f"INSERT INTO pixels VALUES (?, {value})", (A,))
        connection.execute(f"INSERT INTO links VALUES (?, ?, 1, {value})", pair_of(A, B))
    with Index.open(folder) as index:
        if "CAST" in value:
            for read in (lambda: index.notes.pixels(A), lambda: index.notes.link(pair_of(A, B), 1)):
                with pytest.raises(DamagedIndex, match="UTF-8"):
                    read()
        else:
            assert index.notes.pixels(A) == (b"" if value == "x''" else None)
            assert isinstance(index.notes.link(pair_of(A, B), 1), str)


@pytest.mark.parametrize("column", ["first", "second", "verdict"])
@pytest.mark.parametrize("value", ODD)
def test_a_verdict_of_another_kind_is_named(folder: Path, column: str, value: str) -> None:
    record_verdicts(folder, {(A, B): "not"})
    with closing(sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute(f"UPDATE verdicts SET {column} = {value}")
    with pytest.raises(NeardupError), Index.open(folder) as index:
        index.notes.verdicts()
    with pytest.raises(NeardupError):
        load_verdicts(folder)
