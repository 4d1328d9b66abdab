"""Candidates and looks on Ray: the workers of `neardup groups --ray`.

Products of embeddings go out in the blocks in which one process makes them; looks go out in blocks of pairs that share
pictures, so that a picture is read once a block. What comes back is evidence, some 200 bytes a pair: neither pixels nor
keypoints leave the worker that read them. Which pairs are looked at, and what is made of them, is neardup.groups'.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.distributed import tasks
from neardup.distributed.session import open_ray, total
from neardup.errors import ClusterFailed, UnreadableImage
from neardup.groups.ahead import Wanted
from neardup.groups.images import Images
from neardup.groups.links import Components
from neardup.groups.looking import Comparer, content_of
from neardup.groups.neighbours import pairs_of_block
from neardup.matching.evidence import Evidence
from neardup.matching.pixels import pixel_digest
from neardup.matching.threads import on_one_thread

# Looks of a task, a second or two; and those sent out before the next ones are chosen, for each core.
_LOOKS, _LOOKS_PER_CORE = 48, 256
_FILES, _PRODUCTS = 64, 4
_LOST = "the process that compared it ended, each time it was tried"


@contextmanager
def workers_on_ray(address: str) -> Iterator["RayWorkers"]:
    """address: of a cluster, or session.LOCAL. Raises MissingPackage, ClusterFailed."""
    with open_ray(address) as ray:
        yield RayWorkers(ray)


class RayWorkers:
    """`neardup.groups.ahead.Workers`."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._unread: dict[int, str] = {}
        self._in_doubt: set[Path] = set()
        self.looks = 0

    @property
    def chunk(self) -> int:
        return _LOOKS_PER_CORE * max(1, int(total(self._ray, "CPU")))

    def exact_pairs(self, unit: NDArray[np.float32], starts: Sequence[int]) -> Iterator[NDArray[np.int64]]:
        work = Products(self._ray.put(unit))
        for _, found in tasks.run(self._ray, _blocks(starts, _PRODUCTS), lambda block: work):
            if found is None:  # no picture is to blame
                raise ClusterFailed("Ray: workers that compare embeddings end; give them more memory")
            yield found

    def look(self, images: Images, wanted: Sequence[Wanted]) -> Iterator[tuple[Wanted, Evidence | None]]:
        def comparing(block: Sequence[Wanted]) -> Looks:
            return Looks(_files(images, {content for each in block for content in (each.a, each.b)}))

        for block, found in tasks.run(self._ray, _blocks(_sharing(wanted, len(images)), _LOOKS), comparing):
            if found is None:
                self._unread.update(dict.fromkeys((block[0].a, block[0].b), _LOST))
                yield block[0], None
                continue
            self.looks += len(block)
            self._unread.update(found.unreadable)
            self._in_doubt |= found.in_doubt
            yield from zip(block, found.evidence, strict=True)

    def why_unread(self) -> dict[int, str]:
        return self._unread

    def in_doubt(self) -> set[Path]:
        return self._in_doubt

    def pixels(self, images: Images, contents: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        blocks = _blocks(contents, _FILES)
        for _, found in tasks.run(self._ray, blocks, lambda block: PixelDigests(_files(images, block))):
            if found is not None:
                self._in_doubt |= found.in_doubt
                yield from found.digests.items()


def _blocks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _sharing(wanted: Sequence[Wanted], contents: int) -> list[Wanted]:
    """Looks that have pictures in common after each other."""
    joined = Components(contents)
    for each in wanted:
        joined.join(each.a, each.b)
    return sorted(wanted, key=lambda each: (joined.find(each.a), each.a, each.b))


@dataclass(frozen=True)
class Files:
    """Contents and where they lie: `neardup.groups.looking.Contents`, of as many as a task needs."""

    digests: dict[int, bytes]
    paths: dict[int, tuple[Path, ...]]

    def digest(self, content: int, /) -> bytes:
        return self.digests[content]

    def of(self, content: int, /) -> Sequence[Any]:
        return self.paths[content]

    def path(self, image: Any, /) -> Path:
        return Path(image)


def _files(images: Images, contents: Iterable[int]) -> Files:
    contents = sorted(contents)
    return Files(
        {content: images.digest(content) for content in contents},
        {content: tuple(images.path(image) for image in images.of(content)) for content in contents},
    )


@dataclass(frozen=True)
class Products:
    """Blocks of products, by their first rows."""

    unit: Any  # (contents, dim) float32, in Ray's store, mapped by every worker of a machine

    def __call__(self, starts: Sequence[int]) -> NDArray[np.int64]:
        import ray

        unit: NDArray[np.float32] = ray.get(self.unit)
        with on_one_thread():
            return np.unique(np.concatenate([pairs_of_block(unit, start) for start in starts]))


@dataclass(frozen=True)
class Compared:
    evidence: list[Evidence | None]
    unreadable: dict[int, str]
    in_doubt: set[Path]


@dataclass(frozen=True)
class Digested:
    digests: dict[int, bytes]
    in_doubt: set[Path]


@dataclass(frozen=True)
class Looks:
    files: Files

    def __call__(self, wanted: Sequence[Wanted]) -> Compared:
        in_doubt: set[Path] = set()
        comparer = Comparer(self.files, in_doubt.add)
        with on_one_thread():
            found = [comparer.compare(*each) for each in wanted]
        return Compared(found, comparer.unreadable, in_doubt)


@dataclass(frozen=True)
class PixelDigests:
    files: Files

    def __call__(self, contents: Sequence[int]) -> Digested:
        found, in_doubt = dict[int, bytes](), set[Path]()
        for content in contents:
            with suppress(UnreadableImage):  # asked again, and told, where the two are compared
                found[content] = pixel_digest(content_of(self.files, content, in_doubt.add)) or b""
        return Digested(found, in_doubt)
