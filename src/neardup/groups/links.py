"""Candidate pairs in, confirmed links out: pairs are looked at from the most similar on, until they are linked.

Two contents that confirmed links join already need no look: among copies of one picture that is most of the pairs.
Pictures set into others (a collage, a screen) are linked to what was pasted, and join nothing together.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neardup.groups.images import Images
from neardup.groups.looking import Looker, Progress
from neardup.groups.neighbours import Pairs
from neardup.matching.evidence import Evidence

# Pairs looked at together; the same for any number of threads, since it decides which looks are spared.
_BATCH = 64
# Looks at one content that found nothing, after which its other candidates are left out, but for those that had fewer
# such looks than the second: what is alone is not to be passed over because its neighbour resembles many.
MOST_REFUSED, FEW_REFUSED = 16, 4


@dataclass
class Totals:
    """Pairs of contents."""

    floor: float = 0.0  # cosine from which on they were candidates
    candidates: int = 0
    linked: int = 0  # joined by other links, so not looked at
    confirmed: int = 0
    refused: int = 0
    unread: int = 0  # one of the two could not be read
    left_out: int = 0  # beyond the looks that a content gets
    remembered: int = 0  # of those confirmed and refused: compared in an earlier run
    unreadable: list[tuple[str, str]] = field(default_factory=list)  # path and reason


@dataclass
class Links:
    """What looking has found."""

    evidence: dict[tuple[int, int], Evidence]  # of contents a < b that show one picture or one scene
    roots: "Components"
    totals: Totals


InOrder = Callable[[Pairs, Links, NDArray[np.int64]], Iterator[tuple[int, int]]]


class Components:
    """Union-find; the smallest content stands for its component."""

    def __init__(self, n: int) -> None:
        self._parent = np.arange(n, dtype=np.int64)

    def copy(self) -> "Components":
        copied = Components(0)
        copied._parent = self._parent.copy()
        return copied

    def find(self, content: int) -> int:
        parent = self._parent
        while parent[content] != content:
            parent[content] = parent[parent[content]]
            content = int(parent[content])
        return content

    def join(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        self._parent[max(a, b)] = min(a, b)


def confirm(
    images: Images,
    pairs: Pairs,
    looker: Looker,
    threads: ThreadPoolExecutor,
    *,
    floor: float,
    in_order: InOrder | None = None,
    on_progress: Progress = lambda stage, done, total: None,
) -> Links:
    """Look at candidates until every pair is linked, refused or left out.

    in_order: gives the pairs, in their order, after having others look at them
    """
    links = Links({}, Components(len(images)), Totals(floor=floor, candidates=len(pairs)))
    totals, roots = links.totals, links.roots
    refused = np.zeros(len(images), np.int64)
    if in_order is None:
        waiting: Iterator[tuple[int, int]] = iter(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True))
    else:
        waiting = in_order(pairs, links, refused)
    deferred: list[tuple[int, int]] = []
    while True:
        batch, deferred = _next_batch(deferred, waiting, links, refused)
        if not batch and not deferred:
            break
        for (a, b), found in zip(batch, looker.look_at_all(batch, threads), strict=True):
            if found is None:
                totals.unread += 1
                continue
            if found.relation != "other":
                links.evidence[a, b] = found
            if not found.is_confirmed:
                refused[[a, b]] += 1
                totals.refused += 1
                continue
            totals.confirmed += 1
            refused[[a, b]] = 0
            if not is_pasted(found):
                roots.join(a, b)
        done = totals.linked + totals.confirmed + totals.refused + totals.unread + totals.left_out
        on_progress("look", done, len(pairs))
        looker.record_if_due()
    on_progress("look", len(pairs), len(pairs))  # the last ones may all have been linked
    totals.remembered = looker.remembered
    for content, reason in sorted(looker.unreadable.items()):
        totals.unreadable.append((str(images.path(images.of(content)[0])), reason))
    return links


def is_pasted(found: Evidence) -> bool:
    """Whether one of the two was set into the other, among other things: that joins nothing together."""
    return found.is_confirmed and (found.holds("a") or found.holds("b"))


def is_container(found: Evidence) -> bool:
    """Whether B was pasted into A, which is something else; not where the same can be said of A and B."""
    return found.is_confirmed and found.holds("a") and not found.holds("b")


def is_left_out(refused: NDArray[np.int64], a: int, b: int) -> bool:
    """refused: looks at each content that found nothing"""
    return bool(max(refused[a], refused[b]) >= MOST_REFUSED and min(refused[a], refused[b]) >= FEW_REFUSED)


def _next_batch(
    deferred: list[tuple[int, int]],
    waiting: Iterator[tuple[int, int]],
    links: Links,
    refused: NDArray[np.int64],
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs to look at now, and those that need no look if these are confirmed."""
    totals, roots = links.totals, links.roots
    batch: list[tuple[int, int]] = []
    later: list[tuple[int, int]] = []
    hoped: dict[int, int] = {}  # roots that the batch would join

    def hope(root: int) -> int:
        while root in hoped:
            root = hoped[root]
        return root

    def sort_in(a: int, b: int) -> None:
        first, second = roots.find(a), roots.find(b)
        if first == second:
            totals.linked += 1
        elif is_left_out(refused, a, b):
            totals.left_out += 1
        elif hope(first) == hope(second):
            later.append((a, b))
        else:
            batch.append((a, b))
            hoped[max(hope(first), hope(second))] = min(hope(first), hope(second))

    for position, (a, b) in enumerate(deferred):
        if len(batch) == _BATCH:
            later += deferred[position:]
            break
        sort_in(a, b)
    while len(batch) < _BATCH and (pair := next(waiting, None)) is not None:
        sort_in(*pair)
    return batch, later
