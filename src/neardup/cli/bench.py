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
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.png", help="Draw the times.")
@options.model
@options.output_format
def bench(
    source: str | None,
    images: int,
    queries: int,
    engines: str | None,
    synthetic: bool,
    threads: int | None,
    plot: Path | None,
    model: str,
    format: str,
) -> None:
    """Measure build and query times, engine by engine, beside the Keras example's own loop.

    SOURCE is a folder of images or tfds:NAME[:SPLIT]; without one, tf_flowers from TensorFlow Datasets.
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
    result = run_benchmark(
        find_model(model),
        found,
        name=name,
        images=images,
        queries=queries,
        engines=[e.strip() for e in engines.split(",") if e.strip()] if engines else tuple(ENGINES),
        threads=threads or cores(),
        on_progress=note,
    )
    emit(render_benchmark(result), format)
    if plot:
        from neardup.output.figures.benchmark import plot_benchmark

        plot_benchmark(result, plot)
