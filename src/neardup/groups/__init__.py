"""Matches to duplicate groups that never chain: everything in a group resembles the one image that is kept.

Images are taken in the order of the keep policy. One that resembles no keeper so far becomes a keeper; any other joins
the keeper that it resembles most. So

- every member reaches the threshold with its keeper, and no member is worth more than the keeper by the policy;
- no two keepers resemble each other, unless a verdict or a folder rule keeps them apart or their pair was not found;
- the groups follow from the images alone: contents are put in the order of their digests before anything is hashed,
  ties are broken by keep order or path, and similarities are summed in float64 and rounded to 1e-6. Neither the order
  of files nor of indexing changes them, nor the number of threads unless a hyperplane cuts an embedding to within
  rounding.

Pairs come from `neardup.lsh.find_pairs`: of the pairs exactly at the threshold it finds RECALL, by theory, and more of
the closer ones. Of a crowd (more than 64 images that resemble one) it gives only the pairs with that one; each of the
first KEEPERS_OF_A_CROWD keepers among them is therefore compared with all the others.

Verdicts come before similarity. Two contents told "not" never share a group. A content told to be a "duplicate" of
one that has a group joins that group, whatever the similarity. Where verdicts contradict each other, "not" wins.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput
from neardup.groups.keep import RAW_EXTENSIONS, KeepPolicy, extension, keep_order, prefixes
from neardup.index import Index
from neardup.index.notes import Pair, Verdict, load_verdicts
from neardup.lsh import find_pairs
from neardup.lsh.pairs import CROWD
from neardup.matching.pixels import PixelDigests

RECALL = 0.99
KEEPERS_OF_A_CROWD = 64
# The embeddings are float16: find_pairs must not lose a pair to their rounding, which the final similarity undoes.
_ROUNDING = 5e-4
# From here on two images of one size are worth reading, to see whether they are the same pixel for pixel.
_SAME = 0.9999
# From here on two images have the same margins, if any: a photo is at most 0.94 like itself with a border of 3 %, and a
# bordered photo at least 0.99 like a compressed and smaller copy.
_FRAMED_ALIKE = 0.985
_BLOCK_VALUES = 1 << 20

Relation = Literal["exact", "near"]


@dataclass(frozen=True)
class Member:
    """An image of a group, as it was when it was indexed."""

    path: Path
    similarity: float  # cosine to the keeper's
    relation: Relation  # to the keeper; exact: the same bytes or the same pixels
    width: int  # pixels, upright
    height: int
    size_bytes: int
    mtime_ns: int
    digest: bytes  # SHA-256 of the file
    label: str | None
    margin: float = 0.0  # share of the area that is a flat margin


@dataclass(frozen=True)
class DuplicateGroup:
    """The keeper first, then by falling similarity, then path; at least two."""

    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise ValueError("a group has at least two members")

    @property
    def keeper(self) -> Member:
        return self.members[0]


@dataclass(frozen=True)
class FolderRule:
    """Only images of one folder share a group ("within"), or a keeper takes only from other folders ("across").

    folders: an image belongs to the deepest of these that it lies below, others are left out; empty: to its parent
    """

    kind: Literal["across", "within"]
    folders: tuple[Path, ...] = ()


def find_groups(
    index: Index,
    *,
    min_similarity: float,
    keep: KeepPolicy | None = None,
    folders: FolderRule | None = None,
    verdicts: Mapping[Pair, Verdict] | None = None,
) -> Iterator[DuplicateGroup]:
    """Groups of near-duplicates, by the path of their keeper.

    verdicts: those to honour; None: the index's own
    Memory: the embeddings once more as float16, some 200 bytes and the path for each image, 16 for each pair. Files are
    read only where two images of one size are as good as equal, to compare their pixels; what was found is kept in the
    index. raises: BadInput, DamagedIndex
    """
    if not -1 <= min_similarity <= 1:
        raise BadInput(f"min_similarity={min_similarity}: between -1 and 1")
    if index.images < 2:
        return
    told = load_verdicts(index.folder) if verdicts is None else verdicts
    images = _Images(index)
    search = _Search(images, min_similarity, keep or KeepPolicy(), folders, told)
    found = sorted(search.run(), key=lambda group: images.paths[group.members[0]])
    with PixelDigests(index.folder) as pixels:
        for group in found:
            yield images.group(group.members, group.similarities, pixels)


class _Images:
    """The images of an index as arrays, one entry each; contents are numbered by ascending digest."""

    def __init__(self, index: Index) -> None:
        n = index.images
        self.paths: list[bytes] = []
        self.labels: list[str | None] = []
        rows, self.sizes, self.times = (np.empty(n, np.int64) for _ in range(3))
        self.widths, self.heights = (np.empty(n, np.int32) for _ in range(2))
        self.margins = np.empty(n, np.float32)
        digests = np.empty((n, 32), np.uint8)
        for i, image in enumerate(index):
            self.paths.append(bytes(image.path))
            self.labels.append(image.label)
            rows[i], self.sizes[i], self.times[i] = image.row, image.size_bytes, image.mtime_ns
            self.widths[i], self.heights[i], self.margins[i] = image.width, image.height, image.margin
            digests[i] = np.frombuffer(image.digest, np.uint8)
        unique_rows, first = np.unique(rows, return_index=True)
        words = digests[first].view(">u8")
        order = np.lexsort(tuple(words[:, i] for i in (3, 2, 1, 0)))
        self.digests = digests[first][order]  # (contents, 32) uint8
        number = np.empty(len(order), np.int64)
        number[order] = np.arange(len(order))
        self.contents = number[np.searchsorted(unique_rows, rows)]  # (n,) content of each image
        self.embeddings = _gather(index, unique_rows[order])
        self.norms = _norms(self.embeddings)

    def content_of(self, digest: bytes) -> int | None:
        low, high = 0, len(self.digests)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.digests[middle].tobytes() < digest else (low, middle)
        return low if low < len(self.digests) and self.digests[low].tobytes() == digest else None

    def similarities(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
        """Cosines of contents a and b, (p,) each, the same to 1e-6 wherever the rows lie in memory."""
        result = np.empty(len(a), np.float64)
        block = max(1, _BLOCK_VALUES // self.embeddings.shape[1])
        for start in range(0, len(a), block):
            i, j = a[start : start + block], b[start : start + block]
            products = np.einsum(
                "ij,ij->i", self.embeddings[i].astype(np.float64), self.embeddings[j].astype(np.float64)
            )
            result[start : start + block] = products / (self.norms[i] * self.norms[j])
        return np.clip(np.round(result, 6), -1, 1)

    def group(self, members: list[int], similarities: list[float], pixels: PixelDigests) -> DuplicateGroup:
        keeper, *others = (
            Member(
                Path(self.paths[i].decode("utf-8", "surrogateescape")),
                similarity,
                "exact" if self.contents[i] == self.contents[members[0]] else "near",
                int(self.widths[i]),
                int(self.heights[i]),
                int(self.sizes[i]),
                int(self.times[i]),
                self.digests[self.contents[i]].tobytes(),
                self.labels[i],
                float(self.margins[i]),
            )
            for i, similarity in zip(members, similarities, strict=True)
        )
        result = [_compared(keeper, other, pixels) for other in others]
        result.sort(key=lambda member: (-member.similarity, bytes(member.path)))
        return DuplicateGroup((keeper, *result))


def _compared(keeper: Member, other: Member, pixels: PixelDigests) -> Member:
    """The member, as exact where its file shows the same pixels as the keeper's."""
    if other.relation == "exact" or other.similarity < _SAME:
        return other
    if (other.width, other.height) != (keeper.width, keeper.height):
        return other
    first = pixels.of(keeper.path, keeper.digest)
    same = first is not None and first == pixels.of(other.path, other.digest)
    return replace(other, relation="exact") if same else other


