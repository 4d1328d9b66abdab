"""What a view loses on its way: blur, noise, resolution, bit depth, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from neardup.training.copies.augment.geometry import Image

_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 16
_SCALERS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4)


def _scale(image: Image) -> float:
    """Blur and pixel sizes below are for a view 128 pixels wide."""
    return float(max(image.shape[:2])) / 128


def blur(image: Image, rng: np.random.Generator) -> Image:
    strength = float(np.exp(rng.uniform(np.log(0.5), np.log(3.2)))) * _scale(image)
    kind = rng.random()
    blurred: Image
    if kind < 0.6:
        blurred = cv2.GaussianBlur(image, (0, 0), strength)
    elif kind < 0.8:
        side = max(2, round(2 * strength))
        blurred = cv2.blur(image, (side, side))
    else:
        blurred = motion_blur(image, rng, max(3, round(4 * strength)))
    return blurred


def motion_blur(image: Image, rng: np.random.Generator, length: int) -> Image:
    """The average of `length` pixels along a line of random direction."""
    side = length | 1
    kernel = np.zeros((side, side), np.float32)
    angle, middle = rng.uniform(0, np.pi), side // 2
    dx, dy = round(np.cos(angle) * middle), round(np.sin(angle) * middle)
    cv2.line(kernel, (middle - dx, middle - dy), (middle + dx, middle + dy), 1.0)
    blurred: Image = cv2.filter2D(image, -1, kernel / kernel.sum())
    return blurred


def sharpen(image: Image, rng: np.random.Generator) -> Image:
    amount = rng.uniform(0.5, 3)
    soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.7, 2.0) * _scale(image))
    sharp: Image = cv2.addWeighted(image, 1 + amount, soft, -amount, 0)
    return sharp


def gaussian_noise(image: Image, rng: np.random.Generator) -> Image:
    sigma = np.exp(rng.uniform(np.log(4), np.log(50)))
    channels = 1 if rng.random() < 0.3 else 3
    noise = rng.standard_normal((*image.shape[:2], channels), dtype=np.float32) * np.float32(sigma)
    return _to_uint8(image + noise)


def speckle_noise(image: Image, rng: np.random.Generator) -> Image:
    """Noise in proportion to the signal."""
    gain = 1 + rng.standard_normal(image.shape[:2], dtype=np.float32) * np.float32(rng.uniform(0.08, 0.4))
    return _to_uint8(image * gain[..., None])


def salt_and_pepper(image: Image, rng: np.random.Generator) -> Image:
    share = np.exp(rng.uniform(np.log(0.005), np.log(0.15)))
    draw = rng.random(image.shape[:2] if rng.random() < 0.7 else image.shape, dtype=np.float32)
    noisy = image.copy()
    noisy[draw < share / 2] = 0
    noisy[draw > 1 - share / 2] = 255
    return noisy


def jpeg(image: Image, rng: np.random.Generator) -> Image:
    """JPEG at quality 5..90, sometimes twice, the second on a shifted grid of blocks."""
    image = _encode(image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, int(5 + 85 * rng.random() ** 1.3))
    if rng.random() < 0.2:
        shift = int(rng.integers(0, 8))
        rolled = np.ascontiguousarray(np.roll(image, shift, axis=(0, 1)))
        rolled = _encode(rolled, ".jpg", cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 91)))
        image = np.ascontiguousarray(np.roll(rolled, -shift, axis=(0, 1)))
    return image


def webp(image: Image, rng: np.random.Generator) -> Image:
    return _encode(image, ".webp", cv2.IMWRITE_WEBP_QUALITY, int(rng.integers(2, 70)))


def _encode(image: Image, ending: str, flag: int, quality: int) -> Image:
    # The encoder expects BGR, and the colour subsampling is not symmetric in red and blue.
    _, encoded = cv2.imencode(ending, image[..., ::-1], [flag, quality])
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV reads what it wrote"
    return np.ascontiguousarray(decoded[..., ::-1])


def downscale(image: Image, rng: np.random.Generator) -> Image:
    """Down to 15..80 % of the side and up again, each with an interpolation of its own."""
    height, width = image.shape[:2]
    factor = float(np.exp(rng.uniform(np.log(0.15), np.log(0.8))))
    small_size = max(1, round(width * factor)), max(1, round(height * factor))
    # Without averaging, a great reduction leaves a scatter of single pixels.
    down = _SCALERS[int(rng.integers(5))] if factor > 0.4 else cv2.INTER_AREA
    small = cv2.resize(image, small_size, interpolation=down)
    large: Image = cv2.resize(small, (width, height), interpolation=_SCALERS[int(rng.integers(5))])
    return large


def pixelate(image: Image, rng: np.random.Generator) -> Image:
    """Squares of one colour, 2 to 6 pixels wide in a view of 128."""
    height, width = image.shape[:2]
    block = rng.uniform(2, 6) * _scale(image)
    small = cv2.resize(
        image, (max(1, round(width / block)), max(1, round(height / block))), interpolation=cv2.INTER_AREA
    )
    blocks: Image = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    return blocks


def dither(image: Image, rng: np.random.Generator) -> Image:
    """Few levels a channel with an ordered pattern (Bayer 1973)."""
    height, width = image.shape[:2]
    levels = int(rng.integers(2, 6))
    pattern = np.tile(_BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width, None]
    steps = np.floor(image * np.float32((levels - 1) / 255) + pattern)
    return _to_uint8(np.minimum(steps, levels - 1) * (255 / (levels - 1)))


def _to_uint8(values: NDArray[np.floating]) -> Image:
    clipped: Image = np.clip(values + 0.5, 0, 255).astype(np.uint8)
    return clipped
