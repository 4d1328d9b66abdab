"""`neardup groups`."""

from pathlib import Path
from typing import Any

import click

from neardup.cli import options
from neardup.cli.grouping import grouping_options, open_groups


@click.command()
@options.index_folder
@grouping_options
@click.option("--similar", is_flag=True, help="Take in what shows the same scene, too, such as a burst.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to a file instead: .json (JSON Lines), .csv, .parquet or .html.",
)
@options.ray
@options.output_format
def groups(index: Path, similar: bool, output: Path | None, ray: str | None, format: str, **grouping: Any) -> None:
    """Print groups of near-duplicates, the image to keep first.

    Candidates come from the embeddings, and the pictures are looked at: exact (the same bytes or pixels), copy (nothing
    but losses), edited (each shows something else in places). Every image was compared with the first of its group.
    What `neardup review` was told is honoured.
    """
    from neardup.output import emit, note
    from neardup.output.groups import Totals, check_ending, render_groups, write_group_file
    from neardup.text import show_path

    if output is not None:
        check_ending(output)
    with open_groups(index, similar=similar, ray=ray, prints=output is None, **grouping) as found:
        totals = Totals(keep=found.keep)
        if output is None:
            emit(render_groups(found.groups, totals), format)
            return
        if output.suffix.lower() == ".html":
            from neardup.report import write_report

            how = "confirmed by the pictures"
            if found.min_similarity is not None:
                how = f"similarity {found.min_similarity:.3f} or above"
            write_report(totals.count(found.groups), output, facts=(f"index {show_path(index)}", how), keep=found.keep)
        else:
            write_group_file(found.groups, output, totals)
    note(f"{totals} Written: {show_path(output)}")
