"""Random views of a photo for self-supervised copy detection.

What is done to a view, in the order in which it happens to pictures: geometry, colour, what is put on top, what it is
set into, loss of quality (SSCD, Pizzi et al. 2022, arXiv 2202.10261, section 4.2, taken further). Everything is drawn
from one NumPy generator, so that a view is the same for the same seed (and release of OpenCV).

This package imports OpenCV: import it where views are made. A process that makes views on one core calls
`cv2.setNumThreads(0)` first: at these sizes threads cost more than they save.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from neardup.errors import BadInput
from neardup.training.copies.augment import colour, frame, overlay, quality, single
from neardup.training.copies.augment.geometry import Image, draw_geometry, warp

__all__ = ["COLOUR", "FRAMES", "OVERLAYS", "QUALITY", "Family", "augment"]


@dataclass(frozen=True)
class Family:
    """One kind of change and how often it happens."""

    apply: Callable[[Image, np.random.Generator], Image]
    rate: float  # at hardness 1
    hard: bool = False  # rate × hardness


# Applied in this order, each by chance of its own.
COLOUR = (
    Family(colour.brightness_contrast, 0.35),
    Family(colour.saturation, 0.20),
    Family(colour.gamma, 0.12),
    Family(colour.hue, 0.12),
    Family(colour.tint, 0.12),
    Family(colour.photo_filter, 0.12, hard=True),
    Family(colour.equalise, 0.05),
    Family(colour.vignette, 0.03),
    Family(colour.grey, 0.16),
    Family(colour.sepia, 0.09),
    Family(colour.posterise, 0.03, hard=True),
    Family(colour.swap_channels, 0.02, hard=True),
    Family(colour.solarise, 0.01, hard=True),
    Family(colour.invert, 0.01, hard=True),
)
OVERLAYS = (
    Family(overlay.flare, 0.03),
    Family(overlay.stripes, 0.02, hard=True),
    Family(overlay.shapes, 0.08),
    Family(overlay.sticker, 0.08),
    Family(overlay.watermark, 0.07),
    Family(overlay.text, 0.14),
    Family(overlay.caption, 0.05, hard=True),
)
QUALITY = (
    Family(quality.blur, 0.14),
    Family(quality.sharpen, 0.08),
    Family(quality.gaussian_noise, 0.09),
    Family(quality.speckle_noise, 0.03),
    Family(quality.salt_and_pepper, 0.04),
    Family(quality.downscale, 0.16),
    Family(quality.pixelate, 0.04, hard=True),
    Family(quality.dither, 0.015, hard=True),
    Family(quality.jpeg, 0.50),
    Family(quality.webp, 0.02),
)
# One of these or none in most chains of edits, two in a few: what remains after the choice, of all chains at
# hardness 1, is about 14 %, 19 %, 4 % and 12 %. All are hard.
FRAMES: tuple[tuple[frame.Draw, float], ...] = (
    (frame.border, 0.20),
    (frame.pasted, 0.25),
    (frame.collage, 0.055),
    (frame.screenshot, 0.16),
)
OTHER_OVER_RATE = 0.07
OTHER_BLENDED_RATE = 0.03
SINGLE_RATE = 0.5
"""Share of views with one edit and no more, as most copies are that people make; the others have a chain of edits."""

MIN_AREA = 0.1
"""Least share of the photo's area that a crop keeps."""

MIN_SHOWN = 0.08
"""Least product of the share of the photo that is shown and the share of the view that it fills."""

MIN_SIDE = 0.24
"""Least side of the photo within a view, as a share of the view's side: 30 pixels of 128."""

MIN_CONTRAST = 14.0
"""Grey levels of standard deviation under which a crop is drawn anew and a recolouring is dropped."""


