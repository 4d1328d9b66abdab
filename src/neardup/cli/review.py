"""`neardup review`."""

from pathlib import Path
from typing import Any

import click

from neardup.cli import options
from neardup.cli.grouping import grouping_options, open_groups
from neardup.cli.judging import judge

ACTIONS = ("trash", "move", "hardlink", "symlink", "reflink", "delete")
PLAN = "review-plan.json"
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@options.index_folder
@grouping_options
@click.option("--similar", is_flag=True, help="Show what shows the same scene, too, such as a burst.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1.  [default: a free one]")
@click.option("--no-browser", is_flag=True, help="Print the URL only.")
@click.option("--plan", type=_FILE, metavar="FILE", help=f"Where to write the plan.  [default: {PLAN} in the index]")
@click.option(
    "--action",
    type=click.Choice(ACTIONS),
    default="trash",
    show_default=True,
    help="What the plan does with dropped images when 'neardup dedup --plan FILE --apply' carries it out.",
)
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where to move files.")
@click.option("--flat", is_flag=True, help="Move all files to DIR itself, instead of to the folders that they had.")
@click.option("--export", type=_FILE, metavar="FILE", help="Write the verdicts of the index as JSON, and end.")
@click.option(
    "--queries", multiple=True, metavar="IMAGES",
    help="Instead of groups, show what these images find (a file, a folder, tfds:NAME[:SPLIT]; repeatable), to tick"
    " what is relevant; --export FILE keeps the ticks, for 'neardup evaluate --judgements FILE'.",
)  # fmt: skip
@click.option("--import", type=_FILE, metavar="FILE", help="Read verdicts that --export wrote, and end.")
@options.trust
@options.output_format
def review(
    index: Path,
    port: int,
    no_browser: bool,
    plan: Path | None,
    action: str,
    to: Path | None,
    flat: bool,
    export: Path | None,
    queries: tuple[str, ...],
    trust: bool,
    format: str,
    **others: Any,
) -> None:
    """Look at groups of near-duplicates on a local web page, and decide.

    The page is for this machine only, and for whoever has the printed URL. Decisions are kept in the index, and are
    honoured by groups and dedup. Nothing is deleted: what shall go is written to a plan. Ctrl-C ends it.
    """
    if (action == "move") != (to is not None):
        raise click.UsageError("--action move and --to DIR belong together")
    from neardup.index.notes import export_verdicts, import_verdicts
    from neardup.index.owner import trust_index
    from neardup.output import note
    from neardup.text import show_count

    read_from: Path | None = others.pop("import")
    if queries:
        others_given = options.typed("plan", "action", "to", "flat", "similar", "import", "trust")
        if export is None or others_given:
            raise click.UsageError("--queries keeps ticks in a file and decides nothing: give --export FILE beside it")
        judge(queries, index, export, port, no_browser, format)
        return
    if read_from is not None or export is None:  # what another has decided is not taken for this user's
        trust_index(index, trust=trust)
    if read_from is not None or export is not None:
        if read_from is not None:
            note(f"{show_count(import_verdicts(index, read_from), 'verdict')} read from {read_from}")
        if export is not None:
            note(f"{show_count(export_verdicts(index, export), 'verdict')} written to {export}")
        return
    from neardup.output.review import write_end, write_saving, write_start
    from neardup.review import Review
    from neardup.review.server import open_server, serve

    with open_groups(index, **others) as found:
        decisions = Review(
            index,
            found.groups,
            plan_path=(plan or index / PLAN).absolute(),
            action=action,  # type: ignore[arg-type]
            to=to,
            root=None if flat else found.root,
            keep=found.keep,
        )
    server, guard = open_server(decisions, port=port)
    write_start(guard.url, decisions, format)
    serve(server, None if no_browser else guard.ticket())
    write_saving(decisions)
    decisions.close()
    write_end(decisions)
