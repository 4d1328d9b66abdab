"""One picture cut out of the other, where there are too few keypoints to tell: flags, symbols, skies.

The whole of each is slid over the other from afar, by normalised correlation (Lewis, 1995), then closer by.
"""

import numpy as np
from numpy.typing import NDArray

from neardup.matching.maps import Map, Matrix, inverse
from neardup.matching.picture import Glance, Picture

# Keypoints of one of the two from which on they would tell.
_TELLING = 100
# Share of a side that what is cut out has at least.
_LEAST = 0.7
# Correlation from afar from which on a closer look is worth it.
_WORTH = 0.85
# Edge of the square that they are laid on closer by, and how far around the place found from afar.
_EDGE, _AROUND = 128, 6


# Left, top and edge of the part's square in the whole's, in shares of its edge.
_Window = tuple[float, float, float]


def may_be_cut(a: Glance, b: Glance) -> bool:
    """Whether one of the two may be cut out of the other without keypoints to tell."""
    return bool(_windows(a, b))


def cut_maps(a: Picture, b: Picture) -> list[Map]:
    """The likely maps from A's working pixels to B's by which one of the two is a part of the other."""
    maps = []
    for is_a, window in _windows(a.glance, b.glance):
        whole, part = (a, b) if is_a else (b, a)
        matrix = _to_whole(_closer(_squashed(whole), _squashed(part), window), part.glance.size, whole.glance.size)
        maps.append(Map(inverse(matrix) if is_a else matrix, 0, 0))
    return maps


def _windows(a: Glance, b: Glance) -> list[tuple[bool, _Window]]:
    """Whether A is the whole, and about where the other lies in it, where that is worth a closer look."""
    if min(len(a.features.points), len(b.features.points)) >= _TELLING or not (a.has_details and b.has_details):
        return []
    edge, found = len(a.afar), []
    for is_a, whole, part in ((True, a.afar, b.afar), (False, b.afar, a.afar)):
        slid = [_slid(whole, part, size) for size in range(round(_LEAST * edge), edge)]
        left, top, size, correlation = max(slid, key=lambda place: place[3])
        if correlation >= _WORTH:
            found.append((is_a, (left / edge, top / edge, size / edge)))
    return found


def _slid(whole: NDArray[np.float32], part: NDArray[np.float32], size: int) -> tuple[int, int, int, float]:
    """Left and top of where the part fits best, made a square of this size, and the correlation there."""
    import cv2

    small = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)
    fits = np.nan_to_num(cv2.matchTemplate(whole, small, cv2.TM_CCOEFF_NORMED), posinf=-1, neginf=-1)
    top, left = np.unravel_index(int(fits.argmax()), fits.shape)
    return int(left), int(top), size, float(fits[top, left])


def _closer(whole: NDArray[np.float32], part: NDArray[np.float32], window: _Window) -> _Window:
    """The best place near this one."""
    left, top, size = (round(value * _EDGE) for value in window)
    x, y = max(0, left - _AROUND), max(0, top - _AROUND)
    best, place = -1.0, window
    for tried in range(size - _AROUND, min(_EDGE, size + _AROUND) + 1):
        region = whole[y : top + tried + _AROUND, x : left + tried + _AROUND]
        if min(region.shape) < tried:
            continue
        dx, dy, _, correlation = _slid(region, part, tried)
        if correlation > best:
            best, place = correlation, ((x + dx) / _EDGE, (y + dy) / _EDGE, tried / _EDGE)
    return place


def _squashed(picture: Picture) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.resize(picture.grey, (_EDGE, _EDGE), interpolation=cv2.INTER_AREA), np.float32)


def _to_whole(window: _Window, part: tuple[int, int], whole: tuple[int, int]) -> Matrix:
    """From the part's pixels to the whole's; sizes: width, height."""
    left, top, size = window
    to_unit = np.diag([1 / part[0], 1 / part[1], 1.0])
    placed = np.array([[size, 0, left], [0, size, top], [0, 0, 1.0]])
    return np.asarray(np.diag([whole[0], whole[1], 1.0]) @ placed @ to_unit)
