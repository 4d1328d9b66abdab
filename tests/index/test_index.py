"""What goes into an index comes out again: matches, copies, deletions, names, buckets."""

import math
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from small_index import DIM, MODEL, digest_of, embedding_of, paths_of, put, segments_of

from neardup.errors import BadInput, IndexNotWritten, ModelMismatch
from neardup.index import FileState, Index, Match
from neardup.lsh import draw_hyperplanes, signatures
from neardup.lsh.hyperplanes import LARGEST_DIM


def unit(*values: float) -> np.ndarray:
    """A unit vector that begins with these values."""
    embedding = np.zeros(DIM, np.float32)
    embedding[: len(values)] = values
    return embedding / np.linalg.norm(embedding)


def add(writer, path: str, embedding: np.ndarray, label: str | None = None) -> None:
    writer.add(
        Path(path),
        size_bytes=1,
        mtime_ns=2,
        digest=digest_of(path),
        width=3,
        height=4,
        label=label,
        embedding=embedding,
    )


def test_an_indexed_image_is_its_own_best_match(filled):
    index = Index.open(filled)
    for content in range(40):
        [match] = index.query(embedding_of(content), k=1)
        assert match.path == Path(f"/photos/{content}.jpg")
        assert match.similarity == pytest.approx(1, abs=1e-3)
        assert (match.tables, match.jaccard) == (index.tables, 1.0)


