"""`neardup bench`."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from neardup.cli import options

if TYPE_CHECKING:
    from neardup.sources import Source

DEFAULT_SOURCE = "tfds:tf_flowers"


@click.command()
@click.argument("source", required=False, metavar="[SOURCE]")
@click.option("--images", type=click.IntRange(1), default=1000, show_default=True, help="Images to build from.")
@click.option("--queries", type=click.IntRange(1), default=1000, show_default=True, help="Queries to ask.")
@click.option("--engines", metavar="A,B,...", help="Engines to measure.  [default: all]")
@click.option("--synthetic", is_flag=True, help="Measure on noise instead of photos; there is no SOURCE then.")
@click.option("--threads", type=click.IntRange(1, 256), help="Processor cores to use.  [default: all]")
@click.option(
    "--warm-up", type=click.IntRange(0, 10_000), default=100, show_default=True, metavar="N",
    help="Images embedded before the clock starts, in batches of each size that is timed.",
)  # fmt: skip
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.png", help="Draw the times.")
@click.option("--lsh", is_flag=True, help="Instead, measure hash tables: recall, candidates, time over tables x bits.")
@click.option(
    "--similarity", type=click.FloatRange(-1, 1), default=0.9, show_default=True,
    help="With --lsh: cosine of a query to the embedding that it is to find.",
)  # fmt: skip
@click.option(
    "--probes", type=click.IntRange(1, 256), default=1, show_default=True,
    help="With --lsh: buckets of each table that a query looks into, its own first.",
)  # fmt: skip
@options.model
@options.output_format
def bench(
    source: str | None,
    images: int,
    queries: int,
    engines: str | None,
    synthetic: bool,
    threads: int | None,
    warm_up: int,
    plot: Path | None,
    lsh: bool,
    similarity: float,
    probes: int,
    model: str,
    format: str,
) -> None:
    """Measure build and query times, engine by engine, beside the Keras example's own loop.

    SOURCE is a folder of images or tfds:NAME[:SPLIT]; without one, tf_flowers from TensorFlow Datasets.

    With --lsh, the embeddings of --images images (--synthetic: made up, in clusters) are hashed with every number of
    tables and bits, and --queries queries are asked: what is found, of how many candidates and how fast, beside theory.
    """
    from neardup.embedding import cores, find_model
    from neardup.embedding.engines import ENGINES
    from neardup.errors import BadInput
    from neardup.evaluation.benchmark import draw_sources, run_benchmark
    from neardup.output import emit, note
    from neardup.output.benchmark import render_benchmark
    from neardup.sources.datasets import is_dataset, open_dataset

    if synthetic and source:
        raise click.UsageError("--synthetic measures on noise: leave SOURCE out")
    if plot and not plot.absolute().parent.is_dir():  # said now, not after minutes of work
        raise BadInput(f"{plot}: no such folder; make it, or give another file for the plot")
    name = "noise" if synthetic else source or DEFAULT_SOURCE
    found: Iterable[Source] | None = None
    if is_dataset(name):
        try:
            found = open_dataset(name)
        except BadInput as error:
            if source:
                raise
            raise BadInput(f"{error}. Name a folder of images instead: neardup bench FOLDER") from error
    elif not synthetic:
        found = draw_sources(Path(name))
    if lsh:
        if engines:
            raise click.UsageError("--lsh measures hash tables, not engines: leave --engines out")
        _bench_lsh(found, name, images, queries, similarity, probes, threads, plot, model, format)
        return
    result = run_benchmark(
        find_model(model),
        found,
        name=name,
        images=images,
        queries=queries,
        engines=[e.strip() for e in engines.split(",") if e.strip()] if engines else tuple(ENGINES),
        threads=threads or cores(),
        warm_up=warm_up,
        on_progress=note,
    )
    emit(render_benchmark(result), format)
    if plot:
        from neardup.output.figures.benchmark import plot_benchmark

        plot_benchmark(result, plot)


def _bench_lsh(
    found: "Iterable[Source] | None",
    name: str,
    images: int,
    queries: int,
    similarity: float,
    probes: int,
    threads: int | None,
    plot: Path | None,
    model: str,
    format: str,
) -> None:
    import numpy as np

    from neardup.embedding import cores, find_model, load_embedder
    from neardup.evaluation.lsh_grid import clustered_rows, embedded_rows, measure_grid
    from neardup.output import emit, note
    from neardup.output.lsh_grid import render_grid

    threads = threads or cores()
    if found is None:
        # Another seed than the hyperplanes have: of one stream, the first centres would be the first hyperplanes.
        rows = clustered_rows(images, find_model(model).dim, np.random.default_rng(1))
    else:
        note(f"Embedding {images:,} images")
        rows = embedded_rows(found, load_embedder(model, threads=threads, images=images), threads, images)
    grid = measure_grid(rows, source=name, queries=queries, similarity=similarity, probes=probes, on_progress=note)
    emit(render_grid(grid), format)
    if plot:
        from neardup.output.figures.lsh_grid import plot_grid

        plot_grid(grid, plot)
