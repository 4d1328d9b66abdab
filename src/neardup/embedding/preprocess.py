"""Decoded pixels to what the model looks at."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neardup.errors import BadInput

# The final antialiased resize sees at least twice the pixels that it makes; this is where Pillow stops reducing fast.
REDUCING_GAP = 2.0
# Levels between the 0.5 and the 99.5 % quantile below which contrast is stretched; below the second there is none.
LITTLE_CONTRAST, LEAST_CONTRAST = 64, 4


def preprocess(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Squash an image to the model's square input, antialiased.

    pixels:  (h, w, 3) uint8 RGB, upright
    returns: (size, size, 3) uint8; the aspect ratio is given up, so that no picture content is; the contrast is
             stretched where there is next to none, since dark and pale pictures are all one to a network
    Raises BadInput for another shape or dtype.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise BadInput(f"an image is (height, width, 3) uint8 RGB, not {pixels.shape} {pixels.dtype}")
    if pixels.shape[:2] != (size, size):
        image = Image.fromarray(np.ascontiguousarray(pixels))
        pixels = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP))
    return _visible(pixels)


def _visible(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same, or from black to white where nearly all values lie close together; all channels alike."""
    low, high = (int(value) for value in np.percentile(pixels, (0.5, 99.5)))
    if high - low >= LITTLE_CONTRAST or high - low < LEAST_CONTRAST:
        return pixels
    levels = np.clip((np.arange(256) - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    return np.asarray(levels[pixels])
