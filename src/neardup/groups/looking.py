"""Looking at pairs of contents: reading the pictures, comparing them, and remembering what was found."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from neardup.errors import NeardupError, UnreadableImage
from neardup.groups.images import Images
from neardup.groups.neighbours import WEAK
from neardup.groups.recent import Recent
from neardup.images import ByteBudget
from neardup.index.notes import Pair, record_found
from neardup.matching.align import worthy_maps
from neardup.matching.closely import load_whole, look_closely, may_tell
from neardup.matching.evidence import Evidence
from neardup.matching.judge import MATCHER, judge
from neardup.matching.maps import Matrix
from neardup.matching.picture import Glance, Picture, load_picture
from neardup.matching.pixels import pixel_digest
from neardup.matching.sketch import Sketch, load_sketch, may_resemble
from neardup.sources import read_stored

# Pictures that stay decoded, keypoints that stay of others, and what stays of those that have only weak candidates.
_KEPT_BYTES, _GLANCE_BYTES, _SKETCH_BYTES = 192 << 20, 768 << 20, 768 << 20
_GLANCE_SIZE, _SKETCH_SIZE = 76_000, 30_000
# What whole pictures of all threads together may take: decoded, in grey, and in blocks.
_CLOSELY, _BYTES_A_PIXEL = ByteBudget(512 << 20), 12
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


Doubt = Callable[[Path], None]  # called with a file whose bytes are not those that were indexed


class Comparer:
    """Reads contents and compares them; safe to use from several threads."""

    def __init__(self, contents: Contents, doubt: Doubt = lambda path: None) -> None:
        self._contents, self._doubt = contents, doubt
        self._pictures = _Pictures(self.read)

    @property
    def unreadable(self) -> dict[int, str]:
        """Why contents could not be read."""
        return self._pictures.unreadable

    def read(self, content: int) -> bytes:
        return content_of(self._contents, content, self._doubt)

    def compare(self, a: int, b: int, likely: Matrix | None = None, by_sketch: bool = False) -> Evidence | None:
        """As `Looker.look`, anew; by_sketch: sketches tell first whether it is worth while."""
        if by_sketch:
            first, second = self._pictures.sketch(a), self._pictures.sketch(b)
            if first is None or second is None:
                return None
            if not may_resemble(first, second):
                return _STRANGERS
        return self._compare_closely(a, b, likely)

    def _compare_closely(self, a: int, b: int, likely: Matrix | None) -> Evidence | None:
        at_a, at_b = self._pictures.glance(a), self._pictures.glance(b)
        if at_a is None or at_b is None:
            return None
        maps = None
        if likely is None:
            maps = worthy_maps(at_a, at_b)
            if maps is None:
                return _STRANGERS
        first, second = self._pictures.get(a), self._pictures.get(b)
        if first is None or second is None:
            return None
        if likely is not None:
            evidence = judge(first, second, known=likely)
            if evidence.is_confirmed:
                return evidence
        return judge(first, second, by_keypoints=maps)


class Looker:
    """Compares contents of an index; each pair once in the life of its two files.

    What is new is written to the index now and then, and when the block ends, if no other process is writing to it
    then; otherwise it will be found anew another time. Safe to use from several threads.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self._notes = images.index.notes
        self._comparer = Comparer(images, self.doubt)
        self._ahead: dict[tuple[int, int], tuple[Matrix | None, Evidence | None]] = {}
        self._found: dict[tuple[int, int], Evidence | None] = {}
        self._new_links: dict[Pair, str] = {}
        self._new_pixels: dict[bytes, bytes] = {}
        self._new_doubts: set[Path] = set()  # files whose bytes are not those that were indexed
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

    def look_closely(self, a: int, b: int, found: Evidence) -> Evidence:
        """The evidence of contents a < b with what their whole pixels tell, where those may tell more."""
        if not may_tell(found, self._images.size(a), self._images.size(b)):
            return found
        try:
            with _CLOSELY.reserve(_BYTES_A_PIXEL * self._pixels_of(a, b)):
                wholes = [load_whole(self._comparer.read(content)) for content in (a, b)]
                closely = look_closely(found, *wholes)
        except UnreadableImage:
            return found
        with self._lock:
            self._new_links[self._digests((a, b))] = json.dumps(closely.to_json())
        self._found[a, b] = closely
        return closely

    def _pixels_of(self, *contents: int) -> int:
        return sum(width * height for width, height in map(self._images.size, contents))

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
        return self._comparer.compare(*key, likely, by_sketch=self.begins_with_sketch(*key, likely))

    def begins_with_sketch(self, a: int, b: int, likely: Matrix | None) -> bool:
        """Whether contents are so unlike that sketches of them are compared first."""
        return likely is None and self._images.similarity(a, b) < WEAK

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
                known = pixel_digest(self._comparer.read(content)) or b""
                self._new_pixels[digest] = known
        return known

    def record(self) -> None:
        """Write what is new to the index."""
        with self._lock:
            links, pixels, doubts = self._new_links, self._new_pixels, self._new_doubts
            self._new_links, self._new_pixels, self._new_doubts = {}, {}, set()
        if links or pixels or doubts:
            folder = self._images.index.folder
            with suppress(NeardupError):
                record_found(folder, pixels=pixels, links=links, matcher=MATCHER, in_doubt=doubts)

    def record_if_due(self) -> None:
        if len(self._new_links) >= _RECORD_EVERY:
            self.record()

    def doubt(self, path: Path) -> None:
        """Note that a file is not what was indexed: the next run of `index` is to read it."""
        with self._lock:
            self._new_doubts.add(path)

    def _digests(self, key: tuple[int, int]) -> Pair:
        return self._images.digest(key[0]), self._images.digest(key[1])


