"""The frames of an animation, the pages of a file: how many there are, and what some of them show."""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.errors import UnreadableImage
from neardup.images.decode import decode_image

# Formats that can hold several. The second picture of an MPO is a preview or a gain map, and no frame.
MANY = frozenset({"GIF", "WEBP", "PNG", "TIFF", "AVIF", "FLI", "DCX"})
# Going to a frame decodes those before it: so much is done to count them, and what lies beyond is not looked at.
_MOST_FRAMES, _MOST_PIXELS = 2000, 400_000_000


@dataclass(frozen=True)
class Frames:
    count: int
    later: tuple[NDArray[np.uint8], ...] = ()  # (h, w, 3) RGB of some frames after the first, spread over the rest


ONE = Frames(1)


def read_frames(content: bytes, *, sample: int, edge: int) -> Frames:
    """Count the frames of an image file, and decode `sample` of those after the first, reduced to `edge` pixels.

    A file whose later frames cannot be read has those before them. Raises UnreadableImage for one that has none.
    """
    from PIL import Image

    decoded = decode_image(content, size=edge)  # within the limits, and with the format's plugin loaded
    if decoded.format not in MANY:
        return ONE
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=[decoded.format]) as image:
            warnings.simplefilter("ignore")
            most = min(_MOST_FRAMES, max(1, _MOST_PIXELS // max(1, image.width * image.height)))
            count = _count(image, most)
            later = []
            for frame in sorted({round(share * (count - 1)) for share in np.linspace(0, 1, sample + 1)} - {0}):
                image.seek(frame)
                if image.width * image.height > _MOST_PIXELS // 4:
                    break
                shown = image.convert("RGB")
                shown.thumbnail((edge, edge), Image.Resampling.BOX)
                later.append(np.asarray(shown, np.uint8))
            return Frames(count, tuple(later))
    except UnreadableImage:
        raise
    except Exception:  # decoders of odd files raise nearly everything; the first frame was read
        return ONE


def _count(image: "object", most: int) -> int:
    count = 1
    try:
        while count < most:
            image.seek(count)  # type: ignore[attr-defined]
            count += 1
    except EOFError:
        pass
    return count
