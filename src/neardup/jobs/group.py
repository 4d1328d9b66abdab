"""Groups of near-duplicates in an index, as `groups`, `dedup` and `review` find them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from neardup.embedding import cores, find_model
from neardup.errors import BadInput
from neardup.groups import DuplicateGroup, FolderRule, KeepPolicy, Totals, find_groups
from neardup.groups.ahead import Workers
from neardup.groups.looking import Progress
from neardup.index import Index


@dataclass(frozen=True)
class GroupOptions:
    """How groups are found.

    min_similarity: a number or a threshold's name: trust the embedding alone; None: look at the pictures
    similar:        take in what shows the same scene, too
    """

    min_similarity: str | float | None = None
    similar: bool = False
    keep: KeepPolicy = field(default_factory=KeepPolicy)
    folders: FolderRule | None = None


@dataclass(frozen=True)
class Grouping:
    """The groups to come, and what they were asked to be."""

    groups: Iterator[DuplicateGroup]
    min_similarity: float | None  # None: the pictures decide
    keep: KeepPolicy
    root: Path | None = None  # the folder that all images of the index lie below


def group_images(
    index: Path,
    options: GroupOptions,
    *,
    workers: Workers | None = None,
    say: Callable[[str], None] = lambda line: None,
    on_progress: Progress = lambda stage, done, total: None,
    on_totals: Callable[[Totals], None] = lambda totals: None,
) -> Grouping:
    """Find the groups of an index; the work is done when they are asked for.

    workers:     do what can be done in advance: neardup.distributed
    on_progress: as that of `find_groups`
    on_totals:   called once, before the first group, with what looking at pairs came to
    Raises BadInput, DamagedIndex.
    """
    opened = Index.open(index)
    if opened.model is None:
        raise BadInput(f"{index}: holds no images yet; add some with 'neardup index PATH'")
    model = find_model(opened.model.name)
    if model.digest != opened.model.digest:
        say(f"Warning: {index} was made with another version of {model.name}; run 'neardup index PATH --rebuild'")
    threshold = None if options.min_similarity is None else model.threshold(options.min_similarity, say)
    groups = find_groups(
        opened,
        min_similarity=threshold,
        similar=options.similar,
        keep=options.keep,
        folders=options.folders,
        threads=cores(),
        workers=workers,
        on_progress=on_progress,
        on_totals=on_totals,
        say=say,
    )
    return Grouping(groups, threshold, options.keep, opened.root)
