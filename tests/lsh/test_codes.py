"""Sign codes: bits that differ follow the angle, and nothing depends on which NumPy counts them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.errors import BadInput
from neardup.lsh.codes import SignCodes, count_bits, count_bits_by_table


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30))
def test_both_ways_to_count_agree_with_python(numbers):
    words = np.array(numbers, np.uint64)[:, None]
    wanted = [[number.bit_count()] for number in numbers]
    assert count_bits_by_table(words).tolist() == wanted
    assert count_bits(words).tolist() == wanted


def test_numpy_1_26_has_no_bitwise_count_and_none_is_needed(unit_rows, monkeypatch):
    rows = unit_rows(50, 32)
    codes = SignCodes.build([rows], bits=64, dim=32)
    wanted = codes.distances(rows[3])
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert codes.distances(rows[3]).tolist() == wanted.tolist()
    assert wanted[3] == 0


@pytest.mark.parametrize("similarity", [0.95, 0.7, 0.2])
def test_the_share_of_bits_that_differ_is_the_angle(unit_rows, turned, similarity):
    first = unit_rows(200, 128)
    second = turned(first, similarity)
    codes = SignCodes.build([second], bits=256, dim=128)
    differ = np.mean([codes.distances(row)[n] for n, row in enumerate(first)]) / 256
    assert differ == pytest.approx(np.arccos(similarity) / np.pi, abs=0.01)


def test_nearest_is_what_sorting_gives_in_parts_and_among_some(unit_rows):
    rows = unit_rows(300, 64)
    codes = SignCodes.build([rows[:100], rows[100:].astype(np.float16)], bits=128, dim=64)
    assert codes.bytes_per_row == 16
    among = np.arange(0, 300, 2)
    order = among[np.argsort(codes.distances(rows[7])[among], kind="stable")]
    for first in (1, 10, 149, 150, 1000):
        assert codes.nearest(rows[7], first, among).tolist() == sorted(order[:first].tolist())


def test_the_best_match_is_among_the_first_hundred(unit_rows, rng):
    """Of 20,000 rows in clusters, as photos of one scene are: 256 bits of 256 dimensions."""
    centres = unit_rows(200, 256)
    rows = centres[rng.integers(0, 200, 20_000)] + 0.05 * rng.standard_normal((20_000, 256)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    codes = SignCodes.build([rows.astype(np.float16)], bits=256, dim=256)
    targets = rng.integers(0, 20_000, 100)
    queries = rows[targets] + 0.03 * rng.standard_normal((100, 256)).astype(np.float32)
    best = (queries @ rows.T).argmax(axis=1)
    found = [b in codes.nearest(query, 100) for query, b in zip(queries, best, strict=True)]
    assert np.mean(found) >= 0.97


@pytest.mark.parametrize("bits", [0, -64, 63, 100, 8192])
def test_bits_come_in_words(bits):
    with pytest.raises(BadInput, match="multiple of 64"):
        SignCodes.build([], bits=bits, dim=8)
