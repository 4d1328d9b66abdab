"""What does each show that the other lacks? Compact, sharp differences between two pictures that lie over each other.

A difference counts where a pixel lies outside the range of its neighbours in the other picture by more than compression
and noise explain, once tone and blur have been made alike, and where enough such pixels hang together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.matching.agreement import Laid, blurred

# Levels of 255 that compression alone may differ by, and how many times the usual difference is unusual.
_LEAST_DIFFERENCE, _UNUSUAL = 22.0, 5.0
# Of the other's range around a pixel, one part of so many is what misplacement by half a pixel explains.
_OF_THE_RANGE = 4
# Pixels that hang together: fewer are noise. In a small picture so many are one part in 600 of it, 8 at the least.
FEWEST_PIXELS, _LEAST_PIXELS, _OF_THE_PICTURE = 25, 8, 600
_WORD = 5
# In a picture of so many pixels, a line of writing that compression has smeared: the mean over some pixels, across and
# down, lies above so many levels and so many times the usual difference; no accident from this share of both on.
_SMALL = 25_000
_LINE, _FAINT, _FAINT_UNUSUAL, _FAINT_SHARE = (7, 5), 12.0, 1.3, 0.006
# Writing laid thinly over a coarse ground hides in the range of a pixel's neighbours, but not in the mean over a few
# pixels, which the ground has in both: less the mean around it, since tones may differ by place, and a part of the
# means near by, which misplacement explains. From this share of both on; the outlines of strong edges have less, but
# not where blur had to be made alike.
_MEAN, _AROUND, _THIN, _THIN_UNUSUAL, _OF_THE_MEANS, _THIN_SHARE = (3, 3), (25, 25), 10.0, 4.0, 6.0, 0.0125
# Range of a pixel's neighbours, in levels, and the share of such pixels around it that make a coarse ground.
_COARSE, _COARSE_SHARE = 20, 0.6
# Edge of the neighbourhood, in pixels, and its range in levels from which on there is something to see.
_NEAR, _SOMETHING = 9, 24
_QUANTILES = np.linspace(0, 1, 33)


@dataclass(frozen=True)
class Differences:
    """In the frame that the two were laid in."""

    mask: NDArray[np.bool_]  # (h, w)
    share: float  # of what both show
    of_detail: float  # of that part of it in which there is something to see
    usual: float  # what the two differ by at most places, levels of 255
    in_b: bool  # the frame is B's, else A's
    # Steps along the outline of the mask in A over those in B: what was written over has the stronger ones.
    clean: float = 1.0


def differences(laid: Laid, *, blur_a: float, blur_b: float) -> Differences:
    """laid: in grey, at a size where writing can be read; without margins

    blur_a, blur_b: what makes the sharper as blunt as the other, standard deviations in pixels of the frame
    """
    import cv2

    inside = laid.inside
    if not inside.any():
        return Differences(np.zeros(inside.shape, bool), 0.0, 0.0, 0.0, laid.in_b)
    a, b = _toned_alike(blurred(laid.a, blur_a), blurred(laid.b, blur_b), inside)
    excess = cv2.max(_beyond(a, b), _beyond(b, a))
    counts = cv2.calcHist([cv2.absdiff(a, b)], [0], inside.astype(np.uint8), [256], [0, 256]).ravel()
    usual = 1.4826 * float(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    # Above what is usual there: a noisy part of a picture is no writing.
    found = (excess > max(_LEAST_DIFFERENCE, _UNUSUAL * usual)) & inside
    # The letters of a word hang together.
    joined = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((_WORD, _WORD), np.uint8))
    count, labels = cv2.connectedComponents(joined, connectivity=8)
    fewest = min(FEWEST_PIXELS, max(_LEAST_PIXELS, inside.size // _OF_THE_PICTURE))
    large = np.bincount(labels[found], minlength=count) >= fewest
    large[0] = False
    mask = large[labels] & inside
    faint = (cv2.boxFilter(excess, cv2.CV_32F, _LINE) > max(_FAINT, _FAINT_UNUSUAL * usual)) & inside
    if inside.size <= _SMALL and faint.sum() >= _FAINT_SHARE * inside.sum():
        mask |= faint
    if not blur_a and not blur_b and mask.sum() < _THIN_SHARE * inside.sum():
        thin = _thinly(a, b, inside)
        if thin.sum() >= _THIN_SHARE * inside.sum():
            mask |= thin
    share = float(mask.sum() / inside.sum())
    if not share:
        return Differences(mask, 0.0, 0.0, usual, laid.in_b)
    detail = max(int((_detailed(a, b) & inside | mask).sum()), 1)
    return Differences(
        mask, share, float(mask.sum() / detail), usual, laid.in_b, _outline_steps(a, mask) / _outline_steps(b, mask)
    )


def _thinly(a: NDArray[np.uint8], b: NDArray[np.uint8], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the means over a few pixels differ, and no tone, no misplacement and no noise explains it."""
    import cv2

    weight = inside.astype(np.float32)
    apart = cv2.subtract(a, b, dtype=cv2.CV_32F) * weight
    around = cv2.blur(apart, _AROUND) / np.maximum(cv2.blur(weight, _AROUND), 0.1)
    kernel = np.ones((3, 3), np.uint8)
    whole = cv2.erode(inside.astype(np.uint8), kernel) > 0
    size = np.abs(cv2.blur(apart, _MEAN) - around)
    if not whole.any():
        return np.asarray(whole)
    usual = 1.4826 * float(np.median(size[whole]))
    means = [cv2.blur(side, _MEAN) for side in (a, b)]
    near = np.maximum(*(cv2.subtract(cv2.dilate(mean, kernel), cv2.erode(mean, kernel)) for mean in means))
    found = (size - near / _OF_THE_MEANS > max(_THIN, _THIN_UNUSUAL * usual)) & whole
    ranges = [cv2.subtract(cv2.dilate(side, kernel), cv2.erode(side, kernel)) for side in (a, b)]
    coarse = cv2.blur((np.minimum(*ranges) > _COARSE).astype(np.float32), _AROUND) > _COARSE_SHARE
    return np.asarray(found & coarse)


