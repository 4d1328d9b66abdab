"""Looking at pairs of contents: reading the pictures, comparing them, and remembering what was found."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np

from neardup.errors import NeardupError, UnreadableImage
from neardup.groups.images import Images
from neardup.groups.recent import Recent
from neardup.images import ByteBudget, read_file
from neardup.index.notes import Pair, record_found
from neardup.matching.align import may_match
from neardup.matching.evidence import Evidence
from neardup.matching.judge import MATCHER, judge
from neardup.matching.maps import Matrix
from neardup.matching.picture import Glance, Picture, load_picture
from neardup.matching.pixels import pixel_digest
from neardup.sources.objects import is_object_path

# Pictures that stay decoded, and keypoints that stay of others.
_KEPT_BYTES, _GLANCE_BYTES, _GLANCE_SIZE = 192 << 20, 1536 << 20, 76_000
_STRANGERS = Evidence("other", 0.0)
# Results are written to the index so often, in pairs looked at.
_RECORD_EVERY = 2000


class Contents(Protocol):
    """Contents by number, and where they can be read: what `Images` says of them."""

    def digest(self, content: int, /) -> bytes: ...

    def of(self, content: int, /) -> Sequence[int]:
        """The images of a content, by path."""
        ...

    def path(self, image: int, /) -> Path: ...


class Comparer:
    """Reads contents and compares them; safe to use from several threads."""

    def __init__(self, contents: Contents) -> None:
        self._pictures = _Pictures(contents)

    @property
    def unreadable(self) -> dict[int, str]:
        """Why contents could not be read."""
        return self._pictures.unreadable

    def compare(self, a: int, b: int, likely: Matrix | None = None) -> Evidence | None:
        """As `Looker.look`, anew."""
        at_a, at_b = self._pictures.glance(a), self._pictures.glance(b)
        if at_a is None or at_b is None:
            return None
        if likely is None and not may_match(at_a, at_b):
            return _STRANGERS
        first, second = self._pictures.get(a), self._pictures.get(b)
        if first is None or second is None:
            return None
        if likely is not None:
            evidence = judge(first, second, known=likely)
            if evidence.is_confirmed:
                return evidence
        return judge(first, second)


class Looker:
    """Compares contents of an index; each pair once in the life of its two files.

    What is new is written to the index now and then, and when the block ends, if no other process is writing to it
    then; otherwise it will be found anew another time. Safe to use from several threads.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self._notes = images.index.notes
        self._comparer = Comparer(images)
        self._ahead: dict[tuple[int, int], tuple[Matrix | None, Evidence | None]] = {}
        self._found: dict[tuple[int, int], Evidence | None] = {}
        self._new_links: dict[Pair, str] = {}
        self._new_pixels: dict[bytes, bytes] = {}
        self._lock = threading.Lock()
        self.looked_at = 0
        self.remembered = 0

    def __enter__(self) -> "Looker":
        return self

    def __exit__(self, *_: object) -> None:
        self.record()

    @property
    def unreadable(self) -> dict[int, str]:
        """Why contents could not be looked at."""
        return self._comparer.unreadable

    def is_known(self, a: int, b: int) -> bool:
        """Whether contents a < b need not be compared any more."""
        return (a, b) in self._found or self._recall((a, b)) is not None

    def expect(self, a: int, b: int, likely: Matrix | None, found: Evidence | None) -> None:
        """Take what a worker has found of contents a < b, for the `look` with the same map that is to come."""
        self._ahead[a, b] = likely, found

    def known(self, a: int, b: int) -> Evidence | None:
        """What was found of contents a < b so far."""
        return self._found.get((a, b))

    def look(self, a: int, b: int, likely: Matrix | None = None) -> Evidence | None:
        """What contents a < b are to each other; None where one of them cannot be read now.

        likely: a map between the whole pictures, tried first
        """
        key = a, b
        if key in self._found:
            return self._found[key]
        evidence = self._recall(key)
        if evidence is not None:
            self.remembered += 1
        else:
            evidence = self._looked_at_anew(key, likely)
            if evidence is not None:
                with self._lock:
                    self.looked_at += 1
                    self._new_links[self._digests(key)] = json.dumps(evidence.to_json())
        if evidence is not None and evidence.relation == "other":
            evidence = _STRANGERS  # one for all of them: they may be millions
        self._found[key] = evidence
        return evidence

    def _recall(self, key: tuple[int, int]) -> Evidence | None:
        found = self._notes.link(self._digests(key), MATCHER)
        if found is None:
            return None
        try:
            return Evidence.from_json(json.loads(found))
        except (ValueError, RecursionError):  # written by something else: it is found again
            return None

    def _looked_at_anew(self, key: tuple[int, int], likely: Matrix | None) -> Evidence | None:
        if key in self._ahead:
            expected, found = self._ahead.pop(key)
            if likely is expected if likely is None or expected is None else np.array_equal(likely, expected):
                return found
        return self._comparer.compare(*key, likely)

    def look_at_all(self, pairs: Iterable[tuple[int, int]], threads: ThreadPoolExecutor) -> list[Evidence | None]:
        return list(threads.map(lambda pair: self.look(*pair), pairs))

    def shows_same_pixels(self, a: int, b: int) -> bool:
        """Whether two contents are the same pixel for pixel, in every frame."""
        first = self._pixels(a)
        return bool(first) and first == self._pixels(b)

    def pixels_known(self, content: int) -> bool:
        digest = self._images.digest(content)
        return digest in self._new_pixels or self._notes.pixels(digest) is not None

    def expect_pixels(self, content: int, pixels: bytes) -> None:
        """Take what a worker has found: `pixel_digest`, empty where there is none."""
        self._new_pixels[self._images.digest(content)] = pixels

    def _pixels(self, content: int) -> bytes:
        digest = self._images.digest(content)
        known = self._new_pixels.get(digest)
        if known is None:
            known = self._notes.pixels(digest)
        if known is None:
            known = b""
            with suppress(UnreadableImage):
                known = pixel_digest(content_of(self._images, content)) or b""
                self._new_pixels[digest] = known
        return known

    def record(self) -> None:
        """Write what is new to the index."""
        with self._lock:
            links, pixels = self._new_links, self._new_pixels
            self._new_links, self._new_pixels = {}, {}
        if links or pixels:
            with suppress(NeardupError):
                record_found(self._images.index.folder, pixels=pixels, links=links, matcher=MATCHER)

    def record_if_due(self) -> None:
        if len(self._new_links) >= _RECORD_EVERY:
            self.record()

    def _digests(self, key: tuple[int, int]) -> Pair:
        return self._images.digest(key[0]), self._images.digest(key[1])


