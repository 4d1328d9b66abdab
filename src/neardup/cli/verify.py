"""`neardup verify`."""

from pathlib import Path

import click

from neardup.cli import options


@click.command()
@options.index_folder
@options.output_format
def verify(index: Path, format: str) -> None:
    """Check every checksum and every promise of the index folder; change nothing.

    Each line names a file, what is wrong with it, and what to do. The exit code is 1 where something is broken; what is
    only worth knowing does not count.

    \b
    JSON: {"index", "valid": bool, "images", "segments", "size_bytes", "seconds", "findings": [{"path", "wrong",
    "advice", "mends": whether 'neardup repair' does it, "damage": bool}]}
    """
    from neardup.jobs.verify import verify as verify_index
    from neardup.output import emit
    from neardup.output.verify import render_verified

    verified = verify_index(index)
    emit(render_verified(verified, index), format)
    if not verified.is_whole:
        click.get_current_context().exit(1)
