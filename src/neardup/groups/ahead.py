"""Work that others do before it is asked for: what they find is the same, and what is decided stays here.

Links are confirmed one after the other, since each spares later looks. Workers look at many candidates at once, those
that nothing has linked yet, and a few of their looks turn out not to have been needed; none changes what is found.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from neardup.groups.images import Images
from neardup.groups.links import Components, Links, is_left_out, is_pasted
from neardup.groups.looking import Looker
from neardup.groups.neighbours import Pairs
from neardup.groups.ties import ConfirmedTies
from neardup.matching.evidence import Evidence
from neardup.matching.maps import Matrix


class Wanted(NamedTuple):
    """A look at contents a < b, as `Looker.look` takes it."""

    a: int
    b: int
    likely: Matrix | None = None
    by_sketch: bool = False  # `Looker.begins_with_sketch`


class Workers(Protocol):
    """Other processes: neardup.distributed.groups."""

    @property
    def chunk(self) -> int:
        """Looks that are worth sending at once."""
        ...

    def exact_pairs(self, unit: NDArray[np.float32], starts: Sequence[int]) -> Iterable[NDArray[np.int64]]:
        """`neighbours.pairs_of_block` for each of these first rows, in any order."""
        ...

    def look(self, images: Images, wanted: Sequence[Wanted]) -> Iterator[tuple[Wanted, Evidence | None]]:
        """Each look with its evidence, in any order; None where one of the two cannot be read."""
        ...

    def why_unread(self) -> dict[int, str]:
        """Of contents that could not be read so far, the reason."""
        ...

    def in_doubt(self) -> set[Path]:
        """Files read so far whose bytes are not those that were indexed."""
        ...

    def pixels(self, images: Images, contents: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """The pixel digest of each content, empty where there is none."""
        ...


class Ahead:
    """One run's work for others."""

    def __init__(self, images: Images, looker: Looker, workers: Workers) -> None:
        self._images, self._looker, self._workers = images, looker, workers

    def exact_pairs(self, unit: NDArray[np.float32], starts: Sequence[int]) -> Iterable[NDArray[np.int64]]:
        return self._workers.exact_pairs(unit, starts)

    def candidates(self, pairs: Pairs, links: Links, refused: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """The pairs in their order; before each chunk, those of it are looked at that are not linked by then."""
        for start in range(0, len(pairs), self._workers.chunk):
            stop = start + self._workers.chunk
            chunk = list(zip(pairs.a[start:stop].tolist(), pairs.b[start:stop].tolist(), strict=True))
            roots = links.roots.copy()
            open_pairs = [(a, b) for a, b in chunk if not is_left_out(refused, a, b)]
            # First those that would link all the others if they were confirmed, then what is not linked by these.
            self._look_at(_spanning(open_pairs, roots), roots)
            self._look_at([(a, b) for a, b in open_pairs if roots.find(a) != roots.find(b)], roots)
            yield from chunk

    def _look_at(self, pairs: Iterable[tuple[int, int]], roots: Components) -> None:
        for wanted, found in self._look([self._wanted(a, b) for a, b in pairs]):
            if found is not None and found.is_confirmed and not is_pasted(found):
                roots.join(wanted.a, wanted.b)

    def _look(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Wanted, Evidence | None]]:
        new = [each for each in wanted if not self._looker.is_known(each.a, each.b)]
        for each, found in self._workers.look(self._images, new):
            self._looker.expect(each.a, each.b, each.likely, found)
            yield each, found
        self._looker.unreadable.update(self._workers.why_unread())
        self._take_doubts()

    def _wanted(self, a: int, b: int, likely: Matrix | None = None) -> Wanted:
        return Wanted(a, b, likely, self._looker.begins_with_sketch(a, b, likely))

    def _take_doubts(self) -> None:
        for path in self._workers.in_doubt():
            self._looker.doubt(path)

    def with_firsts(self, components: Iterable[Sequence[int]], ties: ConfirmedTies) -> None:
        """Look at the first of each component with all others of it, as settling it will."""
        wanted = []
        for first, *others in components:
            for other in others:
                a, b = min(first, other), max(first, other)
                wanted.append(self._wanted(a, b, ties.composed(a, b)))
        for start in range(0, len(wanted), self._workers.chunk):
            for _ in self._look(wanted[start : start + self._workers.chunk]):
                pass

    def pixels(self, contents: Iterable[int]) -> None:
        """Read what will be compared pixel for pixel."""
        unknown = sorted({content for content in contents if not self._looker.pixels_known(content)})
        for content, pixels in self._workers.pixels(self._images, unknown):
            self._looker.expect_pixels(content, pixels)
        self._take_doubts()


def _spanning(pairs: Iterable[tuple[int, int]], roots: Components) -> list[tuple[int, int]]:
    """Of these pairs, each that joins what none before it has joined."""
    hoped = roots.copy()
    found = []
    for a, b in pairs:
        if hoped.find(a) != hoped.find(b):
            hoped.join(a, b)
            found.append((a, b))
    return found
