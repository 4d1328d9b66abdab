from itertools import islice

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neardup.lsh.probing import probe_signatures, probe_template


def test_probes_worked_by_hand():
    # Squared margins 0.01, 0.04, 0.09: sets of bits by cost {} {0} {1} {0,1}=0.05 {2}=0.09 {0,2}=0.10 {1,2} {0,1,2}.
    margins = np.array([[0.1, -0.2, 0.3]], np.float32)
    assert probe_signatures(margins, 8)[0].tolist() == [0b101, 0b100, 0b111, 0b110, 0b001, 0b000, 0b011, 0b010]


def every_set_by_cost(margins):
    bits = len(margins)
    squares = [float(margin) ** 2 for margin in margins]
    own = sum(1 << bit for bit in range(bits) if margins[bit] > 0)
    cost = {chosen: sum(squares[b] for b in range(bits) if chosen >> b & 1) for chosen in range(2**bits)}
    return [own ^ chosen for chosen in sorted(cost, key=cost.__getitem__)]


@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(1, 9), probes=st.integers(1, 80))
@settings(max_examples=60, deadline=None)
def test_order_is_that_of_brute_force(seed, bits, probes):
    margins = np.random.default_rng(seed).standard_normal((3, bits)).astype(np.float32)
    # Sums nearer to each other than float32 tells apart have no order (seed 64216628, 7 bits: 3.71257645, 3.71257629).
    squares = margins.astype(float) ** 2
    costs = np.sort(squares @ ((np.arange(2**bits) >> np.arange(bits)[:, None]) & 1), axis=1)
    assume((np.diff(costs, axis=1) > 2e-6 * costs[:, 1:]).all())
    result = probe_signatures(margins, probes)
    assert result.shape == (3, min(probes, 2**bits))
    for table in range(3):
        assert result[table].tolist() == list(islice(every_set_by_cost(margins[table].astype(float)), probes))


def test_more_probes_begin_with_fewer(rng):
    margins = rng.standard_normal((5, 2, 20)).astype(np.float32)
    many = probe_signatures(margins, 100)
    assert many.shape == (5, 2, 100)
    for probes in (1, 2, 9, 50):
        assert np.array_equal(probe_signatures(margins, probes), many[..., :probes])


@pytest.mark.parametrize("bits", [52, 53, 64])
def test_wide_signatures_stay_exact(bits, rng):
    margins = rng.standard_normal((4, bits)).astype(np.float32)
    result = probe_signatures(margins, 40)
    for table in range(4):
        own = sum(1 << bit for bit in range(bits) if margins[table, bit] > 0)
        nearest = int(np.argmin(np.abs(margins[table])))
        assert int(result[table, 0]) == own
        assert int(result[table, 1]) == own ^ (1 << nearest)
        assert len(set(result[table].tolist())) == 40


def test_margins_of_zero_keep_the_own_bucket_first():
    assert probe_signatures(np.zeros((1, 4), np.float32), 16)[0, 0] == 0
    assert sorted(probe_signatures(np.zeros((1, 4), np.float32), 16)[0].tolist()) == list(range(16))


def test_template_holds_every_set_that_dominates_too_few_others():
    # A set's rank is at least the number of sets below it in every coordinate; checked over all sets of 7 ranks.
    probes, bits = 12, 7
    columns = probe_template(bits, probes).T.astype(int)
    got = {tuple(np.flatnonzero(column).tolist()) for column in columns}

    def dominates(larger, smaller):
        pairs = list(zip(sorted(larger, reverse=True), sorted(smaller, reverse=True), strict=False))
        return len(smaller) <= len(larger) and all(high >= low for high, low in pairs)

    sets = [tuple(b for b in range(bits) if mask >> b & 1) for mask in range(2**bits)]
    expected = {chosen for chosen in sets if sum(dominates(chosen, other) for other in sets) <= probes}
    assert got == expected
