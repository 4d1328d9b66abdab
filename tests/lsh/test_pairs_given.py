"""Pairs with bits and tables of one's own choice, and at a similarity that every pair has."""

import numpy as np
import pytest

from neardup import LSH
from neardup.errors import BadInput
from neardup.lsh import find_pairs
from neardup.lsh.pairs import choose_bits


def keys(blocks, rows):
    return np.sort(np.concatenate([np.empty(0, np.int64), *(a * rows + b for a, b, _ in blocks)]))


def test_every_pair_is_at_least_minus_1(unit_rows):
    lsh = LSH(dim=16)
    rows = unit_rows(40, 16)
    rows[1] = -rows[0]
    lsh.add(rows)
    a, b, similarities = lsh.pairs(min_similarity=-1)
    assert len(a) == len(set(zip(a.tolist(), b.tolist(), strict=True))) == 40 * 39 // 2
    assert similarities[0] == pytest.approx(-1, abs=1e-6)


def test_given_bits_and_tables_are_those_that_are_taken(unit_rows, turned):
    rows = unit_rows(400, 64)
    rows = np.concatenate([rows, turned(rows, 0.97)])
    bits, tables = choose_bits(rows, 0.9, 0.99, 0)
    chosen = keys(find_pairs(rows, min_similarity=0.9), len(rows))
    assert np.array_equal(chosen, keys(find_pairs(rows, min_similarity=0.9, bits=bits, tables=tables), len(rows)))
    # 32 bits and one table: few of them; 32 bits and the tables that these take: nearly all again.
    few = keys(find_pairs(rows, min_similarity=0.9, bits=32, tables=1), len(rows))
    assert len(few) < 100
    many = keys(find_pairs(rows, min_similarity=0.9, bits=16), len(rows))
    assert len(np.intersect1d(chosen, many)) > 380


@pytest.mark.parametrize("given", [{"tables": 3}, {"bits": 0}, {"bits": 33}, {"bits": 4, "tables": 0}])
def test_bits_and_tables_that_mean_nothing_are_refused(unit_rows, given):
    with pytest.raises(BadInput, match="bits="):
        find_pairs(unit_rows(10, 8), min_similarity=0.9, **given)
