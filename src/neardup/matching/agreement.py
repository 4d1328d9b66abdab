"""Same pixels? How well two pictures agree under a map, block by block, once blur is made alike.

Correlation within a block does not mind brightness and contrast; the median block and the share of blocks that agree do
not mind writing over a part.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.matching.maps import Matrix, inverse, overlap, scale_of, warp

# Pixels of a block's side; half as many where the overlap is small.
BLOCK = 16
FEWEST_BLOCKS = 6
# Share of a block's pixels that must count.
_FREE = 0.4
# Standard deviation of a block's pixels, of 255, above which there is something to see in it.
DETAILED = 6.0
# Correlation from which on a block agrees, and from which on it agrees well.
AGREES, AGREES_WELL = 0.5, 0.8
# What both are blurred by, so that noise and blocks of JPEG do not count.
_NOISE_SIGMA = 1.0
# Further blur of the sharper one that is tried.
_BLURS = (0.5, 0.8, 1.2, 1.7, 2.4, 3.4, 4.8)
# Logarithm of a ratio of sharpness that means nothing.
_AS_SHARP = 0.1


@dataclass(frozen=True)
class Laid:
    """Two pictures in one frame, the one with more pixels brought to the other's: (h, w[, 3]) each."""

    a: NDArray[np.uint8]
    b: NDArray[np.uint8]
    inside: NDArray[np.bool_]  # where both show something
    in_b: bool  # the frame is B's, else A's


@dataclass(frozen=True)
class Agreement:
    """blocks 0: there is too little to see in what both show."""

    blocks: int  # with something to see
    agreeing: float  # share of them that agree
    well: float  # share of them that agree well
    median: float  # correlation
    blur_a: float  # what A was blurred by to be as blunt as B, standard deviation in pixels of the frame; else 0
    blur_b: float


NOTHING = Agreement(0, 0.0, 0.0, -1.0, 0.0, 0.0)


def lay(a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: Matrix, *, in_b: bool | None = None) -> Laid:
    """Bring two pictures (h, w[, 3]) together by the map of A's pixels to B's.

    in_b: in B's frame, or in A's; None: in that of the one with fewer pixels for what both show
    """
    size_a, size_b = (a.shape[1], a.shape[0]), (b.shape[1], b.shape[0])
    if in_b if in_b is not None else scale_of(matrix, size_a) <= 1:
        return Laid(warp(a, matrix, size_b), b, overlap(size_a, matrix, size_b), in_b=True)
    back = inverse(matrix)
    return Laid(a, warp(b, back, size_a), overlap(size_b, back, size_a), in_b=False)


def agreement(laid: Laid, but: NDArray[np.bool_] | None = None) -> Agreement:
    """laid: in grey, contrast stretched. but: (h, w), pixels to pass over; blocks that lie in them do not count"""
    import cv2

    inside = laid.inside
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if len(rows) < BLOCK // 2 or len(columns) < BLOCK // 2:
        return NOTHING
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside = inside[box]
    a, b = (cv2.GaussianBlur(side[box], (0, 0), _NOISE_SIGMA) for side in (laid.a, laid.b))
    block = BLOCK if inside.sum() >= 24 * BLOCK * BLOCK else BLOCK // 2
    whole: NDArray[Any] = np.asarray(blocks(inside, block).min(axis=1) > 0)
    a, b, blur_a, blur_b = _as_blunt(a, b, whole, block)
    weights = np.ones((int(whole.sum()), block * block), np.float32)
    if but is not None:
        weights = 1 - blocks(but[box], block)[whole]
    free = weights.mean(axis=1) >= _FREE
    weights = weights[free]
    first, second = (_centred(blocks(side, block)[whole][free], weights) for side in (a, b))
    total = weights.sum(axis=1)
    spread_a, spread_b = (np.sqrt((weights * np.square(side)).sum(axis=1) / total) for side in (first, second))
    detailed = np.maximum(spread_a, spread_b) >= DETAILED
    if detailed.sum() < FEWEST_BLOCKS:
        return NOTHING
    floor = (DETAILED / 2) ** 2
    products = (weights * first * second).sum(axis=1) / total
    correlations = (products / np.maximum(spread_a * spread_b, floor))[detailed]
    return Agreement(
        int(detailed.sum()),
        float((correlations >= AGREES).mean()),
        float((correlations >= AGREES_WELL).mean()),
        float(np.median(correlations)),
        blur_a,
        blur_b,
    )