def content_of(images: Contents, content: int) -> bytes:
    """The bytes of a content, from the first of its files that still holds them; raises UnreadableImage for none."""
    problem = UnreadableImage("the file is gone")
    for image in images.of(content):
        if is_object_path(path := images.path(image)):  # what an index says is no reason to use someone's keys
            problem = UnreadableImage("is in object storage; only files are compared")
            continue
        try:
            found = read_file(path)
        except UnreadableImage as error:
            problem = error
            continue
        if hashlib.sha256(found).digest() == images.digest(content):
            return found
        problem = UnreadableImage("changed since it was indexed")  # the next 'neardup index' sees to it
    raise problem


class _Pictures:
    """Pictures by content, those used last, and more of what was seen at a glance; safe to use from several threads."""

    def __init__(self, images: Contents) -> None:
        self._images = images
        self._budget = ByteBudget()
        self._kept: Recent[Picture | None] = Recent(_KEPT_BYTES, lambda picture: picture.size_bytes if picture else 0)
        self._glances: Recent[Glance | None] = Recent(_GLANCE_BYTES, lambda glance: _GLANCE_SIZE)
        self.unreadable: dict[int, str] = {}

    def glance(self, content: int) -> Glance | None:
        return self._glances.get(content, self._look_at)

    def _look_at(self, content: int) -> Glance | None:
        picture = self._kept.get(content, self._load)
        return picture.glance if picture else None

    def get(self, content: int) -> Picture | None:
        return self._kept.get(content, self._load)

    def _load(self, content: int) -> Picture | None:
        if content in self.unreadable:
            return None
        try:
            found = content_of(self._images, content)
            picture = load_picture(found, budget=self._budget)
        except UnreadableImage as error:
            self.unreadable[content] = str(error)
            return None
        known = self._glances.peek(content)
        if known is not None:
            picture.__dict__["features"] = known.features  # found already
        return picture


Progress = Callable[[int, int], None]  # pairs gone through, of so many
