"""The map from one picture to another: first from keypoints, else from the eight ways to lay one over the other whole.

Positions have their origin at the outer corner of the first pixel, whose middle lies at (0.5, 0.5).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.matching.features import Features

Matrix = NDArray[np.float64]  # (3, 3), of homogeneous positions

# Lowe's ratio of the nearest to the second nearest descriptor.
_RATIO = 0.8
# Pixels within which a match agrees with a map.
_REPROJECTION = 4.0
# A map with more freedoms has to explain so many times the matches of one with fewer: a homography bends to a few more
# even where nothing is in perspective.
_MORE = 1.2
# Keypoints that agree with some map by accident: at most 4 between strangers, 5 in one pair of a hundred.
FEWEST_INLIERS = 6
# Of maps between working pictures: pixels of one for one of the other, and one side's over the other's.
_LARGEST, _STRETCHED = 50.0, 4.0
_RANSAC: dict[str, Any] = {"ransacReprojThreshold": _REPROJECTION, "maxIters": 2000, "confidence": 0.995}

_FLIP = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])  # of the unit square
_TURN = np.array([[0.0, -1, 1], [1, 0, 0], [0, 0, 1]])  # clockwise, y downwards
_WAYS = [np.linalg.matrix_power(_TURN, turns) @ flip for flip in (np.eye(3), _FLIP) for turns in range(4)]


@dataclass(frozen=True)
class Map:
    """A guess at how A lies in B, in working pixels."""

    matrix: Matrix
    inliers: int  # keypoints of different places that agree with it; 0: found without
    matches: int  # of so many that have a counterpart


def find_maps(a: Features, b: Features, size_a: tuple[int, int], size_b: tuple[int, int]) -> list[Map]:
    """The best maps of A, and of A mirrored, by keypoints: the one with most that agree first.

    Where perspective explains some more matches than the best without does, both, for the pixels to decide.

    OpenCV's RANSAC (Fischler and Bolles, CACM 1981) draws from a generator of its own with a fixed seed.
    """
    flip = np.diag([size_a[0], size_a[1], 1.0]) @ _FLIP @ np.diag([1 / size_a[0], 1 / size_a[1], 1])
    found = [
        Map(fitted.matrix @ before, fitted.inliers, fitted.matches)
        for before, side in ((np.eye(3), a), (flip, a.mirrored))
        for fitted in _fit(side, b)
        if is_plausible(fitted.matrix, size_a)
    ]
    return sorted(found, key=lambda each: -each.inliers)


def whole_maps(size_a: tuple[int, int], size_b: tuple[int, int]) -> Iterator[Map]:
    """The eight ways to lay the whole of A (width, height) over the whole of B: upright, turned, mirrored."""
    to_unit = np.diag([1 / size_a[0], 1 / size_a[1], 1])
    for way in _WAYS:
        yield Map(np.diag([size_b[0], size_b[1], 1.0]) @ way @ to_unit, 0, 0)


def whole_views(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """A square of pixels as each of `whole_maps` shows it."""
    for side in (pixels, pixels[:, ::-1]):
        for turns in range(4):
            yield np.rot90(side, -turns)


def _fit(a: Features, b: Features) -> list[Map]:
    import cv2

    source, target = _matches(a, b)
    if len(source) < FEWEST_INLIERS:
        return []
    found: list[tuple[Matrix, NDArray[np.bool_]]] = []
    for estimate in (cv2.estimateAffinePartial2D, cv2.estimateAffine2D):
        matrix, agree = estimate(source, target, method=cv2.RANSAC, **_RANSAC)
        if matrix is not None and (not found or agree.sum() > _MORE * found[0][1].sum()):
            found = [(np.vstack([matrix, [0, 0, 1]]), agree.ravel() > 0)]
    # Where not even a few agree without perspective, those that do with it do so by accident.
    if len(source) >= 12 and found and found[0][1].sum() >= FEWEST_INLIERS:
        matrix, agree = cv2.findHomography(source, target, cv2.RANSAC, _REPROJECTION, maxIters=2000, confidence=0.995)
        if matrix is not None and agree.sum() > found[0][1].sum():
            is_clear = agree.sum() > _MORE * found[0][1].sum()
            found = [*([] if is_clear else found), (np.asarray(matrix, np.float64), agree.ravel() > 0)]
    return [
        Map(np.asarray(matrix, np.float64), places(source[inside], target[inside]), len(source))
        for matrix, inside in found
    ]


def supporters(a: Features, b: Features, matrix: Matrix, size_a: tuple[int, int]) -> tuple[int, int]:
    """Keypoints of different places that agree with a map, wherever it came from, and how many have a counterpart."""
    mirrored = np.linalg.det(matrix[:2, :2]) < 0
    side = a.mirrored if mirrored else a
    source, target = _matches(side, b)
    if not len(source):
        return 0, 0
    if mirrored:
        source = source * np.array([-1, 1], np.float32) + np.array([size_a[0], 0], np.float32)
    mapped = np.column_stack([source, np.ones(len(source))]) @ matrix.T
    agree = np.hypot(*(mapped[:, :2] / mapped[:, 2:] - target).T) <= _REPROJECTION
    return places(source[agree], target[agree]), len(source)


def places(source: NDArray[np.float32], target: NDArray[np.float32], wide: int = 2) -> int:
    """Of matches, (n, 2) each, the different places, so many pixels wide: each is one witness for several keypoints."""
    return min(len(set(map(tuple, np.rint(points / wide).tolist()))) for points in (source, target))


def _matches(a: Features, b: Features) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Positions in A and in B of descriptors clearly closer to each other than to any other: (m, 2) each."""
    if min(len(a.points), len(b.points)) < 2:
        return np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)
    import cv2

    squares_a, squares_b = (np.einsum("ij,ij->i", side.values, side.values) for side in (a, b))
    # Not NumPy's product: BLAS has threads of its own, which cost more than they help here, and pairs run on threads.
    distances = cv2.gemm(a.values, b.values, -2, None, 0, flags=cv2.GEMM_2_T)
    distances += squares_a[:, None]
    distances += squares_b[None, :]
    nearest = distances.argmin(axis=1)
    rows = np.arange(len(nearest))
    first = distances[rows, nearest]
    distances[rows, nearest] = np.inf
    clear = first < _RATIO**2 * distances.min(axis=1)
    distances[rows, nearest] = first
    # One match for each keypoint of B, the closest.
    closest = _closest(nearest, first, len(b.points))
    kept = clear & (closest[nearest] == rows)
    return a.points[kept], b.points[nearest[kept]]