def augment(
    photo: Image, size: int, rng: np.random.Generator, *, others: Sequence[Image] = (), hardness: float = 1.0
) -> Image:
    """One random view of `photo`.

    photo:    (H, W, 3) uint8, RGB
    size:     side of the view in pixels, at least 32
    others:   other photos, (h, w, 3) uint8, for what is pasted, collaged and blended; plain gradients without them
    hardness: 0..1.5, scales the rates of the hard changes
    returns:  (size, size, 3) uint8, squashed to the square

    About 2 ms on one core at size 128 from photos of 192 × 256; far larger ones cost the time to reduce them whole.

    Raises BadInput for a photo, a size or a hardness outside these.
    """
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or 0 in photo.shape:
        raise BadInput(f"photo of shape {photo.shape} and type {photo.dtype}: give (H, W, 3) uint8 RGB")
    if size < 32:
        raise BadInput(f"views of {size} pixels: give 32 or more")
    if not 0 <= hardness <= 1.5:
        raise BadInput(f"hardness {hardness}: give a number from 0 to 1.5")
    height, width = photo.shape[:2]
    if rng.random() < SINGLE_RATE:
        return single.edit_once(photo, size, rng, others)

    frames = draw_frames(rng, size, height / width, others, hardness)
    room = (frames[-1].width, frames[-1].height) if frames else (size, size)
    covered = rng.random() < OTHER_OVER_RATE * hardness
    min_area = max(MIN_AREA, MIN_SHOWN * size * size / (room[0] * room[1])) / (1 - overlay.MAX_COVERED * covered)
    sharpness = 2.0 if rng.random() < 0.2 else 1.0
    for _ in range(3):  # a crop of bare sky or wall could be of any photo
        geometry = draw_geometry(rng, width, height, min_area=min(1.0, min_area), hardness=hardness)
        view = warp(photo, geometry, *room, sharpness=sharpness)
        if contrast(view) >= MIN_CONTRAST:
            break

    colour_last = rng.random() < 0.25  # the finished picture is edited, not the photo
    if not colour_last:
        view = _recolour(view, rng, hardness)
    if rng.random() < OTHER_BLENDED_RATE * hardness:
        view = overlay.photo_blended(view, rng, others)
    if covered:
        view = overlay.other_photo_over(view, rng, others)
    if frames and rng.random() < 0.3:
        view = quality.jpeg(view, rng)
    # A photo already small, or a small part of one, is lost under more than a little.
    shown = geometry.coverage(width, height)[0] * room[0] * room[1] / size**2
    most = 1 if shown < 0.2 else 2 if shown < 0.35 else 3
    overlay_last = bool(frames) and rng.random() < 0.3
    if not overlay_last:
        view = _apply(OVERLAYS, view, rng, hardness, most=min(most, 2))
    for surrounding in reversed(frames):
        view = surrounding.fill(view)
    if overlay_last:
        view = _apply(OVERLAYS, view, rng, hardness, most=min(most, 2))
    if colour_last:
        view = _recolour(view, rng, hardness)
    return _apply(QUALITY, view, rng, hardness, most=most)


def draw_frames(
    rng: np.random.Generator, size: int, aspect: float, others: Sequence[Image], hardness: float
) -> list[frame.Frame]:
    """What the photo is set into, from the outside in; usually nothing, sometimes two."""
    chosen = [draw for draw, rate in FRAMES if rng.random() < rate * hardness]
    rng.shuffle(chosen)
    if len(chosen) > 1:
        chosen = chosen[: 2 if rng.random() < 0.3 else 1]
    frames: list[frame.Frame] = []
    width = height = size
    for draw in chosen:
        if min(width, height) < size / 2:
            break
        made = draw(rng, width, height, aspect, others)
        # A frame within a frame may leave too little for the photo, even for all of it; the first never does.
        small = made.width * made.height * (1 - overlay.MAX_COVERED) < MIN_SHOWN * size * size
        if not frames or not (small or min(made.width, made.height) < MIN_SIDE * size):
            frames.append(made)
            width, height = made.width, made.height
    return frames


def contrast(view: Image) -> float:
    """Standard deviation of the channel that varies most, in grey levels."""
    return float(cv2.meanStdDev(view)[1].max())


def _recolour(view: Image, rng: np.random.Generator, hardness: float) -> Image:
    """New colours, unless they wash the picture out: a pale photo made paler has nothing left to recognise."""
    recoloured = _apply(COLOUR, view, rng, hardness, most=3)
    return recoloured if contrast(recoloured) >= min(MIN_CONTRAST, 0.6 * contrast(view)) else view


def _apply(families: Sequence[Family], view: Image, rng: np.random.Generator, hardness: float, *, most: int) -> Image:
    """Apply the families that chance picks, in their order; at most `most` of them."""
    chosen = [family for family in families if rng.random() < family.rate * (hardness if family.hard else 1.0)]
    while len(chosen) > most:
        del chosen[int(rng.integers(len(chosen)))]
    for family in chosen:
        view = family.apply(view, rng)
    return view
