"""What is opened by a name that anyone may have given away: a regular file of bounded size, or one line, at once.

Every kind of file that hangs or floods a reader, under every name that neardup reads.
"""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from neardup.embedding import load_embedder
from neardup.embedding.importing import load_released
from neardup.embedding.model import read_model
from neardup.embedding.variants import read_record
from neardup.embedding.weights import load_weights
from neardup.errors import NeardupError
from neardup.evaluation.suite import read_pairs
from neardup.index import Index, Model
from neardup.index.notes import import_verdicts
from neardup.reading import UnfitFile, open_regular, parse_json, read_json, read_regular
from neardup.training.log import read_log
from tests.conftest import TINY

RECORD = Model("tiny", "ab" * 32, "onnx", "f32", "pillow", 8)
# Deeper than any parser's stack.
DEEP = b"[" * 200_000


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link_to_fifo(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(30 << 30)


def deep_json(path: Path) -> None:
    path.write_bytes(DEEP)


NO_FILES = (fifo, link_to_fifo, device, folder)


def an_index(home: Path) -> Path:
    with Index.write(home / "index", RECORD) as writer:
        for number in range(4):
            row = np.eye(8, dtype=np.float32)[number]
            digest = hashlib.sha256(bytes([number])).digest()
            writer.add(
                Path(f"/{number}.jpg"), size_bytes=1, mtime_ns=1, digest=digest, width=1, height=1, embedding=row
            )
    with closing(sqlite3.connect(home / "index" / "catalog.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return home / "index"


def in_index(name: str) -> Callable[[Path, Callable[[Path], None]], Callable[[], object]]:
    def lay(home: Path, make: Callable[[Path], None]) -> Callable[[], object]:
        index = an_index(home)
        (index / name).unlink(missing_ok=True)
        make(index / name)
        return lambda: Index.open(index).query(np.eye(8, dtype=np.float32)[0])

    return lay


def alone(name: str, read: Callable[[Path], object]) -> Callable[[Path, Callable[[Path], None]], Callable[[], object]]:
    def lay(home: Path, make: Callable[[Path], None]) -> Callable[[], object]:
        make(home / name)
        return lambda: read(home / name)

    return lay


def in_model(
    name: str, read: Callable[[Path], object]
) -> Callable[[Path, Callable[[Path], None]], Callable[[], object]]:
    def lay(home: Path, make: Callable[[Path], None]) -> Callable[[], object]:
        model = home / "model"
        shutil.copytree(Path(os.environ["TINY_MODEL"]), model)
        (model / name).unlink()
        make(model / name)
        return lambda: read(model)

    return lay


PLACES = {
    "catalogue": in_index("catalog.sqlite"),
    "catalogue's journal": in_index("catalog.sqlite-journal"),
    "catalogue's log": in_index("catalog.sqlite-wal"),
    "catalogue's shared memory": in_index("catalog.sqlite-shm"),
    "embeddings": in_index("segments/1/embeddings.npy"),
    "contents": in_index("segments/1/contents.npy"),
    "signatures": in_index("segments/1/signatures.npy"),
    "rows": in_index("segments/1/rows.npy"),
    "config": in_model("config.json", read_model),
    "graph": in_model("model.onnx", lambda model: load_embedder(str(model), "onnx")),
    "weights": in_model("weights.npz", lambda model: load_weights(model / "weights.npz", TINY.parameters())),
    "imported weights": alone("w.npz", load_released),
    "variant": alone("variant.json", read_record),
    "pairs": alone("same.csv", lambda path: read_pairs(path, path.parent)),
    "training log": alone("log.csv", read_log),
    "verdicts": alone("verdicts.json", lambda path: import_verdicts(path.parent, path)),
}  # fmt: skip
JSON_PLACES = ("config", "variant", "verdicts")


def refused(tmp_path: Path, place: str, make: Callable[[Path], None]) -> str:
    read = PLACES[place](tmp_path, make)
    with pytest.raises(NeardupError) as caught:
        read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def a_model(tiny_model, monkeypatch):
    monkeypatch.setenv("TINY_MODEL", str(tiny_model.folder))


@pytest.mark.parametrize("make", NO_FILES)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_file_is_refused_at_once(tmp_path, place, make):
    assert "not a regular file" in refused(tmp_path, place, make) or place.startswith("catalogue's")


@pytest.mark.parametrize("place", [place for place in PLACES if not place.startswith("catalogue")])
def test_a_file_without_end_is_not_read(tmp_path, place):
    assert "32212254720" in refused(tmp_path, place, sparse).replace(",", "")


@pytest.mark.parametrize("place", JSON_PLACES)
def test_deep_json_is_a_line(tmp_path, place):
    assert "JSON" in refused(tmp_path, place, deep_json)


@pytest.mark.parametrize("make", [*NO_FILES, sparse, deep_json])
def test_the_lock_and_the_name_of_its_holder_are_no_traps(tmp_path, make):
    """A link would be truncated where it leads to; the holder is read while another process writes."""
    index = an_index(tmp_path)
    with Index.write(index, RECORD):
        holder = index / "writer.txt"
        holder.unlink()
        make(holder)
        with pytest.raises(NeardupError, match="another process is writing"), Index.write(index, RECORD):
            pass
        shutil.rmtree(holder) if holder.is_dir() and not holder.is_symlink() else holder.unlink()
    if make in NO_FILES:
        (index / "writer.lock").unlink(missing_ok=True)
        (index / "pipe").unlink(missing_ok=True)
        make(index / "writer.lock")
        with pytest.raises(NeardupError, match=r"writer\.lock"), Index.write(index, RECORD):
            pass


def test_a_lock_that_is_a_link_spares_what_it_leads_to(tmp_path):
    index = an_index(tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    (index / "writer.lock").unlink(missing_ok=True)
    (index / "writer.lock").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(NeardupError, match="is a link"), Index.write(index, RECORD):
        pass
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_what_lies_beside_the_catalogue_is_no_link(tmp_path, ending):
    index = an_index(tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    (index / f"catalog.sqlite{ending}").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(NeardupError, match="is a link"):
        Index.open(index)
    with Index.write(index, RECORD, rebuild=True):
        pass
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_sparse_catalogue_is_not_copied(tmp_path):
    """Its own head says how many pages there are, and readers that do not use a log copy them all."""
    index = an_index(tmp_path)
    path = index / "catalog.sqlite"
    content = bytearray(path.read_bytes())
    pages = (30 << 30) // 4096
    content[28:32] = pages.to_bytes(4, "big")
    path.write_bytes(content)
    os.truncate(path, pages * 4096)
    with pytest.raises(NeardupError, match="more than a copy is made of"):
        Index.open(index)


def test_the_reader_itself(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(UnfitFile, match="5 bytes, more than the 4 that are read"):
        read_regular(path, 4)
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 5) == b"12345"
    with pytest.raises(OSError, match="symbolic links"):
        open_regular(tmp_path / "link", follow=False)
    with pytest.raises(UnfitFile, match="null"):
        read_regular(tmp_path / "a\0b", 5)
    path.write_text(json.dumps({"a": [1, "ä"]}))
    assert read_json(path, 100) == {"a": [1, "ä"]}


@pytest.mark.parametrize("content", [DEEP, b"{" * 9, b"\xff", b"", b"1" * 5000, b'{"a":' * 100_000, "nope"])
def test_bad_json_is_a_value_error(content):
    with pytest.raises(ValueError):  # noqa: PT011 (its kind alone is promised)
        parse_json(content)
