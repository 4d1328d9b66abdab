"""Candidate pairs in, confirmed links out, groups after: the embedding proposes, the pictures decide.

neighbours (candidates by cosine) ─▶ links (looked at: matching) ─▶ ties, assign (groups around a keeper) ─▶ members
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.hardware import cores
from neardup.errors import BadInput
from neardup.groups.ahead import Ahead, Workers
from neardup.groups.assign import Assignment, Group, Ties
from neardup.groups.folders import FolderRule, number_folders
from neardup.groups.images import UNKNOWN, Images
from neardup.groups.keep import Candidates, KeepPolicy, Ranking, Reason, rank
from neardup.groups.links import Totals, confirm
from neardup.groups.looking import Looker, Progress
from neardup.groups.members import DuplicateGroup, Member, pairs_of_group
from neardup.groups.neighbours import Neighbours, neighbours_of, pairs_above, propose
from neardup.groups.standing import Compare, Standing, settle, standing_of
from neardup.groups.ties import ConfirmedTies, CosineTies, relation_to_keeper
from neardup.groups.units import Units
from neardup.groups.why import in_words
from neardup.index import Index
from neardup.index.notes import Pair, Verdict
from neardup.matching.threads import on_one_thread
from neardup.matching.words import SAME_FILE, SAME_PIXELS, change, lost
from neardup.text import show_count

__all__ = ["DuplicateGroup", "FolderRule", "KeepPolicy", "Member", "Totals", "find_groups", "pairs_of_group"]

# From here on two images of one size are worth reading, to see whether they are the same pixel for pixel.
_SAME = 0.999
# From here on two images have the same margins, if any: a photo is at most 0.94 like itself with a border of 3 %, and a
# bordered photo at least 0.99 like a compressed and smaller copy.
_FRAMED_ALIKE = 0.985
_DAMAGED_SHOWN = 5


def find_groups(
    index: Index,
    *,
    min_similarity: float | None = None,
    similar: bool = False,
    keep: KeepPolicy | None = None,
    folders: FolderRule | None = None,
    verdicts: Mapping[Pair, Verdict] | None = None,
    threads: int | None = None,
    workers: Workers | None = None,
    on_progress: Progress = lambda stage, done, total: None,
    on_totals: Callable[[Totals], None] = lambda totals: None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[DuplicateGroup]:
    """Groups of near-duplicates, by the path of their keeper.

    min_similarity: trust the embedding alone, at this cosine; None: look at the pictures
    similar:    let a keeper take in what shows the same scene, too
    verdicts:   those to honour; None: the index's own
    workers:    do what can be done in advance; the groups are the same
    on_progress: called with a stage, how much of it is done, and of how much: from any thread, the last of "describe"
                before its group
    on_totals:  called once, before the first group, with what looking at the pictures came to
    say:        called with warnings
    Memory: the embeddings once more as float16, some 200 bytes and the path for each image, 50 for each candidate, and
    at most 1.7 GiB of pictures and keypoints. What was found is kept in the index. Raises BadInput, DamagedIndex.
    """
    if min_similarity is not None and not -1 <= min_similarity <= 1:
        raise BadInput(f"min_similarity={min_similarity}: between -1 and 1")
    if index.images < 2:
        on_totals(Totals())
        return
    images = Images(index)
    if images.astray:
        say(_damage(images.astray))
    if len(images.paths) < 2:
        on_totals(Totals())
        return
    units = Units(images, index.notes.verdicts() if verdicts is None else verdicts)
    run = _Run(images, units, keep or KeepPolicy(), folders)
    with Looker(images) as looker:
        if min_similarity is not None:
            found = run.by_cosine(min_similarity)
        else:
            ahead = None if workers is None else Ahead(images, looker, workers)
            found = run.by_looking(looker, similar, threads or cores(), ahead, on_progress, on_totals)
            if ahead is not None:
                ahead.pixels(_to_compare_by_pixels(images, found.groups))
        groups = sorted(found.groups, key=lambda group: images.paths[group.members[0]])
        for number, group in enumerate(groups, 1):
            described = _described(images, units, looker, group, found)
            on_progress("describe", number, len(groups))
            yield described


@dataclass(frozen=True)
class _Found:
    """The groups, and what says why their members come in this order."""

    groups: list[Group]
    ranking: Ranking
    compare: Compare | None = None  # where the pictures were looked at


def _damage(paths: list[bytes]) -> str:
    shown = ", ".join(os.fsdecode(path) for path in sorted(paths)[:_DAMAGED_SHOWN])
    more = f" and {len(paths) - _DAMAGED_SHOWN:,} more" if len(paths) > _DAMAGED_SHOWN else ""
    return (
        f"Warning: the embeddings of {show_count(len(paths), 'image')} are damaged, and in no group: {shown}{more};"
        " 'neardup index PATH --rebuild' makes them anew"
    )


@dataclass(frozen=True)
class _Run:
    images: Images
    units: Units
    keep: KeepPolicy
    rule: FolderRule | None

    def by_cosine(self, min_similarity: float) -> _Found:
        neighbours = neighbours_of(pairs_above(self.images, min_similarity), len(self.images))
        ties = CosineTies(self.images, neighbours, min_similarity)
        everything = np.zeros(len(self.images), np.int64)
        margins = _shared_margins(self.images, neighbours)
        return self._assign(ties, self._rank(margins, Standing.of(len(self.images)), everything))

    def by_looking(
        self,
        looker: Looker,
        similar: bool,
        threads: int,
        ahead: Ahead | None,
        on_progress: Progress,
        on_totals: Callable[[Totals], None],
    ) -> _Found:
        pairs, floor = propose(
            self.images, ahead.exact_pairs if ahead else None, lambda done, total: on_progress("propose", done, total)
        )
        in_order = ahead.candidates if ahead else None
        margins = _shared_margins(self.images, neighbours_of(pairs, len(self.images)))
        with on_one_thread(), ThreadPoolExecutor(threads, "look") as pool:
            links = confirm(self.images, pairs, looker, pool, floor=floor, in_order=in_order, on_progress=on_progress)
            ties = ConfirmedTies(self.images, links, looker, pool, similar=similar)
            pixels = self.images.pixels
            standing = standing_of(links, pixels)
            roots = np.fromiter(map(links.roots.find, range(len(self.images))), np.int64, len(self.images))
            components = self._components(roots, self._rank(margins, standing, roots).order)
            if ahead is not None:
                ahead.with_firsts(components, ties)
            by_origin = self.keep.asks_for_origin
            settle(
                standing, components, ties.look_closely, pool, pixels=pixels, by_origin=by_origin,
                on_progress=lambda done, total: on_progress("settle", done, total),
            )  # fmt: skip
            found = self._assign(ties, self._rank(margins, standing, roots))
            on_totals(links.totals)
            return replace(found, compare=ties.evidence)

    def _components(self, roots: NDArray[np.int64], order: NDArray[np.int64]) -> list[list[int]]:
        """Contents that links join, those to keep first; of what is damaged nothing is known to have been first."""
        found: dict[int, list[int]] = {}
        for image in order.tolist():
            content = int(self.images.contents[image])
            if self.images.damaged[image] is None:
                found.setdefault(int(roots[content]), []).append(content)
        components = (list(dict.fromkeys(contents)) for contents in found.values())
        return [component for component in components if len(component) > 1]

    def _assign(self, ties: Ties, ranking: Ranking) -> _Found:
        folders = number_folders(self.images.paths, self.rule)
        groups = Assignment(self.images, ties, ranking.order, self.units, self.rule, folders).run()
        return _Found(groups, ranking)

    def _rank(self, margins: NDArray[np.float32], standing: Standing, roots: NDArray[np.int64]) -> Ranking:
        """Images, those to keep first; roots: (contents,) what stands for the component of each."""
        images = self.images
        candidates = Candidates(
            paths=images.paths,
            widths=images.widths,
            heights=images.heights,
            margins=margins,
            sizes=images.sizes,
            times=images.times,
            taken=images.taken,
            camera=images.camera,
            quality=images.quality,
            damaged=np.array([damaged is not None for damaged in images.damaged], bool)
            | standing.decayed[images.contents],
            containers=standing.containers[images.contents],
            derived=standing.derived[images.contents],
            coarse=standing.coarse[images.contents],
            finest=standing.finest[images.contents],
            components=roots[images.contents],
        )
        return rank(self.keep, candidates)


def _shared_margins(images: Images, neighbours: Neighbours) -> NDArray[np.float32]:
    """(n,) of each image the greatest margin among what resembles it so closely that it is set in the same frame.

    Measured in each by itself, a margin is a little smaller in a compressed copy, and none where something was
    written on it: a copy of a bordered picture would seem to show more than the picture.
    """
    measured = np.zeros(len(images), np.float32)
    measured[images.contents] = images.margins
    source = np.repeat(np.arange(len(measured)), np.diff(neighbours.starts))
    framed_alike = neighbours.similarities >= _FRAMED_ALIKE
    shared = measured.copy()
    np.maximum.at(shared, source[framed_alike], measured[neighbours.contents[framed_alike]])
    return shared[images.contents]


def _to_compare_by_pixels(images: Images, groups: Iterable[Group]) -> Iterator[int]:
    for group in groups:
        keeper, *others = images.contents[list(group.members)].tolist()
        for content in others:
            if _may_be_same_pixels(images, images.similarity(content, keeper), keeper, content):
                yield from (keeper, content)


def _may_be_same_pixels(images: Images, similarity: float, keeper: int, content: int) -> bool:
    return content != keeper and similarity >= _SAME and images.size(keeper) == images.size(content)


def _described(images: Images, units: Units, looker: Looker, group: Group, found: _Found) -> DuplicateGroup:
    first, *others = group.members
    keeper = int(images.contents[first])
    kept = replace(_member(images, first, keeper), relation="exact")
    members = [
        _compared(images, looker, _member(images, image, keeper), keeper, int(images.contents[image]), found.compare)
        for image in others
    ]
    unit = units.find(keeper)
    members = [
        replace(
            member,
            told=int(images.contents[image]) != keeper and units.find(int(images.contents[image])) == unit,
            why=_why(found.ranking.reason(first, image), kept, member),
        )
        for member, image in zip(members, others, strict=True)
    ]
    members.sort(key=lambda member: (-member.similarity, os.fsencode(member.path)))
    return DuplicateGroup((kept, *members))


def _why(reason: Reason | None, keeper: Member, member: Member) -> str | None:
    return None if reason is None else in_words(reason, keeper, member)


def _member(images: Images, image: int, keeper: int) -> Member:
    content = int(images.contents[image])
    return Member(
        path=images.path(image),
        similarity=images.similarity(content, keeper),
        relation="exact" if content == keeper else None,
        width=int(images.widths[image]),
        height=int(images.heights[image]),
        size_bytes=int(images.sizes[image]),
        mtime_ns=int(images.times[image]),
        digest=images.digest(content),
        label=images.labels[image],
        margin=float(images.margins[image]),
        taken_ms=None if images.taken[image] == UNKNOWN else int(images.taken[image]),
        camera=int(images.camera[image]),
        quality=int(images.quality[image]) or None,
        damaged=images.damaged[image],
    )


def _compared(
    images: Images, looker: Looker, member: Member, keeper: int, content: int, compare: Compare | None
) -> Member:
    """The member with its relation to the keeper."""
    if content == keeper:
        return replace(member, change=SAME_FILE)
    size_a, size_b = images.size(keeper), images.size(content)
    a, b = min(keeper, content), max(keeper, content)
    if _may_be_same_pixels(images, member.similarity, keeper, content) and looker.shows_same_pixels(a, b):
        return replace(member, relation="exact", change=SAME_PIXELS)
    found = compare(keeper, content) if compare is not None else None
    if found is None:
        return member
    relation = relation_to_keeper(found)
    return replace(
        member,
        relation="similar" if relation == "other" else relation,
        change=change(found, size_a, size_b),
        shows_more=None if relation == "copy" else lost(found.reversed(), size_b, size_a),
        evidence=found,
    )
