"""Embeddings of parts of a picture: beside those of the whole, of contents that images have, and nothing else."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from small_index import DIM, MODEL, digest_of, embedding_of, paths_of, put

from neardup.errors import BadInput, DamagedIndex
from neardup.index import Index


def add(writer, path, content, parts=None):
    known = writer.content(digest_of(content)) is not None
    writer.add(
        Path(path), size_bytes=100, mtime_ns=1_000, digest=digest_of(content), width=40, height=30,
        embedding=None if known else embedding_of(content), parts=parts,
    )  # fmt: skip


def parts_of(content):
    return np.stack([embedding_of((content, part)) for part in range(5)])


def test_an_index_without_parts_has_none(folder, filled):
    with Index.open(filled) as index:
        rows, parts = index.parts()
    assert (len(rows), len(parts)) == (0, 0)
    folder.with_name("empty").mkdir()
    assert len(Index.open(folder.with_name("empty")).parts()[0]) == 0


def test_parts_are_of_the_rows_that_they_come_with(filled):
    with Index.write(filled, MODEL) as writer:
        add(writer, "/a.jpg", "a", parts_of("a"))
        add(writer, "/photos/7.jpg", 7, parts_of(7))  # known before, and without
        assert writer.has_parts(writer.content(digest_of("a")))
        assert not writer.has_parts(writer.content(digest_of(8)))
    with Index.open(filled) as index:
        rows, parts = index.parts()
        of_row = {image.row: image.path for image in index}
    assert parts.dtype == np.float16
    assert [of_row[row] for row in rows.tolist()] == [Path("/photos/7.jpg"), Path("/a.jpg")]
    np.testing.assert_array_equal(parts, np.stack([parts_of(7), parts_of("a")]).astype(np.float16))


def test_parts_go_with_the_last_image_of_a_content(folder):
    with Index.write(folder, MODEL) as writer:
        for path, content in (("/a.jpg", "a"), ("/copy.jpg", "a"), ("/b.jpg", "b")):
            add(writer, path, content, parts_of(content))
    for gone, left in (("/copy.jpg", 2), ("/a.jpg", 1)):
        with Index.write(folder, MODEL) as writer:
            writer.fail(Path(gone), size_bytes=1, mtime_ns=1, error="broken")
        with Index.open(folder) as index:
            assert len(index.parts()[0]) == left
    with Index.write(folder, MODEL, rebuild=True) as writer:
        put(writer, "/b.jpg", "b")
    assert len(Index.open(folder).parts()[0]) == 0


def test_wrong_parts_are_refused_and_the_rest_goes_on(folder):
    with Index.write(folder, MODEL) as writer:
        for wrong in (np.zeros((5, DIM), np.float32), np.eye(5, DIM - 1, dtype=np.float32)):
            with pytest.raises(BadInput, match="embedding of"):
                add(writer, "/wrong.jpg", "wrong", wrong)
        add(writer, "/a.jpg", "a", parts_of("a"))
    assert paths_of(folder) == {"/a.jpg"}
    with Index.open(folder) as index:
        assert [match.path.name for match in index.query(embedding_of("wrong"), k=9, exact=True)] == ["a.jpg"]


@pytest.mark.parametrize(
    ("blob", "reason"),
    [("x'00'", "not of 16 numbers"), ("x''", "not of 16 numbers"), ("7", "not of 16 numbers"),
     ("zeroblob(64)", "not of 16 numbers"), ("zeroblob(2000000)", "too big")],
)  # fmt: skip
def test_damaged_parts_are_named(folder, blob, reason):
    with Index.write(folder, MODEL) as writer:
        for content in "ab":
            add(writer, f"/{content}.jpg", content, parts_of(content))
    with closing(sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute(f"UPDATE parts SET embeddings = {blob} WHERE content = 1")
    with Index.open(folder) as index, pytest.raises(DamagedIndex, match=reason):
        index.parts()
