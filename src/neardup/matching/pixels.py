"""Whether two files show the same picture, pixel for pixel: a copy written anew, or with other metadata."""

import hashlib
import io
import warnings
from typing import Any

import numpy as np

from neardup.errors import UnreadableImage
from neardup.images import decode_image

# Decoded whole, without loss to 8 bits. HEIC and AVIF are left out: what they hold beside the pixels (depth, further
# bits, gain maps) is not seen here, and a copy called exact may be removed without a look.
_FORMATS = frozenset({"JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "GIF", "QOI", "TGA"})
_MODES = frozenset({"1", "L", "P", "RGB", "CMYK", "YCbCr"})
# Of an animation or a file of pages: more are not compared.
MAX_FRAMES, MAX_FRAME_PIXELS = 2000, 500_000_000


def pixel_digest(content: bytes) -> bytes | None:
    """SHA-256 of what an image file shows: upright pixels, of every frame, and the colour profile they are meant in.

    None where equal pixels would not prove equal pictures: more than 8 bits a channel, transparency, formats that are
    not decoded exactly, very many frames. Raises UnreadableImage.
    """
    from PIL import Image

    decoded = decode_image(content)  # within the limits on size and memory, and with Pillow's formats loaded
    if decoded.format not in _FORMATS:
        return None
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as image:
            warnings.simplefilter("ignore")
            profile = image.info.get("icc_profile") or b""
            frames = int(getattr(image, "n_frames", 1))
            if image.mode not in _MODES or (frames == 1 and "transparency" in image.info):
                return None
            result = hashlib.sha256(repr((decoded.pixels.shape, frames, len(profile))).encode() + profile)
            result.update(decoded.pixels.tobytes())
            if frames > 1 and not _add_frames(image, frames, result):
                return None
    except Exception as error:  # as in decode_image: decoders of odd files raise nearly everything
        raise UnreadableImage(f"cannot be compared: {error}") from error
    return result.digest()


def look_digest(content: bytes) -> bytes:
    """SHA-256 of what a person sees of an image file, to know a picture again after its metadata were written anew.

    That of `pixel_digest` where there is one, else of the first frame in 8 bits: enough to go on with what was said of
    a picture, not to call two files equal. Raises UnreadableImage.
    """
    if (exact := pixel_digest(content)) is not None:
        return exact
    pixels = decode_image(content).pixels
    return hashlib.sha256(f"first frame {pixels.shape}".encode() + pixels.tobytes()).digest()


def _add_frames(image: Any, frames: int, result: Any) -> bool:
    """Each frame as it is shown, and for how long; False where that would take too much."""
    if frames > MAX_FRAMES or frames * image.width * image.height > MAX_FRAME_PIXELS:
        return False
    for frame in range(frames):
        image.seek(frame)
        if image.width * image.height > MAX_FRAME_PIXELS:
            return False
        shown = np.asarray(image.convert("RGBA"))
        result.update(repr((shown.shape, image.info.get("duration"))).encode())
        result.update(shown.tobytes())
    return True
