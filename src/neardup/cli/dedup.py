"""`neardup dedup`."""

from pathlib import Path
from typing import Any

import click

from neardup.cli import options
from neardup.cli.grouping import grouping_options, open_groups

ACTIONS = ("report", "trash", "move", "hardlink", "symlink", "reflink", "delete")


@click.command()
@options.index_folder
@grouping_options
@click.option(
    "--action",
    type=click.Choice(ACTIONS),
    default="report",
    show_default=True,
    help="What happens to all images of a group but the first; links are for copies with the same bytes.",
)
@click.option(
    "--edited", is_flag=True, help="Plan edited pictures, too: each shows something that its keeper does not, and goes."
)
@click.option(
    "--merge-metadata",
    is_flag=True,
    help="Give the keeper's XMP sidecar what it lacks: date, GPS, rating, caption, keywords; never the picture itself.",
)
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where to move files.")
@click.option("--flat", is_flag=True, help="Move all files to DIR itself, instead of to the folders that they had.")
@click.option(
    "--plan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Carry out a plan that 'neardup review' wrote, instead of making one.",
)
@click.option("--apply", is_flag=True, help="Do it. Without this, nothing is changed.")
@options.trust
@options.output_format
def dedup(
    index: Path,
    action: str,
    edited: bool,
    merge_metadata: bool,
    to: Path | None,
    flat: bool,
    plan: Path | None,
    apply: bool,
    trust: bool,
    format: str,
    **grouping: Any,
) -> None:
    """Plan what to do with duplicates, and with --apply do it.

    Only what its keeper shows whole is planned: exact copies, and those with nothing but losses.

    What belongs to a picture goes with it (.xmp, .json, .aae, .pp3, .yml, .thm, .wav), unless it belongs to one that
    stays as well. A RAW file or a film goes only where the keeper has a copy of its own. Moved files keep their folders
    below DIR; a DIR that is new or empty is left out by 'neardup index' from then on.

    \b
    JSON: {"action", "applied", "min_similarity": number or null (the pictures decided), "files", "along": files that
    go with these, "size_bytes": of all, "freed_bytes": what the disk gets back, "journal": path or null, "steps":
    [{"path", "keeper", "similarity", "relation", "change", "why": what its keeper has over it, "size_bytes",
    "freed_bytes", "status": planned|done|skipped|failed, "reason", "target": where it was moved, "lost": [what the
    keeper has not], "notes": [what stays behind, ...], "carried": null or {"date", "position", "rating", "caption",
    "keywords"}, "along": [{"path", "size_bytes", "status", "reason", "target"}]}],
    "kept": [{"path", "keeper", "reason"}]}

    Before a file is touched, it and its keeper are checked against the index (size, time, SHA-256). Every action but
    delete can be taken back with `neardup undo`: a file replaced by a link comes back with its bytes, time and
    permissions, not with its owner or extended attributes.
    """
    if plan is not None:
        own = ("action", "edited", "merge_metadata", "to", "flat", *grouping)
        _refuse_beside_plan(*(name for name in own if name != "keep_under"))
    elif (action == "move") != (to is not None):
        raise click.UsageError("--action move and --to DIR belong together")
    if apply and action == "report" and plan is None:
        raise click.UsageError("--apply needs an --action other than report")
    if not apply and options.typed("trust"):
        raise click.UsageError("--trust is for --apply: a plan changes nothing, whoever made the index")
    from neardup.actions import apply_plan, load_plan, make_plan, protect, will_be_set_aside
    from neardup.groups.keep import KeepPolicy
    from neardup.images.find import SET_ASIDE
    from neardup.index.owner import trust_index
    from neardup.output import emit, note
    from neardup.output.actions import render_applied, render_plan
    from neardup.output.progress import Bar
    from neardup.text import show_path

    if apply:  # before the groups are found, which takes long
        trust_index(index, trust=trust)
    threshold, root = None, None
    if plan is not None:
        todo = protect(load_plan(plan), KeepPolicy(under=tuple(path.absolute() for path in grouping["keep_under"])))
    else:
        with open_groups(index, **grouping) as found:
            threshold = found.min_similarity
            todo = make_plan(
                found.groups,
                action,  # type: ignore[arg-type]
                to=to,
                root=None if flat else found.root,
                keep=found.keep,
                edited=edited,
                merge_metadata=merge_metadata,
            )
            root = found.root
    root = root or todo.root
    if todo.to is not None and root is not None and todo.to.is_relative_to(root) and not will_be_set_aside(todo.to):
        note(
            f"Warning: {show_path(todo.to)} lies among the images and holds files of its own: 'neardup index' will find"
            f" there what is moved. Choose a new folder, or put an empty file {SET_ASIDE} into this one."
        )
    if not apply:
        emit(render_plan(todo, min_similarity=threshold), format)
        if todo.action == "delete":
            note("Deleting cannot be taken back; --action trash can.")
        if todo.steps:
            how = (
                "--apply does it" if todo.action != "report" else "--action says what to do: trash, move, hardlink ..."
            )
            note(f"Nothing was changed; {how}.")
        return
    with Bar() as bar:
        bar.begin(f"Applying: {todo.action}", len(todo.steps))
        report = apply_plan(index, todo, say=note, on_progress=bar.advance)
    applied = render_applied(todo, report, min_similarity=threshold, index_option=options.index_option(index))
    emit(applied, format)
    if report.outcomes and not report.count("done") and report.count("failed"):
        click.get_current_context().exit(1)


def _refuse_beside_plan(*names: str) -> None:
    """What a plan has decided cannot be asked for again: an option that is passed over in silence may lose files.

    What the environment says is meant for plans that are made.
    """
    if given := options.typed(*names):
        shown = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise click.UsageError(f"--plan says what to do with each file: leave out {shown}, or make another plan")
