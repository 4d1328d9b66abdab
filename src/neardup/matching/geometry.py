"""The map from one image to another in terms a person knows: mirrored, turned, scaled, stretched, cut.

Positions have their origin at the outer corner of the first pixel, whose middle lies at (0.5, 0.5).
"""

import math
from dataclasses import dataclass

import numpy as np

from neardup.matching.maps import Matrix, inverse, linear_at, outline

Size = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True)
class Box:
    """A part of a picture, in its own pixels; the right and bottom edges are outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top


@dataclass(frozen=True)
class Alignment:
    """How A maps to B: first mirrored, then stretched and scaled, then turned, then cut."""

    matrix: Matrix  # (3, 3), from pixels of the whole A to pixels of the whole B
    mirrored: bool  # left and right exchanged
    quarter_turns: int  # clockwise, 0 to 3
    rotation_degrees: float  # clockwise, what remains: -45 to 45
    scale: float  # B's pixels for one of A's, by area
    aspect: float  # widening of A's horizontal over A's vertical: 1 keeps the proportions
    shear: float  # tangent
    perspective: bool
    shown_of_a: float  # share of A's area that B shows, 0 to 1
    shown_of_b: float  # share of B's area that comes from A
    box_in_a: Box  # around what B shows of A
    box_in_b: Box


def describe(matrix: Matrix, size_a: Size, size_b: Size) -> Alignment:
    """Take a map of positions in the whole of A to those in the whole of B apart."""
    whole = np.asarray(matrix / matrix[2, 2], np.float64)
    linear = linear_at(whole, size_a[0] / 2, size_a[1] / 2)
    if linear is None:
        raise ValueError("the middle of A is mapped to infinity")
    mirrored = bool(np.linalg.det(linear) < 0)
    if mirrored:
        linear = linear @ np.diag([-1.0, 1.0])
    # linear = turn @ [[wide, skew], [0, high]], with y downwards, so that a positive angle is clockwise.
    angle = math.atan2(linear[1, 0], linear[0, 0])
    upright = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) @ linear
    wide, skew, high = upright[0, 0], upright[0, 1], upright[1, 1]
    quarters = round(math.degrees(angle) / 90)
    shown_of_a, box_in_a = _part(inverse(whole), size_b, size_a)
    shown_of_b, box_in_b = _part(whole, size_a, size_b)
    return Alignment(
        matrix=whole,
        mirrored=mirrored,
        quarter_turns=quarters % 4,
        rotation_degrees=math.degrees(angle) - 90 * quarters,
        scale=math.sqrt(wide * high),
        aspect=wide / high,
        shear=skew / high,
        perspective=bool(np.abs(whole[2, :2] @ np.diag(size_a)).max() > 0.01),
        shown_of_a=shown_of_a,
        shown_of_b=shown_of_b,
        box_in_a=box_in_a,
        box_in_b=box_in_b,
    )


def _part(matrix: Matrix, size: Size, whole: Size) -> tuple[float, Box]:
    """Share of `whole` that a picture of `size` covers once mapped, and the box around it."""
    import cv2

    # To a tenth of a pixel: where edges nearly coincide, as for a picture and itself, OpenCV loses corners.
    quadrilaterals = outline(matrix, size), outline(np.eye(3), whole)
    mapped, frame = (np.round(corners, 1).astype(np.float32) for corners in quadrilaterals)
    area, corners = cv2.intersectConvexConvex(mapped, frame)
    if corners is None or area <= 0:
        return 0.0, Box(0, 0, 0, 0)
    points = np.asarray(corners).reshape(-1, 2)
    left, top = np.floor(points.min(axis=0) + 0.5).astype(int).tolist()
    right, bottom = np.floor(points.max(axis=0) + 0.5).astype(int).tolist()
    return min(1.0, float(area) / (whole[0] * whole[1])), Box(left, top, right, bottom)
