"""Local features: where something can be found again in another picture, and what is there.

SIFT (Lowe, IJCV 2004) with the root of the L1-normalised descriptor (Arandjelovic and Zisserman, CVPR 2012).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.matching.lazy import lazy

KEYPOINTS = 500
# Half of SIFT's own contrast threshold: blurred pictures have no strong keypoints, and only the best 500 are kept.
_CONTRAST = 0.02
# Descriptors as bytes: 512 times a root of at most about a half.
_SCALE = 512.0

# A mirrored patch has the rows of its 4 x 4 cells the other way round and its 8 orientations negated, since SIFT turns
# every patch to its own main direction: the descriptor of a mirrored picture is a permutation of the picture's own.
_CELLS = np.arange(128).reshape(4, 4, 8)
_MIRRORED = _CELLS[::-1][:, :, (-np.arange(8)) % 8].ravel()


@dataclass(frozen=True)
class Features:
    """n keypoints of a picture, the strongest first."""

    points: NDArray[np.float32]  # (n, 2), x before y, in pixels; the middle of the first pixel is at (0.5, 0.5)
    descriptors: NDArray[np.uint8]  # (n, 128), RootSIFT times 512
    width: int  # of the picture, pixels

    @property
    def values(self) -> NDArray[np.float32]:
        """Descriptors as float32, for products."""
        return self.descriptors.astype(np.float32)

    @lazy
    def mirrored(self) -> "Features":
        """Of the picture with left and right exchanged, without looking for keypoints again."""
        points = self.points * np.array([-1, 1], np.float32) + np.array([self.width, 0], np.float32)
        return Features(points, self.descriptors[:, _MIRRORED], self.width)


def find_features(grey: NDArray[np.uint8]) -> Features:
    """grey: (h, w) uint8"""
    import cv2

    sift: Any = cv2.SIFT_create  # type: ignore[attr-defined,unused-ignore]  # missing in OpenCV 5's stubs
    points, descriptors = sift(nfeatures=KEYPOINTS, contrastThreshold=_CONTRAST).detectAndCompute(grey, None)
    width = grey.shape[1]
    if descriptors is None:
        return Features(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8), width)
    strongest = sorted(range(len(points)), key=lambda i: -points[i].response)[:KEYPOINTS]
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-7))
    where = np.array([points[i].pt for i in strongest], np.float32) + np.float32(0.5)
    return Features(where, np.minimum(np.rint(root[strongest] * _SCALE), 255).astype(np.uint8), width)
