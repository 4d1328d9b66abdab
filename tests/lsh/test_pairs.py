import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup import LSH
from neardup.errors import BadInput
from neardup.lsh import find_pairs, pairs
from neardup.lsh.pairs import CROWD, most_differing_bits, tables_for


def brute_force(rows, min_similarity):
    a, b = np.nonzero(np.triu(rows @ rows.T >= min_similarity, 1))
    return set(zip(a.tolist(), b.tolist(), strict=True))


def collect(blocks):
    """The pairs with their similarities; none twice, a < b."""
    found = {}
    for a, b, similarities in blocks:
        assert a.dtype == b.dtype == np.int64
        assert similarities.dtype == np.float32
        assert np.all(a < b)
        for pair, similarity in zip(zip(a.tolist(), b.tolist(), strict=True), similarities.tolist(), strict=True):
            assert pair not in found
            found[pair] = similarity
    return found


@pytest.mark.parametrize("min_similarity", [0.95, 0.9, 0.8])
def test_pairs_are_those_of_brute_force(min_similarity, unit_rows, turned):
    rows = unit_rows(2000, 64)
    rows = np.concatenate([rows, turned(rows[:300], min_similarity + 0.02), rows[:50]])
    lsh = LSH(64)
    lsh.add(rows)
    a, b, similarities = lsh.pairs(min_similarity=min_similarity)
    assert np.all(similarities >= min_similarity)
    assert similarities == pytest.approx((rows[a] * rows[b]).sum(axis=1), abs=1e-6)
    assert np.all(np.diff(a * len(rows) + b) > 0)
    found, expected = set(zip(a.tolist(), b.tolist(), strict=True)), brute_force(rows, min_similarity)
    assert found <= expected
    assert len(found) >= 0.98 * len(expected)
    assert found >= {(row, 2300 + row) for row in range(50)}


def test_recall_at_the_threshold_is_what_theory_promises(unit_rows, turned):
    rows = unit_rows(3000, 64)
    rows = np.concatenate([rows, turned(rows, 0.9)])
    for recall in (0.8, 0.99):
        found = collect(find_pairs(rows, min_similarity=0.8999, recall=recall))
        share = sum((row, 3000 + row) in found for row in range(3000)) / 3000
        assert share >= recall - 3 * math.sqrt(recall * (1 - recall) / 3000)


def test_tables_worked_by_hand():
    # At 60 degrees p = 2/3; of 1 bit, one table in three misses: 1 - (1/3)^n >= 0.95 from n = 3 on (0.963).
    assert tables_for(0.5, bits=1, recall=0.95) == 3
    assert tables_for(1.0, bits=24, recall=0.99) == 1


def test_sketches_of_pairs_at_the_similarity_rarely_differ_in_too_many_bits(rng):
    for similarity in (0.5, 0.9, 0.99):
        differ = math.acos(similarity) / math.pi
        assert (rng.binomial(128, differ, 100_000) > most_differing_bits(similarity)).mean() < 3e-4
    assert most_differing_bits(1.0) == 0
    assert most_differing_bits(-1.0) == 128


def test_float16_memory_map_gives_the_same_pairs(tmp_path, unit_rows, turned):
    rows = unit_rows(500, 32)
    half = np.concatenate([rows, turned(rows[:100], 0.97)]).astype(np.float16)
    np.save(tmp_path / "embeddings.npy", half)
    mapped = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    from_map = collect(find_pairs(mapped, min_similarity=0.9))
    assert from_map == collect(find_pairs(half.astype(np.float32), min_similarity=0.9))
    assert len(from_map) >= 99


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 60), min_similarity=st.floats(0.3, 0.99))
@settings(max_examples=40, deadline=None)
def test_what_is_found_is_true(seed, n, min_similarity):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, 5))
    rows[n // 2 :] += rows[: n - n // 2] * 3
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32).reshape(n, 5)
    found = collect(find_pairs(rows, min_similarity=min_similarity))
    exact = rows.astype(np.float64) @ rows.astype(np.float64).T
    for (a, b), similarity in found.items():
        assert similarity == pytest.approx(exact[a, b], abs=1e-6)
        assert similarity >= np.float32(min_similarity)
    certain = {pair for pair in brute_force(rows, min_similarity) if exact[pair] > 0.99999}
    assert certain <= found.keys()


def test_a_crowd_of_copies_is_linked_to_one_of_them(unit_rows):
    rows = unit_rows(1000, 32)
    rows[200:900] = rows[200]
    rows[950] = rows[10]
    found = collect(find_pairs(rows, min_similarity=0.95))
    crowd = [pair for pair in found if 200 <= pair[0] < 900]
    assert (10, 950) in found
    [representative] = set.intersection(*(set(pair) for pair in crowd))
    assert {*range(200, 900)} == {row for pair in crowd for row in pair}
    assert len(crowd) == 699
    assert 200 <= representative < 900