def content_of(contents: Contents, content: int, doubt: Doubt = lambda path: None) -> bytes:
    """The bytes of a content, from the first of its files that still holds them; else raises UnreadableImage."""
    problem = UnreadableImage("the file is gone")
    for image in contents.of(content):
        path = contents.path(image)
        try:
            found = read_stored(path)
        except UnreadableImage as error:
            problem = error
            continue
        if hashlib.sha256(found).digest() == contents.digest(content):
            return found
        problem = UnreadableImage("changed since it was indexed; the next 'neardup index' sees to it")
        doubt(path)
    raise problem


class _Pictures:
    """Pictures by content, those used last, and more of what was seen at a glance; safe to use from several threads."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._budget = ByteBudget()
        self._kept: Recent[Picture | None] = Recent(_KEPT_BYTES, lambda picture: picture.size_bytes if picture else 0)
        self._glances: Recent[Glance | None] = Recent(_GLANCE_BYTES, lambda glance: _GLANCE_SIZE)
        self._sketches: Recent[Sketch | None] = Recent(_SKETCH_BYTES, lambda sketch: _SKETCH_SIZE)
        self.unreadable: dict[int, str] = {}

    def sketch(self, content: int) -> Sketch | None:
        return self._sketches.get(content, self._sketched)

    def _sketched(self, content: int) -> Sketch | None:
        if content in self.unreadable:
            return None
        try:
            return load_sketch(self._read(content), budget=self._budget)
        except UnreadableImage as error:
            self.unreadable[content] = str(error)
            return None

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
            picture = load_picture(self._read(content), budget=self._budget)
        except UnreadableImage as error:
            self.unreadable[content] = str(error)
            return None
        known = self._glances.peek(content)
        if known is not None:
            picture.__dict__["features"] = known.features  # found already
        return picture


# Embeddings are compared, pairs looked at, versions compared with the one that is kept of them, groups described.
Stage = Literal["propose", "look", "settle", "describe"]
Progress = Callable[[Stage, int, int], None]  # how much of a stage is done, and of how much
