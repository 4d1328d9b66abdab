"""The trade-off between number of tables and bits: recall, candidates and time, beside what theory says of them; and
sign codes of several lengths.

A query is a random row turned by exactly the angle that was asked for, in a random direction; it is found where that
row is among the candidates. So measurement and theory (`candidate_probability`) speak of the same thing.
Codes are asked with rows themselves.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.embedding import Embedder
from neardup.errors import BadInput
from neardup.lsh import HashTables, candidate_probability, draw_hyperplanes, find_candidates, signatures
from neardup.lsh.codes import SignCodes
from neardup.lsh.tuning import expected_recall
from neardup.prepare import embed_images
from neardup.search import best_first, similarities_of
from neardup.sources import Source

TABLES = (1, 2, 4, 8, 10, 16, 32)
BITS = (4, 8, 12, 16, 20, 24)
CODE_BITS = (64, 128, 256, 512)
FIRST = 100  # candidates that codes leave, of which the best match is to be one
MATCHES = 4
# Pairs of a query and another row, whose cosines say how many candidates theory expects.
_SAMPLED = 2000


@dataclass(frozen=True)
class Setting:
    """So many tables of so many bits."""

    tables: int
    bits: int
    recall: float
    expected_recall: float
    candidates: float  # mean of a query
    expected_candidates: float | None  # None where several buckets of a table are looked into
    query_us: float  # median, candidates and their cosines


@dataclass(frozen=True)
class CodeSetting:
    """Sign codes of so many bits: how often what is most like an image by float16 is among the FIRST nearest others."""

    bits: int
    bytes_per_image: int
    recall: float
    query_us: float


@dataclass(frozen=True)
class LshGrid:
    source: str
    rows: int
    dim: int
    queries: int
    similarity: float  # of a query and the row that it was made of
    probes: int  # buckets looked into in each table
    settings: tuple[Setting, ...]
    codes: tuple[CodeSetting, ...]


def embedded_rows(sources: Iterable[Source], embedder: Embedder, threads: int, limit: int) -> NDArray[np.float32]:
    """The embeddings of the first images that can be read, (n, dim) float32; raises BadInput for fewer than two."""
    found = []
    for image in embed_images(sources, embedder, threads):
        if image.embeddings is not None:
            found.append(image.embeddings[0])
        if len(found) == limit:
            break
    if len(found) < 2:
        raise BadInput(f"{len(found)} images that can be read; give a folder of more")
    return np.stack(found)


def clustered_rows(rows: int, dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(rows, dim) float32 unit rows in clusters of about a hundred, as photos of one scene or one product are.

    A row is sqrt(c) times its cluster's centre plus sqrt(1 - c) times isotropic noise; c, uniform in [0.3, 0.8] for
    each cluster, is the cosine of two of its rows.
    """
    clusters = max(1, rows // 100)
    centres = rng.standard_normal((clusters, dim), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    inner = rng.uniform(0.3, 0.8, clusters).astype(np.float32)
    cluster = rng.integers(0, clusters, rows)
    noise = rng.standard_normal((rows, dim), dtype=np.float32) / np.float32(np.sqrt(dim))
    result = np.sqrt(inner[cluster])[:, None] * centres[cluster] + np.sqrt(1 - inner[cluster])[:, None] * noise
    unit: NDArray[np.float32] = result / np.linalg.norm(result, axis=1, keepdims=True)
    return unit


def measure_grid(
    rows: NDArray[np.float32],
    *,
    source: str,
    queries: int = 200,
    similarity: float = 0.9,
    probes: int = 1,
    tables: Sequence[int] = TABLES,
    bits: Sequence[int] = BITS,
    code_bits: Sequence[int] = CODE_BITS,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda text: None,
) -> LshGrid:
    """Measure every number of tables with every number of bits on these rows.

    rows: (n, dim) float32, unit rows
    """
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, len(rows), queries)
    asked = _turned(rows[targets], similarity, rng)
    planes = draw_hyperplanes(tables=max(tables), bits=max(bits), dim=rows.shape[1], seed=seed)
    hashes = signatures(rows, planes)
    cosines = _sampled_cosines(rows, asked, targets, rng)
    settings = []
    for count in tables:
        on_progress(f"Measuring {count} table{'s' * (count != 1)}")
        built = HashTables.build(hashes[:, :count], bits=max(bits))
        for each in bits:
            recall, candidates, query_us = _asked(built, planes[:count], rows, asked, targets, each, probes)
            looked = min(probes, 2**each)
            theory = expected_recall(similarity, tables=count, bits=each, probes=looked)
            others = (len(rows) - 1) * _mean_chance(cosines, count, each)
            expected = theory + others if looked == 1 else None
            settings.append(Setting(count, each, recall, theory, candidates, expected, query_us))
    on_progress("Measuring sign codes")
    codes = tuple(_codes(rows.astype(np.float16), targets, each, seed) for each in code_bits)
    return LshGrid(source, len(rows), rows.shape[1], queries, similarity, probes, tuple(settings), codes)


def _turned(rows: NDArray[np.float32], similarity: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Unit rows at this cosine to the given ones, in random directions."""
    aside = rng.standard_normal(rows.shape)
    aside -= np.einsum("ij,ij->i", aside, rows)[:, None] * rows
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    turned: NDArray[np.float32] = (similarity * rows + np.sqrt(1 - similarity**2) * aside).astype(np.float32)
    return turned


def _sampled_cosines(
    rows: NDArray[np.float32], asked: NDArray[np.float32], targets: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Cosines of queries with rows that they were not made of."""
    query, row = rng.integers(0, len(asked), _SAMPLED), rng.integers(0, len(rows), _SAMPLED)
    others = targets[query] != row
    found: NDArray[np.float64] = np.einsum("ij,ij->i", asked[query], rows[row])[others].astype(np.float64)
    return found


def _asked(
    built: HashTables, planes: NDArray[np.float32], rows: NDArray[np.float32], asked: NDArray[np.float32],
    targets: NDArray[np.int64], bits: int, probes: int,
) -> tuple[float, float, float]:  # fmt: skip
    """Recall, mean number of candidates, and the median of a query's microseconds."""
    hits, candidates, seconds = 0, 0, []
    for target, query in zip(targets.tolist(), asked, strict=True):
        started = time.perf_counter()
        found, _ = find_candidates([built], query, planes, bits=bits, probes=min(probes, 2**bits))
        best_first(similarities_of(query, rows, found), found, k=MATCHES)
        seconds.append(time.perf_counter() - started)
        candidates += len(found)
        place = int(np.searchsorted(found, target))
        hits += place < len(found) and int(found[place]) == target
    return hits / len(asked), candidates / len(asked), float(np.median(seconds)) * 1e6


def _mean_chance(cosines: NDArray[np.float64], tables: int, bits: int) -> float:
    """Of rows at these cosines, to be a candidate."""
    return float(np.mean([candidate_probability(cosine, tables=tables, bits=bits) for cosine in cosines.tolist()]))


def _codes(rows: NDArray[np.float16], asked: NDArray[np.int64], bits: int, seed: int) -> CodeSetting:
    """Ask with rows themselves for what is most like them among the others."""
    codes = SignCodes.build([rows], bits=bits, dim=rows.shape[1], seed=seed)
    everything = np.arange(len(rows))
    hits, seconds = 0, []
    for own in asked.tolist():
        query = rows[own].astype(np.float32)
        similarities = similarities_of(query, rows, everything)
        similarities[own] = -2
        best = int(np.argmax(similarities))
        started = time.perf_counter()
        nearest = codes.nearest(query, FIRST + 1)  # itself among them
        best_first(similarities_of(query, rows, nearest), nearest, k=MATCHES)
        seconds.append(time.perf_counter() - started)
        hits += best in nearest
    return CodeSetting(bits, codes.bytes_per_row, hits / len(asked), float(np.median(seconds)) * 1e6)
