"""Verdicts belong to contents: they outlive paths, rebuilds and machines."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from neardup.errors import BadInput, IndexLocked
from neardup.groups import DuplicateGroup, Member
from neardup.index import Index, Model
from neardup.index.notes import (
    MAX_APART,
    Verdict,
    export_verdicts,
    import_verdicts,
    load_verdicts,
    pair_of,
    pairs_of_group,
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


def group_of(*digests: bytes) -> DuplicateGroup:
    return DuplicateGroup(
        tuple(Member(Path(f"/{n}"), 1.0, "near", 1, 1, 1, 1, digest, None) for n, digest in enumerate(digests))
    )


def test_a_verdict_on_a_group() -> None:
    group = group_of(B, A, B, C)
    assert set(pairs_of_group(group, "duplicate")) == {pair_of(A, B), pair_of(B, C)}
    assert set(pairs_of_group(group, "not")) == {pair_of(A, B), pair_of(B, C), pair_of(A, C)}
    assert pairs_of_group(group_of(A, A), "not") == []
    crowd = group_of(*(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(MAX_APART + 1)))
    with pytest.raises(BadInput, match="raise --min-similarity"):
        pairs_of_group(crowd, "not")
    assert len(pairs_of_group(crowd, "duplicate")) == MAX_APART
