import os
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
    import numpy as np

    from neardup.embedding import load_embedder
    from neardup.images import load_image
    from neardup.matching import explain, hashing_for, shared_buckets
    from neardup.output.explain import write_explanation

    embedder = load_embedder(model, engine, images=2)
    threshold = options.threshold(embedder.model, min_similarity, "default")
    first, second = embedder.embed([load_image(path, size=embedder.model.input_size) for path in (a, b)])
    similarity = float(np.clip(first.astype(np.float64) @ second, -1, 1))
    hashing, bits = hashing_for(options.find_index(index), embedder.model.digest)
    found = explain(
        Path(os.path.abspath(a)),
        Path(os.path.abspath(b)),
        similarity=similarity,
        threshold=threshold,
        shared=shared_buckets(first, second, hashing, bits=bits),
    )
    write_explanation(found, format=format)
    if plot:
        from neardup.output.figures.explanation import plot_explanation

        plot_explanation(found, plot)
