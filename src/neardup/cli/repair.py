"""`neardup repair`."""

from pathlib import Path

import click

from neardup.cli import options


@click.command()
@options.index_folder
@options.trust
@options.output_format
def repair(index: Path, trust: bool, format: str) -> None:
    """Mend what 'neardup verify' finds, as far as it can be mended, and say what was lost.

    What can be read stays: of a damaged catalogue a new one is made, and the old one is kept as catalog.damaged. Images
    whose embeddings cannot be trusted leave the index, and the next 'neardup index' embeds them anew. Journals and
    plans are left as they are. The exit code is 0 where all is well afterwards.

    \b
    JSON: {"index", "valid": bool, "images", "mended": int, "left": int, "lost_images", "lost_embeddings", "unread":
    {table: rows that could not be read, or null}, "kept": the damaged catalogue or null, "findings": [{"path",
    "wrong", "advice", "mends", "damage", "mended": bool}]}
    """
    from neardup.jobs.verify import repair as repair_index
    from neardup.output import emit, note
    from neardup.output.verify import render_repaired

    repaired = repair_index(index, trust=trust, wait=note)
    emit(render_repaired(repaired, index), format)
    if any(finding.is_damage for finding in repaired.left):
        click.get_current_context().exit(1)
