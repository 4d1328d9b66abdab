"""What each picture shows beyond the other's edges, and whether the other is set into it or cut out of it.

A crop's edge runs through the picture it was cut from without leaving a trace there; a picture pasted into another, or
onto a screen, has an edge that the other shows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.matching.agreement import means_of_cells
from neardup.matching.maps import Matrix, outline, overlap, warp
from neardup.matching.picture import Picture

# Pixels of a cell's side in the working picture.
_CELL = 8
# Mean step between neighbouring pixels, of 255, from which on there is something to see in a cell. Around what is set
# into a picture there may be filling: bars made of a blurred copy, with less than this share of the usual step inside,
# and no step as large as that of a letter.
_SOMETHING, _FILLING, _LETTER = 2.0, 0.7, 60.0
# Pixels on either side of an edge that are compared, and an edge's least length.
_REACH, _LEAST_EDGE = 2.0, 12
# A step across an edge, of 255, below which nobody sees one.
_LEAST_STEP = 3.0
# Step across an edge, over the steps beside it, from which on it is a seam.
SEAM = 1.7


@dataclass(frozen=True)
class Beyond:
    """Of one picture, under the map to the other."""

    shown: float  # share of its area that the other shows, too
    more: float  # share of its area with something to see that the other does not reach
    seam: float  # step across the edge of the other within it, over the usual step; 0 where no edge lies within


def beyond(picture: Picture, other: Picture, matrix: Matrix) -> Beyond:
    """matrix: from the other's working pixels to this one's"""
    height, width = picture.grey.shape
    size = width, height
    other_size = other.grey.shape[1], other.grey.shape[0]
    inside = overlap(other_size, matrix, size)
    # Where the other has a margin it shows nothing.
    if other.has_margin:
        import cv2

        margin = ~other.shows
        inside &= warp(cv2.dilate(margin.astype(np.uint8) * 255, np.ones((3, 3), np.uint8)), matrix, size) < 128
    steps = _steps(picture)
    detail = _cells(steps)
    seam = _seam(picture, outline(matrix, other_size))
    cells_inside = _cells(inside.astype(np.float32))
    cells_shows = _cells(picture.shows.astype(np.float32))
    usual = float(np.median(detail[cells_inside > 0.9])) if (cells_inside > 0.9).any() else 0.0
    something = detail > _SOMETHING
    if seam >= SEAM:
        something = (detail > max(_SOMETHING, _FILLING * usual)) | (_largest(steps) > _LETTER)
    more = (cells_inside < 0.1) & (cells_shows > 0.9) & something
    return Beyond(float(inside.mean()), float(more.mean()), seam)


def _steps(picture: Picture) -> NDArray[np.float32]:
    """Steps between neighbouring pixels, across and down: (h, w)."""
    import cv2

    wide = np.asarray(cv2.GaussianBlur(picture.grey, (0, 0), 0.8), np.float32)
    steps: NDArray[np.float32] = np.zeros(wide.shape, np.float32)
    steps[:, 1:] += np.abs(np.diff(wide, axis=1))
    steps[1:] += np.abs(np.diff(wide, axis=0))
    return steps


def _cells(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of square cells; what is left at the right and at the bottom belongs to none."""
    return means_of_cells(values, _edge(values))


def _largest(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest value of each cell."""
    cell = _edge(values)
    height, width = (side // cell for side in values.shape)
    cut = values[: height * cell, : width * cell].reshape(height, cell, width, cell)
    largest: NDArray[np.float32] = cut.max(axis=(1, 3))
    return largest


def _edge(values: NDArray[np.float32]) -> int:
    """Pixels of a cell's side."""
    return _CELL if min(values.shape) >= 4 * _CELL else max(1, min(values.shape) // 4)


def _seam(picture: Picture, corners: Matrix) -> float:
    """Of the outline's sides that lie within the picture: the step across, over the steps beside; 0 where none does.

    The middle one of the sides, of four the lower of the two in the middle: one of them may run along something in the
    picture by accident. Of two, their mean: one of them may lie between two dark places.
    """
    height, width = picture.grey.shape
    wide = picture.grey.astype(np.float32)
    centre = corners.mean(axis=0)
    seams: list[float] = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        length = float(np.hypot(*(end - start)))
        if length < _LEAST_EDGE:
            continue
        along = (end - start) / length
        normal = np.array([-along[1], along[0]])
        if normal @ (centre - start) > 0:
            normal = -normal  # outwards
        places = start + np.linspace(0.05, 0.95, min(400, int(length)))[:, None] * (end - start)
        rings = [places + offset * normal for offset in (-3 * _REACH, -_REACH, _REACH, 3 * _REACH)]
        within = np.logical_and.reduce(
            [(r[:, 0] >= 0) & (r[:, 0] < width) & (r[:, 1] >= 0) & (r[:, 1] < height) for r in rings]
        )
        if within.sum() < _LEAST_EDGE:
            continue
        values = [wide[r[within, 1].astype(int), r[within, 0].astype(int)] for r in rings]
        across = float(np.abs(values[2] - values[1]).mean())
        beside = float((np.abs(values[1] - values[0]) + np.abs(values[3] - values[2])).mean()) / 2
        seams.append(across / max(beside, _LEAST_STEP))
    if len(seams) == 2:
        return sum(seams) / 2
    return sorted(seams)[(len(seams) - 1) // 2] if seams else 0.0
