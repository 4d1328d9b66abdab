"""Groups of duplicates, and the images in them as they were when they were indexed."""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal, get_args

from neardup.errors import BadInput
from neardup.index.notes import Pair, Verdict, pair_of
from neardup.matching.evidence import Evidence, Relation

# A relation, or "near": the embedding alone says so, nobody looked at the pictures.
Kind = Literal["exact", "copy", "edited", "similar", "other", "near"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# A larger group told "not" would be millions of pairs, and is a reason to raise the threshold instead.
MAX_APART = 1000


@dataclass(frozen=True)
class Member:
    """An image of a group, as it was when it was indexed."""

    path: Path
    similarity: float  # cosine to the keeper's
    relation: Relation | None  # to the keeper; None: the pictures were not looked at
    width: int  # pixels, upright
    height: int
    size_bytes: int
    mtime_ns: int
    digest: bytes  # SHA-256 of the file
    label: str | None = None
    margin: float = 0.0  # share of the area that is a flat margin
    change: str | None = None  # what was done to the keeper to make it, in words
    shows_more: str | None = None  # what it shows that the keeper does not, in words
    told: bool = False  # a person said that it is a duplicate of the keeper
    taken_ms: int | None = None  # since 1970, as its camera wrote it
    camera: int = 0  # bits of what a camera wrote: neardup.images.exif
    quality: int | None = None  # of a JPEG, 1 to 100
    damaged: str | None = None  # what is wrong with the file though it can be decoded, in words
    why: str | None = None  # what the keeper has over it, in words
    evidence: Evidence | None = None  # of the keeper (a) and this one (b)

    @property
    def kind(self) -> Kind:
        return self.relation or "near"


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

    def kinds(self) -> dict[Kind, int]:
        """How many images beside the keeper are of each kind, the closest kind first; none that has none."""
        counts = Counter(member.kind for member in self.members[1:])
        return {kind: counts[kind] for kind in KINDS if counts[kind]}


def pairs_of_group(group: DuplicateGroup, verdict: Verdict) -> list[Pair]:
    """The pairs that carry a verdict on a whole group.

    "not" takes each member apart from each other; for the others the keeper with every member is enough. Byte copies
    of each other have no pair. Raises BadInput for "not" on more than MAX_APART contents.
    """
    digests = list(dict.fromkeys(member.digest for member in group.members))
    if verdict != "not":
        return [pair_of(digests[0], digest) for digest in digests[1:]]
    if len(digests) > MAX_APART:
        raise BadInput(
            f"{len(digests)} images at once are not told apart, {MAX_APART} at most; raise --min-similarity instead"
        )
    return [pair_of(first, second) for first, second in combinations(digests, 2)]
