"""What a camera's RAW file shows: the preview that the camera put into it, by LibRaw, where rawpy is installed."""

import io
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.errors import UnreadableImage
from neardup.images.tiff import first_directory
from neardup.packages import is_installed

_BEGINNINGS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
_SUBFILE_TYPE, _PHOTOMETRIC, _SUB_DIRECTORIES, _DNG_VERSION = 254, 262, 330, 50706
_REDUCED, _MOSAIC, _LINEAR_RAW = 1, 32803, 34892
# LibRaw's ways to turn a picture upright, as quarter turns counter-clockwise.
_TURNS = {3: 2, 5: 1, 6: 3}


@dataclass(frozen=True)
class Preview:
    """A JPEG file, with its orientation, or upright pixels."""

    jpeg: bytes = b""
    pixels: NDArray[np.uint8] | None = None  # (h, w, 3) RGB


@cache
def can_read_raw() -> bool:
    return is_installed("rawpy")


def is_raw(content: bytes) -> bool:
    """Whether a file's content is a camera's RAW format; most of them are TIFFs that show a thumbnail to others."""
    if content.startswith(_BEGINNINGS) or content[4:12] == b"ftypcrx " or content[6:14] == b"HEAPCCDR":
        return True
    if content[:4] not in (b"II*\0", b"MM\0*"):
        return False
    first = first_directory(content)
    is_thumbnail = first.value(_SUBFILE_TYPE) & _REDUCED and first.count(_SUB_DIRECTORIES)
    is_sensor = first.value(_PHOTOMETRIC) in (_MOSAIC, _LINEAR_RAW)
    return content[8:10] == b"CR" or bool(first.count(_DNG_VERSION) or is_thumbnail or is_sensor)


def preview_of(content: bytes) -> Preview:
    """The largest preview in a RAW file; the RAW itself is not developed. Raises UnreadableImage."""
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(content)) as raw:
            found: Any = raw.extract_thumb()
            turns = _TURNS.get(raw.sizes.flip, 0)
    except Exception as error:  # LibRaw's errors, and whatever rawpy makes of damaged files
        said = " ".join(re.sub(r"^b'|'$", "", str(error)).split())[:200]
        raise UnreadableImage(f"RAW file without a preview that can be read: {said}") from error
    if found.format == rawpy.ThumbFormat.JPEG:
        return Preview(jpeg=bytes(found.data))
    pixels = np.asarray(found.data)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise UnreadableImage(f"RAW file with a preview of shape {pixels.shape} and {pixels.dtype}")
    return Preview(pixels=np.ascontiguousarray(np.rot90(pixels, turns)))
