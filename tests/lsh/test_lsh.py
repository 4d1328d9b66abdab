import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup import LSH
from neardup.errors import BadInput
from neardup.lsh import signatures
from neardup.search import exact


@pytest.fixture
def filled(unit_rows):
    lsh = LSH(32)
    lsh.add(unit_rows(3000, 32))
    return lsh


def shared_tables(lsh, embedding):
    """In how many tables each row shares the query's bucket, from the public hyperplanes alone."""
    own = signatures(embedding[None, :], lsh.hyperplanes)
    return (signatures(lsh.embeddings, lsh.hyperplanes) == own).sum(axis=1)


@pytest.mark.parametrize("settings", [{}, {"bits": 9}, {"tables": 5}, {"tables": 10, "bits": 8}, {"bits": 40}])
def test_candidates_and_jaccard_agree_with_the_public_hyperplanes(settings, unit_rows, turned):
    lsh = LSH(32, **settings)
    rows = unit_rows(2000, 32)
    lsh.add(rows)
    tables, bits, dim = lsh.hyperplanes.shape
    assert (settings.get("tables", tables), settings.get("bits", bits), 32) == (tables, bits, dim)
    for query in turned(rows[:20], 0.95):
        shared = shared_tables(lsh, query)
        candidates, counts = lsh.candidates(query)
        assert candidates.tolist() == np.flatnonzero(shared).tolist()
        assert counts.tolist() == shared[candidates].tolist()
        found, similarities, jaccards = lsh.query(query)
        assert similarities == pytest.approx(rows[found] @ query, abs=1e-6)
        # |A and B| / |A or B| of two sets of L (table, bucket) pairs that share m: m / (2 L - m).
        assert jaccards == pytest.approx(shared[found] / (2 * tables - shared[found]))
        more, counts = lsh.candidates(query, probes=8)
        assert set(candidates.tolist()) <= set(more.tolist())
        assert counts.tolist() == shared[more].tolist()


def test_a_row_finds_itself_with_every_table_shared(filled):
    for row in range(0, 3000, 300):
        rows, similarities, jaccards = filled.query(filled.embeddings[row], k=1)
        assert rows.tolist() == [row]
        assert similarities[0] == pytest.approx(1, abs=1e-6)
        assert jaccards.tolist() == [1.0]


@pytest.mark.parametrize(("recall", "similarity"), [(0.99, 0.9), (0.9, 0.8), (0.999, 0.95)])
def test_rows_are_found_as_often_as_asked(recall, similarity, unit_rows, turned):
    rows = unit_rows(4000, 64)
    lsh = LSH(64, recall=recall, similarity=similarity)
    lsh.add(rows)
    found, _ = lsh.query_batch(turned(rows[:1500], similarity), k=4)
    measured = (found == np.arange(1500)[:, None]).any(axis=1).mean()
    assert lsh.tuning.expected_recall >= recall
    assert measured >= recall - 3 * np.sqrt(recall * (1 - recall) / 1500) - 0.002


