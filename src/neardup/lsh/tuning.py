"""How likely the tables are to find a row, and which bits, probes and tables find it often enough.

Two unit rows at angle a fall on the same side of a random hyperplane with probability 1 - a / pi (Goemans and
Williamson 1995; Charikar 2002), on the same side of all hyperplanes of a table with its power. With multi-probe the
query's margins m (its dot products with the hyperplanes, independent standard normals) say which bits flip: for a row
at cosine s the dot product is s m + sqrt(1 - s^2) g with g standard normal, so bit b flips with probability
f_b = Phi(-s |m_b| / sqrt(1 - s^2)), independently given m, and the bucket with the bits of S flipped holds the row with
probability prod_{b in S} f_b * prod_{b not in S} (1 - f_b). A table's hit rate is the sum over the probed buckets,
averaged over m; tables are independent, so recall is 1 - (1 - hit rate)^tables.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput
from neardup.lsh.probing import MAX_PROBES, probe_template

# Margins are averaged over this many seeded queries: the standard error of a hit rate is below 0.01.
SAMPLES = 512
# Bits stored for each table: they serve up to 2**24 rows with a row a bucket, and more rows with larger buckets.
STORED_BITS = 24
# 12 tables reach recall 0.99 at cosine 0.9 with 22 probes each among a million rows; more are for harder goals.
TABLE_STEPS = (12, 16, 24, 32, 48, 64)
# Few probes suffice as a rule, and their rates are quick to compute.
PROBE_STEPS = (24, 96, MAX_PROBES)


@dataclass(frozen=True)
class Tuning:
    bits: int  # that make a bucket
    probes: int  # buckets looked into in each table
    expected_recall: float  # of a row at the similarity that was asked for


def same_side_probability(similarity: float) -> float:
    """1 - arccos(s) / pi."""
    return 1 - math.acos(min(1.0, max(-1.0, similarity))) / math.pi


def candidate_probability(similarity: float, *, tables: int, bits: int) -> float:
    """That two rows at this cosine share the exact bucket of at least one table: 1 - (1 - p^bits)^tables."""
    return float(1 - (1 - same_side_probability(similarity) ** bits) ** tables)


def expected_recall(similarity: float, *, tables: int, bits: int, probes: int) -> float:
    """That a query looking into `probes` buckets of each table finds a row at this cosine."""
    if probes == 1:
        return candidate_probability(similarity, tables=tables, bits=bits)
    rates = hit_rates(similarity, bits, probes)
    return float(1 - (1 - rates[-1]) ** tables)


@lru_cache(maxsize=256)
def hit_rates(similarity: float, bits: int, probes: int) -> NDArray[np.float64]:
    """Probability that one table finds a row at this cosine, after 1, 2, ... probes.

    returns: (min(probes, 2**bits),) float64, rising; the first is exact, what probing adds is averaged over the same
             512 seeded draws of the margins in every call
    """
    exact = same_side_probability(similarity) ** bits
    margins = np.sort(np.abs(np.random.default_rng(0).standard_normal((SAMPLES, bits))), axis=1)
    if similarity >= 1:
        return np.full(min(probes, 2**bits), exact)
    flip = _upper_tail(similarity * margins / math.sqrt(1 - similarity * similarity)) if similarity > -1 else None
    if flip is None:
        return np.full(min(probes, 2**bits), exact)
    flip = np.clip(flip, 1e-12, 1 - 1e-12)
    template = probe_template(bits, probes)
    costs = (margins * margins).astype(np.float32) @ template
    order = np.argsort(costs, axis=1)[:, :probes]
    log_odds = np.log(flip / (1 - flip))
    chance = np.exp(np.take_along_axis(log_odds @ template, order, axis=1) + np.log1p(-flip).sum(axis=1)[:, None])
    mean = chance.mean(axis=0)
    # The exact bucket's mean is known: scaling by it removes most of the sampling error from the rest.
    scale = exact / mean[0] if mean[0] > 0 else 1.0
    rates: NDArray[np.float64] = np.minimum(np.cumsum(mean * scale), 1.0)
    return rates


def _upper_tail(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - Phi(x), interpolated between exact values 1/256 apart: absolute error below 1e-6."""
    grid, values = _upper_tail_table()
    return np.interp(x, grid, values)


@lru_cache(maxsize=1)
def _upper_tail_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    grid = np.arange(-8, 8 + 1 / 256, 1 / 256)
    return grid, np.array([0.5 * math.erfc(x / math.sqrt(2)) for x in grid.tolist()])


def tune(rows: int, *, tables: int, stored_bits: int, recall: float = 0.99, similarity: float = 0.9) -> Tuning:
    """The most bits, up to log2(rows), and with them the fewest probes that find a row at this cosine this often.

    When even the most probes fall short, bits are given up, down to one; what is then still missing shows in
    `expected_recall`.
    """
    if rows < 0 or tables < 1 or stored_bits < 1:
        raise BadInput(f"rows={rows}, tables={tables}, stored_bits={stored_bits}: at least 0, 1 and 1")
    for bits in range(natural_bits(rows, stored_bits), 1, -1):
        tuning = tune_probes(tables=tables, bits=bits, recall=recall, similarity=similarity)
        if tuning.expected_recall >= recall:
            return tuning
    return tune_probes(tables=tables, bits=1, recall=recall, similarity=similarity)


def tune_probes(*, tables: int, bits: int, recall: float, similarity: float) -> Tuning:
    """With so many bits, the fewest probes that find a row at this cosine this often; the most where none do."""
    if not 0 < recall < 1 or not -1 <= similarity <= 1:
        raise BadInput(
            f"recall={recall}, similarity={similarity}: recall must lie between 0 and 1, similarity in [-1, 1]"
        )
    for most in PROBE_STEPS:
        recalls = 1 - (1 - hit_rates(similarity, bits, most)) ** tables
        if recalls[-1] >= recall:
            break
    probes = min(int(np.searchsorted(recalls, recall)) + 1, len(recalls))
    return Tuning(bits, probes, float(recalls[probes - 1]))


def choose_tables(rows: int, *, bits: int | None, recall: float, similarity: float) -> int:
    """The fewest tables (of TABLE_STEPS) that reach the recall without giving up bits, else the most.

    bits: where they are given; otherwise log2(rows)
    """
    wanted = bits or natural_bits(rows, STORED_BITS)
    for tables in TABLE_STEPS:
        if tune_probes(tables=tables, bits=wanted, recall=recall, similarity=similarity).expected_recall >= recall:
            break
    return tables


def natural_bits(rows: int, stored_bits: int) -> int:
    """About log2(rows): as many buckets as rows, so that a bucket of unrelated rows holds one."""
    return min(stored_bits, max(1, round(math.log2(max(2, rows)))))
