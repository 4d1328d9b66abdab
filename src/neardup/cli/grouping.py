"""What groups, dedup and review share: their options, and how they find the groups."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from neardup.cli import options

if TYPE_CHECKING:
    from neardup.embedding import Model
    from neardup.groups import DuplicateGroup
    from neardup.groups.keep import KeepPolicy
    from neardup.index import Index

_F = TypeVar("_F", bound=Callable[..., Any])

ORDERS = ("best", "largest", "oldest", "newest", "path-order")

# Must exist: a folder that is misspelt would protect nothing.
_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


def grouping_options(command: _F) -> _F:
    """--min-similarity, --keep, --keep-under, --across, --within and --folder."""
    for option in reversed(
        (
            options.min_similarity,
            click.option(
                "--keep", type=click.Choice(ORDERS), default="best", show_default=True,
                help="Which image of a group stays; best: most pixels (margins apart), format, most bytes, oldest.",
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


@dataclass(frozen=True)
class Grouping:
    """The groups to come, and what they were asked to be."""

    groups: "Iterator[DuplicateGroup]"
    min_similarity: float
    keep: "KeepPolicy"


def open_groups(
    index: Path,
    *,
    min_similarity: str | None,
    otherwise: str,
    keep: str,
    keep_under: tuple[Path, ...],
    across: bool,
    within: bool,
    folder: tuple[Path, ...],
) -> Grouping:
    """Find the groups that the options ask for; what to expect of them goes to stderr.

    otherwise: the threshold's name where --min-similarity is not given
    """
    if across and within:
        raise click.UsageError("--across and --within exclude each other")
    if folder and not (across or within):
        raise click.UsageError("--folder says what --across or --within means: give one of them")
    from neardup.embedding import find_model
    from neardup.errors import BadInput
    from neardup.groups import FolderRule, find_groups
    from neardup.groups.keep import KeepPolicy
    from neardup.index import Index
    from neardup.output import note

    opened = Index.open(index)
    if opened.model is None:
        raise BadInput(f"{index}: holds no images yet; add some with 'neardup index PATH'")
    model = find_model(opened.model.name)
    if model.digest != opened.model.digest:
        note(f"Warning: {index} was made with another version of {model.name}; run 'neardup index PATH --rebuild'")
    threshold = options.threshold(model, min_similarity, otherwise)
    _tell_what_to_expect(opened, model, threshold)
    rule: FolderRule | None = None
    if across or within:
        rule = FolderRule("across" if across else "within", tuple(path.absolute() for path in folder))
    policy = KeepPolicy(keep, tuple(path.absolute() for path in keep_under))  # type: ignore[arg-type]
    groups = find_groups(opened, min_similarity=threshold, keep=policy, folders=rule)
    return Grouping(groups, threshold, policy)


def _tell_what_to_expect(index: "Index", model: "Model", threshold: float) -> None:
    from neardup.evaluation.calibration import expected_false_matches
    from neardup.groups import RECALL
    from neardup.output import note
    from neardup.text import show_count

    n = len(index.live_rows)
    rate = model.expected_false_match_rate(threshold)
    if not model.thresholds:
        false = f"how many of them will be false is not known: {model.name} has no calibrated thresholds"
    elif rate is None:
        false = "how many of them will be false is not known: the similarity is below every calibrated threshold"
    else:
        expected = expected_false_matches(n, rate)
        false = f"{show_expected(expected)} are to be expected among {show_count(n, 'image')}, at most"
    note(f"Pairs at similarity {threshold:.3f} or above: {RECALL:.0%} or more are found, by theory; {false}.")


def show_expected(pairs: float) -> str:
    """`about 12 false pairs`, `fewer than 0.01 false pairs`."""
    if pairs < 0.01:
        return "fewer than 0.01 false pairs"
    return f"about {pairs:,.0f} false pairs" if pairs >= 10 else f"about {pairs:.1g} false pairs"
