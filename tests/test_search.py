import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup import search
from neardup.search import best_first, exact, rerank


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def test_rerank_worked_by_hand():
    embeddings = np.array([[1, 0], [0.6, 0.8], [0, 1], [0.8, 0.6]], np.float32)
    rows, similarities = rerank(np.array([1, 0], np.float32), embeddings, np.array([1, 2, 3]), 2)
    assert rows.tolist() == [3, 1]
    assert similarities.tolist() == pytest.approx([0.8, 0.6])
    assert similarities.dtype == np.float32


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), k=st.integers(1, 70), half=st.booleans())
@settings(max_examples=40, deadline=None)
def test_exact_is_rerank_over_every_row(seed, n, k, half):
    rng = np.random.default_rng(seed)
    embeddings = unit(rng.standard_normal((n, 8)))
    embeddings[n // 2 :] = embeddings[: n - n // 2]  # copies tie
    query = unit(rng.standard_normal(8))
    stored = embeddings.astype(np.float16) if half else embeddings
    rows, similarities = exact(query, stored, k)
    again, similarities_again = rerank(query, stored, np.arange(n), k)
    assert rows.tolist() == again.tolist()
    assert np.array_equal(similarities, similarities_again)
    truth = stored.astype(np.float64) @ query
    if half:  # rounding changes the length of a row, which does not count
        truth /= np.linalg.norm(stored.astype(np.float64), axis=1)
    assert len(rows) == min(n, k) == len(set(rows.tolist()))
    assert similarities == pytest.approx(np.sort(truth)[::-1][:k], abs=1e-6)
    assert similarities == pytest.approx(truth[rows], abs=1e-6)


def test_blocks_do_not_change_the_answer(monkeypatch):
    rng = np.random.default_rng(0)
    embeddings = unit(rng.standard_normal((100, 16)))
    expected = exact(embeddings[3], embeddings, 10)
    monkeypatch.setattr(search, "BLOCK_VALUES", 16 * 7)
    for got in (exact(embeddings[3], embeddings, 10), rerank(embeddings[3], embeddings, np.arange(100), 10)):
        assert np.array_equal(got[0], expected[0])
        assert got[1] == pytest.approx(expected[1], abs=1e-6)


def test_float16_memory_map_is_computed_in_float32(tmp_path):
    rng = np.random.default_rng(1)
    half = unit(rng.standard_normal((50, 256))).astype(np.float16)
    np.save(tmp_path / "embeddings.npy", half)
    mapped = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    query = unit(rng.standard_normal(256))
    rows, similarities = rerank(query, mapped, np.array([49, 7, 3]), 3)
    assert similarities == pytest.approx(half[rows].astype(np.float64) @ query, abs=1e-6)
    assert type(similarities) is np.ndarray


def test_similarities_stay_within_minus_one_and_one():
    row = np.full((1, 7), 1 / np.sqrt(7), np.float32) * np.float32(1.0004)  # as float16 rounding may leave it
    assert exact(row[0], row, 1)[1].tolist() == [1.0]
    assert exact(-row[0], row, 1)[1].tolist() == [-1.0]


def test_ties_go_to_the_tie_breakers_in_turn_then_to_the_earlier():
    similarities = np.array([0.5, 0.9, 0.5, 0.5, 0.5], np.float32)
    first = np.array([1, 9, 0, 0, 0])
    second = np.array([0, 0, 8, 7, 7])
    assert best_first(similarities, first, second, k=5).tolist() == [1, 3, 4, 2, 0]
    assert best_first(similarities, first, second, k=2).tolist() == [1, 3]
    assert best_first(similarities, k=3).tolist() == [1, 0, 2]


def test_nothing_to_find():
    query = np.ones(4, np.float32) / 2
    for rows, similarities in (
        exact(query, np.empty((0, 4), np.float32), 4),
        rerank(query, np.ones((3, 4), np.float32) / 2, np.empty(0, np.int64), 4),
        exact(query, np.ones((3, 4), np.float32) / 2, 0),
    ):
        assert len(rows) == len(similarities) == 0