def _detailed(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where either has something to see near by."""
    import cv2

    kernel = np.ones((_NEAR, _NEAR), np.uint8)
    ranges = [cv2.subtract(cv2.dilate(side, kernel), cv2.erode(side, kernel)) for side in (a, b)]
    return np.asarray(np.maximum(*ranges) > _SOMETHING)


def _outline_steps(grey: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    """Mean range of the 3 x 3 neighbours along the outline of a mask, at least 1."""
    import cv2

    kernel = np.ones((3, 3), np.uint8)
    solid = mask.astype(np.uint8)
    edge = cv2.dilate(solid, kernel) - cv2.erode(solid, kernel)
    steps = cv2.subtract(cv2.dilate(grey, kernel), cv2.erode(grey, kernel))
    return max(float(cv2.mean(steps, edge)[0]), 1.0)


def _beyond(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How far A lies outside the range of B's 3 x 3 neighbours, less what misplacement explains: (h, w), 0 within."""
    import cv2

    kernel = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(b, kernel), cv2.dilate(b, kernel)
    outside = cv2.max(cv2.subtract(low, a), cv2.subtract(a, high))
    return np.asarray(cv2.subtract(outside, cv2.subtract(high, low) // _OF_THE_RANGE), np.uint8)


def _toned_alike(
    a: NDArray[np.uint8], b: NDArray[np.uint8], inside: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One of the two with the other's tones, by the same quantiles; the way that leaves less of a difference."""
    import cv2

    mask = inside.astype(np.uint8)
    values_a, values_b = (_quantiles(side, mask) for side in (a, b))
    as_b, as_a = cv2.LUT(a, _curve(values_a, values_b)), cv2.LUT(b, _curve(values_b, values_a))
    left = [
        cv2.mean(cv2.absdiff(first, second), mask)[0] / max(float(cv2.meanStdDev(second, mask=mask)[1][0, 0]), 1.0)
        for first, second in ((as_b, b), (as_a, a))
    ]
    return (np.asarray(as_b, np.uint8), b) if left[0] <= left[1] else (a, np.asarray(as_a, np.uint8))


def _quantiles(grey: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The 33 levels below which so many shares of the pixels lie."""
    import cv2

    counts = cv2.calcHist([grey], [0], mask, [256], [0, 256]).ravel()
    shares = np.cumsum(counts) / counts.sum()
    return np.searchsorted(shares, np.maximum(_QUANTILES, 1e-6) - 1e-7).clip(0, 255).astype(np.float64)


def _curve(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The monotone curve that gives one side the other's quantiles: (256,)."""
    x, kept = np.unique(x, return_index=True)
    # Where one level stands for several quantiles, their middle.
    last = np.append(kept[1:] - 1, len(y) - 1)
    return np.asarray(np.rint(np.interp(np.arange(256), x, (y[kept] + y[last]) / 2)), np.uint8)
