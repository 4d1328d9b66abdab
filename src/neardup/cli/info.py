"""`neardup info`."""

from pathlib import Path

import click

from neardup.cli import options


@click.command()
@options.index_folder
@click.option("--buckets", type=click.IntRange(min=1), metavar="N", help="Show the first N small buckets of table 0.")
@options.output_format
def info(index: Path, buckets: int | None, format: str) -> None:
    """Print what the index holds."""
    from neardup.index import Index
    from neardup.output import emit
    from neardup.output.matches import render_info

    opened = Index.open(index)
    model = opened.model
    fields = {
        "images": opened.images,
        "model": model.name if model else None,
        "engine": model.engine if model else None,
        "precision": model.precision if model else None,
        "decoder": model.decoder if model else None,
        "dim": model.dim if model else None,
        "tables": opened.tables,
        "bits": opened.bits,
        "size_bytes": opened.size_bytes,
        "expected_recall": opened.expected_recall,
        "passed_over": opened.passed_over(),
        "roots": [{"path": str(root.path), "images": root.images, "there": root.is_there} for root in opened.roots],
    }
    shown = None
    if buckets is not None:
        shown = [
            {
                "signature": f"{bucket.signature:0{opened.bits}b}",
                "images": [{"path": str(path), "label": label} for path, label in bucket.images],
            }
            for bucket in opened.buckets(buckets)
        ]
    emit(render_info(fields, shown), format)