@dataclass
class _Group:
    """A keeper, and what has joined it so far."""

    folder: int
    members: list[int]  # images, the keeper first
    similarities: list[float]
    units: set[int]
    stems: dict[int, bool]  # of RAW pairs, whether it is the RAW that is here


class _Search:
    """One run of the grouping: image by image in keep order, each joins a group or founds one."""

    def __init__(
        self,
        images: _Images,
        min_similarity: float,
        keep: KeepPolicy,
        rule: FolderRule | None,
        verdicts: Mapping[Pair, Verdict],
    ) -> None:
        self.images = images
        self.min_similarity = min_similarity
        self.starts, self.neighbours, self.near = _neighbours(images, min_similarity)
        self.is_crowd = np.diff(self.starts) > CROWD
        self.units = _Units(images, verdicts)
        self.rule = rule
        self.folders = _folders(images.paths, rule)
        self.partners = _partners(images.paths)
        self.order = keep_order(
            keep,
            paths=images.paths,
            widths=images.widths,
            heights=images.heights,
            margins=self._shared_margins(),
            sizes=images.sizes,
            times=images.times,
        )
        self.groups: list[_Group] = []
        # Groups by their keeper's content and folder, and by the units in them.
        self._kept: dict[int, dict[int, int]] = {}
        self._placed: dict[int, list[int]] = {}
        # For a crowd: keepers near its representative, each with its similarities to all that are.
        self._around: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}

    def run(self) -> list[_Group]:
        """The groups of two or more."""
        contents = self.images.contents
        alone = (np.diff(self.starts) == 0) & (np.bincount(contents, minlength=len(self.is_crowd)) == 1)
        alone[self.units.joined()] = False
        taking_part = ~alone[contents[self.order]] & (self.folders[self.order] >= 0)
        for image in self.order[taking_part].tolist():
            content = int(contents[image])
            unit = self.units.find(content)
            for similarity, number in self._candidates(content, unit, int(self.folders[image])):
                if self._may_join(image, unit, self.groups[number]):
                    self._join(image, unit, number, similarity)
                    break
            else:
                self._found(image, content, unit)
        return [group for group in self.groups if len(group.members) > 1]

    def _shared_margins(self) -> NDArray[np.float32]:
        """(n,) of each image the greatest margin among what resembles it so closely that it is set in the same frame.

        Measured in each by itself, a margin is a little smaller in a compressed copy, and none where something was
        written on it: a copy of a bordered picture would seem to show more than the picture.
        """
        contents = self.images.contents
        measured = np.zeros(len(self.images.digests), np.float32)
        measured[contents] = self.images.margins
        source = np.repeat(np.arange(len(measured)), np.diff(self.starts))
        framed_alike = self.near >= _FRAMED_ALIKE
        shared = measured.copy()
        np.maximum.at(shared, source[framed_alike], measured[self.neighbours[framed_alike]])
        return shared[contents]

    def _candidates(self, content: int, unit: int, folder: int) -> list[tuple[float, int]]:
        """Similarities to keepers and numbers of their groups: where its unit is, then by falling similarity."""
        found = [(1.0, number) for number in self._kept_with(content, folder)]
        slot = slice(self.starts[content], self.starts[content + 1])
        neighbours = self.neighbours[slot].tolist()
        for neighbour, similarity in zip(neighbours, self.near[slot].tolist(), strict=True):
            found += [(similarity, number) for number in self._kept_with(neighbour, folder)]
        for crowd in [neighbour for neighbour in neighbours if neighbour in self._around]:
            place = np.searchsorted(self.neighbours[self.starts[crowd] : self.starts[crowd + 1]], content)
            for number, similarities in self._around[crowd]:
                similarity = round(float(similarities[place]), 6)
                if similarity >= self.min_similarity:
                    found.append((similarity, number))
        found.sort(key=lambda candidate: (-candidate[0], candidate[1]))
        together = [(self._similarity(content, number), number) for number in self._placed.get(unit, ())]
        return together + found

    def _kept_with(self, content: int, folder: int) -> Iterable[int]:
        """The group, if any, whose keeper has this content and a folder that the rule allows; the first of several."""
        kept = self._kept.get(content)
        if kept is None:
            return ()
        if self.rule is not None and self.rule.kind == "across":
            return islice((number for other, number in kept.items() if other != folder), 1)
        return (kept[folder],) if folder in kept else ()

    def _similarity(self, content: int, number: int) -> float:
        keeper = self.images.contents[self.groups[number].members[0]]
        return float(self.images.similarities(np.array([content]), np.array([keeper]))[0]) if content != keeper else 1.0

    def _may_join(self, image: int, unit: int, group: _Group) -> bool:
        if self.rule is not None and (self.folders[image] == group.folder) != (self.rule.kind == "within"):
            return False
        stem, is_raw = self.partners.get(image, (-1, False))
        if group.stems.get(stem, is_raw) != is_raw:
            return False
        return not self.units.is_apart(unit, group.units)

    def _join(self, image: int, unit: int, number: int, similarity: float) -> None:
        group = self.groups[number]
        group.members.append(image)
        group.similarities.append(similarity)
        self._note(image, unit, number)

    def _found(self, image: int, content: int, unit: int) -> None:
        number = len(self.groups)
        self.groups.append(_Group(int(self.folders[image]), [image], [1.0], set(), {}))
        self._note(image, unit, number)
        kept = self._kept.setdefault(content, {})
        if self.groups[number].folder in kept:
            return  # whoever could join this group could join that one
        kept[self.groups[number].folder] = number
        slot = slice(self.starts[content], self.starts[content + 1])
        near = self.neighbours[slot].astype(np.int64)
        for crowd in near[self.is_crowd[near]].tolist():
            around = self._around.setdefault(crowd, [])
            if len(around) < KEEPERS_OF_A_CROWD:
                others = self.neighbours[self.starts[crowd] : self.starts[crowd + 1]].astype(np.int64)
                similarities = self.images.similarities(np.full(len(others), content), others)
                around.append((number, similarities.astype(np.float32)))

    def _note(self, image: int, unit: int, number: int) -> None:
        """What later images must know of this one to be in a group with it."""
        group = self.groups[number]
        if self.units.is_told(unit):
            group.units.add(unit)
            if number not in (placed := self._placed.setdefault(unit, [])):
                placed.append(number)
        if image in self.partners:
            stem, is_raw = self.partners[image]
            group.stems[stem] = is_raw


