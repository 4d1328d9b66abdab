"""Parts of a picture, embedded beside the whole: what is pasted into it is then among what it proposes."""

import numpy as np
from numpy.typing import NDArray

# Four corners and the middle, each 0.6 of the sides: left and top as shares of what is left over.
SIDE = 0.6
PLACES = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5))


def cut_parts(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Views of (h, w, 3) pixels: four corners, then the middle."""
    height, width = pixels.shape[:2]
    high, wide = max(1, round(SIDE * height)), max(1, round(SIDE * width))
    return [
        pixels[top : top + high, left : left + wide]
        for left, top in ((round(x * (width - wide)), round(y * (height - high))) for x, y in PLACES)
    ]
