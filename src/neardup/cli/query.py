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
    plot: Path | None,
    allow_private: bool,
    engine: str,
    format: str,
) -> None:
    """Print the indexed images most similar to each IMAGE.

    IMAGE is a file, a folder (every image below it), an http(s) URL, or '-' (an image on stdin).
    """
    from neardup.embedding import check_recorded, cores, load_embedder
    from neardup.errors import BadInput
    from neardup.images import DECODER
    from neardup.index import Index
    from neardup.output import note
    from neardup.output.figures.matches import check_plot, plot_answers, preview
    from neardup.output.matches import MOST_ROWS, Answer, write_answers
    from neardup.prepare import embed_images
    from neardup.sources.queries import open_queries

    if plot is not None:
        check_plot(plot)
    opened = Index.open(index)
    if opened.model is None:
        raise BadInput(f"{index}: holds no images yet; add some with 'neardup index PATH'")
    sources = open_queries(
        images,
        leave_out=index,
        allow_private=allow_private,
        stdin=sys.stdin.buffer if sys.stdin else None,
        on_error=lambda path, error: note(f"Warning: {path}: {error.strerror}; what is below is left out"),
    )
    check_recorded(opened.model.name, index)
    embedder = load_embedder(opened.model.name, engine)
    if embedder.model.digest != opened.model.digest:
        note(
            f"Warning: {index} was made with another version of {opened.model.name}; run 'neardup index PATH --rebuild'"
        )
    if changed := opened.model.differences(embedder.engine.precision, DECODER):
        note(f"Warning: {index}: {', '.join(changed)}; similarities may differ in the third decimal")
    lowest = None if min_similarity is None else embedder.model.threshold(min_similarity)
    drawn: list[tuple[Answer, NDArray[np.uint8] | None]] = []
    any_read = any_found = False

    def answers() -> Iterator[Answer]:
        nonlocal any_read, any_found
        for image in embed_images(sources, embedder, cores()):
            any_found = True
            answer = Answer(image.source.name, error=image.error)
            if image.embedding is not None:
                found = opened.search(image.embedding, top, min_similarity=lowest, exact=exact)
                answer = Answer(image.source.name, found.matches, found.candidates)
                any_read = True
                if plot is not None and len(drawn) < MOST_ROWS:
                    drawn.append((answer, preview(image.source)))
            yield answer

    threshold = lowest if lowest is not None else embedder.model.thresholds.get("default")
    write_answers(answers(), format, images=opened.images, tables=opened.tables or 0, threshold=threshold)
    if plot is not None and drawn:
        plot_answers(drawn, plot, threshold=threshold)
        note(f"Drawn: {plot}")
    if not any_found:
        note("There are no images in what was given.")
    if not any_read:
        click.get_current_context().exit(1)
