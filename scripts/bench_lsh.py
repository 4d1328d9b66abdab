"""Build time, query time and recall of `LSH` on clustered embeddings, beside FAISS HNSW on the same rows and queries.

    python scripts/bench_lsh.py [--rows 1000000] [--queries 1000] [--json FILE] [--no-faiss]

Rows are drawn from rows/100 clusters of log-normal size. A row is sqrt(c) times its cluster's centre plus sqrt(1 - c)
times isotropic noise, made a unit row; c, uniform in [0.3, 0.8] for each cluster, is the cosine of two of its rows. So
a query has hundreds of look-alikes that are no duplicates, as photos of one scene or one product are. A query is a
random row turned by exactly arccos(0.98), (0.95), (0.90) or (0.85) in a random direction; it counts as found when that
row is among its first four matches. HNSW (M 16, efConstruction 80, ef 128, inner product) is built with two threads;
queries go one at a time on one thread, for both. CPU seconds of the builds, of both threads together, are printed too:
they say more where the machine is busy.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from neardup.lsh import LSH, expected_recall

DIM = 256
K = 4
SIMILARITIES = (0.98, 0.95, 0.90, 0.85)
THREADS = 2
BLOCK = 1 << 16


def clustered_rows(rows: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(rows, 256) float32 unit rows, as the module says."""
    clusters = max(1, rows // 100)
    centres = rng.standard_normal((clusters, DIM), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    inner = rng.uniform(0.3, 0.8, clusters).astype(np.float32)
    weights = rng.lognormal(0, 1, clusters)
    cluster = rng.choice(clusters, rows, p=weights / weights.sum())
    result = np.empty((rows, DIM), np.float32)
    for start in range(0, rows, BLOCK):
        own = cluster[start : start + BLOCK]
        noise = rng.standard_normal((len(own), DIM), dtype=np.float32) / np.float32(np.sqrt(DIM))
        part = np.sqrt(inner[own])[:, None] * centres[own] + np.sqrt(1 - inner[own])[:, None] * noise
        result[start : start + BLOCK] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return result


def turned(rows: NDArray[np.float32], similarity: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Unit rows at this cosine to the given ones, in random directions."""
    aside = rng.standard_normal(rows.shape)
    aside -= np.einsum("ij,ij->i", aside, rows)[:, None] * rows
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    result = similarity * rows + np.sqrt(1 - similarity**2) * aside
    return (result / np.linalg.norm(result, axis=1, keepdims=True)).astype(np.float32)


def measure(
    name: str,
    query: Callable[[NDArray[np.float32]], NDArray[np.int64]],
    planted: dict[float, tuple[NDArray[np.int64], NDArray[np.float32]]],
) -> dict[str, Any]:
    """Recall at each cosine, and microseconds a query over all of them, after a warm-up on other queries' data."""
    seconds: list[float] = []
    recall: dict[str, float] = {}
    for similarity, (targets, queries) in planted.items():
        for embedding in queries[:20]:
            query(embedding)
        found = 0
        with threadpool_limits(1):
            for target, embedding in zip(targets, queries, strict=True):
                start = time.perf_counter()
                rows = query(embedding)
                seconds.append(time.perf_counter() - start)
                found += int(target in rows)
        recall[f"{similarity:.2f}"] = found / len(targets)
    median, p95 = np.percentile(seconds, [50, 95]) * 1e6
    return {"name": name, "query_us": round(float(median), 1), "query_p95_us": round(float(p95), 1), "recall": recall}


def bench_lsh(
    rows: NDArray[np.float32], planted: dict[float, tuple[NDArray[np.int64], NDArray[np.float32]]]
) -> dict[str, Any]:
    start, start_cpu = time.perf_counter(), time.process_time()
    lsh = LSH(DIM)
    lsh.add(rows)
    build, build_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    print(f"neardup LSH built in {build:.1f} s, {build_cpu:.1f} s of CPU", flush=True)
    result = measure("neardup LSH", lambda embedding: lsh.query(embedding, k=K)[0], planted)
    tables, bits, _ = lsh.hyperplanes.shape
    batch = np.concatenate([queries for _, queries in planted.values()])
    start = time.perf_counter()
    lsh.query_batch(batch, k=K)
    batch_us = (time.perf_counter() - start) / len(batch) * 1e6
    theory = {
        f"{similarity:.2f}": round(expected_recall(similarity, tables=tables, bits=bits, probes=lsh.tuning.probes), 4)
        for similarity in planted
    }
    return result | {
        "build_seconds": round(build, 2),
        "build_cpu_seconds": round(build_cpu, 2),
        "batch_query_us": round(batch_us, 1),
        "tables": tables,
        "bits": bits,
        "probes": lsh.tuning.probes,
        "expected_recall": theory,
    }


def bench_hnsw(
    rows: NDArray[np.float32], planted: dict[float, tuple[NDArray[np.int64], NDArray[np.float32]]]
) -> dict[str, Any] | None:
    try:
        import faiss
    except ImportError:
        print("FAISS is not installed (pip install faiss-cpu): measured without it")
        return None
    faiss.omp_set_num_threads(THREADS)
    start, start_cpu = time.perf_counter(), time.process_time()
    index = faiss.IndexHNSWFlat(DIM, 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 80
    index.add(rows)
    build, build_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    print(f"FAISS HNSW built in {build:.1f} s, {build_cpu:.1f} s of CPU", flush=True)
    index.hnsw.efSearch = 128
    faiss.omp_set_num_threads(1)
    result = measure("FAISS HNSW", lambda embedding: index.search(embedding[None, :], K)[1][0], planted)
    return result | {"build_seconds": round(build, 2), "build_cpu_seconds": round(build_cpu, 2)}


def print_table(results: list[dict[str, Any]]) -> None:
    print(f"{'':<14}{'build s':>9}{'query us':>10}{'p95 us':>9}" + "".join(f"{f'@{s:.2f}':>9}" for s in SIMILARITIES))
    for result in results:
        recalls = "".join(f"{result['recall'][f'{s:.2f}']:>9.4f}" for s in SIMILARITIES)
        print(
            f"{result['name']:<14}{result['build_seconds']:>9.2f}{result['query_us']:>10.0f}"
            f"{result['query_p95_us']:>9.0f}{recalls}"
        )
    ours = results[0]
    expected = "".join(f"{ours['expected_recall'][f'{s:.2f}']:>9.4f}" for s in SIMILARITIES)
    print(f"{'  by theory':<42}{expected}")
    print(
        f"{ours['tables']} tables, {ours['bits']} bits, {ours['probes']} probes; "
        f"query_batch {ours['batch_query_us']:.0f} us a query"
    )
    for other in results[1:]:
        print(
            f"{other['name']} / {ours['name']}: build {other['build_seconds'] / ours['build_seconds']:.1f} x "
            f"(CPU {other['build_cpu_seconds'] / ours['build_cpu_seconds']:.1f} x), "
            f"query {other['query_us'] / ours['query_us']:.2f} x"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1000, help="at each cosine")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--no-faiss", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    rows = clustered_rows(options.rows, rng)
    planted = {}
    for similarity in SIMILARITIES:
        targets = rng.integers(0, len(rows), options.queries)
        planted[similarity] = targets, turned(rows[targets], similarity, rng)
    results = [bench_lsh(rows, planted)]
    if not options.no_faiss:
        hnsw = bench_hnsw(rows, planted)
        results += [hnsw] if hnsw else []
    print_table(results)
    if options.json:
        options.json.write_text(json.dumps({"rows": len(rows), "dim": DIM, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
