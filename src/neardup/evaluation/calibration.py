"""Which similarity means "the same photo": thresholds from false-match rates, and from a wanted precision.

**False-match rate.** A collection of n photos has n(n - 1)/2 pairs, so a threshold is stated by the share of *pairs of
different photos* that pass it. Photos and edited versions of them are paired with other photos' versions; their
similarities are counted in full, and the highest are kept. Rates below what so many pairs can show are extrapolated
in closeness = -log(1 - similarity), which is -2 log(distance) but for a constant: where embeddings fill d dimensions
the share of pairs nearer than r falls as r ** d, so exponentially in closeness. Excesses over a high closeness u
follow a generalised Pareto distribution (Pickands 1975; Coles, An Introduction to Statistical Modeling of Extreme
Values, 2001, chapter 4) whose shape tells how far from exponential they are; it is fitted by maximum likelihood, and

    closeness(rate) = u + scale / shape * ((share of pairs above u / rate) ** shape - 1).

Pairs that share a photo, or are versions of the same two photos, depend on each other. So the interval comes from
resampling *photos* (a photo drawn w times gives its pairs w times the weight), never pairs.

Photos that are near-duplicates of each other must not take part as different: those alike as thumbnails are left
out, and `top_pairs` lists the most similar that remain, to be looked at; leave one of each true pair out and run again.

**Precision.** The threshold above which a stated share of answers is right, on the attacked photos of a `Report`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.thresholds import RATES
from neardup.errors import BadInput, BadModel
from neardup.evaluation.attacks import ATTACKS, Photo, attack
from neardup.evaluation.baselines import Embed
from neardup.evaluation.suite import (
    FEWEST_PHOTOS,
    OnProgress,
    Report,
    draw,
    embed_all,
    load_photo,
    without_lookalikes,
)

PAIRS_WANTED = 100_000_000
MOST_PHOTOS = 4000
MOST_VERSIONS = 13
TOP_PAIRS = 100
TAIL_SHARE = 1e-4
FEWEST_EXCESSES = 500
RESAMPLES = 200
# Two versions that hold the same second photo do match: such attacks say nothing about false matches.
ONE_PHOTO_ATTACKS = tuple(name for name in ATTACKS if name not in ("paste_third", "paste_small", "overlay"))


@dataclass(frozen=True)
class Threshold:
    """A similarity and the interval that holds it in 95 % of resampled sets of photos."""

    similarity: float
    low: float
    high: float


@dataclass(frozen=True)
class PairMatch:
    """Two photos with their most similar versions ("" is the photo itself)."""

    a: Path
    b: Path
    a_version: str
    b_version: str
    similarity: float


@dataclass(frozen=True)
class Tail:
    """Generalised Pareto excesses of closeness over that of the similarity `start`, which `share` of pairs exceed."""

    start: float
    share: float
    scale: float
    shape: float

    def threshold(self, rate: float) -> float:
        """The similarity that this share of pairs exceeds, at least `start`."""
        if self.share <= rate:
            return self.start
        growth = math.log(self.share / rate)
        excess = growth if abs(self.shape) < 1e-9 else math.expm1(self.shape * growth) / self.shape
        return 1 - (1 - self.start) * math.exp(-self.scale * excess)


@dataclass(frozen=True)
class FalseMatchRates:
    """What `measure_false_matches` found."""

    photos: int
    versions: int
    pairs: int
    excesses: int
    tail: Tail
    thresholds: dict[str, Threshold]
    measured: dict[str, int]  # pairs that were seen at or above each threshold
    top_pairs: list[PairMatch]

    def as_json(self) -> dict[str, Any]:
        return {
            "photos": self.photos,
            "versions": self.versions,
            "pairs": self.pairs,
            "tail": {
                "method": "generalised Pareto, maximum likelihood; interval from resampled photos",
                "start": self.tail.start,
                "excesses": self.excesses,
                "scale": self.tail.scale,
                "shape": self.tail.shape,
            },
            "thresholds": {
                name: {
                    "rate": RATES[name],
                    "similarity": threshold.similarity,
                    "interval": [threshold.low, threshold.high],
                    "pairs_seen": self.measured[name],
                    "pairs_expected": RATES[name] * self.pairs,
                }
                for name, threshold in self.thresholds.items()
            },
            "top_pairs": [
                {
                    "a": str(pair.a),
                    "b": str(pair.b),
                    "a_version": pair.a_version,
                    "b_version": pair.b_version,
                    "similarity": pair.similarity,
                }
                for pair in self.top_pairs
            ],
        }


@dataclass(frozen=True)
class PrecisionThreshold:
    precision: float
    threshold: Threshold
    recall: float  # share of attacked photos answered rightly at or above it

    def as_json(self) -> dict[str, Any]:
        return {
            "precision": self.precision,
            "similarity": self.threshold.similarity,
            "interval": [self.threshold.low, self.threshold.high],
            "recall": self.recall,
        }


def expected_false_matches(images: int, rate: float) -> float:
    """Pairs of different photos that pass a threshold of this false-match rate, in a collection of that size."""
    return rate * images * (images - 1) / 2


def calibrate_false_matches(
    photos: Sequence[Path],
    embed: Embed,
    *,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> FalseMatchRates:
    """Thresholds of `strict`, `default` and `loose` on these photos.

    photos: at least 20 paths; up to 4,000 are used, with as many versions of each (2 to 13, the photo itself and
            attacks taking turns) as make 10^8 pairs
    embed:  list of (H, W, 3) uint8 to (n, dim) float32 unit rows

    Raises BadInput with too few photos, BadModel where the model does not tell photos apart.
    """
    used, _, _ = without_lookalikes(draw(photos, seed), MOST_PHOTOS)
    if len(used) < FEWEST_PHOTOS:
        raise BadInput(f"{len(used)} different photos: a calibration needs at least {FEWEST_PHOTOS}; add photos")
    versions = math.ceil(math.sqrt(PAIRS_WANTED / math.comb(len(used), 2)))
    versions = min(MOST_VERSIONS, max(2, versions))
    first = np.random.default_rng(seed).integers(len(ONE_PHOTO_ATTACKS), size=len(used))

    def version(job: int) -> str:
        """The photo itself, then attacks spread over the suite from a start of the photo's own."""
        number, turn = divmod(job, versions)
        step = len(ONE_PHOTO_ATTACKS) // versions
        return ONE_PHOTO_ATTACKS[(int(first[number]) + turn * step) % len(ONE_PHOTO_ATTACKS)] if turn else ""

    def make(job: int) -> Photo:
        number, name = job // versions, version(job)
        photo = load_photo(used[number])
        return attack(name, photo, photo, seed=(seed, number)) if name else photo

    embeddings = embed_all(len(used) * versions, make, {"": embed}, on_progress)[""]
    names = [version(job) for job in range(len(embeddings))]
    return measure_false_matches(embeddings, versions, used, names, seed=seed)


