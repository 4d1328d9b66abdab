"""Which of several versions was there first: the source of crops, the picture without bars, screens and writing.

A link tells only of the two that it joins, and most pairs are never looked at: a screenshot may be joined by another
screenshot. So of each component the one that would be kept is compared with all others, and gives way to the next one
if it was made from one of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.groups.links import Links, is_container
from neardup.matching.evidence import Evidence

# Evidence of two contents, the first as A; None where one of them cannot be read now.
Compare = Callable[[int, int], Evidence | None]

# Components from this size on are gone through on several threads, so many pairs at once.
_LARGE = 32
# In one component, so many give way at the most.
_MOST_BEATEN = 16
# A majority after which the rest is not asked.
_CLEAR = 6


@dataclass(frozen=True)
class Standing:
    """(contents,) each."""

    containers: NDArray[np.bool_]  # what others were pasted into
    derived: NDArray[np.bool_]  # what was made from another: cropped, framed, written over


def standing_of(links: Links, contents: int) -> Standing:
    """What the links themselves tell."""
    found = Standing(np.zeros(contents, bool), np.zeros(contents, bool))
    for (a, b), evidence in links.evidence.items():
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
    by_origin: bool,
) -> None:
    """Find out what of each component was made from the rest; the first of what is left has then met all others.

    components: contents, the one to keep first
    by_origin:  whether that one gives way to what it was made from; else only to what it holds
    """
    small: list[list[int]] = []
    for component in components:
        if len(component) < _LARGE:
            small.append(component)
        else:
            _settle(standing, component, _several(compare, threads), by_origin=by_origin)
    list(threads.map(lambda component: _settle(standing, component, _one_by_one(compare), by_origin=by_origin), small))


_CompareAll = Callable[[int, Sequence[int]], Iterator[Evidence | None]]


def _settle(standing: Standing, component: list[int], compare: _CompareAll, *, by_origin: bool) -> None:
    first = component[0]
    beaten: list[int] = []
    while len(beaten) < _MOST_BEATEN:
        sources = _sources(standing, first, [c for c in component if c != first], compare, by_origin)
        following = next((source for source in sources if source not in beaten), None)
        if following is None:
            break
        beaten.append(first)
        first = following
    standing.derived[component[: component.index(first)]] = True
    standing.derived[first] = False


def _sources(standing: Standing, content: int, others: list[int], compare: _CompareAll, by_origin: bool) -> list[int]:
    """What a content was made from, in the given order; none if more was made from it.

    Of two versions each of which shows what the other lacks, one look may be wrong; that of most of them is not.
    """
    sources: list[int] = []
    made, holds = 0, 0
    for other, found in zip(others, compare(content, others), strict=True):
        if found is None or not found.is_confirmed:
            continue
        is_holder = is_container(found)
        holds += is_holder
        if is_holder or (by_origin and found.original == "b"):
            sources.append(other)
        elif is_container(found.reversed()) or (by_origin and found.original == "a"):
            made += 1
        if len(sources) - made >= _CLEAR:
            break
    if len(sources) <= made:
        return []
    standing.containers[content] |= 2 * holds > len(sources)
    return sources


def _one_by_one(compare: Compare) -> _CompareAll:
    return lambda first, others: (compare(first, other) for other in others)


def _several(compare: Compare, threads: ThreadPoolExecutor) -> _CompareAll:
    def compare_all(first: int, others: Sequence[int]) -> Iterator[Evidence | None]:
        for start in range(0, len(others), _LARGE):
            yield from threads.map(lambda other: compare(first, other), others[start : start + _LARGE])

    return compare_all