def test_a_hard_goal_gets_more_tables_as_rows_come(unit_rows):
    lsh = LSH(16, recall=0.999, similarity=0.5)
    few = len(lsh.hyperplanes)
    for part in np.split(unit_rows(20000, 16), 4):
        lsh.add(part)
    assert len(lsh.hyperplanes) > few
    assert lsh.tuning.expected_recall >= 0.999
    query = lsh.embeddings[12345]
    assert lsh.candidates(query)[0].tolist() == np.flatnonzero(shared_tables(lsh, query)).tolist()
    assert lsh.query(query, k=1)[0].tolist() == [12345]


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 200), max_size=12))
@settings(max_examples=25, deadline=None)
def test_many_adds_equal_one(seed, cuts):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((200, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    once, often = LSH(8), LSH(8)
    once.add(rows)
    for part in np.split(rows, sorted(cuts)):
        often.add(part)
    assert len(often) == 200
    assert np.array_equal(once.hyperplanes, often.hyperplanes)
    for query in rows[::20]:
        for got, expected in zip(often.query(query, k=7), once.query(query, k=7), strict=True):
            assert np.array_equal(got, expected)


def test_rows_added_one_at_a_time_keep_few_parts(unit_rows):
    lsh = LSH(8)
    for row in unit_rows(300, 8):
        lsh.add(row[None, :])
    assert len(lsh) == 300
    assert len(lsh._parts) <= 5
    assert sum(len(part) for part in lsh._parts) == 300


def test_batch_equals_a_loop_and_is_padded(unit_rows):
    lsh = LSH(16, tables=2, bits=10, recall=0.5)
    rows = unit_rows(500, 16)
    rows[100:110] = rows[0]
    lsh.add(rows)
    queries = np.concatenate([rows[:70], unit_rows(80, 16)])
    found, similarities = lsh.query_batch(queries, k=12)
    assert found.shape == similarities.shape == (150, 12)
    for index, query in enumerate(queries):
        alone, alone_similarities, _ = lsh.query(query, k=12)
        assert found[index].tolist() == alone.tolist() + [-1] * (12 - len(alone))
        assert similarities[index, : len(alone)] == pytest.approx(alone_similarities, abs=1e-6)
        assert np.all(similarities[index, len(alone) :] == -1)
    assert (found == -1).any()
    assert lsh.query_batch(np.empty((0, 16), np.float32))[0].shape == (0, 4)


def test_copies_come_in_row_order(unit_rows):
    lsh = LSH(16)
    rows = unit_rows(50, 16)
    rows[[7, 21, 33]] = rows[40]
    lsh.add(rows)
    assert lsh.query(rows[40], k=4)[0].tolist() == [7, 21, 33, 40]


def test_similarity_ties_go_to_the_higher_jaccard():
    # Mirror images of each other about the query tie in similarity; they need not share as many tables with it.
    angles = np.radians([20, -20] * 30) + np.repeat(np.radians(np.arange(30) * 1e-9), 2)
    rows = np.stack([np.cos(angles), np.sin(angles), np.zeros(60)], axis=1).astype(np.float32)
    lsh = LSH(3, tables=9, bits=4)
    lsh.add(rows)
    found, similarities, jaccards = lsh.query(np.array([1, 0, 0], np.float32), k=60)
    keys = list(zip(-similarities, -jaccards, found, strict=True))
    assert keys == sorted(keys)
    assert len(set(jaccards.tolist())) > 1
    assert len(set(similarities.tolist())) == 1


def test_enough_probes_on_one_bit_find_what_exact_search_finds(unit_rows):
    lsh = LSH(16, tables=3, bits=1, recall=0.9999999, similarity=-0.9)
    lsh.add(unit_rows(200, 16))
    query = unit_rows(1, 16)[0]
    rows, similarities = exact(query, lsh.embeddings, 10)
    found = lsh.query(query, k=10)
    assert found[0].tolist() == rows.tolist()
    assert found[1] == pytest.approx(similarities, abs=1e-6)


def test_empty():
    lsh = LSH(4)
    query = np.array([1, 0, 0, 0], np.float32)
    assert [len(part) for part in lsh.query(query)] == [0, 0, 0]
    assert [len(part) for part in lsh.candidates(query)] == [0, 0]
    assert [len(part) for part in lsh.pairs(0.9)] == [0, 0, 0]
    assert lsh.query_batch(query[None, :], k=2)[0].tolist() == [[-1, -1]]
    lsh.add(np.empty((0, 4), np.float32))
    assert len(lsh) == 0
    assert lsh.hyperplanes.shape[2] == 4


def test_what_was_added_is_a_copy(unit_rows):
    rows = unit_rows(10, 4)
    lsh = LSH(4)
    lsh.add(rows)
    kept = rows.copy()
    rows[:] = 0
    assert np.array_equal(lsh.embeddings, kept)
    with pytest.raises(ValueError, match="read-only"):
        lsh.embeddings[0] = 0


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (np.ones((2, 5), np.float32), r"shape \(2, 5\): this LSH takes \(n, 4\)"),
        (np.ones(4, np.float32) / 2, r"shape \(4,\)"),
        (np.eye(4, dtype=np.int64), "dtype int64"),
        (np.array([[1, 0, 0, 0], [0, 2, 0, 0]], np.float32), "embedding 1 has norm 2"),
        (np.array([[0, 0, 0, 0]], np.float32), "embedding 0 has norm 0"),
        (np.array([[1, 0, 0, 0], [np.nan, 0, 0, 0]], np.float32), "embedding 1 has norm nan"),
        (np.array([[np.inf, 0, 0, 0]], np.float32), "embedding 0 has norm inf"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_nothing_is_added(rows, reason):
    lsh = LSH(4)
    with pytest.raises(BadInput, match=reason):
        lsh.add(rows)
    assert len(lsh) == 0
    if rows.ndim == 2:
        with pytest.raises(BadInput):
            lsh.query_batch(rows)
        with pytest.raises(BadInput):
            lsh.query(rows[-1])


@pytest.mark.parametrize(
    "arguments",
    [
        {"dim": 0},
        {"tables": 0},
        {"bits": 0},
        {"bits": 65},
        {"recall": 0.0},
        {"recall": 1.0},
        {"similarity": 1.5},
        {"seed": -1},
    ],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(BadInput):
        LSH(**{"dim": 8, **arguments})


def test_k_of_nothing_is_refused(filled):
    with pytest.raises(BadInput, match="k=0"):
        filled.query(filled.embeddings[0], k=0)
    with pytest.raises(BadInput, match="k=-1"):
        filled.query_batch(filled.embeddings[:1], k=-1)
