"""`neardup query`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from neardup.cli import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@options.index_folder
@click.option("--top", type=click.IntRange(min=1), default=4, show_default=True, metavar="K", help="How many matches.")
@options.min_similarity
@click.option("--exact", is_flag=True, help="Compare with every image, without the hash tables.")
@click.option(
    "--codes", type=click.IntRange(64, 4096), metavar="BITS",
    help="Compare with the 100 images nearest by sign codes of so many bits, a multiple of 64; no hash tables.",
)  # fmt: skip
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.png", help="Draw queries and matches."
)
@click.option("--allow-private", is_flag=True, help="Fetch URLs from private and loopback addresses, too.")
@options.engine
@options.output_format
def query(
    images: tuple[str, ...],
    index: Path,
    top: int,
    min_similarity: str | None,
    exact: bool,
    codes: int | None,
    plot: Path | None,
    allow_private: bool,
    engine: str,
    format: str,
) -> None:
    """Print the indexed images most similar to each IMAGE.

    IMAGE is a file, a folder (every image below it), tfds:NAME[:SPLIT], an http(s) URL, or '-' (an image on stdin).
    """
    from neardup.jobs.query import Answer, query_images
    from neardup.output import emit, note
    from neardup.output.figures import check_plot
    from neardup.output.figures.matches import MOST_ROWS, plot_answers, preview
    from neardup.output.matches import render_answers
    from neardup.output.progress import Bar, is_beside_results
    from neardup.sources.datasets import is_dataset

    if exact and codes is not None:
        raise click.UsageError("--exact compares with every image: leave --codes out")
    if plot is not None:
        check_plot(plot)
    several = len(images) > 1 or is_dataset(images[0]) or Path(images[0]).is_dir()
    bar = Bar()
    asked = query_images(
        images,
        index,
        top=top,
        min_similarity=min_similarity,
        exact=exact,
        codes=codes,
        engine=engine,
        allow_private=allow_private,
        stdin=sys.stdin.buffer if sys.stdin else None,
        say=note,
        on_total=bar.set_total if bar.is_shown and several else None,
        on_error=lambda path, error: note(f"Warning: {path}: {error.strerror}; what is below is left out"),
    )
    drawn: list[tuple[Answer, NDArray[np.uint8] | None]] = []
    errors: list[str | None] = []

    def answers() -> Iterator[Answer]:
        for answer in asked.answers:
            errors.append(answer.error)
            if plot is not None and answer.error is None and len(drawn) < MOST_ROWS:
                drawn.append((answer, preview(answer.source)))
            if is_beside_results():
                bar.hide()
            yield answer
            if several:
                bar.update(len(errors))

    shown = render_answers(answers(), index=asked.index, threshold=asked.threshold, exact=exact, codes=codes)
    with bar:
        if several:
            bar.begin("Asking the index")
        emit(shown, format)
    if plot is not None and drawn:
        plot_answers(drawn, plot, threshold=asked.threshold)
        note(f"Drawn: {plot}")
    if not errors:
        note("There are no images in what was given.")
    if all(error is not None for error in errors):
        click.get_current_context().exit(1)
