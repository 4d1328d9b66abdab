"""What else differs once two images lie over each other: colours, and content that colours do not explain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neardup.matching.geometry import Alignment, Picture, overlap, warp

# Rec. 601 luma of RGB, as JPEG and grey scale conversions take it.
LIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)
# Mean chroma, of 255, below which a picture is grey, and above which it is coloured.
GREY, COLOURED = 2.5, 5.0
# Difference of 255, after colour correction, that counts as other content.
CHANGED = 36


@dataclass(frozen=True)
class Colours:
    """How the colours of B differ from A's, where the two overlap."""

    brightness: float  # mean of B minus mean of A, in shares of full white, -1 to 1
    contrast: float  # standard deviation of B over that of A, in lightness
    saturation: float | None  # mean chroma of B over that of A; None where A has none
    grey: str | None  # "a" or "b" where only that one has no colour
    changed: float  # share of the overlap that differs by more than colours: writing, overlays, other content


@dataclass(frozen=True)
class Overlay:
    """A laid over B, in B's working pixels."""

    aligned: NDArray[np.uint8]  # (h, w, 3) A in the place where B shows it, black elsewhere
    inside: NDArray[np.bool_]  # (h, w) where that is
    difference: NDArray[np.uint8]  # (h, w) after colours were made alike; 0 outside


def lay_over(a: Picture, b: Picture, alignment: Alignment) -> Overlay:
    """Lay A over B and compare them, each channel of A scaled and shifted to B's first."""
    import cv2

    to_working_b = np.diag([b.pixels.shape[1] / b.width, b.pixels.shape[0] / b.height, 1])
    from_working_a = np.diag([a.width / a.pixels.shape[1], a.height / a.pixels.shape[0], 1])
    matrix = to_working_b @ alignment.matrix @ from_working_a
    aligned = warp(a.pixels, matrix, b.pixels.shape)
    inside = overlap(a.pixels, matrix, b.pixels.shape)
    first, second = (cv2.GaussianBlur(p, (0, 0), 1.5).astype(np.float32) for p in (aligned, b.pixels))
    # A grey B has no colours to compare.
    if _chroma(b.pixels)[inside].mean() < GREY:
        first[:] = (first @ LIGHTNESS)[..., None]
    difference = np.zeros(inside.shape, np.float32)
    for channel in range(3):
        gain, offset = _line(first[..., channel][inside], second[..., channel][inside])
        corrected = np.clip(gain * first[..., channel] + offset, 0, 255)
        difference = np.maximum(difference, np.abs(corrected - second[..., channel]))
    return Overlay(aligned, inside, np.where(inside, np.rint(difference), 0).astype(np.uint8))


def shade_difference(b: Picture, laid: Overlay) -> NDArray[np.uint8]:
    """The difference in deep red on a pale B, white where there is nothing of A: (h, w, 3)."""
    strength = np.clip(laid.difference / (2.0 * CHANGED), 0, 1)[..., None]
    pale = b.pixels.mean(axis=2, keepdims=True) * 0.25 + 255 * 0.75
    shaded = pale * (1 - strength) + np.array([178.0, 24.0, 43.0]) * strength
    return np.where(laid.inside[..., None], shaded, 255).astype(np.uint8)


def _line(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, float]:
    """Gain and offset of y over x, by least squares and again without what lies far off: writing, overlays."""
    gain, offset = 1.0, 0.0
    kept = np.ones(len(x), bool)
    for _ in range(3):
        mean_x, mean_y = float(x[kept].mean()), float(y[kept].mean())
        variance = float(np.square(x[kept] - mean_x).mean())
        gain = float(((x[kept] - mean_x) * (y[kept] - mean_y)).mean()) / variance if variance > 1e-6 else 1.0
        offset = mean_y - gain * mean_x
        residual = np.abs(gain * x + offset - y)
        kept = residual <= max(2.0, 2.5 * float(np.median(residual)))
    return gain, offset


def _chroma(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The range of the three channels, (h, w)."""
    wide = pixels.astype(np.float32)
    chroma: NDArray[np.float32] = wide.max(axis=2) - wide.min(axis=2)
    return chroma


def compare_colours(b: Picture, laid: Overlay) -> Colours:
    """How the colours changed where the two overlap."""
    inside = laid.inside
    chroma_a, chroma_b = float(_chroma(laid.aligned)[inside].mean()), float(_chroma(b.pixels)[inside].mean())
    light_a, light_b = (pixels[inside].astype(np.float32) @ LIGHTNESS for pixels in (laid.aligned, b.pixels))
    grey = None
    if chroma_a > COLOURED and chroma_b < GREY:
        grey = "b"
    elif chroma_b > COLOURED and chroma_a < GREY:
        grey = "a"
    return Colours(
        brightness=float(light_b.mean() - light_a.mean()) / 255,
        contrast=float(light_b.std() / max(float(light_a.std()), 1e-3)),
        saturation=chroma_b / chroma_a if chroma_a > GREY else None,
        grey=grey,
        changed=float((laid.difference[inside] > CHANGED).mean()),
    )
