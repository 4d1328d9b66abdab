"""How long one k-NN query takes at 550, 10,000 and 1,000,000 embeddings, exactly and through hash tables.

    python scripts/bench_knn.py [--rows 550,10000,1000000] [--queries 1000] [--threads 1]

One of the systems that neardup grew from reports 0.43 ms for one query at 550 rows; the goals here are 0.1, 0.2 and
0.5 ms. Embeddings are those of scripts/bench_lsh.py (clusters of 100, dim 256); a query is an embedding turned
by arccos(0.9), and the four nearest are asked for. Embedding a picture is not in these times. Recall: of the row that a
query was turned from, among the four. CPU ms, the mean of all queries, says more than the others on a busy machine.
"""

import time
from collections.abc import Callable

import click
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bench_lsh import clustered_rows, turned
from neardup.lsh import LSH
from neardup.search import exact

PAPER_MS = {550: 0.43}
GOAL_MS = {550: 0.1, 10_000: 0.2, 1_000_000: 0.5}
K = 4
COSINE = 0.9
EXACT_SECONDS = 20.0  # of exact search at most


def measure(
    ask: Callable[[NDArray[np.float32]], NDArray[np.int64]], queries: NDArray[np.float32], targets: NDArray[np.int64]
) -> tuple[float, float, float, float]:
    """Median, 95th percentile and CPU time, in ms, and recall, after a warm-up."""
    for query in queries[:20]:
        ask(query)
    seconds, found, begun = [], 0, time.perf_counter()
    cpu = time.process_time()
    for query, target in zip(queries, targets, strict=True):
        start = time.perf_counter()
        rows = ask(query)
        seconds.append(time.perf_counter() - start)
        found += int(target in rows)
        if time.perf_counter() - begun > EXACT_SECONDS:
            break
    median, p95 = np.percentile(seconds, [50, 95]) * 1000
    spent = (time.process_time() - cpu) / len(seconds) * 1000
    return float(median), float(p95), spent, found / len(seconds)


@click.command(help=__doc__)
@click.option("--rows", default="550,10000,1000000", show_default=True)
@click.option("--queries", default=1000, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(rows: str, queries: int, threads: int) -> None:
    click.echo("| rows | search | median ms | p95 ms | CPU ms | recall | paper ms | goal ms |")
    click.echo("|---|---|---|---|---|---|---|---|")
    for count in map(int, rows.split(",")):
        rng = np.random.default_rng(0)
        embeddings = clustered_rows(count, rng)
        targets = rng.integers(0, count, queries)
        asked = turned(embeddings[targets], COSINE, rng)
        lsh = LSH(embeddings.shape[1])
        lsh.add(embeddings)
        ways = {
            "LSH": lambda query, lsh=lsh: lsh.query(query, k=K)[0],
            "exact": lambda query, all_rows=embeddings: exact(query, all_rows, K)[0],
        }
        with threadpool_limits(threads):
            for name, ask in ways.items():
                median, p95, cpu, recall = measure(ask, asked, targets)
                paper, goal = PAPER_MS.get(count, ""), GOAL_MS.get(count, "")
                click.echo(
                    f"| {count:,} | {name} | {median:.3f} | {p95:.3f} | {cpu:.3f} | {recall:.3f} | {paper} | {goal} |"
                )


if __name__ == "__main__":
    main()
