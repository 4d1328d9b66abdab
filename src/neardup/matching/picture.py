"""A picture as it is looked at: decoded once, at a size where writing can be read, with a smaller one for its map."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.errors import UnreadableImage
from neardup.images import ByteBudget, decode_image, margin_mask
from neardup.images.files import shown
from neardup.images.frames import MANY, ONE, Frames, read_frames
from neardup.matching.features import Features, find_features
from neardup.matching.lazy import lazy
from neardup.sources import read_stored

# Longer edges in pixels: where details are compared, and where keypoints are found and maps are judged.
DETAIL_EDGE = 1280
WORKING_EDGE = 384
# Frames after the first that are looked at, and their longer edge.
_FRAMES, _FRAME_EDGE = 3, 128
# Levels of 255 between the darkest and the lightest of a plain colour, JPEG included.
_FLAT = 24
# Edge of the square on which margins are looked for.
_MARGIN_EDGE = 176
# Edge of the square that pictures are compared on from afar.
_AFAR_EDGE = 32
# Levels by which a speck lies outside all its neighbours, and the least share of bright and of dark ones.
_STRUCK, _SPECKS = 50, 0.003
# Quantiles that become black and white when contrast is stretched.
_DARK, _LIGHT = 0.5, 99.5


@dataclass(frozen=True)
class Glance:
    """What stays of a picture when its pixels are let go: 70 kB."""

    features: Features
    afar: NDArray[np.float32]  # (32, 32)
    size: tuple[int, int]  # of the working picture: width, height
    has_details: bool


@dataclass(frozen=True)
class Picture:
    """An image, reduced so that its longer edge is at most DETAIL_EDGE; never enlarged."""

    pixels: NDArray[np.uint8]  # (h, w, 3) RGB, upright
    width: int  # of the whole image, pixels
    height: int
    frames: Frames = ONE  # of an animation or a file of pages; the pixels are the first's

    @lazy
    def working(self) -> NDArray[np.uint8]:
        """(h, w, 3), longer edge at most WORKING_EDGE."""
        return reduced(self.pixels, WORKING_EDGE)

    @lazy
    def grey(self) -> NDArray[np.uint8]:
        """The working picture in grey, its contrast stretched, without specks: (h, w)."""
        return stretched(without_specks(to_grey(self.working)))

    @lazy
    def detail_grey(self) -> NDArray[np.uint8]:
        """(h, w) of the whole detail, contrast as it is."""
        return to_grey(self.pixels)

    @lazy
    def has_margin(self) -> bool:
        return not self.shows.all()

    @lazy
    def has_details(self) -> bool:
        """Whether there is anything to see, with the contrast as it is."""
        return bool(
            np.ptp(np.asarray(to_grey(self.working))) > _FLAT or np.ptp(self.working, axis=(0, 1)).max() > _FLAT
        )

    @lazy
    def afar(self) -> NDArray[np.float32]:
        """(32, 32), the grey picture squashed, of mean 0 and standard deviation 1, or all 0."""
        import cv2

        small = np.asarray(cv2.resize(self.grey, (_AFAR_EDGE, _AFAR_EDGE), interpolation=cv2.INTER_AREA), np.float32)
        small -= small.mean()
        spread = float(small.std())
        return small / spread if spread > 0 else small

    @lazy
    def glance(self) -> "Glance":
        """What is enough to see that two pictures have nothing to do with each other."""
        height, width = self.grey.shape
        return Glance(self.features, self.afar, (width, height), self.has_details)

    @lazy
    def features(self) -> Features:
        """Keypoints of the working picture."""
        return find_features(self.grey)

    @lazy
    def shows(self) -> NDArray[np.bool_]:
        """Where the working picture is no flat margin (a border, bars, the corners of a turned picture): (h, w)."""
        import cv2

        height, width = self.working.shape[:2]
        squashed = cv2.resize(self.working, (_MARGIN_EDGE, _MARGIN_EDGE), interpolation=cv2.INTER_AREA)
        margin = margin_mask(np.asarray(squashed, np.uint8), self.width, self.height)
        if margin is None:
            return np.ones((height, width), bool)
        # The line between the two is neither.
        wide = cv2.dilate(margin.astype(np.uint8), np.ones((3, 3), np.uint8))
        return np.asarray(cv2.resize(wide, (width, height), interpolation=cv2.INTER_NEAREST) == 0)

    @property
    def size_bytes(self) -> int:
        """About what it holds in memory once it has been looked at."""
        return int(self.pixels.nbytes * 5 // 3 + 150_000)


def picture_of(pixels: NDArray[np.uint8], width: int | None = None, height: int | None = None) -> Picture:
    """(h, w, 3) uint8 RGB pixels as a picture of this whole size, by default their own."""
    return Picture(reduced(pixels, DETAIL_EDGE), width or pixels.shape[1], height or pixels.shape[0])


def load_picture(source: Path | bytes, *, budget: ByteBudget | None = None) -> Picture:
    """Decode a file or a record of a data set, or the content of one; raises UnreadableImage, with the path if any."""
    try:
        content = source if isinstance(source, bytes) else read_stored(source)
        decoded = decode_image(content, size=DETAIL_EDGE // 2, budget=budget)
    except UnreadableImage as error:
        if isinstance(source, bytes):
            raise
        raise UnreadableImage(f"{shown(source)}: {error}") from error
    frames = read_frames(content, sample=_FRAMES, edge=_FRAME_EDGE) if decoded.format in MANY else ONE
    return replace(picture_of(decoded.pixels, decoded.width, decoded.height), frames=frames)


def reduced(pixels: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    """Shrunk by area where the longer edge is above `edge`."""
    import cv2

    height, width = pixels.shape[:2]
    factor = edge / max(height, width)
    if factor >= 1:
        return pixels
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def to_grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma of (h, w, 3) RGB: (h, w)."""
    import cv2

    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def without_specks(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels struck black and white all over, as by salt and pepper, replaced by the median of their neighbours."""
    import cv2

    ring = np.ones((3, 3), np.uint8)
    ring[1, 1] = 0
    above, below = cv2.subtract(grey, cv2.dilate(grey, ring)), cv2.subtract(cv2.erode(grey, ring), grey)
    # Both: the stars of a night are bright alone.
    if min(float((side > _STRUCK).mean()) for side in (above, below)) < _SPECKS:
        return grey
    return np.asarray(cv2.medianBlur(grey, 3), np.uint8)


def stretched(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The contrast from black to white: keypoints are found in dark, pale and flat pictures, too."""
    low, high = _percentiles(grey, _DARK, _LIGHT)
    if high - low < 2:  # as in a page with a few words on it
        low, high = float(grey.min()), float(grey.max())
    if high - low < 2:
        return grey
    levels = np.clip((np.arange(256) - low) * (255 / (high - low)), 0, 255)
    return np.asarray(levels.astype(np.uint8)[grey])


def _percentiles(grey: NDArray[np.uint8], *at: float) -> list[float]:
    """As `np.percentile`, from how often each level occurs: a tenth of the time."""
    up_to = np.cumsum(np.bincount(grey.ravel(), minlength=256))
    found = []
    for place in (np.array(at) / 100 * (grey.size - 1)).tolist():
        below, above = np.searchsorted(up_to, (math.floor(place), math.ceil(place)), side="right").tolist()
        found.append(below + (above - below) * (place - math.floor(place)))
    return found
