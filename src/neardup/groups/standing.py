"""Which of several versions was there first: the source of crops, the picture without bars, screens and writing.

A link tells only of the two that it joins, and most pairs are never looked at: a screenshot may be joined by another
screenshot. So of each component the one that would be kept is compared with others, and gives way to what it was made
from, if the others agree that this one was there earlier.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.groups.links import Links, is_container
from neardup.matching.evidence import MORE, Evidence

# Evidence of two contents, the first as A; None where one of them cannot be read now.
Compare = Callable[[int, int], Evidence | None]

MANY = np.iinfo(np.int64).max
# Components from this size on are gone through on several threads, so many pairs at once.
_LARGE = 32
# So many are asked which one was there first, and so many of those that seem to have been are asked in turn.
_ASKED, _RIVALS = 16, 3
# By how much more of the others must something be older than the one that it differs from, where the two tell nothing.
_CLEAR = 4


@dataclass(frozen=True)
class Standing:
    """(contents,) each."""

    containers: NDArray[np.bool_]  # what others were pasted into
    derived: NDArray[np.bool_]  # what was made from another: cropped, framed, written over
    coarse: NDArray[np.bool_]  # what has less detail than its pixels could hold: enlarged, blurred
    decayed: NDArray[np.bool_]  # files with bytes that changed since they were like another
    finest: NDArray[np.int64]  # of what may be enlarged, the pixels of what it may be enlarged from; else MANY

    @classmethod
    def of(cls, contents: int) -> "Standing":
        """Of which nothing is known yet."""
        containers, derived, coarse, decayed = np.zeros((4, contents), bool)
        return cls(containers, derived, coarse, decayed, np.full(contents, MANY))

    def note(self, a: int, b: int, found: Evidence, pixels: NDArray[np.int64]) -> None:
        """found: of contents a and b; pixels: (contents,) of each."""
        # What one of them alone shows may be finer than the rest.
        alike = max(found.more_a, found.more_b) < MORE
        for content, other, side in ((a, b, "a"), (b, a, "b")):
            self.coarse[content] |= alike and side in (found.enlarged, found.blurred)
            self.decayed[content] |= side == found.decayed
            if alike and side == found.no_finer:
                self.finest[content] = min(self.finest[content], pixels[other])


def standing_of(links: Links, pixels: NDArray[np.int64]) -> Standing:
    """What the links themselves tell; pixels: (contents,) of each."""
    found = Standing.of(len(pixels))
    for (a, b), evidence in links.evidence.items():
        if evidence.is_confirmed:
            found.note(a, b, evidence, pixels)
        found.containers[a] |= is_container(evidence)
        found.containers[b] |= is_container(evidence.reversed())
        found.derived[b] |= evidence.original == "a"
        found.derived[a] |= evidence.original == "b"
    return found


def settle(
    standing: Standing,
    components: Iterable[list[int]],
    compare: Compare,
    threads: ThreadPoolExecutor,
    *,
    pixels: NDArray[np.int64],
    by_origin: bool,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Find out what of each component was made from the rest; the first of what is left has then met all others.

    components: contents, the one to keep first
    pixels:     (contents,) of each
    by_origin:  whether that one gives way to what it was made from; else only to what it holds
    on_progress: called with the contents whose component is gone through, and with that of all
    """
    waiting = sorted(components, key=len, reverse=True)
    done, total, counting = 0, sum(map(len, waiting)), threading.Lock()

    def noted(a: int, b: int) -> Evidence | None:
        found = compare(a, b)
        if found is not None and found.is_confirmed:
            standing.note(a, b, found, pixels)
        return found

    def settled(component: list[int], compare_all: _CompareAll) -> None:
        nonlocal done
        _settle(standing, component, compare_all, by_origin=by_origin)
        with counting:
            done += len(component)
            on_progress(done, total)

    large = [component for component in waiting if len(component) >= _LARGE]
    for component in large:
        settled(component, _several(noted, threads))
    list(threads.map(lambda component: settled(component, _one_by_one(noted)), waiting[len(large) :]))


_CompareAll = Callable[[int, Sequence[int]], Iterator[Evidence | None]]


def _settle(standing: Standing, component: list[int], compare: _CompareAll, *, by_origin: bool) -> None:
    asked, rest = component[:_ASKED], component[_ASKED:]

    def earlier(row: "_Row", than: "_Row") -> "_Row | None":
        rivals = [(1, source) for source in row.sources[:_RIVALS]] + [(_CLEAR, other) for other in row.others[:_RIVALS]]
        rows = ((least, _row(content, asked, compare, by_origin)) for least, content in rivals)
        return next((found for least, found in rows if found.score >= than.score + least), None)

    first = _row(component[0], asked, compare, by_origin)
    # The score rises each time. The rest is compared with the one that stays, in any case.
    while better := earlier(first, first) or earlier(_row(first.content, rest, compare, by_origin), first):
        standing.containers[first.content] |= first.is_container
        first = better
    standing.derived[component[: component.index(first.content)]] = True
    standing.derived[first.content] = False


@dataclass(frozen=True)
class _Row:
    """What comparing one content with others has told."""

    content: int
    sources: list[int]  # what it was made from, in the given order
    others: list[int]  # what shows something else, and nobody knows which of the two was there first
    made: int  # how many were made from it
    is_container: bool

    @property
    def score(self) -> int:
        """One look may err, where each of two shows what the other lacks; most of them do not."""
        return self.made - len(self.sources)


def _row(content: int, component: list[int], compare: _CompareAll, by_origin: bool) -> _Row:
    sources: list[int] = []
    differing: list[int] = []
    made, holds = 0, 0
    others = [other for other in component if other != content]
    for other, found in zip(others, compare(content, others), strict=True):
        if found is None or not found.is_confirmed:
            continue
        holds += is_container(found)
        if is_container(found) or (by_origin and found.original == "b"):
            sources.append(other)
        elif is_container(found.reversed()) or (by_origin and found.original == "a"):
            made += 1
        elif by_origin and found.relation == "edited":
            differing.append(other)
    return _Row(content, sources, differing, made, 2 * holds > len(sources))


def _one_by_one(compare: Compare) -> _CompareAll:
    return lambda first, others: (compare(first, other) for other in others)


def _several(compare: Compare, threads: ThreadPoolExecutor) -> _CompareAll:
    def compare_all(first: int, others: Sequence[int]) -> Iterator[Evidence | None]:
        for start in range(0, len(others), _LARGE):
            yield from threads.map(lambda other: compare(first, other), others[start : start + _LARGE])

    return compare_all
