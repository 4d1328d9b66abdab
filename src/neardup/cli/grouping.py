"""What groups, dedup and review share: their options, and how they find the groups."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from neardup.cli import options
from neardup.errors import BadInput

if TYPE_CHECKING:
    from neardup.jobs.group import Grouping

_F = TypeVar("_F", bound=Callable[..., Any])

# Must exist: a folder that is misspelt would protect nothing.
_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


def _order(ctx: click.Context, parameter: click.Parameter, chosen: str) -> str:
    from neardup.groups.keep import KeepPolicy

    try:
        KeepPolicy(chosen)
    except BadInput as error:
        raise click.BadParameter(str(error)) from error
    return chosen


def _complete_order(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from neardup.groups.keep import CRITERIA

    given, comma, begun = incomplete.rpartition(",")
    return [given + comma + name for name in ("best", *CRITERIA) if name.startswith(begun)]


def grouping_options(command: _F) -> _F:
    """--min-similarity, --keep, --keep-under, --across, --within and --folder."""
    for option in reversed(
        (
            options.min_similarity_alone,
            click.option(
                "--keep", metavar="ORDER", default="best", show_default=True, callback=_order,
                shell_complete=_complete_order,
                help="Which image of a group stays: best, or what is to decide, one after the other: origin (what "
                "others were made from), detail, metadata (a camera's), pixels, compression, format, oldest, newest "
                "(capture date), largest (bytes), path (shortest), path-order; such as detail,metadata,oldest. best "
                "is origin,detail,metadata,pixels,compression,format,oldest,path. Damaged files come last.",
            ),
            click.option(
                "--keep-under", type=_FOLDER, multiple=True, metavar="DIR",
                help="A folder whose images come first as keepers and are never touched; may be repeated.",
            ),
            click.option("--across", is_flag=True, help="Only between different folders."),
            click.option("--within", is_flag=True, help="Only within one folder."),
            click.option(
                "--folder", type=_FOLDER, multiple=True, metavar="DIR",
                help="The folders that --across and --within mean; may be repeated.  [default: each image's own]",
            ),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@contextmanager
def open_groups(
    index: Path,
    *,
    min_similarity: str | None,
    keep: str,
    keep_under: tuple[Path, ...],
    across: bool,
    within: bool,
    folder: tuple[Path, ...],
    similar: bool = False,
    ray: str | None = None,
    prints: bool = False,
) -> Iterator["Grouping"]:
    """Find the groups that the options ask for; progress, and what came of looking at pictures, go to stderr.

    prints: they go to standard output one by one, as they come
    """
    if across and within:
        raise click.UsageError("--across and --within exclude each other")
    if folder and not (across or within):
        raise click.UsageError("--folder says what --across or --within means: give one of them")
    from neardup.groups import FolderRule, KeepPolicy, Totals
    from neardup.jobs.group import GroupOptions, group_images
    from neardup.output import note
    from neardup.output.groups import show_stages, tell_totals
    from neardup.output.progress import Bar, is_beside_results

    rule: FolderRule | None = None
    if across or within:
        rule = FolderRule("across" if across else "within", tuple(path.absolute() for path in folder))
    policy = KeepPolicy(keep, tuple(path.absolute() for path in keep_under))
    wanted = GroupOptions(min_similarity, similar, policy, rule)
    with ExitStack() as stack:
        workers = None
        if ray is not None:
            from neardup.distributed.groups import workers_on_ray

            workers = stack.enter_context(workers_on_ray(ray))
        bar = stack.enter_context(Bar())

        def tell(totals: Totals) -> None:
            bar.hide()
            tell_totals(totals)

        yield group_images(
            index,
            wanted,
            workers=workers,
            say=note,
            on_progress=show_stages(bar, lines_come=prints and is_beside_results()),
            on_totals=tell,
        )
