"""Decoded pixels to what the model looks at."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neardup.errors import BadInput

# The final antialiased resize sees at least twice the pixels that it makes; this is where Pillow stops reducing fast.
REDUCING_GAP = 2.0


def preprocess(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Squash an image to the model's square input, antialiased.

    pixels:  (h, w, 3) uint8 RGB, upright
    returns: (size, size, 3) uint8; the aspect ratio is given up, so that no picture content is
    Raises BadInput for another shape or dtype.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise BadInput(f"an image is (height, width, 3) uint8 RGB, not {pixels.shape} {pixels.dtype}")
    if pixels.shape[:2] == (size, size):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP))
