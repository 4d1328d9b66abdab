import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.errors import BadInput
from neardup.lsh import candidate_probability, draw_hyperplanes, expected_recall, signatures, tune
from neardup.lsh.probing import probe_signatures
from neardup.lsh.tuning import choose_tables, hit_rates, tune_probes


def test_probability_worked_by_hand():
    # cos 60 degrees: the same side of a hyperplane in 1 - 60/180 = 2/3 of cases; of two in 4/9; of one pair in two
    # tables in 1 - (5/9)^2 = 56/81.
    assert candidate_probability(0.5, tables=2, bits=2) == pytest.approx(56 / 81)
    assert candidate_probability(1.0, tables=3, bits=24) == 1
    assert candidate_probability(-1.0, tables=3, bits=1) == 0
    assert candidate_probability(0.0, tables=1, bits=10) == pytest.approx(2**-10)


@pytest.mark.parametrize("similarity", [0.95, 0.9, 0.7])
def test_candidates_appear_as_often_as_theory_says(similarity, unit_rows, turned):
    first = unit_rows(4000, 64)
    second = turned(first, similarity)
    planes = draw_hyperplanes(tables=8, bits=12, dim=64)
    shared = (signatures(first, planes) == signatures(second, planes)).any(axis=1)
    expected = candidate_probability(similarity, tables=8, bits=12)
    assert shared.mean() == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 4000) + 0.01)


@pytest.mark.parametrize(("similarity", "bits", "probes"), [(0.9, 20, 22), (0.95, 16, 5), (0.8, 12, 40), (0.9, 14, 2)])
def test_probing_finds_as_often_as_theory_says(similarity, bits, probes, unit_rows, turned):
    first = unit_rows(3000, 64)
    second = turned(first, similarity)
    planes = draw_hyperplanes(tables=6, bits=bits, dim=64)
    probed = probe_signatures((planes @ first.T).transpose(2, 0, 1), probes)
    hit = (probed == signatures(second, planes)[:, :, None]).any(axis=2)
    assert hit.mean() == pytest.approx(hit_rates(similarity, bits, probes)[-1], abs=0.025)
    assert hit.any(axis=1).mean() == pytest.approx(
        expected_recall(similarity, tables=6, bits=bits, probes=probes), abs=0.03
    )


def test_probing_every_bucket_finds_everything():
    assert hit_rates(0.3, 4, 16)[-1] == pytest.approx(1, abs=0.02)
    assert len(hit_rates(0.3, 4, 100)) == 16


@given(
    similarity=st.floats(-1, 1),
    bits=st.integers(1, 24),
    probes=st.integers(1, 64),
)
@settings(max_examples=40, deadline=None)
def test_rates_are_probabilities_that_rise_with_probes(similarity, bits, probes):
    rates = hit_rates(similarity, bits, probes)
    assert np.all(np.isfinite(rates))
    assert np.all((rates >= 0) & (rates <= 1))
    assert np.all(np.diff(rates) >= 0)


@pytest.mark.parametrize("rows", [0, 1, 2, 100, 3618, 100_000, 1_000_000, 50_000_000])
@pytest.mark.parametrize(("recall", "similarity"), [(0.99, 0.9), (0.999, 0.95), (0.9, 0.8)])
def test_tuning_reaches_the_recall_with_no_more_bits_than_rows_ask_for(rows, recall, similarity):
    tuning = tune(rows, tables=12, stored_bits=24, recall=recall, similarity=similarity)
    assert tuning.expected_recall >= recall
    assert 1 <= tuning.bits <= min(24, max(1, round(math.log2(max(2, rows)))))
    if tuning.probes > 1:
        fewer = expected_recall(similarity, tables=12, bits=tuning.bits, probes=tuning.probes - 1)
        assert fewer < recall + 0.001


def test_tuning_says_what_it_cannot_reach():
    tuning = tune_probes(tables=1, bits=24, recall=0.99, similarity=0.5)
    assert tuning.bits == 24
    assert tuning.probes == 256
    assert tuning.expected_recall < 0.1


def test_harder_goals_take_more_tables():
    assert choose_tables(1_000_000, bits=None, recall=0.99, similarity=0.9) == 12
    assert choose_tables(1_000_000, bits=None, recall=0.999, similarity=0.8) > 12


def test_tuned_tables_find_what_was_asked_for(unit_rows, turned):
    rows = unit_rows(5000, 64)
    queries = turned(rows[:1000], 0.9)
    tuning = tune(len(rows), tables=12, stored_bits=24)
    planes = draw_hyperplanes(tables=12, bits=24, dim=64)
    high = planes[:, 24 - tuning.bits :]
    probed = probe_signatures((high @ queries.T).transpose(2, 0, 1), tuning.probes)
    own = signatures(rows[:1000], np.ascontiguousarray(high))
    assert (probed == own[:, :, None]).any(axis=(1, 2)).mean() == pytest.approx(tuning.expected_recall, abs=0.012)


@pytest.mark.parametrize(
    "arguments",
    [
        {"rows": -1, "tables": 1, "stored_bits": 1},
        {"rows": 1, "tables": 0, "stored_bits": 1},
        {"rows": 1, "tables": 1, "stored_bits": 1, "recall": 1.0},
        {"rows": 1, "tables": 1, "stored_bits": 1, "similarity": 1.1},
    ],
)
def test_impossible_goals_are_refused(arguments):
    with pytest.raises(BadInput):
        tune(**arguments)