def _closest(nearest: NDArray[np.int64], distances: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """Of each target the row that is closest to it among those whose nearest it is: (n,)."""
    order = np.argsort(-distances, kind="stable")
    result = np.full(n, -1, np.int64)
    result[nearest[order]] = order
    return result


def is_plausible(
    matrix: Matrix, size: tuple[int, int], *, largest: float = _LARGEST, stretched: float = _STRETCHED
) -> bool:
    """Maps that squeeze a picture to a line or turn it inside out come from accidental matches."""
    linear = linear_at(matrix, size[0] / 2, size[1] / 2) if np.isfinite(matrix).all() else None
    if linear is None:
        return False
    widest, narrowest = np.linalg.svd(linear, compute_uv=False)
    corners = np.array([[0, 0, 1], [size[0], 0, 1], [size[0], size[1], 1], [0, size[1], 1.0]]) @ matrix[2]
    same_side = bool((corners > 0).all() or (corners < 0).all())
    return same_side and bool(narrowest > 1 / largest and widest < largest and widest < stretched * narrowest)


def linear_at(matrix: Matrix, x: float, y: float) -> Matrix | None:
    """Derivative of the map there, (2, 2); None where it is not finite."""
    u, v, w = matrix @ [x, y, 1]
    if abs(w) < 1e-9:
        return None
    return np.asarray((matrix[:2, :2] - np.outer([u / w, v / w], matrix[2, :2])) / w)


def scale_of(matrix: Matrix, size: tuple[int, int]) -> float:
    """Pixels of B for one of A, at the middle of A (width, height)."""
    linear = linear_at(matrix, size[0] / 2, size[1] / 2)
    return 0.0 if linear is None else math.sqrt(abs(float(np.linalg.det(linear))))


def inverse(matrix: Matrix) -> Matrix:
    return np.linalg.inv(matrix).astype(np.float64)


def warp(pixels: NDArray[np.uint8], matrix: Matrix, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture laid into a frame of this size (width, height); black where it has nothing."""
    import cv2

    # OpenCV's positions have the middle of a pixel at 0.
    to_half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    from_half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    height, width = pixels.shape[:2]
    shrink = scale_of(matrix, (width, height))
    if shrink < 0.75:  # linear interpolation would skip pixels
        smaller = max(1, round(width * shrink)), max(1, round(height * shrink))
        pixels = np.asarray(cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = matrix @ np.diag([width / smaller[0], height / smaller[1], 1])
    edges = cv2.BORDER_CONSTANT
    warped = cv2.warpPerspective(pixels, from_half @ matrix @ to_half, size, flags=cv2.INTER_LINEAR, borderMode=edges)
    return np.asarray(warped, np.uint8)


def overlap(size_a: tuple[int, int], matrix: Matrix, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where the frame shows A, without a margin that interpolation blurs: (h, w)."""
    mask = np.full((size_a[1], size_a[0]), 255, np.uint8)
    return np.equal(warp(mask, matrix, size), 255)


def outline(matrix: Matrix, size: tuple[int, int]) -> Matrix:
    """The corners of a picture of this width and height, mapped: (4, 2), x before y."""
    width, height = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ matrix.T
    result: Matrix = corners[:, :2] / corners[:, 2:]
    return result


def refine(a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: Matrix) -> Matrix:
    """The map that correlates best near this one: ECC (Evangelidis and Psarakis, PAMI 2008); the same where none is.

    a, b: (h, w) grey working pictures
    """
    if scale_of(matrix, (a.shape[1], a.shape[0])) > 1:
        return inverse(_refine_shrinking(b, a, inverse(matrix)))
    return _refine_shrinking(a, b, matrix)


def _refine_shrinking(a: NDArray[np.uint8], b: NDArray[np.uint8], matrix: Matrix) -> Matrix:
    import cv2

    size_a, size_b = (a.shape[1], a.shape[0]), (b.shape[1], b.shape[0])
    # A is brought to B's scale first, and only where B shows it: ECC samples single pixels.
    inside = overlap(size_a, matrix, size_b)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if len(rows) < 16 or len(columns) < 16:
        return matrix
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    first, second, mask = warp(a, matrix, size_b)[box], np.ascontiguousarray(b[box]), inside[box].astype(np.uint8)
    step = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 12, 1e-4)
    try:
        # From positions in B's box to positions in the warped A's.
        _, found = cv2.findTransformECC(second, first, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, step, mask, 5)
    except cv2.error:  # it does not converge, as where nothing is alike
        return matrix
    move = np.vstack([np.asarray(found, np.float64), [0, 0, 1]])
    # Middles of pixels at 0 there, at a half here; and the box has its own origin.
    shift = np.array([[1, 0, columns[0] + 0.5], [0, 1, rows[0] + 0.5], [0, 0, 1]])
    moved = shift @ inverse(move) @ inverse(shift) @ matrix
    return np.asarray(moved / moved[2, 2])
