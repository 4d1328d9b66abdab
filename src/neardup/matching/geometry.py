"""The map from one image to another: mirrored, turned, scaled, stretched, cut.

SIFT features (Lowe, IJCV 2004) of A, and of A mirrored, are matched with those of B, and an affine map or a homography
is fitted to the matches with RANSAC (Fischler and Bolles, CACM 1981). A map counts only when the pixels agree with it,
so that a few accidental matches never pass for an explanation.

Positions have their origin at the outer corner of the first pixel, whose middle lies at (0.5, 0.5).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.errors import UnreadableImage
from neardup.images import decode_image, read_file

# Longer edge, in pixels, of what the features are found on: more adds time, hardly matches.
WORKING_EDGE = 800
FEATURES = 3000
# Lowe's ratio of the nearest to the second nearest feature.
RATIO = 0.75
# Distance in working pixels within which a match agrees with the map.
REPROJECTION = 4.0
# Unrelated photos give up to 8 matches that agree with some affine map.
MIN_INLIERS = 12
# Matches below which a map with fewer freedoms is preferred if it explains nearly as many.
FEW_INLIERS = 40
# Correlation of the median block after alignment. In photos that merely look alike it is near 0.
MIN_AGREEMENT = 0.4
BLOCK = 24  # working pixels
FEWEST_BLOCKS = 6
# Standard deviation of a block's pixels, of 255, above which there is something to see in it.
DETAILED = 4.0
# Correlation of all pixels for pictures without features, where nothing else supports it.
MIN_BLIND_AGREEMENT = 0.95


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
class Picture:
    """An image as it is worked on."""

    pixels: NDArray[np.uint8]  # (h, w, 3) RGB, longer edge at most WORKING_EDGE
    width: int  # of the whole image
    height: int


@dataclass(frozen=True)
class Alignment:
    """How A maps to B: first mirrored, then stretched and scaled, then turned, then cut."""

    matrix: NDArray[np.float64]  # (3, 3), from pixels of the whole A to pixels of the whole B
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
    matches: int  # features of A with a counterpart in B; 0: found by comparing the pixels
    inliers: int  # those that agree with the map
    agreement: float  # correlation of the aligned pixels (in the median block, or of all), -1 to 1

    @property
    def inlier_share(self) -> float:
        return self.inliers / self.matches if self.matches else 0.0

    @property
    def confidence(self) -> str:
        """`high`, `medium` or `low`, from the number of matches that agree and how well the pixels do."""
        if self.inliers >= 40 and self.agreement >= 0.8:
            return "high"
        return "medium" if self.agreement >= 0.75 else "low"


def load_picture(path: Path) -> Picture:
    """Decode a file to the working size; raises UnreadableImage."""
    import cv2

    try:
        decoded = decode_image(read_file(path), size=WORKING_EDGE // 2)
    except UnreadableImage as error:
        raise UnreadableImage(f"{path}: {error}") from error
    pixels = decoded.pixels
    height, width = pixels.shape[:2]
    factor = WORKING_EDGE / max(height, width)
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return Picture(pixels, decoded.width, decoded.height)


def align(a: Picture, b: Picture) -> Alignment | None:
    """The map from A to B that most features and the pixels agree with; None where none is reliable."""
    import cv2

    cv2.setRNGSeed(0)
    grey_a, grey_b = (cv2.cvtColor(p.pixels, cv2.COLOR_RGB2GRAY) for p in (a, b))
    features_b = _features(grey_b)
    flip = np.array([[-1.0, 0, grey_a.shape[1]], [0, 1, 0], [0, 0, 1]])
    best: tuple[int, Alignment] | None = None
    for before, grey in ((np.eye(3), grey_a), (flip, np.ascontiguousarray(grey_a[:, ::-1]))):
        for found, inliers, matches in _fit(_features(grey), features_b):
            matrix = found @ before / found[2, 2]
            if inliers < MIN_INLIERS or (best and inliers <= best[0]) or not _is_plausible(matrix, grey_a.shape):
                continue
            agreement = _agreement(grey_a, grey_b, matrix)
            if agreement >= MIN_AGREEMENT:
                best = inliers, _described(a, b, matrix, matches, inliers, agreement)
        if best and best[1].confidence == "high":
            break  # the mirror image would take as long again, and cannot agree as well
    if best:
        return best[1]
    matrix, agreement = _best_whole(grey_a, grey_b)
    if agreement >= MIN_BLIND_AGREEMENT:
        return _described(a, b, matrix, 0, 0, agreement)
    return None


def _features(grey: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Positions (n, 2), x before y, a pixel's middle at a half, and RootSIFT descriptors (n, 128)."""
    import cv2

    sift: Any = cv2.SIFT_create  # type: ignore[attr-defined,unused-ignore]  # missing in OpenCV 5's stubs
    points, descriptors = sift(nfeatures=FEATURES).detectAndCompute(grey, None)
    if descriptors is None:
        return np.empty((0, 2)), np.empty((0, 128), np.float32)
    # Arandjelovic and Zisserman (CVPR 2012): the root of the L1-normalised descriptor compares better.
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-7))
    return np.array([point.pt for point in points]) + 0.5, root.astype(np.float32)