class _Units:
    """Contents that verdicts join, and units that verdicts keep apart; a content without verdicts is its own unit."""

    def __init__(self, images: _Images, verdicts: Mapping[Pair, Verdict]) -> None:
        self._unit: dict[int, int] = {}
        self._members: dict[int, list[int]] = {}
        self._apart: dict[int, set[int]] = {}
        pairs: dict[Verdict, list[tuple[int, int]]] = {"duplicate": [], "not": [], "later": []}
        for (first, second), verdict in sorted(verdicts.items()):
            a, b = images.content_of(first), images.content_of(second)
            if a is not None and b is not None and a != b:
                pairs[verdict].append((a, b))
        for a, b in pairs["not"]:
            self._apart.setdefault(a, set()).add(b)
            self._apart.setdefault(b, set()).add(a)
        for a, b in pairs["duplicate"]:
            self._join(self.find(a), self.find(b))

    def _join(self, a: int, b: int) -> None:
        if a == b or b in self._apart.get(a, ()):
            return
        joined = self.members(a) + self.members(b)
        self._members[a] = joined
        self._members.pop(b, None)
        self._unit |= dict.fromkeys(joined, a)
        for other in self._apart.pop(b, set()):
            self._apart[other].remove(b)
            self._apart[other].add(a)
            self._apart.setdefault(a, set()).add(other)

    def find(self, content: int) -> int:
        return self._unit.get(content, content)

    def members(self, content: int) -> list[int]:
        """The contents of this one's unit, itself among them."""
        unit = self.find(content)
        return self._members.get(unit, [unit])

    def is_told(self, unit: int) -> bool:
        """Whether any verdict is about this unit."""
        return unit in self._members or unit in self._apart

    def is_apart(self, unit: int, units: set[int]) -> bool:
        return not units.isdisjoint(self._apart.get(unit, ()))

    def joined(self) -> list[int]:
        """Every content in a unit of several."""
        return list(self._unit)


