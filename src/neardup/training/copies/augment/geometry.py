"""Where a view looks: crop, aspect, mirror, quarter turns, rotation and perspective as one warp of the photo."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""

CORNERS = ("black", "white", "colour", "mirrored", "inside")
"""What a rotated view shows beyond the photo; `inside` shrinks the crop until nothing is beyond it."""

CROP_RATE = 0.85
MIRROR_RATE = 0.4
QUARTER_TURN_RATE = 0.30  # × hardness, as the two below
ANY_ANGLE_RATE = 0.22
PERSPECTIVE_RATE = 0.12

MIN_FILLED = 0.4
"""Least share of a view that is photo and not corner."""


@dataclass(frozen=True)
class Geometry:
    """A parallelogram of the photo, and how it is turned into a view."""

    centre: tuple[float, float]  # of the crop: x, y in pixels of the photo
    width: float  # of the crop, in pixels of the photo, before turning
    height: float
    angle: float = 0.0  # radians
    turns: int = 0  # quarter turns, clockwise as seen in the view
    mirror: bool = False  # left and right change places, before the turns
    tilt: tuple[float, float] = (0.0, 0.0)  # perspective along x and y; |x| + |y| < 1
    corners: str = "black"
    colour: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def whole(cls, photo: Image) -> Geometry:
        """All of the photo, as it is."""
        height, width = photo.shape[:2]
        return cls((width / 2, height / 2), width, height)

    def to_photo(self, width: int, height: int) -> NDArray[np.float64]:
        """(3, 3) matrix from the view's continuous coordinates, [0, width] × [0, height], to the photo's."""
        unit = np.array([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]])
        quarter = np.linalg.matrix_power(np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]), self.turns % 4)
        mirror = np.diag([-1.0 if self.mirror else 1.0, 1.0, 1.0])
        # Scaled so that the farthest corner of the view is still within the crop.
        reach = 1 - abs(self.tilt[0]) - abs(self.tilt[1])
        tilt = np.array([[reach, 0, 0], [0, reach, 0], [self.tilt[0], self.tilt[1], 1]])
        crop = np.diag([self.width / 2, self.height / 2, 1.0])
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        rotate = np.array([[cos, -sin, self.centre[0]], [sin, cos, self.centre[1]], [0, 0, 1]])
        matrix: NDArray[np.float64] = rotate @ crop @ tilt @ mirror @ quarter @ unit
        return matrix

    def coverage(self, photo_width: int, photo_height: int) -> tuple[float, float]:
        """(share of the photo's area that the view shows, share of the seen quadrilateral that is photo)."""
        corners = np.array([[[0, 0], [1, 0], [1, 1], [0, 1]]], np.float64)
        seen = cv2.perspectiveTransform(corners, self.to_photo(1, 1))[0].astype(np.float32)
        frame = np.array([[0, 0], [photo_width, 0], [photo_width, photo_height], [0, photo_height]], np.float32)
        shared, _ = cv2.intersectConvexConvex(seen, frame)
        return shared / (photo_width * photo_height), shared / max(float(cv2.contourArea(seen)), 1e-9)


def draw_geometry(
    rng: np.random.Generator, photo_width: int, photo_height: int, *, min_area: float, hardness: float
) -> Geometry:
    """A random geometry that shows at least `min_area` of the photo's area."""
    for _ in range(8):
        geometry = _draw(rng, photo_width, photo_height, min_area, hardness)
        visible, filled = geometry.coverage(photo_width, photo_height)
        if visible >= min_area and filled >= MIN_FILLED:
            return geometry
    mirror = bool(rng.random() < MIRROR_RATE)
    return Geometry((photo_width / 2, photo_height / 2), photo_width, photo_height, mirror=mirror)


def draw_crop(rng: np.random.Generator, photo_width: int, photo_height: int) -> Geometry:
    """A crop to 20..75 % of the photo's area, anywhere in it, in its aspect or nearly; nothing else."""
    area = math.exp(rng.uniform(math.log(0.2), math.log(0.75)))
    stretch = math.exp(rng.normal(0, 0.12))
    width, height = _crop_sides(photo_width, photo_height, area, stretch)
    centre = (rng.uniform(width / 2, photo_width - width / 2), rng.uniform(height / 2, photo_height - height / 2))
    return Geometry(centre, width, height)


def _crop_sides(photo_width: int, photo_height: int, area: float, stretch: float) -> tuple[float, float]:
    """Of a crop to this share of the photo's area, its aspect changed by `stretch` as far as the photo reaches."""
    width = photo_width * min(1.0, math.sqrt(area * stretch))
    return width, min(photo_height, area * photo_width * photo_height / width)


def _draw(rng: np.random.Generator, photo_width: int, photo_height: int, min_area: float, hardness: float) -> Geometry:
    area = 1.0
    if rng.random() < CROP_RATE:
        # Median 0.5 over all views at hardness 1, with a tail down to the least area.
        area = max(min_area, 0.1 ** (rng.random() ** (1.1 / max(hardness, 0.4))))
    stretch = math.exp(rng.normal(0, 0.22)) if rng.random() < 0.6 else 1.0
    width, height = _crop_sides(photo_width, photo_height, area, stretch)
    angle, corners = 0.0, "black"
    if rng.random() < ANY_ANGLE_RATE * hardness:
        angle = math.radians(rng.uniform(-1, 1) * (10 if rng.random() < 0.35 else 45))
        corners = CORNERS[int(rng.choice(5, p=[0.32, 0.18, 0.08, 0.2, 0.22]))]
        cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
        box_width, box_height = width * cos + height * sin, width * sin + height * cos
        if corners == "inside":
            shrink = min(1.0, photo_width / box_width, photo_height / box_height)
            width, height = width * shrink, height * shrink
        elif rng.random() < 0.35:  # an editor that enlarges the canvas to hold the turned picture
            width, height = box_width, box_height
    tilt = (0.0, 0.0)
    if rng.random() < PERSPECTIVE_RATE * hardness:
        x, y = rng.uniform(-0.16, 0.16, 2)
        tilt = (float(x), float(y))
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    half_x = width / 2 if corners != "inside" else (width * cos + height * sin) / 2
    half_y = height / 2 if corners != "inside" else (width * sin + height * cos) / 2
    slack_x, slack_y = max(0.0, photo_width / 2 - half_x), max(0.0, photo_height / 2 - half_y)
    centre = (
        photo_width / 2 + float(rng.uniform(-1, 1)) * slack_x,
        photo_height / 2 + float(rng.uniform(-1, 1)) * slack_y,
    )
    fill = {"white": (255, 255, 255), "colour": tuple(int(c) for c in rng.integers(0, 256, 3))}.get(corners, (0, 0, 0))
    return Geometry(
        centre=centre,
        width=width,
        height=height,
        angle=angle,
        turns=int(rng.integers(1, 4)) if rng.random() < QUARTER_TURN_RATE * hardness else 0,
        mirror=bool(rng.random() < MIRROR_RATE),
        tilt=tilt,
        corners=corners,
        colour=(fill[0], fill[1], fill[2]),
    )


def warp(photo: Image, geometry: Geometry, width: int, height: int, *, sharpness: float = 1.0) -> Image:
    """The view of `photo` that `geometry` describes: (height, width, 3) uint8.

    Where the view is smaller than what it shows, the photo is first reduced by area averaging to the view's scale
    times `sharpness` (1: no aliasing; above 1: the aliasing of cheap thumbnails).
    """
    photo_height, photo_width = photo.shape[:2]
    matrix = geometry.to_photo(width, height)
    # Photo pixels for a step along the view's axes, at the middle of the view.
    middle = matrix @ (width / 2, height / 2, 1)
    derivative = (matrix[:2, :2] - np.outer(middle[:2] / middle[2], matrix[2, :2])) / middle[2]
    step_x, step_y = np.hypot(derivative[:, 0], derivative[:, 1])
    reduced_width = max(1, min(photo_width, round(photo_width / max(step_x, 1e-6) * sharpness)))
    reduced_height = max(1, min(photo_height, round(photo_height / max(step_y, 1e-6) * sharpness)))
    if reduced_width < photo_width or reduced_height < photo_height:
        photo = cv2.resize(photo, (reduced_width, reduced_height), interpolation=cv2.INTER_AREA)
        matrix = np.diag([reduced_width / photo_width, reduced_height / photo_height, 1.0]) @ matrix
    # Pixel i covers [i, i + 1): from OpenCV's pixel centres to continuous coordinates and back.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = np.linalg.inv(half) @ matrix @ half
    mirrored = geometry.corners in ("mirrored", "inside") or geometry.angle == 0
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REFLECT if mirrored else cv2.BORDER_CONSTANT
    if geometry.tilt == (0.0, 0.0):
        view: Image = cv2.warpAffine(
            photo, matrix[:2], (width, height), flags=flags, borderMode=border, borderValue=geometry.colour
        )
    else:
        view = cv2.warpPerspective(
            photo, matrix, (width, height), flags=flags, borderMode=border, borderValue=geometry.colour
        )
    return view
