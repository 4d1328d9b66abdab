"""How many look-alikes `dedup` would throw away, and how many genuine copies of the same pictures it still finds.

The pictures of a kind are written to a folder, some of them with their genuine copies, indexed and grouped as the
commands do it. Every file is one picture's, so that a member of a group whose keeper is another picture's is a mistake,
unless the group says that it only resembles the keeper, or shows something else in places.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from neardup.embedding import Embedder
from neardup.errors import BadInput
from neardup.evaluation.lookalikes import COPIES, KINDS, draw, most
from neardup.groups import DuplicateGroup, find_groups
from neardup.index import Index
from neardup.jobs.index import index_images
from neardup.matching.evidence import Relation

PICTURES, COPIED = 200, 40
# Members that `dedup` leaves alone; what has any other relation to its keeper is taken for a copy of it.
LEFT_ALONE = frozenset({"edited", "similar"})


@dataclass(frozen=True)
class Mistake:
    """A file that is taken for a copy of another picture's, by their names: `0012.png`, `0012-half.png`."""

    file: str
    keeper: str
    relation: Relation | None
    similarity: float


@dataclass(frozen=True)
class KindScores:
    """What became of one kind's pictures. `draw(kind, 12, seed, photos)` is the picture of `0012.png`."""

    pictures: int
    copied: int  # pictures of which there are genuine copies too
    taken: int  # pictures taken for copies of another
    copies_taken: int  # genuine copies taken for copies of another picture than theirs
    recall: dict[str, float]  # by kind of copy, the share in one group with its picture
    mistakes: tuple[Mistake, ...]
    missed: tuple[str, ...]  # copies in no group with their picture


@dataclass(frozen=True)
class LookalikeReport:
    kinds: dict[str, KindScores]
    min_similarity: float | None  # None: the pictures decided
    seed: int
    photos: int  # the caller's, that were there to be shown

    def as_json(self) -> dict[str, Any]:
        """The fields of the command's JSON object, of plain types."""
        return asdict(self)


def measure_lookalikes(
    folder: Path,
    embedder: Embedder,
    *,
    min_similarity: float | None = None,
    kinds: Iterable[str] = KINDS,
    photos: Sequence[Path] = (),
    pictures: int = PICTURES,
    copied: int = COPIED,
    seed: int = 0,
    threads: int = 1,
    on_progress: Callable[[str, int, int], None] = lambda kind, done, pictures: None,
) -> LookalikeReport:
    """Draw, index and group `pictures` of each kind; of kinds and photos that have fewer, all there are.

    folder:         to work in, made if need be; each kind has a folder of its own there, which stays
    min_similarity: that of `find_groups`; None: the pictures decide
    photos:         pairwise different ones, for the kinds that show photos; without any they show drawn scenes
    copied:         how many of the pictures, spread evenly, come with one copy of each kind in COPIES
    on_progress:    called with a kind, how many of its pictures were drawn, and of how many

    Raises BadInput for an unknown kind, and where a kind's folder exists.
    """
    chosen = {kind: most(kind, photos) for kind in kinds}
    scores = {}
    for kind, limit in chosen.items():
        count = pictures if limit is None else min(pictures, limit)
        work = Path(os.path.abspath(folder)) / kind
        try:
            (work / "pictures").mkdir(parents=True)
        except OSError as error:
            raise BadInput(f"{work}: {error.strerror}; give an empty folder to work in") from error
        with_copies = {place * count // copied for place in range(copied)} if copied < count else set(range(count))
        for number in range(count):
            _write(work / "pictures", kind, draw(kind, number, seed, photos), number, with_copies)
            on_progress(kind, number + 1, count)
        index = _indexed(work / "pictures", work / "index", embedder, threads)
        groups = find_groups(index, min_similarity=min_similarity, threads=threads)
        scores[kind] = _scores(groups, count, sorted(with_copies))
    return LookalikeReport(scores, min_similarity, seed, len(photos))


def _write(folder: Path, kind: str, picture: Image.Image, number: int, with_copies: set[int]) -> None:
    """`0012.png` and `0012-<copy>.png`, or .jpg where such pictures are stored so; compressed copies always are."""
    suffix = KINDS[kind].suffix
    _save(picture, folder / f"{number:04d}{suffix}")
    for name, copy in COPIES.items() if number in with_copies else ():
        if name == "jpeg_60":
            # Quality 60 once more changes next to nothing, and gives the file the size that such a copy has.
            copy(picture).save(folder / f"{number:04d}-{name}.jpg", quality=60)
        else:
            _save(copy(picture), folder / f"{number:04d}-{name}{suffix}")


def _save(picture: Image.Image, path: Path) -> None:
    if path.suffix == ".png":
        picture.save(path, compress_level=1)
    else:
        picture.save(path, quality=92)


def _indexed(pictures: Path, folder: Path, embedder: Embedder, threads: int) -> Index:
    report = index_images([pictures], folder, model=embedder, threads=threads)
    if report.failed:
        failure = report.failed[0]
        raise BadInput(f"{failure.path}: {failure.error}; what was just written there cannot be read")
    return Index.open(folder)


def _picture_of(path: Path) -> str:
    """`0012` of `0012-half.png`."""
    return path.stem.partition("-")[0]


def _scores(groups: Iterable[DuplicateGroup], pictures: int, with_copies: Sequence[int]) -> KindScores:
    mistakes = []
    found: set[tuple[str, str]] = set()
    for group in groups:
        versions: defaultdict[str, set[str]] = defaultdict(set)
        for member in group.members:
            versions[_picture_of(member.path)].add(member.path.stem.partition("-")[2])
            if _picture_of(member.path) != _picture_of(group.keeper.path) and member.relation not in LEFT_ALONE:
                mistakes.append(Mistake(member.path.name, group.keeper.path.name, member.relation, member.similarity))
        found |= {(picture, copy) for picture, copies in versions.items() if "" in copies for copy in copies}
    expected = [(f"{number:04d}", copy) for number in with_copies for copy in COPIES]
    counts = Counter(copy for picture, copy in expected if (picture, copy) in found)
    taken = sum("-" not in mistake.file for mistake in mistakes)
    return KindScores(
        pictures=pictures,
        copied=len(with_copies),
        taken=taken,
        copies_taken=len(mistakes) - taken,
        recall={copy: counts[copy] / max(1, len(with_copies)) for copy in COPIES},
        mistakes=tuple(mistakes),
        missed=tuple(f"{picture}-{copy}" for picture, copy in expected if (picture, copy) not in found),
    )
