"""The markers of a JPEG, and what its scans hold (ITU-T T.81, annex B)."""

import re
from collections.abc import Iterator

SCAN, END, RESTART_INTERVAL = 0xDA, 0xD9, 0xDD
# FF 00 is a byte of data, FF FF fills, FF D0 to D7 restart within a scan; 01 and those stand alone, without a length.
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
_ANY_MARKER = re.compile(rb"\xff([^\x00\xff])")


def markers(content: bytes) -> Iterator[tuple[int, int]]:
    """Codes of a JPEG's markers and where their lengths stand, up to the end of its first image."""
    position = 2
    while marker := _MARKER.search(content, position):
        code, position = marker[1][0], marker.end()
        if code == END:
            return
        yield code, position
        position += int.from_bytes(content[position : position + 2], "big")


def end_of_scan(content: bytes, start: int, *, restarts: bool) -> int | None:
    """Where the marker stands that ends the data from `start` on; None where nothing does."""
    found = (_MARKER if restarts else _ANY_MARKER).search(content, start)
    return found.start() if found else None