def _as_blunt(
    a: NDArray[np.uint8], b: NDArray[np.uint8], whole: NDArray[Any], block: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], float, float]:
    """Blur the sharper one until it is as blunt as the other, where it is sharper in three blocks of four: writing over
    a part makes no picture sharper."""
    sharp_a, sharp_b = _sharpness(a, whole, block), _sharpness(b, whole, block)
    low, high = _sharper(sharp_a, sharp_b, (25, 75))
    if low <= _AS_SHARP and high >= -_AS_SHARP:
        return a, b, 0.0, 0.0
    is_a = low > _AS_SHARP
    sharper, blunter = (a, sharp_b) if is_a else (b, sharp_a)
    best, sigma, left = sharper, 0.0, math.inf
    for tried in (0.0, *_BLURS):
        now = blurred(sharper, tried)
        [excess] = _sharper(_sharpness(now, whole, block), blunter, (50,))
        if abs(excess) > left:
            break
        best, sigma, left = now, tried, abs(excess)
    return (best, b, sigma, 0.0) if is_a else (a, best, 0.0, sigma)


# Of each block the mean step between neighbours, and the spread.
_Sharpness = tuple[NDArray[np.float32], NDArray[np.float32]]


def _sharpness(side: NDArray[np.uint8], whole: NDArray[Any], block: int) -> _Sharpness:
    wide = side.astype(np.float32)
    step = np.zeros_like(wide)
    step[:, 1:] = np.abs(wide[:, 1:] - wide[:, :-1])
    step[1:] += np.abs(wide[1:] - wide[:-1])
    steps, means, squares = (means_of_cells(each, block).ravel()[whole] for each in (step, wide, wide * wide))
    return steps, np.sqrt(np.maximum(squares - means * means, 0))


def _sharper(a: _Sharpness, b: _Sharpness, at: tuple[int, ...]) -> list[float]:
    """Percentiles over the blocks with something to see of how much sharper A is, as a logarithm.

    Steps between neighbours against the spread within the block, so that contrast does not count.
    """
    seen = np.minimum(a[1], b[1]) >= DETAILED / 2
    if seen.sum() < FEWEST_BLOCKS:
        return [0.0 for _ in at]
    first, second = (np.log(np.maximum(step[seen], 1e-3) / spread[seen]) for step, spread in (a, b))
    return [float(value) for value in np.percentile(first - second, at)]


def blurred(grey: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    import cv2

    return grey if sigma <= 0 else np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), np.uint8)


def blocks(pixels: NDArray[np.generic], block: int) -> NDArray[np.float32]:
    """The pixels of each square block as a row: (blocks, block * block)."""
    height, width = (side // block for side in pixels.shape)
    cut = pixels[: height * block, : width * block].astype(np.float32)
    return cut.reshape(height, block, width, block).swapaxes(1, 2).reshape(height * width, block * block)


def means_of_cells(values: NDArray[np.float32], cell: int) -> NDArray[np.float32]:
    """Of (h, w[, c]) the mean of each square cell: (h // cell, w // cell[, c])."""
    import cv2

    height, width = (side // cell for side in values.shape[:2])
    cut = values[: height * cell, : width * cell]
    if not cut.size:
        return np.empty((height, width, *values.shape[2:]), np.float32)
    return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _centred(values: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    means = (weights * values).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    centred: NDArray[np.float32] = values - means
    return centred
