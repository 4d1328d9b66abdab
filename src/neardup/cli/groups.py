"""`neardup groups`."""

from pathlib import Path
from typing import Any

import click

from neardup.cli import options
from neardup.cli.grouping import grouping_options, open_groups


@click.command()
@options.index_folder
@grouping_options
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to a file instead: .json (JSON Lines), .csv, .parquet or .html.",
)
@options.output_format
def groups(index: Path, output: Path | None, format: str, **grouping: Any) -> None:
    """Print groups of near-duplicates, the image to keep first.

    Every image of a group resembles its first one: groups never chain. What `neardup review` was told is honoured.
    """
    from neardup.output import note
    from neardup.output.groups import Totals, check_ending, write_group_file, write_groups
    from neardup.text import show_path

    if output is not None:
        check_ending(output)
    found = open_groups(index, otherwise="default", **grouping)
    if output is None:
        write_groups(found.groups, format)
        return
    if output.suffix.lower() == ".html":
        from neardup.report import write_report

        totals = Totals()
        facts = (f"index {show_path(index)}", f"similarity {found.min_similarity:.3f} or above")
        write_report(totals.count(found.groups), output, facts=facts)
    else:
        totals = write_group_file(found.groups, output)
    note(f"{totals} Written: {show_path(output)}")