def _fit(
    a: tuple[NDArray[np.float64], NDArray[np.float32]], b: tuple[NDArray[np.float64], NDArray[np.float32]]
) -> list[tuple[NDArray[np.float64], int, int]]:
    """Maps with how many matches agree, of how many: an affine one, then one with perspective if it explains more."""
    import cv2

    if min(len(a[0]), len(b[0])) < 4:
        return []
    best: dict[int, tuple[float, int]] = {}  # for each feature of B the closest of A, so that none counts twice
    for pair in cv2.BFMatcher(cv2.NORM_L2).knnMatch(a[1], b[1], k=2):
        if len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance:
            closest = best.get(pair[0].trainIdx)
            if closest is None or pair[0].distance < closest[0]:
                best[pair[0].trainIdx] = (pair[0].distance, pair[0].queryIdx)
    if len(best) < 4:
        return []
    source = a[0][[query for _, query in best.values()]]
    target = b[0][list(best)]
    ransac: dict[str, Any] = {
        "method": cv2.RANSAC,
        "ransacReprojThreshold": REPROJECTION,
        "maxIters": 5000,
        "confidence": 0.999,
    }
    found: list[tuple[NDArray[np.float64], int, int]] = []
    affine, agree = cv2.estimateAffine2D(source, target, **ransac)
    if affine is not None:
        found.append((np.vstack([affine, [0, 0, 1]]), int(agree.sum()), len(best)))
        if found[0][1] < FEW_INLIERS:
            # Turning and scaling alone: two numbers fewer, which a few matches in one corner would get wrong.
            rigid, agree = cv2.estimateAffinePartial2D(source, target, **ransac)
            if rigid is not None and agree.sum() >= 0.85 * found[0][1]:
                found = [(np.vstack([rigid, [0, 0, 1]]), int(agree.sum()), len(best))]
    perspective, agree = cv2.findHomography(source, target, **ransac)
    # A homography bends to a few more matches than an affine map even where nothing is in perspective.
    if perspective is not None and agree.sum() > 1.25 * (found[0][1] if found else 0):
        found.append((perspective, int(agree.sum()), len(best)))
    return found


def _best_whole(grey_a: NDArray[np.uint8], grey_b: NDArray[np.uint8]) -> tuple[NDArray[np.float64], float]:
    """The best of the eight ways to lay the whole of A over the whole of B, for pictures without features."""
    height_a, width_a = grey_a.shape
    height_b, width_b = grey_b.shape
    unit_a = np.diag([1 / width_a, 1 / height_a, 1])
    unit_b = np.diag([width_b, height_b, 1.0])
    best = np.eye(3), -1.0
    for mirrored in (False, True):
        for turns in range(4):
            turn = np.array([[0.0, -1, 1], [1, 0, 0], [0, 0, 1]])  # of the unit square, clockwise with y downwards
            ways = np.linalg.matrix_power(turn, turns)
            if mirrored:
                ways = ways @ np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])
            matrix = unit_b @ ways @ unit_a
            agreement = _whole_agreement(grey_a, grey_b, matrix)
            if agreement > best[1]:
                best = matrix, agreement
    return best


