"""Previews of images and of their differences, made when they are asked for and kept while there is room."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from neardup.images import ByteBudget
from neardup.matching.evidence import Relation
from neardup.matching.maps import inverse
from neardup.report.thumbnails import make_thumbnail

Value = TypeVar("Value")

EDGES = {"small": 320, "large": 1600}  # pixels of the longer side
KEPT_BYTES = 128 << 20


@dataclass(frozen=True)
class Difference:
    """How an image differs from its keeper once they lie over each other."""

    jpeg: bytes | None  # the image, pale, with the differing places red and outlined; None: no reliable alignment
    aligned: bytes | None  # the image laid into the keeper's frame
    relation: Relation  # of the image to the keeper
    steps: tuple[str, ...]  # what was done to the keeper to make the image, in words
    confidence: str | None

    @property
    def size_bytes(self) -> int:
        return len(self.jpeg or b"") + len(self.aligned or b"")


class Pictures:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._budget = ByteBudget()
        self._previews: _Cache[bytes] = _Cache(KEPT_BYTES, len)
        self._differences: _Cache[Difference] = _Cache(KEPT_BYTES // 2, lambda found: found.size_bytes + 1000)
        # SIFT takes a core and 100 MB for each pair at work.
        self._comparing = threading.Lock()

    def preview(self, path: Path, digest: bytes, size: str) -> bytes:
        """JPEG of an image; raises UnreadableImage."""
        key = digest, size, str(path)
        known = self._previews.get(key)
        if known is None:
            quality = 85 if size == "large" else 78
            known = make_thumbnail(path, edge=EDGES[size], quality=quality, budget=self._budget).content
            self._previews.put(key, known)
        return known

    def difference(self, keeper: Path, image: Path) -> Difference:
        """Raises UnreadableImage."""
        key = str(keeper), str(image)
        with self._comparing:
            known = self._differences.get(key)
            if known is None:
                known = _compare(keeper, image)
                self._differences.put(key, known)
        return known


def _compare(keeper: Path, image: Path) -> Difference:
    from neardup.groups.ties import relation_to_keeper
    from neardup.matching.judge import judge
    from neardup.matching.picture import load_picture
    from neardup.matching.shading import lay_in_b, shade_differences
    from neardup.matching.words import steps

    a, b = load_picture(keeper), load_picture(image)
    found = judge(a, b)
    if found.matrix is None:
        return Difference(None, None, found.relation, (), None)
    matrix = np.array(found.matrix).reshape(3, 3)
    told = tuple(steps(found, (a.width, a.height), (b.width, b.height)))
    return Difference(
        jpeg=_jpeg(shade_differences(a, b, matrix)),
        aligned=_jpeg(lay_in_b(b, a, inverse(matrix)).a),
        relation=relation_to_keeper(found),
        steps=told,
        confidence=f"{found.confidence:.2f}",
    )


def _jpeg(pixels: object) -> bytes:
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", quality=88)  # type: ignore[arg-type]
    return written.getvalue()


class _Cache(Generic[Value]):
    """The values used last, of up to so many bytes."""

    def __init__(self, limit: int, size_of: Callable[[Value], int]) -> None:
        self._limit = limit
        self._size_of = size_of
        self._values: OrderedDict[object, Value] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: object) -> Value | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: object, value: Value) -> None:
        with self._lock:
            if key in self._values:
                return
            self._values[key] = value
            self._size += self._size_of(value)
            while self._size > self._limit and len(self._values) > 1:
                self._size -= self._size_of(self._values.popitem(last=False)[1])
