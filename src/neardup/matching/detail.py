"""Which of two pictures of the same has more real detail, whatever its pixels: one may be enlarged, or blurred.

The detail of a photo falls slowly from octave to octave (Field, JOSA A 1987), so that what a picture has above the
finest that a smaller one can hold is about as much as that one has in its own finest octave. An enlargement has none.
A soft photo has little, too: between the two nothing is said but that the larger one may have no more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.matching.evidence import Side
from neardup.matching.maps import Matrix, scale_of
from neardup.matching.picture import Picture

# Pixels of the larger for one of the smaller from which on it can be told, and edge of the smaller.
_LARGER, _EDGE = 1.2, 48
_BLOCK = 16
# Fine structure of the larger one over that of the smaller, below which it was enlarged to twice the size: what is less
# enlarged has more, within these bounds. Levels of 255 that the smaller one's has at the least.
_ENLARGED, _BOUNDS, _FINE = 0.3, (0.25, 0.4), 1.5
_SURE_FROM = 1.3
# Between these scales the lower bound falls to the last: of what was enlarged to four times, the most is 0.15.
_FAR, _LEAST = (3.0, 4.0), 0.17
# The same below which it may have been: a soft photo has as little. Over the scale, from photos and enlargements.
_PERHAPS = 0.92
# Of two of one size: scales that are one, what is finer than so many pixels, and its share in what was blurred. To
# sharpen a picture multiplies it by 2.5 at the most.
_SAME_SCALE, _FINEST, _BLURRED = 1.02, 1.5, 0.3


@dataclass(frozen=True)
class Detail:
    """Which of the two it is, None for neither."""

    enlarged: Side | None = None  # more pixels, and no more detail
    no_finer: Side | None = None  # more pixels, and perhaps no more detail
    blurred: Side | None = None  # as many pixels, and clearly less detail


def compare_detail(a: Picture, b: Picture, matrix: Matrix) -> Detail:
    """matrix: from the whole of A to the whole of B"""
    scale = scale_of(matrix, (a.width, a.height))  # of the whole pictures
    if not scale:
        return Detail()
    # As they were decoded: of two that were both reduced on the way nothing can be told.
    scale *= (b.pixels.shape[1] / b.width) / (a.pixels.shape[1] / a.width)
    return detail_of(a.detail_grey, b.detail_grey, scale)


def detail_of(a: NDArray[np.uint8], b: NDArray[np.uint8], scale: float) -> Detail:
    """a, b: (h, w) in grey; scale: pixels of B for one of A, along an edge"""
    which: Side
    which, large, small, scale = ("a", a, b, 1 / scale) if scale < 1 else ("b", b, a, scale)
    if min(small.shape) < _EDGE:
        return Detail()
    if scale < _SAME_SCALE:
        return Detail(blurred=_blurred(a, b))
    if scale < _LARGER:
        return Detail()
    fine, usual = _finer_than(large, scale), _finer_than(small, scale)
    limit = float(np.clip(2 * _ENLARGED / scale, *_BOUNDS))
    if scale > _FAR[0]:
        limit = float(np.interp(scale, _FAR, (_BOUNDS[0], _LEAST)))
    if scale >= _SURE_FROM and usual >= _FINE and fine < limit * usual:
        return Detail(enlarged=which, no_finer=which)
    return Detail(no_finer=which if fine < max(limit, _PERHAPS / scale) * max(usual, _FINE) else None)


def _blurred(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Side | None:
    """Which of two of one size, by its fine structure against what is coarser: contrast does not count."""
    fine_a, fine_b = _finer_than(a, _FINEST), _finer_than(b, _FINEST)
    if max(fine_a, fine_b) < _FINE:
        return None
    sharp_a, sharp_b = fine_a / max(float(a.std()), 1.0), fine_b / max(float(b.std()), 1.0)
    if min(sharp_a, sharp_b) >= _BLURRED * max(sharp_a, sharp_b):
        return None
    return "a" if sharp_a < sharp_b else "b"


def _finer_than(grey: NDArray[np.uint8], scale: float) -> float:
    """What is lost when a picture is reduced by this factor: levels of 255 in one of its liveliest blocks."""
    import cv2

    height, width = grey.shape
    size = max(1, round(width / scale)), max(1, round(height / scale))
    less = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    again = cv2.resize(less, (width, height), interpolation=cv2.INTER_CUBIC)
    lost = np.square(grey.astype(np.float32) - again)
    rows, columns = max(1, height // _BLOCK), max(1, width // _BLOCK)
    means = cv2.resize(lost, (columns, rows), interpolation=cv2.INTER_AREA)
    return float(np.sqrt(np.percentile(means, 80)))