def test_copies_that_lost_much_are_found_among_thousands(folder):
    """At cosine 0.7 the tables find 99.9 % by theory with 256 probes, and 66 % with the six that 0.9 asks for."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4000, 64))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with Index.write(folder, replace(MODEL, dim=64)) as writer:
        for number, row in enumerate(rows):
            add(writer, f"/a/{number}.jpg", row.astype(np.float32))
    index = Index.open(folder)
    found = 0
    for number in range(100):
        away = rng.standard_normal(64)
        away -= (away @ rows[number]) * rows[number]
        copy = 0.7 * rows[number] + math.sqrt(1 - 0.7**2) * away / np.linalg.norm(away)
        result = index.search(copy.astype(np.float32), k=1)
        assert result.candidates < 3000
        found += [match.path for match in result.matches] == [Path(f"/a/{number}.jpg")]
    assert found >= 97


def test_matches_come_best_first_with_the_similarity_of_their_angle(folder):
    with Index.write(folder, MODEL) as writer:
        add(writer, "/a/same.jpg", unit(1), label="tulip")
        add(writer, "/a/near.jpg", unit(4, 3))
        add(writer, "/a/far.jpg", unit(3, 4))
        add(writer, "/a/opposite.jpg", unit(-1))
    index = Index.open(folder)
    result = index.search(unit(1), k=4, exact=True)
    assert result.candidates == 4
    assert [match.path.name for match in result.matches] == ["same.jpg", "near.jpg", "far.jpg", "opposite.jpg"]
    assert [match.similarity for match in result.matches] == pytest.approx([1, 0.8, 0.6, -1], abs=1e-3)
    assert result.matches[0].label == "tulip"
    assert index.query(unit(1), k=4, min_similarity=0.7, exact=True) == result.matches[:2]


def test_jaccard_counts_the_buckets_that_both_images_are_in(filled):
    """m / (2 L - m), counted here from every signature, without tables."""
    index = Index.open(filled)
    planes = draw_hyperplanes(tables=index.tables, bits=24, dim=DIM, seed=0)
    shift = np.uint64(24 - index.bits)
    query = embedding_of("a query").astype(np.float16)
    own = signatures(query[None], planes)[0] >> shift
    for match in index.query(query.astype(np.float32), k=40, exact=True):
        stored = embedding_of(int(match.path.stem)).astype(np.float16)
        m = int((signatures(stored[None], planes)[0] >> shift == own).sum())
        assert (match.tables, match.jaccard) == (m, pytest.approx(m / (2 * index.tables - m)))


def test_ties_are_broken_by_jaccard_then_path(folder):
    """Two images at one angle on either side of the query differ in their buckets; copies differ in path alone."""
    rng = np.random.default_rng(5)
    query = unit(1)
    with Index.write(folder, MODEL) as writer:
        for number in reversed(range(200)):  # rows come in another order than paths
            side = np.zeros(DIM)  # exact in float16, and of exactly the length that is wanted
            side[1 + rng.choice(DIM - 1, 3, replace=False)] = rng.choice([-0.5, 0.5], 3)
            add(writer, f"/a/{number:03}.jpg", query * 0.5 + side)
            put(writer, f"/a/{number:03} copy.jpg", f"/a/{number:03}.jpg")
    matches = Index.open(folder).query(query, k=400, exact=True)
    keys = [(-match.similarity, -match.jaccard, os.fsencode(match.path)) for match in matches]
    assert keys == sorted(keys)
    assert {match.similarity for match in matches} == {0.5}
    assert len({match.jaccard for match in matches}) > 1
    for k in (1, 2, 3, 7, 50):
        assert Index.open(folder).query(query, k=k, exact=True) == matches[:k]


def test_lsh_finds_what_exact_search_finds_close_by(folder):
    """At cosine 0.95 nearly every neighbour; 0.9 is what the tables are tuned for, at 99 %."""
    rng = np.random.default_rng(3)
    with Index.write(folder, MODEL) as writer:
        for number in range(500):
            add(writer, f"/a/{number}.jpg", embedding_of(number))
    index = Index.open(folder)
    assert index.expected_recall >= 0.99
    found = 0
    for number in range(500):
        side = rng.standard_normal(DIM)
        own = embedding_of(number)
        side -= side @ own * own
        near = 0.9 * own + np.sqrt(1 - 0.81) * side / np.linalg.norm(side)
        [best] = index.query(near, k=1, exact=True)
        found += index.query(near, k=1) == [best]
    assert found >= 485


def test_byte_copies_are_embedded_once_and_each_is_a_match(folder):
    with Index.write(folder, MODEL) as writer:
        put(writer, "/a/b.jpg", "one")
        put(writer, "/a/a.jpg", "one")
        writer.commit()
        put(writer, "/z.jpg", "one", label="last")
    index = Index.open(folder)
    assert index.images == 3
    assert [len(rows) for rows in index.embeddings] == [1]
    matches = index.query(embedding_of("one"), k=4)
    assert [(match.path, match.label) for match in matches] == [
        (Path("/a/a.jpg"), None),
        (Path("/a/b.jpg"), None),
        (Path("/z.jpg"), "last"),
    ]
    assert index.query(embedding_of("one"), k=2) == matches[:2]


def test_every_image_is_listed_with_the_row_of_its_embedding(filled):
    with Index.write(filled, MODEL) as writer:
        put(writer, "/photos/copy of 7.jpg", 7, label="tulip")
    index = Index.open(filled)
    listed = list(index)
    assert len(listed) == index.images == 41
    rows = np.concatenate(index.embeddings)
    for image in listed:
        content = 7 if image.label else int(image.path.stem)
        assert image.digest == digest_of(content)
        assert (image.size_bytes, image.mtime_ns, image.width, image.height) == (100, 1_000, 40, 30)
        np.testing.assert_array_equal(rows[image.row], embedding_of(content).astype(np.float16))
        assert index.live_rows[image.row] == image.row
    assert len({image.row for image in listed}) == 40


def test_state_is_what_was_recorded(filled):
    broken = Path("/photos/broken.jpg")
    with Index.write(filled, MODEL) as writer:
        assert writer.state(Path("/photos/7.jpg")) == FileState(100, 1_000, 8, None, None)
        assert writer.state(broken) is None
        writer.relabel(Path("/photos/7.jpg"), "tulip")
        writer.fail(broken, size_bytes=5, mtime_ns=6, error="broken data stream \udcff")
    with Index.write(filled, MODEL) as writer:
        assert writer.state(Path("/photos/7.jpg")).label == "tulip"
        assert writer.state(broken) == FileState(5, 6, None, None, "broken data stream \udcff")
    with Index.write(filled, replace(MODEL, decoder="pillow 12")) as writer:
        assert writer.state(broken) is None  # another decoder may do better
    assert broken not in {image.path for image in Index.open(filled)}


def test_a_file_that_breaks_leaves_and_one_that_is_mended_returns(filled):
    path = Path("/photos/3.jpg")
    with Index.write(filled, MODEL) as writer:
        writer.fail(path, size_bytes=1, mtime_ns=1, error="truncated")
    assert str(path) not in paths_of(filled)
    with Index.write(filled, MODEL) as writer:
        put(writer, path, 3)
        assert writer.state(path).error is None
    assert str(path) in paths_of(filled)
    assert Index.open(filled).query(embedding_of(3), k=1)[0].path == path


def test_deleted_images_never_appear_and_never_crowd_out_others(folder):
    """Twenty nearer images leave; the one that stays must still be found, by tables and by exact search."""
    with Index.write(folder, MODEL) as writer:
        for number in range(20):
            add(writer, f"/gone/{number}.jpg", unit(1, number / 1000))
        for number in range(30):
            add(writer, f"/kept/{number}.jpg", unit(1, 0.1 + number))
        writer.commit()
        assert writer.remove_vanished([Path("/gone")]) == 20
    index = Index.open(folder)
    assert [len(rows) for rows in index.embeddings] == [50], "no compaction yet: the dead rows are still there"
    for exact in (False, True):
        result = index.search(unit(1), k=1, exact=exact)
        assert [match.path for match in result.matches] == [Path("/kept/0.jpg")]
        assert result.candidates <= 30
    assert len(index.live_rows) == 30
    assert all("gone" not in str(path) for bucket in index.buckets(100) for path, _ in bucket.images)
    with Index.write(folder, MODEL) as writer:
        put(writer, "/gone/back.jpg", "/gone/4.jpg")  # its embedding is still known
    assert Index.open(folder).query(unit(1, 0.004), k=1)[0].path == Path("/gone/back.jpg")


def test_rows_of_deleted_images_leave_when_they_are_the_most(filled):
    with Index.write(filled, MODEL) as writer:
        assert all(writer.saw(Path(f"/photos/{n}.jpg")) for n in range(25, 40))
        assert not writer.saw(Path("/photos/30.jpg"))  # again
        assert writer.remove_vanished([Path("/photos")]) == 25
    index = Index.open(filled)
    assert [len(rows) for rows in index.embeddings] == [5, 10]
    assert {image.path.stem for image in index} == {str(n) for n in range(25, 40)}
    assert index.query(embedding_of(26), k=1)[0].path == Path("/photos/26.jpg")
    with Index.write(filled, MODEL) as writer:
        writer.remove_vanished([Path("/")])
        assert writer.content(digest_of(26)) is not None  # until the commit
    index = Index.open(filled)
    assert (index.images, segments_of(filled), index.query(embedding_of(26))) == (0, [], [])


def test_only_what_lies_below_the_roots_vanishes(folder):
    files = ["/a/b", "/a/b/1.jpg", "/a/b/c/2.jpg", "/a/bc/3.jpg", "/a/b.jpg", "/a/b-/4.jpg", "/a/b0/5.jpg", "/x.jpg"]
    with Index.write(folder, MODEL) as writer:
        for file in files:
            put(writer, file, file)
        writer.fail(Path("/a/b/broken.jpg"), size_bytes=1, mtime_ns=1, error="truncated")
        writer.fail(Path("/a/broken.jpg"), size_bytes=1, mtime_ns=1, error="truncated")
        writer.saw(Path("/a/b/c/2.jpg"))
        assert writer.remove_vanished([Path("/a/b")]) == 2
        assert writer.state(Path("/a/b/broken.jpg")) is None
        assert writer.state(Path("/a/broken.jpg")) is not None
        assert writer.remove_vanished([Path("/x.jpg")]) == 1
        assert writer.remove_vanished([Path("/nowhere")]) == 0
    assert paths_of(folder) == set(files) - {"/a/b", "/a/b/1.jpg", "/x.jpg"}


@pytest.mark.parametrize(
    "name", [b"new\nline.jpg", b"quo'te\".jpg", b"\xff\xfe not utf-8.jpg", "日本.jpg".encode(), b"tab\t%_;--.jpg", b" "]
)
def test_any_file_name_survives(folder, name):
    path = Path(os.fsdecode(b"/photos/" + name))
    label = os.fsdecode(name)
    with Index.write(folder, MODEL) as writer:
        put(writer, path, "one", label=label)
    with Index.write(folder, MODEL) as writer:
        assert writer.state(path).label == label
        writer.saw(path)
        assert writer.remove_vanished([Path("/photos")]) == 0
    [match] = Index.open(folder).query(embedding_of("one"))
    assert (os.fsencode(match.path), match.label) == (b"/photos/" + name, label)


def test_small_buckets_of_table_0_come_smallest_first(folder):
    with Index.write(folder, MODEL) as writer:
        for number in range(300):
            add(writer, f"/a/{number}.jpg", embedding_of(number), label="even" if number % 2 == 0 else None)
    index = Index.open(folder)
    planes = draw_hyperplanes(tables=index.tables, bits=24, dim=DIM, seed=0)
    expected: dict[int, set[str]] = {}
    for number in range(300):
        stored = embedding_of(number).astype(np.float16)
        signature = int(signatures(stored[None], planes)[0, 0]) >> (24 - index.bits)
        expected.setdefault(signature, set()).add(f"/a/{number}.jpg")
    shared = sorted(
        ((len(paths), signature) for signature, paths in expected.items() if len(paths) > 1),
    )
    buckets = index.buckets(10_000)
    assert [(len(bucket.images), bucket.signature) for bucket in buckets] == shared
    for bucket in buckets:
        assert {str(path) for path, _ in bucket.images} == expected[bucket.signature]
        assert all((label == "even") == (int(path.stem) % 2 == 0) for path, label in bucket.images)
    assert index.buckets(3) == buckets[:3]


def test_an_empty_folder_is_an_empty_index(folder):
    with pytest.raises(BadInput, match="neardup index"):
        Index.open(folder)
    folder.mkdir()
    for _ in ("nothing in it", "a catalogue that a crash left empty"):
        index = Index.open(folder)
        assert (index.images, index.model, index.tables, index.bits, index.expected_recall) == (
            0,
            None,
            None,
            None,
            None,
        )
        assert (index.query(embedding_of(1)), list(index), index.buckets(3), index.size_bytes) == ([], [], [], 0)
        (folder / "catalog.sqlite").touch()
    with Index.write(folder, MODEL) as writer:
        put(writer, "/a.jpg", 1)
    assert Index.open(folder).images == 1


def test_an_index_knows_what_it_is_of(filled):
    index = Index.open(filled)
    assert index.model == MODEL
    assert index.images == 40
    files = [path for path in filled.rglob("*") if path.suffix in (".npy", ".sqlite")]
    assert index.size_bytes == sum(path.stat().st_size for path in files)
    assert (index.tables, index.bits) == (8, 5)  # log2(40) is 5.3
    with pytest.raises(ModelMismatch, match="dim 16"):
        index.query(np.ones(DIM + 1, np.float32))
    with pytest.raises(BadInput, match="finite"):
        index.query(np.full(DIM, np.nan, np.float32))


def test_another_model_is_refused_and_another_precision_warned_of(filled):
    for other in (replace(MODEL, digest="cd" * 32), replace(MODEL, dim=DIM + 1)):
        with pytest.raises(ModelMismatch, match="neardup index PATH --rebuild"), Index.write(filled, other):
            pass
    with Index.write(filled, replace(MODEL, precision="int8", decoder="pillow 12")) as writer:
        assert "precision f32 is now int8, decoder pillow 11 is now pillow 12;" in writer.warning
    with Index.write(filled, replace(MODEL, engine="openvino")) as writer:
        assert writer.warning is None


def test_embeddings_longer_than_can_be_read_again_are_not_begun_with(tmp_path):
    with (
        pytest.raises(BadInput, match="gives 8,193 numbers, an index holds up to 8,192"),
        Index.write(tmp_path / "wide", replace(MODEL, dim=LARGEST_DIM + 1)),
    ):
        pass
    assert Index.open(tmp_path / "wide").model is None
    with Index.write(tmp_path / "widest", replace(MODEL, dim=LARGEST_DIM)) as writer:
        row = np.ones(LARGEST_DIM, np.float32) / np.sqrt(np.float32(LARGEST_DIM))
        add(writer, "/a.jpg", row)
    assert Index.open(tmp_path / "widest").model.dim == LARGEST_DIM


@pytest.mark.parametrize(
    ("then", "now", "agree"),
    [("f32", "bf16", True), ("bf16", "f16", True), ("f32", "int8", False), ("int8", "int8", True)],
)
def test_precisions_that_agree_may_be_mixed(then, now, agree):
    assert replace(MODEL, precision=then).differences(now, MODEL.decoder) == (
        [] if agree else [f"precision {then} is now {now}"]
    )


def test_a_rebuild_leaves_the_old_index_until_its_first_commit(filled):
    other = replace(MODEL, digest="cd" * 32)

    def interrupted() -> None:
        with Index.write(filled, other, rebuild=True) as writer:
            put(writer, "/new.jpg", "new")
            assert Index.open(filled).images == 40
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert Index.open(filled).model == MODEL
    with Index.write(filled, other, rebuild=True) as writer:
        assert writer.content(digest_of(1)) is None
        put(writer, "/new.jpg", "new")
    assert paths_of(filled) == {"/new.jpg"}
    assert Index.open(filled).model == other
    assert segments_of(filled) == ["3"]


@pytest.mark.parametrize(
    ("embedding", "reason"),
    [
        (None, "needs an embedding"),
        (np.ones(DIM + 1, np.float32), "shape"),
        (np.full(DIM, np.nan, np.float32), "length nan"),
        (np.ones(DIM, np.float32), "length 4.000"),
    ],
)
def test_a_wrong_embedding_is_refused_and_the_rest_goes_on(folder, embedding, reason):
    with Index.write(folder, MODEL) as writer:
        put(writer, "/a.jpg", "a")
        with pytest.raises(BadInput, match=reason):
            writer.add(
                Path("/b.jpg"), size_bytes=1, mtime_ns=1, digest=digest_of("b"), width=1, height=1, embedding=embedding
            )
    assert paths_of(folder) == {"/a.jpg"}


@pytest.mark.parametrize(("size_bytes", "mtime_ns"), [(2**63, 1), (-1, 1), (1, 2**63), (1, -(2**63) - 1)])
def test_numbers_that_the_catalogue_does_not_hold_are_refused_and_the_rest_goes_on(folder, size_bytes, mtime_ns):
    with Index.write(folder, MODEL) as writer:
        put(writer, "/a.jpg", "a")
        stat = {"size_bytes": size_bytes, "mtime_ns": mtime_ns}
        with pytest.raises(BadInput, match="more than the catalogue holds"):
            writer.add(Path("/b.jpg"), **stat, digest=digest_of("b"), width=1, height=1, embedding=embedding_of("b"))
        with pytest.raises(BadInput, match="more than the catalogue holds"):
            writer.fail(Path("/b.jpg"), **stat, error="truncated")
    assert paths_of(folder) == {"/a.jpg"}


def test_an_exception_in_the_block_takes_back_what_was_not_committed(folder):
    def interrupted() -> None:
        with Index.write(folder, MODEL) as writer:
            put(writer, "/a.jpg", "a")
            writer.commit()
            put(writer, "/b.jpg", "b")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert paths_of(folder) == {"/a.jpg"}
    assert segments_of(folder) == ["1"]


def test_commits_fall_due(folder):
    with Index.write(folder, MODEL, commit_interval_s=3600) as writer:
        put(writer, "/a.jpg", "a")
        assert not writer.commit_if_due()
    with Index.write(folder, MODEL, commit_interval_s=0) as writer:
        put(writer, "/b.jpg", "b")
        assert writer.commit_if_due()
        assert paths_of(folder) == {"/a.jpg", "/b.jpg"}


def test_segments_stay_few(folder):
    """Each is larger than the one after it, so at most log2(n) + 1 of them for n rows, however small the commits."""
    with Index.write(folder, MODEL) as writer:
        for number in range(300):
            put(writer, f"/{number}.jpg", number)
            if number % 3 == 0:
                writer.commit()
    index = Index.open(folder)
    sizes = [len(rows) for rows in index.embeddings]
    assert sum(sizes) == 300
    assert all(larger > smaller for larger, smaller in pairwise(sizes))
    assert len(sizes) <= 9
    assert len(segments_of(folder)) == len(sizes)
    for number in range(300):
        assert index.query(embedding_of(number), k=1)[0].path == Path(f"/{number}.jpg")


def test_an_index_without_parts_has_none(filled):
    rows, parts = Index.open(filled).parts()
    assert rows.shape == (0,)
    assert parts.shape == (0, 0, DIM)


def test_a_writer_that_failed_takes_no_more(folder, monkeypatch):
    def carries_on() -> None:
        with Index.write(folder, MODEL) as writer:
            put(writer, "/a.jpg", "a")
            monkeypatch.setattr("neardup.index.store.sync_directory", lambda path: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                writer.commit()
            monkeypatch.undo()
            put(writer, "/b.jpg", "b")

    with pytest.raises(IndexNotWritten, match="earlier step failed"):
        carries_on()
    assert Index.open(folder).images == 0


def test_matches_can_be_compared_and_hashed():
    match = Match(Path("/a.jpg"), None, 0.5, 0.25, 3)
    assert len({match, replace(match)}) == 1
