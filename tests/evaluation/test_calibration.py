"""Thresholds against distributions that are known exactly."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from neardup.errors import BadInput, BadModel
from neardup.evaluation import calibration
from neardup.evaluation.calibration import (
    RATES,
    Tail,
    calibrate_false_matches,
    expected_false_matches,
    fit_excesses,
    measure_false_matches,
    precision_threshold,
)
from neardup.evaluation.metrics import Answers
from neardup.evaluation.suite import Queries, Report, Scores


def random_rows(count: int, dim: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def paths_of(count: int) -> list[Path]:
    return [Path(f"{number}.jpg") for number in range(count)]


def share_of_pairs_above(similarity: float, dim: int) -> float:
    """Of directions drawn uniformly in `dim` dimensions: the sphere's cap, by summing its rings."""
    angles = np.linspace(0, math.acos(similarity), 20_001)
    ring = np.sin(angles) ** (dim - 2)
    whole = math.sqrt(math.pi) * math.gamma((dim - 1) / 2) / math.gamma(dim / 2)
    return float(((ring[1:] + ring[:-1]) / 2 * np.diff(angles)).sum() / whole)


def test_thresholds_on_random_directions_are_where_geometry_puts_them():
    dim, photos, versions = 24, 900, 2
    found = measure_false_matches(
        random_rows(photos * versions, dim), versions, paths_of(photos), [""] * (photos * versions)
    )
    assert found.pairs == 900 * 899 // 2 * 4
    for name, rate in RATES.items():
        threshold = found.thresholds[name]
        # Sparse pairs leave the rate at the threshold uncertain, the more so the further out; never its order alone.
        assert share_of_pairs_above(threshold.low, dim) > rate > share_of_pairs_above(threshold.high, dim)
        assert threshold.low < threshold.similarity < threshold.high
    loose = found.thresholds["loose"].similarity
    assert share_of_pairs_above(loose, dim) == pytest.approx(1e-5, rel=0.5)
    assert found.measured["loose"] == pytest.approx(1e-5 * found.pairs, abs=4 * math.sqrt(1e-5 * found.pairs))


def test_every_pair_of_different_photos_is_counted_once_and_no_other():
    photos, versions = 700, 3  # several blocks of rows
    rows = random_rows(photos * versions, 6, seed=1)
    found = measure_false_matches(rows, versions, paths_of(photos), [""] * len(rows))
    similarities = rows @ rows.T
    number = np.arange(len(rows)) // versions
    different = number[:, None] < number[None, :]
    assert found.pairs == different.sum()
    for name, threshold in found.thresholds.items():
        assert found.measured[name] == (similarities[different] >= threshold.similarity).sum()
    assert found.excesses == (similarities[different] >= found.tail.start).sum()
    assert found.tail.share == pytest.approx(found.excesses / found.pairs)
    best = np.where(different, similarities, -1)
    assert found.top_pairs[0].similarity == pytest.approx(best.max())


def test_a_near_duplicate_shows_at_the_top_and_moves_the_strict_threshold():
    rows = random_rows(200 * 2, 16, seed=2)
    different = measure_false_matches(rows, 2, paths_of(200), ["", "grey"] * 200)
    rows[6:8] = rows[4:6]  # photo 3 is a copy of photo 2
    copied = measure_false_matches(rows, 2, paths_of(200), ["", "grey"] * 200)
    top = copied.top_pairs[0]
    assert {top.a.name, top.b.name} == {"2.jpg", "3.jpg"}
    assert top.a_version == top.b_version
    assert top.similarity == pytest.approx(1)
    assert different.top_pairs[0].similarity < 0.95
    assert copied.thresholds["strict"].similarity > different.thresholds["strict"].similarity


@pytest.mark.parametrize(("shape", "scale"), [(-0.25, 0.1), (0.0, 2.0), (0.2, 0.5)])
def test_the_fit_recovers_a_generalised_pareto_distribution(shape, scale):
    uniform = (np.arange(20_000) + 0.5) / 20_000
    excesses = -scale * np.log(uniform) if shape == 0 else scale * (uniform**-shape - 1) / shape
    found_scale, found_shape = fit_excesses(excesses, np.ones(len(excesses)))
    assert found_scale == pytest.approx(scale, rel=0.02)
    assert found_shape == pytest.approx(shape, abs=0.02)


