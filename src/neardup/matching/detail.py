"""Which of two pictures of the same was enlarged: it has more pixels, and nothing in them that the other lacks.

The detail of a photo falls slowly from octave to octave (Field, JOSA A 1987), so that what a picture has above the
finest that a smaller one can hold is about as much as that one has in its own finest octave. An enlargement has none.
"""

import numpy as np
from numpy.typing import NDArray

from neardup.matching.evidence import Side
from neardup.matching.maps import Matrix, scale_of
from neardup.matching.picture import Picture

# Pixels of the larger for one of the smaller from which on it can be told, and edge of the smaller.
_LARGER, _EDGE = 1.3, 48
_BLOCK = 16
# Fine structure of the larger one over that of the smaller, below which it was enlarged to twice the size: what is less
# enlarged has more, within these bounds. Levels of 255 that the smaller one's has at the least.
_ENLARGED, _BOUNDS, _FINE = 0.3, (0.25, 0.4), 1.5


def enlarged(a: Picture, b: Picture, matrix: Matrix) -> Side | None:
    """matrix: from the whole of A to the whole of B"""
    scale = scale_of(matrix, (a.width, a.height))  # of the whole pictures
    if not scale:
        return None
    which: Side
    which, large, small, scale = ("a", a, b, 1 / scale) if scale < 1 else ("b", b, a, scale)
    # As they were decoded: of two that were both reduced on the way nothing can be told.
    scale *= large.pixels.shape[1] / large.width * small.width / small.pixels.shape[1]
    if scale < _LARGER or min(small.detail_grey.shape) < _EDGE:
        return None
    fine, usual = _finer_than(large.detail_grey, scale), _finer_than(small.detail_grey, scale)
    limit = float(np.clip(2 * _ENLARGED / scale, *_BOUNDS))
    return which if usual >= _FINE and fine < limit * usual else None


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
