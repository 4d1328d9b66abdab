"""Pictures without a subject: night skies, stone, noise, dots under a microscope."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neardup.evaluation.lookalikes.sample import Sample


@lru_cache(maxsize=4)
def _sky(seed: int, width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    """One place by night: the glow of the sky, the camera's noise (H, W, 3), and where the trees are (H, W)."""
    rng = np.random.default_rng(seed)
    y = np.linspace(0, 1, height)[:, None, None]
    top, horizon = np.array([7.0, 10, 22]), np.array([34.0, 36, 58])
    glow = top + (horizon - top) * y**2 + np.zeros((1, width, 1))
    noise = rng.integers(0, 7, (height, width, 3))
    ridge = np.cumsum(rng.normal(0, 1.2, width)) + rng.integers(0, 14, width)
    ridge = 0.87 * height + 0.5 * (ridge - ridge.mean())
    trees = np.arange(height)[:, None] > np.clip(ridge, 0.75 * height, 0.95 * height)
    return glow.astype(np.uint8), noise.astype(np.uint8), trees


def night_sky(sample: Sample) -> Image.Image:
    """1,200 x 800: the same trees under other stars, a few bright ones among many faint ones."""
    width, height = 1200, 800
    own = sample.own()
    glow, noise, trees = _sky(sample.seed, width, height)
    sky = glow + np.roll(noise, int(own.integers(noise.size)))
    stars = 700
    x, y = own.integers(2, width - 3, stars), own.integers(2, height - 3, stars)
    light = np.minimum(45 * own.pareto(1.3, stars) + 35, 500)
    tint = own.uniform(0.8, 1.0, (stars, 3))
    for down in range(-2, 3):
        for right in range(-2, 3):
            # A star is a point spread by the lens: only the bright ones are seen to be wide.
            spread = light * np.exp(-(down**2 + right**2) / 1.1)
            sky[y + down, x + right] = np.clip(sky[y + down, x + right] + spread[:, None] * tint, 0, 255)
    sky[trees] = noise[trees] // 2 + 3
    return Image.fromarray(sky)


def texture(sample: Sample) -> Image.Image:
    """512 x 512: slabs of one marble, clouds of noise at six scales with veins."""
    own, side = sample.own(), 512
    clouds = np.zeros((side, side), np.float32)
    for octave in range(6):
        cells = own.normal(0, 0.62**octave, (4 << octave, 4 << octave)).astype(np.float32)
        clouds += np.asarray(Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC))
    veins = np.exp(-np.abs(clouds) * 7)
    level = np.clip(0.72 + 0.11 * clouds - 0.35 * veins, 0, 1)[..., None]
    dark, light = np.array([70, 74, 82], np.float32), np.array([240, 236, 228], np.float32)
    return Image.fromarray((dark + (light - dark) * level).astype(np.uint8))


def noise(sample: Sample) -> Image.Image:
    """640 x 480: a screen without a signal, grey grains of 2 px, so that something is left of them at half the size."""
    grains = sample.own().integers(0, 256, (240, 320), np.uint8)
    return Image.fromarray(np.kron(grains, np.ones((2, 2), np.uint8))).convert("RGB")


def microscopy(sample: Sample) -> Image.Image:
    """I;16, 512 x 512: glowing spots on a dim ground, of the kind that a 16-bit camera writes and no screen shows."""
    own, side = sample.own(), 512
    y, x = np.linspace(-1, 1, side)[:, None], np.linspace(-1, 1, side)[None, :]
    field = 1400 - 350 * (x**2 + y**2) + own.normal(0, 45, (side, side))
    reach = np.arange(-14, 15)
    for _ in range(int(own.integers(40, 90))):
        row, column = own.integers(15, side - 15, 2)
        sigma, peak = own.uniform(1.8, 4.5), own.uniform(1500, 9000)
        bell = np.exp(-(reach**2) / (2 * sigma**2))
        field[row - 14 : row + 15, column - 14 : column + 15] += peak * bell[:, None] * bell[None, :]
    return Image.fromarray(np.clip(field, 0, 65535).astype(np.uint16))
