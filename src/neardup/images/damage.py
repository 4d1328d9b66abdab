"""Files that can be decoded although something is wrong with them: data that breaks off, or that does not add up.

libjpeg decodes what it can and keeps its warnings to itself: where the data of a JPEG is too short it shows grey, where
a byte has changed it goes on with what the next bits happen to mean. But it reads no more than it needs. So the data is
handed over in three portions, and decoding costs what it did: all but the last bytes, which cannot be enough for the
picture; those, which must be; and what comes after, which nobody should ask for.
"""

import io
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from neardup.images.markers import RESTART_INTERVAL, SCAN, end_of_scan, markers

DAMAGED = "its data is damaged"
# Bytes held back at first. A few that nobody needs are no damage: some encoders fill up to an even number.
_HELD_BACK = 4
# What a decoder may read ahead of the last bits it needs: a register's worth.
_AHEAD = b"\0" * 8
# What a picture shows where its data is missing.
_NOTHING = 128


class Watched(io.BytesIO):
    """The content of a JPEG of one scan, which notes how much of it is asked for."""

    def __init__(self, content: bytes, end: int) -> None:
        """end: where the scan's data does"""
        super().__init__(content)
        self._end, self._held_back = end, end - _HELD_BACK
        self._went_ahead = False

    def read(self, size: int | None = -1, /) -> bytes:
        position = self.tell()
        if position == self._end and not self._went_ahead:
            self._went_ahead = True
            return _AHEAD
        stop = self._held_back if position < self._held_back else self._end
        if position < stop:
            size = stop - position if size is None or size < 0 else min(size, stop - position)
        return super().read(size)

    @property
    def has_left_over(self) -> bool:
        """Whether the picture was complete without the last bytes."""
        return self.tell() <= self._held_back

    @property
    def is_short(self) -> bool:
        """Whether more was asked for than the scan holds."""
        return self.tell() > self._end


def watched(image: Any, content: bytes) -> Watched | None:
    """Have a JPEG, opened and not yet loaded, read through a watch; None where it has several scans.

    Those are decoded when all of them are there, so that nothing can be told from what is asked for.
    """
    if image.info.get("progressive"):
        return None
    restarts = False
    for code, position in markers(content):
        if code == RESTART_INTERVAL:
            restarts = content[position + 2 : position + 4] != b"\0\0"
        if code == SCAN:
            if content[position + 2 : position + 3] != bytes([len(image.layer)]):
                return None
            start = position + int.from_bytes(content[position : position + 2], "big")
            # Without a marker behind it, a picture may be whole all the same.
            end = end_of_scan(content, start, restarts=restarts) or len(content)
            if end - start <= 2 * _HELD_BACK:
                return None
            watch = Watched(content, _without_filling(content, end))
            image.fp = watch
            return watch
    return None


def _without_filling(content: bytes, end: int) -> int:
    while content[end - 1] in (0x00, 0xFF) and content[end - 2] != 0xFF:
        end -= 1
    return end


def damage_of(image: Any, content: bytes, watch: Watched | None) -> str | None:
    """What is wrong with a file that was decoded, in words; image: as it was decoded, before anything is done to it."""
    if image.format in ("JPEG", "MPO"):
        if watch is not None:
            return _breaks_off(image) if watch.is_short else DAMAGED if watch.has_left_over else None
        return _scans_missing(image, content)
    if image.format == "PNG":
        return DAMAGED if _has_bad_chunk(content) else None
    if image.format == "WEBP" and int.from_bytes(content[4:8], "little") + 8 > len(content):
        return "breaks off"
    return None


def _breaks_off(image: Any) -> str:
    """Where a picture turns into nothing, down to its lower edge."""
    pixels = np.asarray(image)
    shows = (pixels != _NOTHING).reshape(len(pixels), -1).any(axis=1)
    rows = int(np.flatnonzero(shows)[-1]) + 1 if shows.any() else 0
    return f"breaks off at {rows / len(pixels):.0%}".replace("%", " %") if rows < len(pixels) else DAMAGED


def _scans_missing(image: Any, content: bytes) -> str | None:
    """Of a progressive JPEG: whether its scans bring each coefficient of each component down to its last bit."""
    if not image.info.get("progressive"):
        return None
    left: dict[int, list[int]] = {}
    for identifier, first, last, bit in _scan_headers(content):
        left.setdefault(identifier, [-1] * 64)[first : last + 1] = [bit] * (last + 1 - first)
    whole = len(left) == len(image.layer) and all(bit == 0 for bits in left.values() for bit in bits)
    return None if whole else "breaks off before its last scan"


def _scan_headers(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Component, first and last coefficient, and the lowest bit that is then known."""
    for code, position in markers(content):
        if code != SCAN or position + 3 > len(content):
            continue
        count = content[position + 2]
        tail = content[position + 3 + 2 * count : position + 6 + 2 * count]
        if count > 4 or len(tail) < 3 or not 0 <= tail[0] <= tail[1] < 64:
            continue
        for component in range(count):
            yield content[position + 3 + 2 * component], tail[0], tail[1], tail[2] & 15


def _has_bad_chunk(content: bytes) -> bool:
    """Whether a PNG's picture data is cut, or does not have the sum that stands behind it."""
    position = 8
    while position + 12 <= len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        name, end = content[position + 4 : position + 8], position + 8 + size
        if name in (b"IDAT", b"PLTE", b"IHDR"):
            stored = content[end : end + 4]
            if len(stored) < 4 or zlib.crc32(memoryview(content)[position + 4 : end]) != int.from_bytes(stored, "big"):
                return True
        if name == b"IEND":
            return False
        position = end + 4
    return False
