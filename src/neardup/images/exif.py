"""What a camera wrote into a picture: when it was taken, by what, where; read without allocating for what a file says.

Only the few values that are asked for are looked at, whatever the directories claim to hold.
"""

import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Bits of `Taken.kinds`. SIZE: the picture still has the pixels that the camera wrote that it has.
CAMERA, DATE, PLACE, SIZE = 1, 2, 4, 8

_MAKE, _MODEL, _EXIF, _GPS = 0x010F, 0x0110, 0x8769, 0x8825
_TAKEN, _OFFSET, _SUBSECONDS, _WIDTH, _HEIGHT = 0x9003, 0x9011, 0x9291, 0xA002, 0xA003
_LATITUDE, _LONGITUDE = 2, 4
_MOST_ENTRIES, _MOST_BYTES = 1024, 64
# Bytes of a value of each type (TIFF 6.0, section 2).
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_DATE_TIME = re.compile(rb"(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_ZONE = re.compile(rb"([+-])(\d\d):?(\d\d)")
# No camera is older; and a clock that is wrong may say anything.
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Taken:
    when_ms: int | None = None  # since 1970, of a time without a zone as if it were UTC; None: not said, or nonsense
    kinds: int = 0  # CAMERA, DATE, PLACE and SIZE, those that the file holds


UNTOLD = Taken()


def read_taken(exif: bytes, size: tuple[int, int] = (0, 0)) -> Taken:
    """exif: an Exif block with or without its `Exif` header, or a TIFF file; nothing where it cannot be understood.

    size: width and height in pixels, as they are stored
    """
    content = memoryview(exif)[6:] if exif[:6] == b"Exif\0\0" else memoryview(exif)
    order = {b"II": "<", b"MM": ">"}.get(bytes(content[:2]))
    if order is None or len(content) < 8:
        return UNTOLD
    main = _values(content, order, _number(order, content[4:8]), {_MAKE, _MODEL, _EXIF, _GPS})
    photo = _values(
        content, order, _number(order, main.get(_EXIF, b"")), {_TAKEN, _OFFSET, _SUBSECONDS, _WIDTH, _HEIGHT}
    )
    place = _values(content, order, _number(order, main.get(_GPS, b"")), {_LATITUDE, _LONGITUDE})
    when_ms = _when_ms(photo.get(_TAKEN, b""), photo.get(_SUBSECONDS, b""), photo.get(_OFFSET, b""))
    kinds = 0
    if any(main.get(tag, b"").strip(b"\0 ") for tag in (_MAKE, _MODEL)):
        kinds |= CAMERA
    if when_ms is not None:
        kinds |= DATE
    if all(any(place.get(tag, b"")) for tag in (_LATITUDE, _LONGITUDE)):
        kinds |= PLACE
    if size[0] > 0 and size == (_whole(order, photo.get(_WIDTH, b"")), _whole(order, photo.get(_HEIGHT, b""))):
        kinds |= SIZE
    return Taken(when_ms, kinds)


def _values(content: memoryview, order: str, position: int, wanted: set[int]) -> dict[int, bytes]:
    """The first bytes of the wanted values in the directory at a position; those that lie outside are left out."""
    found: dict[int, bytes] = {}
    try:
        [entries] = struct.unpack_from(order + "H", content, position) if position else [0]
        for entry in range(min(entries, _MOST_ENTRIES)):
            tag, kind, count = struct.unpack_from(order + "HHI", content, position + 2 + 12 * entry)
            if tag not in wanted or kind not in _SIZES:
                continue
            size = _SIZES[kind] * count
            start = position + 10 + 12 * entry
            if size > 4:
                [start] = struct.unpack_from(order + "I", content, start)
            found.setdefault(tag, bytes(content[start : start + min(size, _MOST_BYTES)]))
    except struct.error:  # cut off
        pass
    return found


def _whole(order: str, value: bytes) -> int:
    """A SHORT or a LONG."""
    return int(struct.unpack_from(order + "H", value)[0]) if len(value) == 2 else _number(order, value)


def _number(order: str, value: bytes | memoryview) -> int:
    return int(struct.unpack_from(order + "I", value)[0]) if len(value) >= 4 else 0


def _when_ms(text: bytes, subseconds: bytes, zone: bytes) -> int | None:
    found = _DATE_TIME.match(text)
    if found is None:
        return None
    numbers = [int(number) for number in found.groups()]
    if not _FIRST_YEAR <= numbers[0] <= _LAST_YEAR:
        return None
    try:
        when = datetime(*numbers, tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:  # 2015:00:00, 25:61:00
        return None
    if offset := _ZONE.match(zone):
        ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        when -= ahead if offset[1] == b"+" else -ahead
    digits = re.match(rb"\d{1,3}", subseconds)
    thousandths = int(digits[0].ljust(3, b"0")) if digits else 0
    return int((when - _EPOCH) / timedelta(seconds=1)) * 1000 + thousandths