def _neighbours(
    images: _Images, min_similarity: float
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Of content c: neighbours[starts[c] : starts[c + 1]], ascending, and their similarities."""
    parts: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]] = []
    for a, b, _ in find_pairs(images.embeddings, min_similarity=max(-1.0, min_similarity - _ROUNDING), recall=RECALL):
        similarities = images.similarities(a, b)
        near = similarities >= min_similarity
        parts.append((a[near].astype(np.int32), b[near].astype(np.int32), similarities[near]))
    first = np.concatenate([np.empty(0, np.int32), *(part[0] for part in parts)])
    second = np.concatenate([np.empty(0, np.int32), *(part[1] for part in parts)])
    values = np.concatenate([np.empty(0), *(part[2] for part in parts)])
    parts.clear()
    source, target = np.concatenate([first, second]), np.concatenate([second, first])
    order = np.lexsort((target, source))
    starts = np.searchsorted(source[order], np.arange(len(images.digests) + 1))
    return starts, target[order], np.concatenate([values, values])[order]


def _gather(index: Index, rows: NDArray[np.int64]) -> NDArray[np.float16]:
    """These rows of the index's embeddings, in this order."""
    parts = index.embeddings
    result = np.empty((len(rows), parts[0].shape[1]), np.float16)
    offset = 0
    for part in parts:
        here = np.flatnonzero((rows >= offset) & (rows < offset + len(part)))
        # In the order of the file, which is read once from front to back.
        here = here[np.argsort(rows[here])]
        result[here] = part[rows[here] - offset]
        offset += len(part)
    return result


def _norms(embeddings: NDArray[np.float16]) -> NDArray[np.float64]:
    result = np.empty(len(embeddings), np.float64)
    block = max(1, _BLOCK_VALUES // embeddings.shape[1])
    for start in range(0, len(embeddings), block):
        part = embeddings[start : start + block].astype(np.float64)
        result[start : start + block] = np.sqrt(np.einsum("ij,ij->i", part, part))
    return result


def _folders(paths: Sequence[bytes], rule: FolderRule | None) -> NDArray[np.int64]:
    """A number for each image's folder, -1 where the rule leaves the image out; without a rule they all share one."""
    if rule is None:
        return np.zeros(len(paths), np.int64)
    numbers: dict[bytes, int] = {}
    if not rule.folders:
        return np.fromiter((numbers.setdefault(path.rpartition(b"/")[0], len(numbers)) for path in paths), np.int64)
    deepest_first = [(number, prefix) for number, folder in enumerate(rule.folders) for prefix in prefixes([folder])]
    deepest_first.sort(key=lambda place: -len(place[1]))
    return np.fromiter(
        (next((n for n, prefix in deepest_first if path.startswith(prefix)), -1) for path in paths), np.int64
    )


def _partners(paths: Sequence[bytes]) -> dict[int, tuple[int, bool]]:
    """For a RAW image and the pictures beside it of the same stem: a number for the stem, and which one is the RAW."""
    stems = {path.rpartition(b".")[0]: -1 for path in paths if extension(path) in RAW_EXTENSIONS}
    if not stems:
        return {}
    for number, stem in enumerate(stems):
        stems[stem] = number
    return {
        image: (stems[stem], extension(path) in RAW_EXTENSIONS)
        for image, path in enumerate(paths)
        if (stem := path.rpartition(b".")[0]) in stems
    }