def measure_false_matches(
    embeddings: NDArray[np.float32],
    versions: int,
    photos: Sequence[Path],
    names: Sequence[str],
    *,
    seed: int = 0,
) -> FalseMatchRates:
    """Count the similarities of all pairs of different photos' versions, fit the tail, resample the photos.

    embeddings: (photos * versions, dim) float32, unit rows, the versions of a photo one after the other
    names:      one for each row, "" for the photo itself

    Raises BadModel where so many pairs share the highest similarities that they are no tail.
    """
    pairs = math.comb(len(photos), 2) * versions**2
    # No more than a twentieth of the pairs is a tail, however few there are.
    wanted = min(pairs // 20, max(FEWEST_EXCESSES, int(TAIL_SHARE * pairs)))
    counts = np.zeros(BINS, np.int64)
    for _, _, values in _pair_blocks(embeddings, versions):
        counts += np.bincount(_bins(values), minlength=BINS)
    above = np.cumsum(counts[::-1])[::-1]
    start_bin = int(np.flatnonzero(above >= max(1, wanted))[-1])
    if above[start_bin] > max(20 * wanted, 10_000):
        raise BadModel(
            f"{above[start_bin]:,} pairs of different photos have a similarity of at least "
            f"{start_bin / 10_000 - 1:.4f}: the model does not tell photos apart; check its weights"
        )
    kept = [
        (rows[_bins(values) >= start_bin], columns[_bins(values) >= start_bin], values[_bins(values) >= start_bin])
        for rows, columns, values in _pair_blocks(embeddings, versions, start_bin)
    ]
    rows, columns, values = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    start = float(values.min())
    excesses = _closeness(values) - _closeness(np.float32(start))
    first, second = rows // versions, columns // versions

    def tail_for(draws: NDArray[np.int64]) -> Tail:
        weights = (draws[first] * draws[second]).astype(np.float64)
        total = (draws.sum() ** 2 - (draws**2).sum()) / 2
        scale, shape = fit_excesses(excesses, weights)
        return Tail(start, float(weights.sum() / (total * versions**2)), scale, shape)

    rng = np.random.default_rng(seed)
    tail = tail_for(np.ones(len(photos), np.int64))
    resampled = [
        tail_for(np.bincount(rng.integers(0, len(photos), len(photos)), minlength=len(photos)))
        for _ in range(RESAMPLES)
    ]
    thresholds = {}
    for name, rate in RATES.items():
        low, high = np.quantile([other.threshold(rate) for other in resampled], [0.025, 0.975])
        thresholds[name] = Threshold(tail.threshold(rate), float(low), float(high))
    return FalseMatchRates(
        photos=len(photos),
        versions=versions,
        pairs=pairs,
        excesses=len(values),
        tail=tail,
        thresholds=thresholds,
        measured={name: int((values >= t.similarity).sum()) for name, t in thresholds.items()},
        top_pairs=_top_pairs(rows, columns, values, versions, photos, names),
    )


def fit_excesses(excesses: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Scale and shape of the generalised Pareto distribution, by weighted maximum likelihood.

    excesses: (m,) float64, not negative
    weights:  (m,) float64, not negative

    With theta = shape / scale the best shape is mean(log(1 + theta x)), which leaves a likelihood in theta alone
    (Davison 1984; Grimshaw 1993). The shape is held above -1/2, where the likelihood stops being regular.
    """
    used = weights > 0
    if not excesses[used].any():  # nothing drawn, or all alike: no tail to speak of
        return 0.0, 0.0
    weights = weights[used] / weights[used].sum()
    mean = float(weights @ excesses[used])
    x = excesses[used] / mean
    limit = float(x.max())

    def shape_at(theta: float) -> float:
        return float((weights * np.log1p(theta * x)).sum())

    def log_likelihood(theta: float) -> float:
        shape = shape_at(theta)
        if shape < -0.5:
            return -math.inf
        scale = shape / theta if abs(theta) > 1e-8 else 1.0
        return -math.log(scale) - shape - 1

    # theta > -1 / limit; evenly spaced in the logarithm of the distance from there.
    def theta_of(position: float) -> float:
        return (math.exp(position) - 1) / limit

    grid = np.linspace(-7.0, math.log1p(10 * limit), 50)
    best = int(np.argmax([log_likelihood(theta_of(position)) for position in grid]))
    low, high = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(30):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if log_likelihood(theta_of(left)) < log_likelihood(theta_of(right)):
            low = left
        else:
            high = right
    theta = theta_of((low + high) / 2)
    shape = shape_at(theta)
    scale = shape / theta if abs(theta) > 1e-8 else 1.0
    return scale * mean, shape


def precision_threshold(report: Report, precision: float) -> PrecisionThreshold:
    """The lowest similarity at and above which this share of answers is right.

    Negatives are weighted so that half of the queries have an original in the gallery. The interval comes from
    resampling originals and negatives. Raises BadInput where no threshold reaches the precision.
    """
    if not 0 < precision < 1:
        raise BadInput(f"precision {precision}: must be between 0 and 1, such as 0.99")
    similarities, correct = report.answers.similarities, report.answers.correct
    positive = report.queries.is_positive
    weights = np.where(positive, 1 / positive.sum(), 1 / (~positive).sum())

    def lowest(draws: NDArray[np.float64]) -> float:
        """The threshold when each query counts that often; above 1 where there is none."""
        order = np.argsort(-similarities, kind="stable")
        ranked, counted = similarities[order], (weights * draws)[order]
        answered = np.cumsum(counted)
        right = np.cumsum(counted * correct[order])
        last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
        reached = np.flatnonzero(last_of_tie & (answered > 0) & (right >= precision * answered))
        return float(ranked[reached[-1]]) if len(reached) else math.inf

    threshold = lowest(np.ones(len(similarities)))
    if math.isinf(threshold):
        raise BadInput(f"precision {precision}: no threshold reaches it on these photos; ask for less")
    rng = np.random.default_rng(report.seed)
    resampled = []
    for _ in range(RESAMPLES):
        draws = np.concatenate(
            [np.bincount(rng.integers(0, size, size), minlength=size) for size in (report.originals, report.negatives)]
        )
        resampled.append(min(1.0, lowest(draws[report.queries.photos].astype(np.float64))))
    low, high = np.quantile(resampled, [0.025, 0.975])
    recall = float((correct * (similarities >= threshold))[positive].mean())
    return PrecisionThreshold(precision, Threshold(threshold, float(low), float(high)), recall)


# Similarities are counted in steps of 1e-4.
BINS = 20_001


def _bins(values: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.clip((values + 1) * 10_000, 0, BINS - 1).astype(np.int64)


def _closeness(similarities: NDArray[np.float32] | np.float32) -> NDArray[np.float64]:
    # Rounding leaves identical rows about 1e-7 apart: nothing is taken for closer than 1e-6.
    return -np.log(np.maximum(1 - np.asarray(similarities, dtype=np.float64), 1e-6))


def _pair_blocks(
    embeddings: NDArray[np.float32], versions: int, start_bin: int = 0
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """Rows, columns and similarities of pairs of different photos, each pair once, from a bin on."""
    photo_of = np.arange(len(embeddings)) // versions
    lowest = start_bin / 10_000 - 1 - 1e-4 if start_bin else -2.0
    size = 512
    for first in range(0, len(embeddings), size):
        for second in range(first, len(embeddings), 8 * size):
            scores = embeddings[first : first + size] @ embeddings[second : second + 8 * size].T
            left, right = photo_of[first : first + size], photo_of[second : second + 8 * size]
            scores[left[:, None] >= right[None, :]] = -3
            rows, columns = np.nonzero(scores > lowest)
            yield rows + first, columns + second, scores[rows, columns]


def _top_pairs(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.float32],
    versions: int,
    photos: Sequence[Path],
    names: Sequence[str],
) -> list[PairMatch]:
    """The most similar photos, each two of them once."""
    found: dict[tuple[int, int], PairMatch] = {}
    for i in np.argsort(-values, kind="stable"):
        a, b = int(rows[i]) // versions, int(columns[i]) // versions
        if (a, b) not in found:
            found[a, b] = PairMatch(photos[a], photos[b], names[rows[i]], names[columns[i]], float(values[i]))
        if len(found) == TOP_PAIRS:
            break
    return list(found.values())
