"""`neardup undo`."""

from pathlib import Path

import click

from neardup.cli import options


@click.command()
@options.index_folder
@options.trust
@options.output_format
def undo(index: Path, trust: bool, format: str) -> None:
    """Take back the last plan that 'neardup dedup --apply' carried out; again, the one before it.

    Nothing that is there now is overwritten. What was deleted does not come back. Only what you applied yourself with
    this index is taken back: --trust does it with what another wrote, or an earlier neardup.

    \b
    JSON: {"action", "journal": path, "restored": int, "failed": int,
    "files": [{"path", "status": restored|failed, "reason"}]}
    """
    from neardup.actions import undo_last
    from neardup.output import emit
    from neardup.output.actions import render_undone
    from neardup.output.progress import Bar

    with Bar() as bar:
        bar.begin("Taking back")
        report = undo_last(index, trust=trust, on_progress=bar.advance)
    emit(render_undone(report), format)
    if not report.count("done"):
        click.get_current_context().exit(1)
