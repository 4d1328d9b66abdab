"""What stands behind the picture of a JPEG: films, gain maps, depth maps. No library at hand walks there.

ITU-T T.81, annex B: marker segments with their lengths, then scans, in which FF is followed by 0 or by a restart
marker and by nothing else, then FF D9.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from neardup.metadata import kinds
from neardup.metadata.facts import Facts
from neardup.text import show_bytes

MAX_SEGMENTS = 1024
_MOST_PICTURES = 64
_START, _END, _SCAN = b"\xff\xd8\xff", b"\xff\xd9", 0xDA
# FF 01 and FF D0 to D7 stand alone, without a length.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
# What may stand between two scans, and hold the bytes of an end.
_BETWEEN = re.compile(rb"\xff[\xc4\xcc\xdb\xdd\xe0-\xef\xfe]")
_LONGEST_SEGMENT = 65537
_FILM = re.compile(rb"[\0-\x01].{3}ftyp(?:mp4|iso|avc|qt|M4V|MSNV|3gp|dash|hvc)", re.DOTALL | re.IGNORECASE)
_PADDING = re.compile(rb"[\0\xff\r\n\t ]*")
_GAIN = re.compile(rb"hdrgm|hdrgainmap|urn:iso:std:iso:ts:21496", re.IGNORECASE)
_DEPTH = re.compile(rb"aux:(?:depth|disparity|portraiteffectsmatte|semantic)|GDepth", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """What stands behind the first picture: positions in the file."""

    is_picture: bool
    start: int
    end: int


def segments(content: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """Code of each marker of the picture that starts here and where its length stands, the first scan's the last."""
    position = start + 2
    while marker := _MARKER.search(content, position):
        code, position = marker[1][0], marker.end()
        if code == 0xD9:
            return
        yield code, position
        if code == _SCAN:
            return
        position += _length(content, position)


def is_crowded(content: bytes) -> bool:
    """Whether there are so many segments that joining them, as Pillow does, takes long."""
    return next(islice(segments(content), MAX_SEGMENTS, None), None) is not None


def end_of_picture(content: bytes, start: int = 0) -> int:
    """Where the picture that starts here ends; the file's end where its own is missing."""
    position = next((place for code, place in segments(content, start) if code == _SCAN), None)
    if position is None:
        end = content.find(_END, start)
        return len(content) if end < 0 else end + 2
    position += _length(content, position)
    while (end := content.find(_END, position)) >= 0:
        # The tables between two scans are the only place where these two bytes are no end.
        position = _past_segment_around(content, position, end)
        if position <= end:
            return end + 2
    return len(content)


def _past_segment_around(content: bytes, first: int, place: int) -> int:
    """The end of the segment between two scans that holds a place; the place itself where none does."""
    position = max(first, place - _LONGEST_SEGMENT)
    while (marker := _BETWEEN.search(content, position, place)) and marker.end() + 2 <= len(content):
        position = marker.end() + _length(content, marker.end())
        if position > place:
            return position
    return place


def _length(content: bytes, position: int) -> int:
    return int.from_bytes(content[position : position + 2], "big")


def parts_behind(content: bytes) -> Iterator[Part]:
    """What follows the first picture of a JPEG: further pictures, and the rest in one, without padding."""
    position = end_of_picture(content)
    for _ in range(_MOST_PICTURES):
        position = _past_padding(content, position)
        if not content.startswith(_START, position):
            break
        end = end_of_picture(content, position)
        yield Part(True, position, end)
        position = end
    if position < len(content):
        yield Part(False, position, len(content))


def _past_padding(content: bytes, position: int) -> int:
    found = _PADDING.match(content, position)
    # The last FF of a padding may be the first of a marker.
    end = found.end() if found else position
    return end - 1 if content.startswith(b"\xd8\xff", end) and content.startswith(b"\xff", end - 1) else end


def add_behind(facts: Facts, content: bytes, *, thumbnails: int) -> None:
    """thumbnails: how many of the further pictures the file says to be previews of the first"""
    further = 0
    for part in parts_behind(content):
        size = show_bytes(part.end - part.start)
        head = content[part.start : min(part.end, part.start + (1 << 16))]
        if not part.is_picture:
            add_rest(facts, content, part.start)
        elif _GAIN.search(head):
            facts.add(kinds.GAIN_MAP, "picture", size)
        elif _DEPTH.search(head):
            facts.add(kinds.DEPTH, "picture", size)
        elif (further := further + 1) > thumbnails:
            facts.add(kinds.FURTHER, str(further), size)


def add_rest(facts: Facts, content: bytes, start: int) -> None:
    """Bytes that are no picture: a film, with or without what its maker put around it, or whatever it is."""
    # The length of its first box begins with zeros, which were taken for padding.
    if film := _FILM.search(content, max(0, start - 3)):
        facts.add(kinds.FILM, "film", show_bytes(len(content) - film.start()))
    else:
        facts.add(kinds.BEHIND, "data", show_bytes(len(content) - start))