def test_a_weight_of_two_is_the_excess_twice():
    excesses = np.random.default_rng(3).exponential(0.3, 500)
    weights = np.random.default_rng(4).integers(0, 3, 500)
    weighted = fit_excesses(excesses, weights.astype(float))
    repeated = fit_excesses(np.repeat(excesses, weights), np.ones(weights.sum()))
    assert weighted == pytest.approx(repeated, rel=1e-6)


def test_a_tail_by_hand():
    # Exponential in closeness: a hundredth of the share lies scale * log(100) = 2 * log(10) further: (1 - s) / 100.
    tail = Tail(start=0.5, share=1e-3, scale=1.0, shape=0.0)
    assert tail.threshold(1e-3) == pytest.approx(0.5)
    assert tail.threshold(1e-5) == pytest.approx(0.995)
    assert tail.threshold(1e-2) == 0.5  # below the tail nothing is known


def test_a_model_that_sees_nothing_is_refused():
    rows = np.ones((200 * 2, 1), np.float32)
    with pytest.raises(BadModel, match="does not tell photos apart"):
        measure_false_matches(rows, 2, paths_of(200), [""] * 400)


def test_expected_false_matches():
    assert expected_false_matches(10_000, 1e-7) == pytest.approx(4.9995)
    assert expected_false_matches(1, 1e-5) == 0


def report_of(similarities, correct, originals) -> Report:
    """A report with one attack and these answers; everything else is empty."""
    originals = np.array(originals)
    count = len(originals)
    return Report(
        images=count,
        gallery=int((originals >= 0).sum()),
        originals=int((originals >= 0).sum()),
        negatives=int((originals < 0).sum()),
        seed=0,
        lookalikes=0,
        failed=[],
        model=Scores(0, 0, 0, 0, {}, {}),
        baselines={},
        false_matches=[],
        queries=Queries(paths_of(count), ["grey"] * count, np.arange(count), originals),
        answers=Answers(np.array(similarities, np.float32), np.array(correct, float), np.zeros(count, np.int64)),
    )


def test_precision_threshold_by_hand():
    # Four positives, two negatives: a negative weighs twice. From the top: 1/1, 2/2, 2/4, 3/5, 3/7, 4/8.
    report = report_of([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [1, 1, 0, 1, 0, 1], [0, 1, -1, 2, -1, 3])
    assert precision_threshold(report, 0.99).threshold.similarity == pytest.approx(0.8)
    assert precision_threshold(report, 0.99).recall == pytest.approx(0.5)
    assert precision_threshold(report, 0.6).threshold.similarity == pytest.approx(0.6)
    assert precision_threshold(report, 0.5).threshold.similarity == pytest.approx(0.4)


def test_precision_threshold_lies_where_two_distributions_cross():
    rng = np.random.default_rng(0)
    right, wrong = rng.normal(0.8, 0.05, 3000), rng.normal(0.5, 0.05, 1000)
    report = report_of(
        np.r_[right, wrong], np.r_[np.ones(3000), np.zeros(1000)], np.r_[np.arange(3000), -np.ones(1000)]
    )
    found = precision_threshold(report, 0.99)
    # P(wrong > t) is 0.01 at 0.5 + 2.326 * 0.05 = 0.616, where every right answer is above.
    assert found.threshold.similarity == pytest.approx(0.616, abs=0.01)
    assert found.threshold.low <= found.threshold.similarity <= found.threshold.high
    assert found.threshold.high - found.threshold.low < 0.05


def test_a_precision_out_of_reach_is_said():
    with pytest.raises(BadInput, match="no threshold reaches it"):
        precision_threshold(report_of([0.9, 0.5], [0, 1], [-1, 0]), 0.99)
    with pytest.raises(BadInput, match="between 0 and 1"):
        precision_threshold(report_of([0.9, 0.5], [0, 1], [-1, 0]), 1.0)


def test_calibration_of_photos(photos, thumbnails, monkeypatch):
    monkeypatch.setattr(calibration, "MOST_VERSIONS", 4)
    found = calibrate_false_matches(photos, thumbnails)
    assert (found.photos, found.versions, found.pairs) == (60, 4, 60 * 59 // 2 * 16)
    fields = json.loads(json.dumps(found.as_json()))
    similarities = [fields["thresholds"][name]["similarity"] for name in ("loose", "default", "strict")]
    assert similarities == sorted(similarities)
