"""Views with one edit and no more, as most copies are that people make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neardup.training.copies.augment import colour, frame, overlay, quality
from neardup.training.copies.augment.geometry import Geometry, Image, draw_crop, warp


def edit_once(photo: Image, size: int, rng: np.random.Generator, others: Sequence[Image]) -> Image:
    """The photo with one of EDITS, and half of the time compressed: (size, size, 3)."""
    edit, _ = EDITS[int(rng.choice(len(EDITS), p=[share for _, share in EDITS]))]
    view = edit(photo, size, rng, others)
    return quality.jpeg(view, rng) if rng.random() < 0.5 else view


def scale(photo: Image, size: int, rng: np.random.Generator, others: Sequence[Image]) -> Image:
    """Nothing but another size, half of the time as a small picture enlarged."""
    view = warp(photo, Geometry.whole(photo), size, size)
    return quality.downscale(view, rng) if rng.random() < 0.5 else view


def mirror(photo: Image, size: int, rng: np.random.Generator, others: Sequence[Image]) -> Image:
    return warp(photo, replace(Geometry.whole(photo), mirror=True), size, size)


def turn(photo: Image, size: int, rng: np.random.Generator, others: Sequence[Image]) -> Image:
    """By one to three quarters; upside down as a mirror image, too."""
    turned = replace(Geometry.whole(photo), turns=int(rng.integers(1, 4)), mirror=bool(rng.random() < 0.3))
    return warp(photo, turned, size, size)


def crop(photo: Image, size: int, rng: np.random.Generator, others: Sequence[Image]) -> Image:
    return warp(photo, draw_crop(rng, photo.shape[1], photo.shape[0]), size, size)


def angle(photo: Image, size: int, rng: np.random.Generator, others: Sequence[Image]) -> Image:
    """By up to 30 degrees."""
    tilted = replace(
        Geometry.whole(photo),
        angle=math.radians(rng.uniform(-30, 30)),
        corners="colour" if rng.random() < 0.8 else "mirrored",
        colour=overlay.random_colour(rng),
    )
    return warp(photo, tilted, size, size)


def recolour(photo: Image, size: int, rng: np.random.Generator, others: Sequence[Image]) -> Image:
    view = warp(photo, Geometry.whole(photo), size, size)
    change = (colour.grey, colour.toned, colour.sepia, colour.photo_filter)[int(rng.choice(4, p=[0.3, 0.3, 0.2, 0.2]))]
    return change(view, rng)


def framed(photo: Image, size: int, rng: np.random.Generator, others: Sequence[Image]) -> Image:
    draw = (frame.border, frame.pasted, frame.screenshot)[int(rng.integers(3))]
    surrounding = draw(rng, size, size, photo.shape[0] / photo.shape[1], others)
    return surrounding.fill(warp(photo, Geometry.whole(photo), surrounding.width, surrounding.height))


def covered(photo: Image, size: int, rng: np.random.Generator, others: Sequence[Image]) -> Image:
    return overlay.other_photo_over(warp(photo, Geometry.whole(photo), size, size), rng, others)


# The edit, and its share of such views.
EDITS = (
    (scale, 0.07),
    (mirror, 0.03),
    (turn, 0.25),
    (crop, 0.29),
    (angle, 0.07),
    (recolour, 0.15),
    (framed, 0.11),
    (covered, 0.03),
)
