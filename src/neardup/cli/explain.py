"""`neardup explain`."""

from pathlib import Path

import click

from neardup.cli import options


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@options.min_similarity
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Write a PNG of A, B and the two aligned."
)
@click.option(
    "--index", type=click.Path(path_type=Path), metavar="DIR",
    help="Share tables as this index has them.  [default: $NEARDUP_INDEX, else the nearest .neardup, else none]",
)  # fmt: skip
@options.model
@options.engine
@options.output_format
def explain(
    a: Path,
    b: Path,
    min_similarity: str | None,
    plot: Path | None,
    index: Path | None,
    model: str,
    engine: str,
    format: str,
) -> None:
    """Say why images A and B match: how similar they are, and what was done to A to make B.

    Finds mirroring, turns, rotation, crops, scaling and changed colours by matching details of the two. Needs no index.
    """
    from neardup.jobs.explain import explain as run
    from neardup.output import emit, note
    from neardup.output.explain import render_explanation

    if plot is not None:
        from neardup.output.figures import check_plot

        check_plot(plot)
    found = run(
        a, b, index=options.find_index(index), model=model, engine=engine, min_similarity=min_similarity, say=note
    )
    emit(render_explanation(found), format)
    if plot is not None:
        from neardup.output.figures.explanation import plot_explanation

        plot_explanation(found, plot)
