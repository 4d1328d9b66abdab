"""Flags and symbols: pictures of a few flat colours, of which the colours are what they say.

A photo in other tones is that photo; a flag in other colours is another flag, although some tone curve leads from any
few colours to any others.
"""

import numpy as np
from numpy.typing import NDArray

from neardup.matching.agreement import Laid
from neardup.matching.colours import LIGHTNESS

# So many colours, of eight levels a channel, that make up so much of a picture make it flat.
_COLOURS, _MOST_OF_IT = 5, 0.9
# Distance in the plane of a* and b* (CIELAB) that makes another colour, and the share of a picture that has one.
_ANOTHER, _SHARE = 25.0, 0.04
# Share of a picture with a colour of its own, below which it has none that say what it is.
_COLOURED = 0.12
# Distance from grey, of nearly all places, within which a picture has no colours, and the difference in luma, of 255,
# from which on they are not those of the other turned grey.
_GREY, _OF_GREY = 8.0, 28.0


def is_recoloured(laid: Laid) -> bool:
    """laid: two pictures in colour, (h, w, 3) RGB each; one of them may have been turned grey"""
    if not laid.inside.any() or not all(_is_flat(side, laid.inside) for side in (laid.a, laid.b)):
        return False
    sides = [side[laid.inside] for side in (laid.a, laid.b)]
    first, second = map(_chroma, sides)
    colours = [np.hypot(*side.T) for side in (first, second)]
    if max((side > _ANOTHER).mean() for side in colours) < _COLOURED:  # a page on darker paper, or with stickers on it
        return False
    if any(np.percentile(side, 99) < _GREY for side in colours):
        lumas = [side @ LIGHTNESS for side in sides]
        return bool((np.abs(lumas[0] - lumas[1]) > _OF_GREY).mean() > _SHARE)
    return bool((np.hypot(*(first - second).T) > _ANOTHER).mean() > _SHARE)


def _is_flat(pixels: NDArray[np.uint8], inside: NDArray[np.bool_]) -> bool:
    import cv2

    red, green, blue = cv2.split(pixels >> 5)
    colours = (red.astype(np.uint16) << 6 | green.astype(np.uint16) << 3 | blue)[inside]
    counts = np.sort(np.bincount(colours, minlength=512))
    return bool(counts[-_COLOURS:].sum() >= _MOST_OF_IT * len(colours))


def _chroma(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """a* and b*: (n, 2)."""
    import cv2

    lab = cv2.cvtColor(pixels[:, None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab[:, 0, 1:], np.float32)
