"""`neardup export`."""

from pathlib import Path

import click

from neardup.cli import options


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@options.index_folder
@options.output_format
def export(file: Path, index: Path, format: str) -> None:
    """Write the embeddings, with paths, digests and labels, to FILE: Parquet, for vector databases.

    A row for each image: path, path_bytes (where the path is no UTF-8), digest (SHA-256), label, width, height and
    embedding (a fixed-size list of float16, to be compared by cosine). Needs pip install 'neardup[parquet]'.
    """
    from neardup.jobs.export import export_embeddings
    from neardup.output import emit
    from neardup.output.export import render_export

    emit(render_export(export_embeddings(index, file.absolute())), format)