def test_copies_up_to_a_crowd_are_all_paired(unit_rows):
    rows = unit_rows(300, 32)
    rows[50 : 50 + CROWD] = rows[50]
    found = collect(find_pairs(rows, min_similarity=0.99))
    assert len(found) == CROWD * (CROWD - 1) // 2


def test_copies_are_pairs_at_similarity_one(unit_rows):
    """The cosine of a unit row with itself is 1 only up to rounding."""
    rows = np.repeat(unit_rows(500, 32), 2, axis=0)
    found = collect(find_pairs(rows, min_similarity=1.0))
    assert {(int(a), int(b)) for a, b in found} == {(2 * n, 2 * n + 1) for n in range(500)}


def test_every_row_the_same_makes_a_pair_a_row():
    rows = np.tile(np.array([[0.6, 0.8]], np.float32), (100_000, 1))
    found = np.concatenate([b - a for a, b, _ in find_pairs(rows, min_similarity=0.9)])
    assert len(found) == 99_999


def test_crowds_that_are_alike_but_not_the_same_stay_bounded(unit_rows, turned):
    # Two crowds of 3,000, each about its centre at 0.99: 9 million pairs above 0.95.
    centres = unit_rows(2, 64)
    rows = np.concatenate([turned(np.repeat(centres, 3000, axis=0), 0.99), unit_rows(1000, 64)])
    order = np.random.default_rng(0).permutation(len(rows))
    found = collect(find_pairs(rows[order], min_similarity=0.95))
    assert len(found) <= 100 * len(rows)
    linked = {row for pair in found for row in pair}
    assert len(linked) >= 0.99 * 6000
    crowd = order // 3000
    assert all(crowd[a] == crowd[b] for a, b in found)
    # Few representatives: following the links, nearly everything in a crowd hangs together.
    degrees = np.bincount(np.array(list(found)).ravel(), minlength=len(rows))
    assert degrees.max() > 1000


def test_rows_with_many_pairs_in_small_buckets_are_settled_too(unit_rows, turned):
    # 500 rows at 0.9 to each other in pairs of small buckets: never a crowd in one bucket, but one over the tables.
    rows = turned(np.repeat(unit_rows(1, 256), 500, axis=0), 0.95)
    found = collect(find_pairs(rows, min_similarity=0.85, bits=20, tables=60))
    assert len(found) <= 100 * 500
    assert {row for pair in found for row in pair} == set(range(500))


def test_a_large_bucket_of_unlike_rows_is_split(monkeypatch, unit_rows, turned):
    rows = unit_rows(1500, 64)
    rows = np.concatenate([rows, turned(rows[:500], 0.98)])
    monkeypatch.setattr(pairs, "LARGEST_BUCKET", 100)
    found = collect(find_pairs(rows, min_similarity=0.95, bits=1, tables=12))
    assert found.keys() <= brute_force(rows, 0.95)
    assert sum((row, 1500 + row) in found for row in range(500)) >= 480


def test_buckets_that_nothing_splits_are_compared_in_parts(monkeypatch, unit_rows):
    rows = np.concatenate([unit_rows(300, 8)] * 2)
    monkeypatch.setattr(pairs, "LARGEST_BUCKET", 10)
    monkeypatch.setattr(pairs, "MAX_DEPTH", 0)
    found = collect(find_pairs(rows, min_similarity=0.999, bits=1, tables=3))
    assert found.keys() <= {(row, 300 + row) for row in range(300)}


def test_counting_bits_without_the_numpy_2_function(monkeypatch, rng):
    words = rng.integers(0, 2**64, (200, 2), np.uint64)
    expected = [sum(int(word).bit_count() for word in row) for row in words]
    assert pairs._count_bits(words).tolist() == expected
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert pairs._count_bits(words).tolist() == expected


def test_the_same_every_time(unit_rows, turned):
    rows = unit_rows(800, 32)
    rows = np.concatenate([rows, turned(rows, 0.9)])
    first = list(find_pairs(rows, min_similarity=0.88, seed=5))
    again = list(find_pairs(rows, min_similarity=0.88, seed=5))
    for block, other in zip(first, again, strict=True):
        for got, expected in zip(block, other, strict=True):
            assert np.array_equal(got, expected)


@pytest.mark.parametrize("arguments", [{"min_similarity": 1.5}, {"min_similarity": 0.9, "recall": 1.0}])
def test_impossible_goals_are_refused_at_once(arguments):
    with pytest.raises(BadInput, match="recall"):
        find_pairs(np.eye(4, dtype=np.float32), **arguments)
