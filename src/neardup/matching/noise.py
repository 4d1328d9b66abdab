"""Which of two pictures of the same was spoiled by noise: grain, specks, what a bad sensor or a filter adds.

Detail that one of them lost lies where there is something to see; noise lies everywhere alike.
"""

import numpy as np
from numpy.typing import NDArray

from neardup.matching.agreement import Laid, blocks
from neardup.matching.evidence import Side

_BLOCK = 16
_FEWEST = 12
# What the two differ by in the quietest tenth of the blocks: levels of 255, and over the middle block.
_LEAST, _EVEN = 5.0, 0.5
# Fine structure of the noisy one there, over that of the other.
_MORE = 2.0
# The same where there is most to see, up to which both of them have their detail.
_AS_BUSY = 1.8
# What they differ by in the whole block, over the middle pixel of it, where a few pixels were changed out of all.
_SPECKS = 2.5


def noisier(laid: Laid) -> Side | None:
    """laid: in grey"""
    a, b = (_fine(side) for side in (laid.a, laid.b))
    whole = blocks(laid.inside, _BLOCK).min(axis=1) > 0
    if whole.sum() < _FEWEST:
        return None
    apart, of_a, of_b = (blocks(side, _BLOCK)[whole] for side in (a - b, a, b))
    differing = _spread(apart)
    quiet = float(np.percentile(differing, 10))
    if quiet < max(_LEAST, _EVEN * float(np.median(differing))):
        return None
    (quiet_a, busy_a), (quiet_b, busy_b) = (np.percentile(_spread(side), (10, 90)) for side in (of_a, of_b))
    specks = np.median(differing / np.maximum(np.median(np.abs(apart), axis=1), 1)) >= _SPECKS
    if not specks and max(busy_a, busy_b) > _AS_BUSY * min(busy_a, busy_b):
        return None  # a blurred picture lost what was clearest, too
    return "a" if quiet_a > _MORE * quiet_b else "b" if quiet_b > _MORE * quiet_a else None


def _spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
    spread: NDArray[np.float32] = np.sqrt(np.square(values).mean(axis=1))
    return spread


def _fine(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What is finer than some two pixels."""
    import cv2

    wide = grey.astype(np.float32)
    fine: NDArray[np.float32] = wide - np.asarray(cv2.GaussianBlur(wide, (0, 0), 1.5), np.float32)
    return fine
