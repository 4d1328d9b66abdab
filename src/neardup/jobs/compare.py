"""Two image files: how similar, and what is one to the other?"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from neardup.embedding import Embedder, load_embedder
from neardup.errors import UnreadableImage
from neardup.images import load_image
from neardup.images.files import shown
from neardup.matching.evidence import Evidence, Relation
from neardup.matching.geometry import Alignment
from neardup.matching.judge import judge
from neardup.matching.picture import load_picture
from neardup.matching.pixels import pixel_digest
from neardup.matching.words import SAME_FILE, SAME_PIXELS, change
from neardup.search import reaches
from neardup.sources import read_stored

T = TypeVar("T")

# Two files of one size this similar are read once more, to see whether they are the same pixel for pixel.
_SAME = 0.999


@dataclass(frozen=True)
class Comparison:
    a: str
    b: str
    similarity: float  # cosine, -1 to 1
    l2: float  # distance on the unit sphere, 0 to 2: the root of 2 - 2 * similarity
    duplicate: bool  # exact, copy or edited; where only the cosine was asked for, that it reaches the threshold
    threshold: float
    relation: Relation
    change: str | None  # what was done to A to make B, in words
    size_a: tuple[int, int]  # width and height, pixels
    size_b: tuple[int, int]
    evidence: Evidence

    @property
    def alignment(self) -> Alignment | None:
        """How A maps to B; None where nothing was found."""
        return self.evidence.alignment(self.size_a, self.size_b)

    def as_json(self) -> dict[str, Any]:
        fields = ("a", "b", "similarity", "l2", "duplicate", "threshold", "relation", "change")
        return {name: getattr(self, name) for name in fields}


def compare(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    model: str = "default",
    engine: str = "auto",
    min_similarity: str | float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Look at two image files.

    min_similarity: a number or a threshold's name: what is a duplicate is then told by the cosine alone
    Raises UnreadableImage with the path, BadInput.
    """
    return compare_with(load_embedder(model, engine, images=2), Path(a), Path(b), min_similarity, say)


def compare_with(
    embedder: Embedder,
    a: Path,
    b: Path,
    min_similarity: str | float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Comparison:
    threshold = embedder.model.threshold("default" if min_similarity is None else min_similarity, say)
    contents = [_content(path) for path in (a, b)]
    size = embedder.model.input_size
    pixels = [_named(path, partial(load_image, c, size=size)) for path, c in zip((a, b), contents, strict=True)]
    first, second = embedder.embed(pixels).astype(np.float64)
    similarity = float(np.clip(first @ second, -1.0, 1.0))
    pictures = [_named(path, partial(load_picture, c)) for path, c in zip((a, b), contents, strict=True)]
    evidence = judge(*pictures)
    size_a, size_b = ((picture.width, picture.height) for picture in pictures)
    relation, told = relation_of(evidence, similarity, threshold), change(evidence, size_a, size_b)
    if same := _sameness(contents, similarity, size_a == size_b):
        relation, told = "exact", same
    confirmed = relation in ("exact", "copy", "edited")
    return Comparison(
        os.path.abspath(a),
        os.path.abspath(b),
        similarity,
        float(np.linalg.norm(first - second)),
        confirmed if min_similarity is None else bool(reaches(similarity, threshold)),
        threshold,
        relation,
        told,
        size_a,
        size_b,
        evidence,
    )


def relation_of(evidence: Evidence, similarity: float, threshold: float) -> Relation:
    """What the pictures are to each other; a look-alike that the embedding takes for one is similar."""
    if evidence.relation == "other" and reaches(similarity, threshold):
        return "similar"
    return evidence.relation


def _content(path: Path) -> bytes:
    return _named(path, partial(read_stored, path))


def _named(path: Path, step: Callable[[], T]) -> T:
    """The result of a step; its error says which file it is about."""
    try:
        return step()
    except UnreadableImage as error:
        reason = "no such file" if isinstance(error.__cause__, FileNotFoundError) else error
        raise UnreadableImage(f"{shown(path)}: {reason}") from error


def _sameness(contents: list[bytes], similarity: float, same_size: bool) -> str | None:
    """In words, whether two files are the same bytes, or the same pixels in every frame; None where neither."""
    first, second = (hashlib.sha256(content).digest() for content in contents)
    if first == second:
        return SAME_FILE
    if similarity < _SAME or not same_size:
        return None
    pixels = [pixel_digest(content) for content in contents]
    return SAME_PIXELS if pixels[0] is not None and pixels[0] == pixels[1] else None
