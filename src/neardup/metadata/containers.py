"""PNG without its pixels, and the outermost boxes of HEIC and AVIF: where Pillow would decode, or does not look."""

import re
from collections.abc import Iterator

from neardup.metadata import kinds
from neardup.metadata.facts import Facts
from neardup.text import show_bytes

_SIGNATURE_BYTES = 8
_PIXELS = (b"IDAT", b"fdAT", b"fcTL", b"acTL")
_MOST_CHUNKS = 4096
_MOST_BYTES = 64 << 20  # of chunks that are no pixels
_MOST_BOXES = 1000
_AV1_CONFIG = re.compile(rb"av1C\x81.(.)", re.DOTALL)


def png_without_pixels(content: bytes) -> bytes:
    """A PNG with all chunks but those of pixels: text stands before or behind them, and Pillow decodes to get there.

    Raises ValueError for more chunks or bytes than a PNG needs.
    """
    parts, size = [content[:_SIGNATURE_BYTES]], 0
    others = ((kind, start, end) for kind, start, end in _chunks(content) if kind not in _PIXELS)
    for number, (_, start, end) in enumerate(others):
        size += end - start
        if number >= _MOST_CHUNKS or size > _MOST_BYTES:
            raise ValueError("a PNG with more beside its pixels than is read")
        parts.append(content[start:end])
    return b"".join(parts)


def has_chunk(content: bytes, kind: bytes) -> bool:
    return any(found == kind for found, _, _ in _chunks(content))


def png_frames(content: bytes) -> int:
    """As the animation's header says."""
    for kind, start, _ in _chunks(content):
        if kind == b"acTL":
            return max(1, int.from_bytes(content[start + 8 : start + 12], "big"))
        if kind == b"IDAT":
            break
    return 1


def png_rest(content: bytes) -> int:
    """Where the file goes on behind its last chunk."""
    return next((end for kind, _, end in _chunks(content) if kind == b"IEND"), len(content))


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    position = _SIGNATURE_BYTES
    while position + 12 <= len(content):
        end = position + 12 + int.from_bytes(content[position : position + 4], "big")
        if end > len(content):
            return
        kind = content[position + 4 : position + 8]
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end


def add_boxes(facts: Facts, content: bytes) -> None:
    """Of HEIC and AVIF: a film in a box of its own, a maker's own data, a gain map as ISO 21496-1 has it."""
    for number, (kind, start, end) in enumerate(_boxes(content)):
        if number > _MOST_BOXES:
            break
        if kind == b"ftyp" and b"tmap" in content[start:end]:
            facts.add(kinds.GAIN_MAP, "picture", "")
        elif kind == b"mpvd":
            facts.add(kinds.FILM, "film", show_bytes(end - start))
        elif kind not in (b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"wide", b"idat"):
            facts.add(kinds.BEHIND, repr(kind)[2:-1], show_bytes(end - start))


def av1_bits(content: bytes) -> int:
    """Bits a channel of an AVIF, by its first decoder configuration."""
    found = _AV1_CONFIG.search(content, 0, 1 << 16)
    if found is None or not found[1][0] & 0x40:
        return 8
    return 12 if found[1][0] & 0x20 else 10


def _boxes(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of each outermost box (ISO/IEC 14496-12)."""
    position = 0
    while position + 8 <= len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        if size == 1:
            size = int.from_bytes(content[position + 8 : position + 16], "big")
        end = position + size if size else len(content)
        if end < position + 8:
            return
        yield content[position + 4 : position + 8], position, min(end, len(content))
        position = end
