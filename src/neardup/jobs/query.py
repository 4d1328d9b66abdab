"""Ask an index for the images most like some others: the embeddings of a picture and its parts propose, the pictures
decide."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from neardup.embedding import check_recorded, cores, load_embedder
from neardup.errors import BadInput, UnreadableImage
from neardup.images import DECODER, OnError
from neardup.index import Index, Match, QueryResult
from neardup.jobs.compare import relation_of
from neardup.lsh.codes import check_code_bits
from neardup.matching.align import worthy_maps
from neardup.matching.evidence import Evidence, Relation
from neardup.matching.judge import judge
from neardup.matching.picture import Picture, load_picture
from neardup.matching.pixels import pixel_digest
from neardup.matching.threads import on_one_thread
from neardup.matching.words import SAME_FILE, SAME_PIXELS, change
from neardup.prepare import Embedded, embed_images
from neardup.search import reaches
from neardup.sources import Source, read_stored
from neardup.sources.queries import count_queries, open_queries

# Matches looked at beside those that are shown: so many, while they take no more than this, in seconds of one core, at
# so many a look and a megapixel: about half a second on two. A clock would give another answer on another day.
_MORE, _MORE_COST, _LOOK, _MEGAPIXEL = 48, 1.0, 0.02, 0.01
# What a query and each of its parts propose.
_PROPOSED = 50
_SAME = 0.999

Propose = Callable[[NDArray[np.float32]], tuple[QueryResult, list[Match]]]


@dataclass(frozen=True)
class Answer:
    """What was found for one query image; `error` where it could not be read.

    matches: the best, and one more where the query itself, which is indexed, is among them
    """

    source: Source
    matches: tuple[Match, ...] = ()
    candidates: int = 0
    error: str | None = None
    top: int = 0  # how many were asked for

    @property
    def best(self) -> tuple[Match, ...]:
        """As many as were asked for: records have these, which others count on."""
        return self.matches[: self.top]

    @property
    def query(self) -> str:
        """An absolute path, a URL, or -."""
        return self.source.name

    @property
    def label(self) -> str | None:
        """The query's own."""
        return self.source.label

    @property
    def others(self) -> tuple[Match, ...]:
        """The matches without the query itself, where it is indexed."""
        return tuple(match for match in self.matches if not _is_itself(match, self.source))


@dataclass(frozen=True)
class Query:
    """An open index and how it is asked."""

    index: Index
    threshold: float  # cosine; matches below are perhaps other pictures
    answers: Iterator[Answer]


def query_images(
    images: Iterable[str],
    index: Path,
    *,
    top: int = 4,
    min_similarity: str | float | None = None,
    exact: bool = False,
    codes: int | None = None,
    engine: str = "auto",
    allow_private: bool = False,
    stdin: BinaryIO | None = None,
    say: Callable[[str], None] = lambda line: None,
    on_error: OnError | None = None,
    on_total: Callable[[int], None] | None = None,
) -> Query:
    """The `top` indexed images most like each of some images; confirmed ones first.

    An image that is indexed is found, too, and takes none of the `top` places.

    images:         files, folders, tfds:NAME[:SPLIT], URLs, "-" for stdin
    min_similarity: leave out those below, by the cosine alone: no picture is looked at
    exact:          compare with every image, without the hash tables
    codes:          instead of the tables, sign codes of so many bits say what to compare, 100 images
    say:            called with warnings
    on_total:       called once, from another thread, with the number of images to ask for
    Raises BadInput, DamagedIndex, BadModel; an image that cannot be read is an answer with its error.
    """
    if codes is not None:
        check_code_bits(codes)
    images = tuple(images)
    opened = Index.open(index)
    if opened.model is None:
        raise BadInput(f"{index}: holds no images yet; add some with 'neardup index PATH'")
    sources = open_queries(images, leave_out=index, allow_private=allow_private, stdin=stdin, on_error=on_error)
    if on_total is not None:
        _count_aside(images, index, on_total)
    check_recorded(opened.model.name, index)
    embedder = load_embedder(opened.model.name, engine, images=8, recorded=opened.model.precision)
    if embedder.model.digest != opened.model.digest:
        say(
            f"Warning: {index} was made with another version of {opened.model.name}; run 'neardup index PATH --rebuild'"
        )
    if changed := opened.model.differences(embedder.engine.precision, DECODER):
        say(f"Warning: {index}: {', '.join(changed)}; similarities may differ in the third decimal")
    threshold = embedder.model.threshold("default" if min_similarity is None else min_similarity, say)
    looks = min_similarity is None
    embedded = embed_images(sources, embedder, cores(), parts=looks)

    propose = partial(opened.propose, most=max(_PROPOSED, top + 1), exact=exact, codes=codes)

    def answers() -> Iterator[Answer]:
        with ThreadPoolExecutor(cores(), "look") as pool:
            for image in embedded:
                if image.embeddings is None:
                    yield Answer(image.source, error=image.error)
                elif looks:
                    yield _confirmed(image, top, threshold, propose, pool)
                else:
                    found = opened.search(
                        image.embeddings[0], top + 1, min_similarity=threshold, exact=exact, codes=codes
                    )
                    yield Answer(image.source, _first(found.matches, top, image.source), found.candidates, top=top)

    return Query(opened, threshold, answers())


