"""What was found, for the eye: one picture laid over the other, and where each shows what the other lacks."""

import numpy as np
from numpy.typing import NDArray

from neardup.matching.agreement import Laid
from neardup.matching.align import Aligned, align
from neardup.matching.judge import find_differences, to_detail, to_working
from neardup.matching.maps import Matrix, inverse, overlap, warp
from neardup.matching.picture import Picture

_RED = np.array([178.0, 24.0, 43.0])


def lay_in_b(a: Picture, b: Picture, matrix: Matrix) -> Laid:
    """A in B's frame, in RGB: black where B shows nothing of it.

    matrix: from the whole of A to the whole of B
    """
    size = b.pixels.shape[1], b.pixels.shape[0]
    size_a = a.pixels.shape[1], a.pixels.shape[0]
    detail = _whole_to_detail(b) @ matrix @ inverse(_whole_to_detail(a))
    return Laid(warp(a.pixels, detail, size), b.pixels, overlap(size_a, detail, size), in_b=True)


def shade_differences(a: Picture, b: Picture, matrix: Matrix) -> NDArray[np.uint8]:
    """The differing places in deep red with an outline on a pale B, white where there is nothing of A: (h, w, 3)."""
    import cv2

    found = _again(a, b, matrix)
    height, width = b.pixels.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    if found is not None:
        different = find_differences(a, b, found)
        mask = different.mask.astype(np.uint8) * 255
        if not different.in_b:
            detail = _whole_to_detail(b) @ matrix @ inverse(_whole_to_detail(a))
            mask = warp(mask, detail, (width, height))
    inside = lay_in_b(a, b, matrix).inside
    pale = b.pixels.mean(axis=2, keepdims=True) * 0.25 + 255 * 0.75
    shaded = np.where((mask > 127)[..., None], 0.35 * pale + 0.65 * _RED, pale)
    edge = max(3, round(max(height, width) / 160)) | 1
    around = cv2.dilate(mask, np.ones((edge, edge), np.uint8)) - cv2.dilate(
        mask, np.ones((edge - 2, edge - 2), np.uint8)
    )
    shaded = np.where((around > 127)[..., None], _RED, shaded)
    return np.where(inside[..., None], shaded, 255).astype(np.uint8)


def _again(a: Picture, b: Picture, matrix: Matrix) -> Aligned | None:
    return align(a, b, to_working(b) @ matrix @ inverse(to_working(a)))


def _whole_to_detail(picture: Picture) -> Matrix:
    return to_detail(picture) @ to_working(picture)