def _is_plausible(matrix: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
    """Maps that squeeze A to a line or turn it inside out come from accidental matches."""
    linear = _linear_at_centre(matrix, shape)
    widest, narrowest = np.linalg.svd(linear, compute_uv=False)
    return bool(narrowest > 0.02 and widest < 50 and widest < 4 * narrowest)


def _linear_at_centre(matrix: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Derivative of the map at the middle of A, (2, 2)."""
    x, y, w = matrix @ [shape[1] / 2, shape[0] / 2, 1]
    return np.asarray((matrix[:2, :2] - np.outer([x / w, y / w], matrix[2, :2])) / w)


def warp(pixels: NDArray[np.uint8], matrix: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A laid over B: matrix maps positions where a pixel's middle lies at a half, OpenCV's where it lies at 0."""
    import cv2

    to_half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    from_half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    height, width = pixels.shape[:2]
    shrink = math.sqrt(abs(np.linalg.det(_linear_at_centre(matrix, pixels.shape))))
    if shrink < 0.5:  # linear interpolation would skip pixels
        smaller = max(1, round(2 * width * shrink)), max(1, round(2 * height * shrink))
        pixels = np.asarray(cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = matrix @ np.diag([width / smaller[0], height / smaller[1], 1])
    size = shape[1], shape[0]
    return np.asarray(cv2.warpPerspective(pixels, from_half @ matrix @ to_half, size, flags=cv2.INTER_LINEAR), np.uint8)


def overlap(a: NDArray[np.uint8], matrix: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where B shows A, leaving out a margin that interpolation blurs: (h, w)."""
    return np.equal(warp(np.full(a.shape[:2], 255, np.uint8), matrix, shape), 255)


def _agreement(grey_a: NDArray[np.uint8], grey_b: NDArray[np.uint8], matrix: NDArray[np.float64]) -> float:
    """Correlation of the pixels, lightly blurred, in the median block of the overlap: so that neither a shade over all
    of it, nor writing over a part, hides that the rest agrees. -1 where there is too little to see."""
    import cv2

    inside = overlap(grey_a, matrix, grey_b.shape)
    height, width = (side // BLOCK for side in inside.shape)
    first, second = (
        _blocks(cv2.GaussianBlur(grey, (0, 0), 1.5), height, width)
        for grey in (warp(grey_a, matrix, grey_b.shape), grey_b)
    )
    whole = _blocks(inside, height, width).all(axis=1)
    first -= first.mean(axis=1, keepdims=True)
    second -= second.mean(axis=1, keepdims=True)
    spread_a, spread_b = (np.sqrt(np.square(side).mean(axis=1)) for side in (first, second))
    detailed = whole & (np.maximum(spread_a, spread_b) >= DETAILED)
    if detailed.sum() < FEWEST_BLOCKS:
        return -1.0
    spread = np.maximum(spread_a * spread_b, DETAILED)[detailed]
    return float(np.median((first * second).mean(axis=1)[detailed] / spread))


def _blocks(pixels: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    """The pixels of each square block as a row: (height * width, BLOCK * BLOCK)."""
    cut = pixels[: height * BLOCK, : width * BLOCK].astype(np.float32)
    return cut.reshape(height, BLOCK, width, BLOCK).swapaxes(1, 2).reshape(height * width, BLOCK * BLOCK)


def _whole_agreement(grey_a: NDArray[np.uint8], grey_b: NDArray[np.uint8], matrix: NDArray[np.float64]) -> float:
    """Correlation of all pixels in the overlap; -1 where it is too small, or only one of the two is of one colour."""
    inside = overlap(grey_a, matrix, grey_b.shape)
    if inside.sum() < min(64, grey_b.size):
        return -1.0
    first, second = (pixels[inside].astype(np.float64) for pixels in (warp(grey_a, matrix, grey_b.shape), grey_b))
    if np.array_equal(first, second):
        return 1.0
    first, second = first - first.mean(), second - second.mean()
    spread = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / spread if spread > 0 else -1.0


def _described(
    a: Picture, b: Picture, matrix: NDArray[np.float64], matches: int, inliers: int, agreement: float
) -> Alignment:
    """The map in terms of the whole images, taken apart."""
    to_whole_b = np.diag([b.width / b.pixels.shape[1], b.height / b.pixels.shape[0], 1])
    from_whole_a = np.diag([a.pixels.shape[1] / a.width, a.pixels.shape[0] / a.height, 1])
    whole: NDArray[np.float64] = to_whole_b @ matrix @ from_whole_a
    whole = whole / whole[2, 2]
    linear = _linear_at_centre(whole, (a.height, a.width))
    mirrored = bool(np.linalg.det(linear) < 0)
    if mirrored:
        linear = linear @ np.diag([-1.0, 1.0])
    # linear = turn @ [[wide, skew], [0, high]], with y downwards, so that a positive angle is clockwise.
    angle = math.atan2(linear[1, 0], linear[0, 0])
    upright = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) @ linear
    wide, skew, high = upright[0, 0], upright[0, 1], upright[1, 1]
    quarters = round(math.degrees(angle) / 90)
    shown_of_a, box_in_a = _part(inverse(whole), (b.width, b.height), (a.width, a.height))
    shown_of_b, box_in_b = _part(whole, (a.width, a.height), (b.width, b.height))
    return Alignment(
        matrix=whole,
        mirrored=mirrored,
        quarter_turns=quarters % 4,
        rotation_degrees=math.degrees(angle) - 90 * quarters,
        scale=math.sqrt(wide * high),
        aspect=wide / high,
        shear=skew / high,
        perspective=bool(np.abs(whole[2, :2] @ np.diag([a.width, a.height])).max() > 0.01),
        shown_of_a=shown_of_a,
        shown_of_b=shown_of_b,
        box_in_a=box_in_a,
        box_in_b=box_in_b,
        matches=matches,
        inliers=inliers,
        agreement=agreement,
    )


def inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.inv(matrix).astype(np.float64)


def outline(matrix: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """The corners of a picture of this width and height, mapped: (4, 2), x before y."""
    width, height = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]]) @ matrix.T
    result: NDArray[np.float64] = corners[:, :2] / corners[:, 2:]
    return result


def _part(matrix: NDArray[np.float64], size: tuple[int, int], whole: tuple[int, int]) -> tuple[float, Box]:
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
