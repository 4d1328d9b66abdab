"""The first directory of a TIFF, read without allocating for what it says (TIFF 6.0, section 2; BigTIFF)."""

import struct
from collections import defaultdict
from dataclasses import dataclass

_MOST_ENTRIES = 4096
# Types of whole numbers: BYTE, SHORT, LONG, SSHORT, SLONG, IFD, LONG8; Pillow takes any of them for a size.
_WHOLE = {1: "B", 3: "H", 4: "I", 8: "H", 9: "I", 13: "I", 16: "Q"}


@dataclass(frozen=True)
class Directory:
    """Counts of values by tag, and the values of those that hold one number."""

    counts: dict[int, int]
    values: dict[int, int]

    def count(self, tag: int) -> int:
        return self.counts.get(tag, 0)

    def value(self, tag: int) -> int:
        return self.values.get(tag, 0)


def first_directory(content: bytes) -> Directory:
    """Of a tag that comes twice, the larger count; an empty directory where there is none to read."""
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    counts: dict[int, int] = defaultdict(int)
    values: dict[int, int] = {}
    if order is None:
        return Directory(counts, values)
    big = content[2:4] in (b"+\0", b"\0+")
    start, number, entry = ("Q", "Q", "HHQ8s") if big else ("I", "H", "HHI4s")
    try:
        [position] = struct.unpack_from(order + start, content, 8 if big else 4)
        [entries] = struct.unpack_from(order + number, content, position)
        position += struct.calcsize(order + number)
        for index in range(min(entries, _MOST_ENTRIES)):
            where = position + index * struct.calcsize(order + entry)
            tag, kind, count, data = struct.unpack_from(order + entry, content, where)
            counts[tag] = max(counts[tag], count)
            if count == 1 and kind in _WHOLE and struct.calcsize(_WHOLE[kind]) <= len(data):
                [values[tag]] = struct.unpack_from(order + _WHOLE[kind], data)
    except struct.error:  # cut off: Pillow says so
        pass
    return Directory(counts, values)
