"""Flat margins: a picture set into one colour (a border, letterbox bars, the corners of a turned picture) has pixels
that are not the picture's, and more of them than its original."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Grey levels by which a margin's pixels may differ from its colour, after JPEG and shrinking.
_TOLERANCE = 12
# A share of the area too small to be measured on the pixels that the model sees.
_LEAST = 0.03
# The rectangle that holds all that is not flat must leave this share of the flat pixels outside, and have this share of
# what is inside filled. What stands before a plain ground (a product, a disc, a page of text) does neither: it has no
# margin, and its copies are compared by all their pixels.
_OUTSIDE, _FILLED = 0.7, 0.88


def flat_margin(pixels: NDArray[np.uint8], width: int, height: int) -> float:
    """Share of a picture's area that is a margin of one colour around a rectangle, upright or turned.

    pixels:  (s, s, 3) uint8, the picture squashed to a square of at least 16 pixels
    width, height: of the picture before that, pixels
    returns: 0 where there is no such margin or it is under 3 %; at most about 2 % of the area too small, since
             shrinking blurs the rectangle's edges into the margin
    """
    mask = margin_mask(pixels, width, height)
    return 0.0 if mask is None else float(mask.mean())


def margin_mask(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.bool_] | None:
    """Where the margin is that `flat_margin` measures: (s, s), or None."""
    flat = _flat_to_the_edge(pixels)
    if not _LEAST <= flat.mean() < 1:
        return None
    # Coarsely, then around the best angle.
    coarse = _closest_rectangle(~flat[2::4, 2::4], width, height, range(0, 90, 3))
    if coarse.outside < _OUTSIDE / 2:
        return None
    near = range(coarse.degrees - 2, coarse.degrees + 3)
    found = _closest_rectangle(~flat[1::2, 1::2], width, height, near)
    return flat if found.outside >= _OUTSIDE and found.filled >= _FILLED else None


def _flat_to_the_edge(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(s, s), True where a straight run in the colour of all four corners reaches an edge."""
    values = pixels.astype(np.int16)
    ends = (slice(0, 2), slice(-2, None))
    corners = np.concatenate([values[y, x].reshape(-1, 3) for y in ends for x in ends])
    if np.ptp(corners, axis=0).max() > _TOLERANCE:  # as with nearly all photos
        return np.zeros(pixels.shape[:2], bool)
    alike = np.abs(values - np.median(corners, axis=0).astype(np.int16)).max(axis=2) <= _TOLERANCE
    run = np.logical_and.accumulate
    down, across = run(alike, axis=0), run(alike, axis=1)
    up, back = run(alike[::-1], axis=0)[::-1], run(alike[:, ::-1], axis=1)[:, ::-1]
    joined: NDArray[np.bool_] = down | across | up | back
    return joined


class _Rectangle(NamedTuple):
    outside: float  # share of what is not shown that is outside
    filled: float  # share of what is inside that is shown
    degrees: int


def _closest_rectangle(shown: NDArray[np.bool_], width: int, height: int, angles: Iterable[int]) -> _Rectangle:
    """Of the rectangles around everything shown, one for each angle, the one with most outside it.

    shown: (n, n), squashed from width × height
    """
    n = len(shown)
    rows, columns = np.divmod(np.arange(n * n), n)
    x, y = (columns + 0.5) * width / n, (rows + 0.5) * height / n
    inner = shown.ravel()
    count = int(inner.sum())
    best = _Rectangle(0.0, 0.0, 0)
    if not 0 < count < len(inner):
        return best
    for degrees in angles:
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        u, v = cos * x + sin * y, cos * y - sin * x
        u_shown, v_shown = u[inner], v[inner]
        within = (u >= u_shown.min()) & (u <= u_shown.max()) & (v >= v_shown.min()) & (v <= v_shown.max())
        inside = int(within.sum())
        best = max(best, _Rectangle((len(inner) - inside) / (len(inner) - count), count / inside, degrees))
    return best
