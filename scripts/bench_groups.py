"""Groups of half a million images with a million near pairs: seconds and peak memory.

    python scripts/bench_groups.py [--images 500000] [--pairs 1000000] [--crowd 0] [--dim 256] [--json FILE]

Clusters of 11 images at cosine about 0.95 to each other (55 pairs each) among images unlike all others, in an index on
disk whose files do not exist. --crowd makes so many of the images byte-distinct versions of one picture. Grouping runs
in a process of its own, so that its peak memory is its own.
"""

import argparse
import hashlib
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.evaluation.benchmark import peak_memory_bytes
from neardup.groups import find_groups
from neardup.index import Index, Model

CLUSTER = 11
SIMILARITY = 0.95


def make_rows(images: int, pairs: int, crowd: int, dim: int) -> NDArray[np.float32]:
    """Unit rows: the clusters, the crowd, then rows of their own."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((images, dim), np.float32)
    clusters = pairs // (CLUSTER * (CLUSTER - 1) // 2)
    # Two members at distance x from their centre, in random directions, are at cosine 1 / (1 + x^2).
    spread = np.float32(np.sqrt(1 / SIMILARITY - 1) / np.sqrt(dim))
    clustered = rows[: clusters * CLUSTER].reshape(clusters, CLUSTER, dim)
    centres = clustered[:, :1] / np.linalg.norm(clustered[:, :1], axis=2, keepdims=True)
    clustered[:] = centres + spread * rng.standard_normal(clustered.shape, np.float32)
    crowded = rows[clusters * CLUSTER :][:crowd]
    crowded[:] = rows[-1] / np.linalg.norm(rows[-1]) + spread / 10 * rng.standard_normal(crowded.shape, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_index(folder: Path, rows: NDArray[np.float32]) -> None:
    model = Model("synthetic", "0" * 64, "none", "float32", "none", rows.shape[1])
    with Index.write(folder, model, commit_interval_s=1e9) as writer:
        for number in np.random.default_rng(1).permutation(len(rows)).tolist():
            writer.add(
                Path(f"/photos/{number // 1000:04d}/{number:07d}.jpg"),
                size_bytes=100_000 + number % 977,
                mtime_ns=number,
                digest=hashlib.sha256(b"%d" % number).digest(),
                width=400 + number % 7,
                height=300,
                embedding=rows[number],
            )


def group(folder: Path) -> dict[str, Any]:
    started, cpu = time.perf_counter(), time.process_time()
    groups = images = largest = 0
    for found in find_groups(Index.open(folder), min_similarity=0.9):
        groups += 1
        images += len(found.members)
        largest = max(largest, len(found.members))
    return {
        "groups": groups,
        "images": images,
        "largest": largest,
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_rss_mib": peak_memory_bytes() >> 20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=500_000)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--crowd", type=int, default=0)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_index(Path(folder), make_rows(options.images, options.pairs, options.crowd, options.dim))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            result = pool.apply(group, (Path(folder),))
    print(json.dumps(result))
    if options.json:
        options.json.write_text(json.dumps(vars(options) | result, default=str))


if __name__ == "__main__":
    main()
