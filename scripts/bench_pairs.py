"""All near-duplicate pairs among a million embeddings: seconds, peak memory and recall, beside FAISS IVF.

    python scripts/bench_pairs.py [--rows 1000000] [--pairs 50000] [--json FILE] [--no-faiss]

The rows are those of bench_lsh.py (clusters of look-alikes), except that --pairs of them are replaced by a partner at
cosine exactly 0.95 of another row, in a random direction. Pairs are asked for from cosine 0.949 on, so that rounding to
float32 does not decide. A run of 300,000 identical rows in place of as many others follows, ours alone. FAISS IndexIVF-
Flat (1024 lists, inner product, two threads) is searched with every row, with the fewest lists probed that find as
large a share of a sample of planted pairs as ours; training and adding count, choosing the number of probes does not.
Each measurement is a process of its own, so that its peak memory is its own; the rows themselves (1 GB) count. CPU
seconds, of both threads together, are beside the elapsed ones: they say more where the machine is busy.
"""

import argparse
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_lsh import DIM, THREADS, clustered_rows, turned
from neardup.evaluation.benchmark import peak_memory_bytes
from neardup.lsh import find_pairs

PLANTED = 0.95
MIN_SIMILARITY = 0.949


def make_rows(rows: int, pairs: int, identical: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(rows, 256) float32, and the planted pairs (pairs, 2), smaller row first."""
    rng = np.random.default_rng(1)
    embeddings = clustered_rows(rows, rng)
    order = rng.permutation(rows)
    first, second = order[:pairs], order[pairs : 2 * pairs]
    embeddings[second] = turned(embeddings[first], PLANTED, rng)
    embeddings[order[2 * pairs : 2 * pairs + identical]] = embeddings[order[-1]]
    return embeddings, np.sort(np.stack([first, second], axis=1), axis=1)


def share_found(found: NDArray[np.int64], planted: NDArray[np.int64], rows: int) -> float:
    """Of the planted pairs; found: a * rows + b."""
    return float(np.isin(planted[:, 0] * rows + planted[:, 1], found).mean())


def measure_ours(rows: int, pairs: int, identical: int) -> dict[str, Any]:
    embeddings, planted = make_rows(rows, pairs, identical)
    start, start_cpu = time.perf_counter(), time.process_time()
    blocks = [a * rows + b for a, b, _ in find_pairs(embeddings, min_similarity=MIN_SIMILARITY)]
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    found = np.concatenate([np.empty(0, np.int64), *blocks])
    return _figures("neardup", seconds, cpu_seconds, share_found(found, planted, rows), len(found))


def measure_faiss(rows: int, pairs: int, wanted: float) -> dict[str, Any]:
    import faiss

    faiss.omp_set_num_threads(THREADS)
    embeddings, planted = make_rows(rows, pairs, 0)
    start, start_cpu = time.perf_counter(), time.process_time()
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(DIM), DIM, 1024, faiss.METRIC_INNER_PRODUCT)
    index.train(embeddings[np.random.default_rng(0).choice(rows, min(rows, 64 * 1024), replace=False)])
    index.add(embeddings)
    build, build_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    sample = planted[:5000]
    probes = 1
    for probes in (1, 2, 4, 8, 16, 32, 64, 128):
        index.nprobe = probes
        both = [(index.search(embeddings[sample[:, i]], 2)[1] == sample[:, 1 - i, None]).any(axis=1) for i in (0, 1)]
        if (both[0] | both[1]).mean() >= min(wanted, 0.999):
            break
    start, start_cpu = time.perf_counter(), time.process_time()
    keys = []
    for first in range(0, rows, 1 << 16):
        queries = np.arange(first, min(rows, first + (1 << 16)))
        # Range search would be the direct question, but the nearest four are quicker and hold every planted pair.
        similarities, neighbours = index.search(embeddings[first : first + (1 << 16)], 4)
        own = np.repeat(queries, 4).reshape(neighbours.shape)
        near = (similarities >= MIN_SIMILARITY) & (neighbours != own)
        keys.append(np.minimum(own[near], neighbours[near]) * rows + np.maximum(own[near], neighbours[near]))
    found = np.unique(np.concatenate(keys))
    seconds, cpu_seconds = build + time.perf_counter() - start, build_cpu + time.process_time() - start_cpu
    return _figures(f"FAISS IVF, {probes} probes", seconds, cpu_seconds, share_found(found, planted, rows), len(found))


def _figures(name: str, seconds: float, cpu_seconds: float, recall: float, pairs: int) -> dict[str, Any]:
    peak = peak_memory_bytes() / 1024**3
    return {
        "name": name,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "peak_gib": round(peak, 2),
        "recall": round(recall, 4),
        "pairs": pairs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=50_000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--no-faiss", action="store_true")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    results = []

    def run(measure: Any, *arguments: Any) -> dict[str, Any]:
        with spawn.Pool(1) as pool:
            result: dict[str, Any] = pool.apply(measure, arguments)
        results.append(result)
        print(
            f"{result['name']:<28}{result['seconds']:>8.1f} s ({result['cpu_seconds']:.1f} s of CPU)"
            f"{result['peak_gib']:>7.2f} GiB peak   recall {result['recall']:.4f}   {result['pairs']:>9} pairs",
            flush=True,
        )
        return result

    ours = run(measure_ours, options.rows, options.pairs, 0)
    crowd = run(measure_ours, options.rows, options.pairs, options.rows * 3 // 10)
    crowd["name"] += ", 30 % identical rows"
    if not options.no_faiss:
        try:
            run(measure_faiss, options.rows, options.pairs, ours["recall"])
        except ImportError:
            print("FAISS is not installed (pip install faiss-cpu): measured without it")
    if options.json:
        options.json.write_text(json.dumps({"rows": options.rows, "dim": DIM, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