def _count_aside(images: Sequence[str], index: Path, on_total: Callable[[int], None]) -> None:
    def count() -> None:
        with suppress(Exception):  # the answers meet the same trouble, and tell
            on_total(count_queries(images, leave_out=index))

    threading.Thread(target=count, daemon=True).start()


def _confirmed(image: Embedded, top: int, threshold: float, propose: Propose, pool: ThreadPoolExecutor) -> Answer:
    assert image.embeddings is not None
    whole, proposed = propose(image.embeddings)
    shown = _first(whole.matches, top, image.source)
    candidates = [*shown, *_more(proposed, shown)]
    try:
        content = image.source.read()
        picture = load_picture(content)
    except UnreadableImage:  # it could be read a moment ago
        return Answer(image.source, shown, whole.candidates, top=top)
    by_content: dict[bytes, Match] = {match.digest: match for match in candidates}
    _ = picture.glance  # once, before several threads want it
    with on_one_thread():
        looked = pool.map(lambda match: _look(content, image.digest, picture, match, threshold), by_content.values())
        found = dict(zip(by_content, looked, strict=True))
    matches = [replace(match, relation=r, change=c) for match in candidates for r, c in [found[match.digest]]]
    matches.sort(
        key=lambda match: (not _is_confirmed(match), -match.similarity, -match.jaccard, os.fsencode(match.path))
    )
    return Answer(image.source, _first(matches, top, image.source), whole.candidates, top=top)


def _first(matches: Sequence[Match], top: int, query: Source) -> tuple[Match, ...]:
    """The first `top` of them, and the query itself where it is among these or comes next."""
    own = next((place for place, match in enumerate(matches) if _is_itself(match, query)), None)
    return tuple(matches[: top if own is None or own > top else top + 1])


def _is_itself(match: Match, query: Source) -> bool:
    return str(match.path) == query.name


def _is_confirmed(match: Match) -> bool:
    return match.relation in ("exact", "copy", "edited")


def _more(proposed: Sequence[Match], shown: Sequence[Match]) -> list[Match]:
    """What is worth a look beside the matches that are shown."""
    paths = {match.path for match in shown}
    more: list[Match] = []
    cost = 0.0
    for match in proposed:
        if match.path in paths:
            continue
        cost += _LOOK + _MEGAPIXEL * match.width * match.height / 1e6
        if len(more) == _MORE or cost > _MORE_COST:
            break
        more.append(match)
    return more


def _look(
    content: bytes, digest: bytes, picture: Picture, match: Match, threshold: float
) -> tuple[Relation | None, str | None]:
    """What a match is to the query; None where its file is not the one that was indexed, or cannot be read."""
    if match.digest == digest:
        return "exact", SAME_FILE
    try:
        other_content = read_stored(match.path)
        if hashlib.sha256(other_content).digest() != match.digest:
            return None, None
        other = load_picture(other_content)
        size, other_size = (picture.width, picture.height), (other.width, other.height)
        if match.similarity >= _SAME and size == other_size:
            pixels = pixel_digest(content)
            if pixels is not None and pixels == pixel_digest(other_content):
                return "exact", SAME_PIXELS
    except UnreadableImage:
        return None, None
    maps = worthy_maps(picture.glance, other.glance)
    evidence = Evidence("other", 0.0) if maps is None else judge(picture, other, by_keypoints=maps)
    return relation_of(evidence, match.similarity, threshold), change(evidence, size, other_size)


def is_near(match: Match, threshold: float) -> bool:
    """Whether a match is likely the same picture: confirmed, or, where nobody looked, at the threshold."""
    if match.relation is not None:
        return _is_confirmed(match)
    return bool(reaches(match.similarity, threshold))
