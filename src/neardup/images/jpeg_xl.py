"""JPEG XL, by its Pillow plugin where that is installed.

It decodes as soon as it opens a file, whatever its size: so that is read here first (ISO/IEC 18181-1, D.2).
"""

import struct
from dataclasses import dataclass
from functools import cache

from neardup.packages import is_installed

_RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_WIDTHS = (9, 13, 18, 30)
_MOST_BOXES = 1000


@cache
def can_read_jpeg_xl() -> bool:
    return is_installed("pillow_jxl")


@dataclass
class _Bits:
    """Numbers of so many bits, the lowest first."""

    left: int

    def take(self, count: int) -> int:
        value = self.left & ((1 << count) - 1)
        self.left >>= count
        return value


def size_of(content: bytes) -> tuple[int, int]:
    """Width and height that a JPEG XL file's first codestream states, not turned; (0, 0) where there is none."""
    stream = _codestream(content)
    if not stream.startswith(b"\xff\x0a"):
        return 0, 0
    bits = _Bits(int.from_bytes(stream[2:14], "little"))
    is_small = bits.take(1)
    height = _side(bits, is_small)
    ratio = _RATIOS[bits.take(3)]
    return (_side(bits, is_small) if ratio is None else height * ratio[0] // ratio[1]), height


def _side(bits: _Bits, is_small: int) -> int:
    return 8 * (bits.take(5) + 1) if is_small else bits.take(_WIDTHS[bits.take(2)]) + 1


def _codestream(content: bytes) -> bytes:
    """The beginning of the codestream: the file itself, or in its first box of that kind."""
    if content.startswith(b"\xff\x0a"):
        return content[:32]
    position = 0
    for _ in range(_MOST_BOXES):
        if position + 8 > len(content):
            break
        size, kind = struct.unpack_from(">I4s", content, position)
        header = 8
        if size == 1 and position + 16 <= len(content):
            [size] = struct.unpack_from(">Q", content, position + 8)
            header = 16
        if kind in (b"jxlc", b"jxlp"):
            start = position + header + (4 if kind == b"jxlp" else 0)
            return content[start : start + 32]
        if size < header:  # 0: to the end of the file
            break
        position += size
    return b""
