"""The images of an index as arrays."""

import os
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.images.formats import is_raw_name
from neardup.index import Index

_BLOCK_VALUES = 1 << 20
UNKNOWN = np.iinfo(np.int64).min


class Images:
    """One entry an image; contents are numbered by ascending digest, so that nothing depends on the order of files.

    Images whose embedding is no direction, as in a damaged segment, are left out: `astray` has their paths.
    """

    def __init__(self, index: Index) -> None:
        n = index.images
        self.index = index
        self.paths: list[bytes] = []
        self.labels: list[str | None] = []
        rows, self.sizes, self.times = (np.empty(n, np.int64) for _ in range(3))
        self.widths, self.heights = (np.empty(n, np.int32) for _ in range(2))
        self.margins = np.empty(n, np.float32)
        self.taken = np.empty(n, np.int64)  # milliseconds since 1970; UNKNOWN where nothing says so
        self.camera, self.quality = np.empty(n, np.uint8), np.empty(n, np.int16)  # quality 0: not known
        self.damaged: list[str | None] = []
        digests = np.empty((n, 32), np.uint8)
        for i, image in enumerate(index):
            self.paths.append(bytes(image.path))
            self.labels.append(image.label)
            rows[i], self.sizes[i], self.times[i] = image.row, image.size_bytes, image.mtime_ns
            self.widths[i], self.heights[i], self.margins[i] = image.width, image.height, image.margin
            self.taken[i] = UNKNOWN if image.taken_ms is None else image.taken_ms
            self.camera[i], self.quality[i] = image.camera, image.quality or 0
            self.damaged.append(image.damaged)
            digests[i] = np.frombuffer(image.digest, np.uint8)
        self._number(rows, digests)
        self.astray: list[bytes] = []
        fit = (np.isfinite(self.norms) & (self.norms > 0))[self.contents]
        if not fit.all():
            self.astray = [self.paths[i] for i in np.flatnonzero(~fit)]
            self.paths = [self.paths[i] for i in np.flatnonzero(fit)]
            self.labels = [self.labels[i] for i in np.flatnonzero(fit)]
            self.sizes, self.times, self.widths = self.sizes[fit], self.times[fit], self.widths[fit]
            self.damaged = [self.damaged[i] for i in np.flatnonzero(fit)]
            self.heights, self.margins, self.taken = self.heights[fit], self.margins[fit], self.taken[fit]
            self.camera, self.quality = self.camera[fit], self.quality[fit]
            self._number(rows[fit], digests[fit])

    def _number(self, rows: NDArray[np.int64], digests: NDArray[np.uint8]) -> None:
        """Number the contents of the images, given the row of each, (n,), and the SHA-256, (n, 32)."""
        unique_rows, first = np.unique(rows, return_index=True)
        words = digests[first].view(">u8")
        order = np.lexsort(tuple(words[:, i] for i in (3, 2, 1, 0)))
        self.digests = digests[first][order]  # (contents, 32) uint8
        number = np.empty(len(order), np.int64)
        number[order] = np.arange(len(order))
        self.contents = number[np.searchsorted(unique_rows, rows)]  # (n,) content of each image
        self.rows = unique_rows[order]  # (contents,) in the index
        self.embeddings = _gather(self.index, self.rows)  # (contents, dim) float16
        self.norms = _norms(self.embeddings)
        # Images in the order of their contents, by path within one.
        self._by_content = np.lexsort((np.argsort(np.argsort(np.array(self.paths, object))), self.contents))
        self.raw = np.zeros(len(self.digests), bool)  # (contents,) whether a camera's RAW file
        self.raw[self.contents] = [is_raw_name(path) for path in self.paths]
        self._starts = np.searchsorted(self.contents[self._by_content], np.arange(len(self.digests) + 1))

    def __len__(self) -> int:
        """Contents."""
        return len(self.digests)

    def digest(self, content: int) -> bytes:
        return bytes(self.digests[content])

    def of(self, content: int) -> list[int]:
        """The images of a content, by path."""
        found: list[int] = self._by_content[self._starts[content] : self._starts[content + 1]].tolist()
        return found

    def path(self, image: int) -> Path:
        return Path(os.fsdecode(self.paths[image]))

    def size(self, content: int) -> tuple[int, int]:
        """Width and height in pixels."""
        image = int(self._by_content[self._starts[content]])
        return int(self.widths[image]), int(self.heights[image])

    @cached_property
    def pixels(self) -> NDArray[np.int64]:
        """(contents,) of each."""
        counts = np.empty(len(self), np.int64)
        counts[self.contents] = self.widths.astype(np.int64) * self.heights
        return counts

    def content_of(self, digest: bytes) -> int | None:
        low, high = 0, len(self.digests)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.digests[middle].tobytes() < digest else (low, middle)
        return low if low < len(self.digests) and self.digests[low].tobytes() == digest else None

    def unit(self) -> NDArray[np.float32]:
        """The embeddings at unit length: (contents, dim) float32."""
        unit: NDArray[np.float32] = self.embeddings.astype(np.float32)
        unit /= self.norms[:, None].astype(np.float32)
        return unit

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

    def similarity(self, a: int, b: int) -> float:
        return 1.0 if a == b else float(self.similarities(np.array([a]), np.array([b]))[0])


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
        with np.errstate(invalid="ignore"):  # a signalling NaN is one like any other
            part = embeddings[start : start + block].astype(np.float64)
        result[start : start + block] = np.sqrt(np.einsum("ij,ij->i", part, part))
    return result
