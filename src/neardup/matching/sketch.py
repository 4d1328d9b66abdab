"""Is a closer look worth it? Binary features, a tenth of the price of those that maps are made of.

ORB (Rublee et al., ICCV 2011). Of weak candidates nearly all are strangers, and 98 of 100 of them are told here; of the
few copies among them 4 of 100 are lost. Nothing is confirmed by a sketch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.images import ByteBudget, decode_image
from neardup.matching.align import from_afar
from neardup.matching.maps import places
from neardup.matching.picture import WORKING_EDGE, Picture, picture_of

# Keypoints, and the longer edge of the picture that they are found in: enlarged, too, since ORB passes over an edge of
# 31 pixels all around.
_KEYPOINTS, _EDGE = 300, 320
# Factor from one size to the next, how many there are, and how much brighter or darker than the middle a corner's
# circle is, in levels.
_STEP, _SIZES, _CORNER = 1.35, 6, 7
# Correlation from afar of one laid over the other whole that is worth a look: strangers in the same light have less.
_ALIKE = 0.9
# Ratio of the nearest to the second nearest descriptor, in differing bits.
_RATIO = 0.8
# A sketch of fewer keypoints, as of a narrow or a blurred picture, tells nothing.
_NARROW, _TELLING = 32, 20
# Keypoints of different places that agree with one map within so many pixels, and a place's width.
_FEWEST, _REPROJECTION, _PLACE = 5, 5.0, 3


@dataclass(frozen=True)
class Binary:
    """n keypoints."""

    points: NDArray[np.float32]  # (n, 2), x before y
    descriptors: NDArray[np.uint8]  # (n, 32), bits


@dataclass(frozen=True)
class Sketch:
    """What stays of a picture that has only weak candidates: 25 kB."""

    upright: Binary
    mirrored: Binary  # of the picture with left and right exchanged
    afar: NDArray[np.float32]  # (32, 32)
    has_details: bool


def load_sketch(content: bytes, *, budget: ByteBudget | None = None) -> Sketch:
    """Of a file's content, decoded no larger than is needed; raises UnreadableImage."""
    decoded = decode_image(content, size=WORKING_EDGE // 2, budget=budget)
    return sketch_of(picture_of(decoded.pixels, decoded.width, decoded.height))


def sketch_of(picture: Picture) -> Sketch:
    import cv2

    factor = _EDGE / max(picture.grey.shape)
    ways = cv2.INTER_LINEAR if factor > 1 else cv2.INTER_AREA
    grey = cv2.resize(picture.grey, None, fx=factor, fy=factor, interpolation=ways)
    return Sketch(*_binary(grey), picture.afar, picture.has_details)


def _binary(grey: Any) -> tuple[Binary, Binary]:
    """Of a picture and of its mirror image, in which keypoints need not be found again."""
    import cv2

    none = Binary(np.empty((0, 2), np.float32), np.empty((0, 32), np.uint8))
    if min(grey.shape) < _NARROW:
        return none, none
    create: Any = cv2.ORB_create  # type: ignore[attr-defined,unused-ignore]  # missing in OpenCV 5's stubs
    orb = create(_KEYPOINTS, scaleFactor=_STEP, nlevels=_SIZES, fastThreshold=_CORNER)
    points, descriptors = orb.detectAndCompute(grey, None)
    if descriptors is None:
        return none, none
    right = grey.shape[1] - 1
    others = [
        cv2.KeyPoint(right - p.pt[0], p.pt[1], p.size, (540 - p.angle) % 360, p.response, p.octave) for p in points
    ]
    return _described(points, descriptors), _described(*orb.compute(cv2.flip(grey, 1), others))


def _described(points: Any, descriptors: Any) -> Binary:
    return Binary(np.array([point.pt for point in points], np.float32), descriptors)


def may_resemble(a: Sketch, b: Sketch) -> bool:
    """Whether a look at the pictures themselves may find that the two are one."""
    if not a.has_details and not b.has_details:
        return True
    if a.has_details and b.has_details and min(len(a.upright.points), len(b.upright.points)) < _TELLING:
        return True
    if any(correlation >= _ALIKE for correlation in from_afar(a.afar, b.afar)):
        return True
    return any(_agreeing(side, b.upright) >= _FEWEST for side in (a.upright, a.mirrored))


def _agreeing(a: Binary, b: Binary) -> int:
    """Keypoints of different places that agree with the similarity map most of them agree with."""
    import cv2

    if min(len(a.points), len(b.points)) < 2:
        return 0
    distances, nearest, *_ = cv2.batchDistance(a.descriptors, b.descriptors, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=2)
    clear = distances[:, 0] < _RATIO * distances[:, 1]
    if clear.sum() < _FEWEST:
        return 0
    source, target = a.points[clear], b.points[nearest[clear, 0]]
    _, agree = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=_REPROJECTION, maxIters=500, confidence=0.99
    )
    if agree is None:
        return 0
    inside = agree.ravel() > 0
    return places(source[inside], target[inside], _PLACE)
