"""What a view's colours become: per-channel curves, 3 × 3 colour matrices, filters."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from neardup.training.copies.augment.geometry import Image

_RAMP = np.arange(256, dtype=np.float32)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]], np.float32)


def apply_curve(image: Image, curve: NDArray[np.floating]) -> Image:
    """Map every value through `curve`: (256,) for all channels or (256, 3), clipped to 0..255."""
    table = np.clip(curve + 0.5, 0, 255).astype(np.uint8)
    mapped: Image = cv2.LUT(image, table if table.ndim == 1 else table[:, None, :])
    return mapped


def apply_matrix(image: Image, matrix: NDArray[np.floating]) -> Image:
    """Every pixel as `matrix @ (r, g, b)`, clipped to 0..255."""
    mapped: Image = cv2.transform(image, matrix.astype(np.float32))
    return mapped


def brightness_contrast(image: Image, rng: np.random.Generator) -> Image:
    gain, shift = np.exp(rng.uniform(-0.7, 0.6)), rng.uniform(-60, 60)
    return apply_curve(image, (_RAMP - 128) * gain + 128 + shift)


def gamma(image: Image, rng: np.random.Generator) -> Image:
    return apply_curve(image, 255 * (_RAMP / 255) ** float(np.exp(rng.uniform(-0.9, 0.9))))


def saturation(image: Image, rng: np.random.Generator) -> Image:
    """From nearly grey to garish: the mix of the image and its luma."""
    amount = rng.uniform(0, 2.4)
    return apply_matrix(image, amount * np.eye(3) + (1 - amount) * np.tile(_LUMA, (3, 1)))


def hue(image: Image, rng: np.random.Generator) -> Image:
    """Turn the colours about the grey axis, mostly by little."""
    limit = 0.5 if rng.random() < 0.7 else np.pi
    angle = rng.uniform(-limit, limit)
    # Rodrigues' rotation about (1, 1, 1) / √3.
    axis = np.full(3, 1 / np.sqrt(3))
    cross = np.cross(np.eye(3), axis)
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
    return apply_matrix(image, turn)


def tint(image: Image, rng: np.random.Generator) -> Image:
    """A colour cast: other gains for each channel, or a share of one flat colour."""
    if rng.random() < 0.6:
        return apply_curve(image, _RAMP[:, None] * np.exp(rng.uniform(-0.35, 0.35, 3))[None, :])
    share = rng.uniform(0.1, 0.4)
    return apply_curve(image, _RAMP[:, None] * (1 - share) + rng.uniform(0, 255, 3)[None, :] * share)


def grey(image: Image, rng: np.random.Generator) -> Image:
    weights = _LUMA if rng.random() < 0.7 else rng.dirichlet(np.ones(3))
    return apply_matrix(image, np.tile(weights, (3, 1)))


def sepia(image: Image, rng: np.random.Generator) -> Image:
    amount = rng.uniform(0.5, 1)
    return apply_matrix(image, amount * _SEPIA + (1 - amount) * np.eye(3))


def toned(image: Image, rng: np.random.Generator) -> Image:
    """A toned print (sepia, cyanotype, selenium) or duotone: the luma as a ramp from a dark colour to a light one."""
    dark, light = rng.uniform(0, 60, 3), rng.uniform(190, 255, 3)
    middle = (dark + light) / 2 + rng.uniform(-35, 35, 3)
    stops = np.array([0.0, 127.5, 255.0])
    curve = np.stack([np.interp(_RAMP, stops, levels) for levels in np.stack([dark, middle, light], -1)], -1)
    return apply_curve(apply_matrix(image, np.tile(_LUMA, (3, 1))), curve)


def posterise(image: Image, rng: np.random.Generator) -> Image:
    levels = int(rng.integers(3, 9))
    return apply_curve(image, np.floor(_RAMP * levels / 256) * 255 / (levels - 1))


def solarise(image: Image, rng: np.random.Generator) -> Image:
    threshold = rng.uniform(90, 220)
    return apply_curve(image, np.where(threshold > _RAMP, _RAMP, 255 - _RAMP))


def invert(image: Image, rng: np.random.Generator) -> Image:
    return apply_curve(image, 255 - _RAMP)


def swap_channels(image: Image, rng: np.random.Generator) -> Image:
    orders = ((2, 1, 0), (1, 0, 2), (0, 2, 1), (1, 2, 0), (2, 0, 1))
    return np.ascontiguousarray(image[..., orders[int(rng.integers(5))]])


def equalise(image: Image, rng: np.random.Generator) -> Image:
    """Histogram equalisation, or the stretch of each channel to its 1st..99th percentile."""
    stretch = rng.random() < 0.6
    together = rng.random() < 0.5
    curves = np.empty((256, 3))
    for channel in range(3):
        values = image if together else image[..., channel]
        share = np.cumsum(np.bincount(values.ravel(), minlength=256)) / values.size
        low, high = int(np.searchsorted(share, 0.01)), int(np.searchsorted(share, 0.99))
        curves[:, channel] = (_RAMP - low) * (255 / max(1, high - low)) if stretch else 255 * share
    return apply_curve(image, curves)


def photo_filter(image: Image, rng: np.random.Generator) -> Image:
    """A filter of the photo-sharing kind: an S-curve a channel, faded blacks, other saturation, a vignette."""
    unit = _RAMP[:, None] / 255
    bend = rng.uniform(-0.8, 1.2, 3)[None, :]
    curve = unit + bend * unit * (1 - unit) * (unit - rng.uniform(0.3, 0.7, 3)[None, :])
    low, high = rng.uniform(0, 0.22, 3), rng.uniform(0.8, 1, 3)
    amount = rng.uniform(0.4, 1.6)
    image = apply_matrix(image, amount * np.eye(3) + (1 - amount) * np.tile(_LUMA, (3, 1)))
    image = apply_curve(image, 255 * (low + np.clip(curve, 0, 1) * (high - low)))
    return vignette(image, rng) if rng.random() < 0.5 else image


def vignette(image: Image, rng: np.random.Generator) -> Image:
    mask = 1 - np.float32(rng.uniform(0.25, 0.8)) * _distance(image.shape[0], image.shape[1])
    return (image * mask[..., None]).astype(np.uint8)


@lru_cache(maxsize=64)
def _distance(height: int, width: int) -> NDArray[np.float32]:
    """Squared distance from the centre, 1 in the corners."""
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    return ((x * x + y * y) / 2).astype(np.float32)
