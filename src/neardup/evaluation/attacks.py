"""What people do to photos, as a fixed and seeded suite: each attack is a name that keeps its meaning.

Written with Pillow and with its own constants, apart from the training augmentations, so that a network is not
judged by the code it was trained with. Where the direction of an edit is free (lighter or darker, left or right)
the generator chooses. An edit's strength is meant as what is seen in the wild at its harder end.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from neardup.evaluation import drawing

Photo: TypeAlias = NDArray[np.uint8]
Edit: TypeAlias = Callable[[Image.Image, np.random.Generator, Image.Image], Image.Image]


def encoded(photo: Image.Image, encoding: str, quality: int) -> Image.Image:
    """The photo saved in a lossy format and read again."""
    buffer = io.BytesIO()
    photo.save(buffer, encoding, quality=quality)
    return Image.open(buffer).convert("RGB")


def jpeg(photo: Image.Image, quality: int) -> Image.Image:
    return encoded(photo, "JPEG", quality)


def scaled(photo: Image.Image, factor: float) -> Image.Image:
    return drawing.resized(photo, factor * photo.width, factor * photo.height)


def either(rng: np.random.Generator, low: tuple[float, float], high: tuple[float, float]) -> float:
    """A strength from one of two ranges: the edit is visible, in one direction or the other."""
    return float(rng.uniform(*(low if rng.random() < 0.5 else high)))


def brightness(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(photo).enhance(either(rng, (0.45, 0.7), (1.35, 1.7)))


def contrast(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageEnhance.Contrast(photo).enhance(either(rng, (0.4, 0.65), (1.4, 1.9)))


def colour(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Saturation, and a white balance that is off by up to a fifth in each channel."""
    photo = ImageEnhance.Color(photo).enhance(either(rng, (0.2, 0.6), (1.5, 2.2)))
    gains = rng.uniform(0.8, 1.2, 3)
    return Image.fromarray(np.clip(np.rint(np.asarray(photo) * gains), 0, 255).astype(np.uint8))


def gamma(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    exponent = either(rng, (0.45, 0.65), (1.6, 2.2))
    return photo.point([round(255 * (level / 255) ** exponent) for level in range(256)] * 3)


def grey(photo: Image.Image) -> Image.Image:
    return ImageOps.grayscale(photo).convert("RGB")


def sepia(photo: Image.Image) -> Image.Image:
    return ImageOps.colorize(ImageOps.grayscale(photo), (30, 15, 0), (255, 240, 205), (150, 110, 70))


def phone_filter(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """As photo apps do: faded blacks, split toning (tinted shadows and lights) and a dark vignette."""
    levels = np.asarray(photo, dtype=np.float32) / 255
    luminance = levels.mean(axis=2, keepdims=True)
    shadows, lights = rng.uniform(-0.12, 0.12, (2, 3))
    levels = 0.08 + 0.88 * levels + shadows * (1 - luminance) + lights * luminance
    y = np.linspace(-1, 1, photo.height)[:, None]
    x = np.linspace(-1, 1, photo.width)[None, :]
    levels = levels * (1 - rng.uniform(0.2, 0.4) * (x**2 + y**2) / 2)[..., None]
    return Image.fromarray(np.clip(np.rint(255 * levels), 0, 255).astype(np.uint8))


def palette(photo: Image.Image) -> Image.Image:
    """A GIF of 24 colours with dithering."""
    return photo.quantize(24).convert("RGB")


def noise(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Gaussian, with a standard deviation of 15 to 30 levels."""
    grain = rng.normal(0, rng.uniform(15, 30), (photo.height, photo.width, 3))
    return Image.fromarray(np.clip(np.rint(np.asarray(photo) + grain), 0, 255).astype(np.uint8))


def salt_pepper(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Five per cent of the pixels turn black or white."""
    pixels = np.array(photo)
    chance = rng.random(pixels.shape[:2])
    pixels[chance < 0.025] = 0
    pixels[chance > 0.975] = 255
    return Image.fromarray(pixels)


def blur(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    return photo.filter(ImageFilter.GaussianBlur(rng.uniform(0.008, 0.016) * min(photo.size)))


def sharpen(photo: Image.Image) -> Image.Image:
    return photo.filter(ImageFilter.UnsharpMask(radius=2, percent=300, threshold=0))


def crop(photo: Image.Image, rng: np.random.Generator, area: float) -> Image.Image:
    """A part anywhere in the photo, with that share of its area and nearly its shape (up to 15 % off)."""
    stretch = math.exp(rng.uniform(-0.07, 0.07))
    width = max(1, min(photo.width, round(photo.width * math.sqrt(area) * stretch)))
    height = max(1, min(photo.height, round(photo.height * math.sqrt(area) / stretch)))
    left = int(rng.integers(0, photo.width - width + 1))
    top = int(rng.integers(0, photo.height - height + 1))
    return photo.crop((left, top, left + width, top + height))


def zoom(photo: Image.Image, factor: float) -> Image.Image:
    """The middle of the photo, blown up to the photo's size."""
    width, height = photo.width / factor, photo.height / factor
    left, top = (photo.width - width) / 2, (photo.height - height) / 2
    box = (left, top, left + width, top + height)
    return photo.resize(photo.size, Image.Resampling.BICUBIC, box=box)


def squeeze(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Width or height reduced to 60 to 75 %, the other kept."""
    factor = rng.uniform(0.6, 0.75)
    if rng.random() < 0.5:
        return drawing.resized(photo, factor * photo.width, photo.height)
    return drawing.resized(photo, photo.width, factor * photo.height)


def rotated(photo: Image.Image, rng: np.random.Generator, degrees: float) -> Image.Image:
    """Turned left or right: with black or white corners, or straightened (cut to the upright part inside)."""
    degrees = degrees if rng.random() < 0.5 else -degrees
    style = int(rng.integers(3))
    fill = drawing.WHITE if style == 1 else drawing.BLACK
    turned = photo.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=fill)
    if style < 2:
        return turned
    # The largest upright rectangle of the photo's own shape inside the turned photo.
    sine, cosine = abs(math.sin(math.radians(degrees))), math.cos(math.radians(degrees))
    aspect = max(photo.width / photo.height, photo.height / photo.width)
    scale = 1 / (cosine + aspect * sine)
    width, height = max(1, int(photo.width * scale)), max(1, int(photo.height * scale))
    left, top = (turned.width - width) // 2, (turned.height - height) // 2
    return turned.crop((left, top, left + width, top + height))


def perspective(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The photo seen at an angle: each corner moved inwards by up to 16 % of the side, on a plain ground."""
    width, height = photo.size
    inward = rng.uniform(0, 0.16, (4, 2)) * (width, height)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
    seen = corners + inward * [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    # Pillow wants the map from the result to the source: eight coefficients from four pairs of points.
    rows = []
    for (x, y), (u, v) in zip(seen, corners, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    coefficients = np.linalg.solve(np.array(rows), corners.ravel())
    return photo.transform(
        photo.size,
        Image.Transform.PERSPECTIVE,
        [float(value) for value in coefficients],
        Image.Resampling.BICUBIC,
        fillcolor=drawing.black_white_or_colour(rng),
    )


def chain_crop_rotate_colour_jpeg(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    photo = rotated(crop(photo, rng, 0.7), rng, rng.uniform(4, 10))
    return jpeg(colour(brightness(photo, rng), rng), 25)


def chain_mirror_crop_text_scale_jpeg(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    photo = drawing.with_text(crop(ImageOps.mirror(photo), rng, 0.6), rng)
    return jpeg(scaled(photo, 0.5), 30)


def chain_social(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Passed on three times: reduced, filtered, framed, written on, recompressed each time."""
    photo = jpeg(scaled(photo, 0.7), 40)
    photo = jpeg(drawing.with_border(phone_filter(photo, rng), rng, 0.05), 35)
    return jpeg(drawing.with_text(photo, rng), 30)


def chain_screenshot_of_crop(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    return jpeg(drawing.on_phone_screen(crop(photo, rng, 0.7), rng), 40)


EDITS: Mapping[str, Edit] = MappingProxyType(
    {
        "jpeg_30": lambda photo, rng, other: jpeg(photo, 30),
        "jpeg_8": lambda photo, rng, other: jpeg(photo, 8),
        "webp_20": lambda photo, rng, other: encoded(photo, "WEBP", 20),
        "scale_50": lambda photo, rng, other: scaled(photo, 0.5),
        "scale_25": lambda photo, rng, other: scaled(photo, 0.25),
        "brightness": lambda photo, rng, other: brightness(photo, rng),
        "contrast": lambda photo, rng, other: contrast(photo, rng),
        "colour": lambda photo, rng, other: colour(photo, rng),
        "gamma": lambda photo, rng, other: gamma(photo, rng),
        "grey": lambda photo, rng, other: grey(photo),
        "sepia": lambda photo, rng, other: sepia(photo),
        "filter": lambda photo, rng, other: phone_filter(photo, rng),
        "palette": lambda photo, rng, other: palette(photo),
        "noise": lambda photo, rng, other: noise(photo, rng),
        "salt_pepper": lambda photo, rng, other: salt_pepper(photo, rng),
        "blur": lambda photo, rng, other: blur(photo, rng),
        "sharpen": lambda photo, rng, other: sharpen(photo),
        "text": lambda photo, rng, other: drawing.with_text(photo, rng),
        "watermark": lambda photo, rng, other: drawing.with_watermark(photo, rng),
        "stickers": lambda photo, rng, other: drawing.with_stickers(photo, rng),
        "caption": lambda photo, rng, other: drawing.with_caption_bar(photo, rng),
        "squeeze": lambda photo, rng, other: squeeze(photo, rng),
        "crop_80": lambda photo, rng, other: crop(photo, rng, 0.8),
        "crop_50": lambda photo, rng, other: crop(photo, rng, 0.5),
        "crop_30": lambda photo, rng, other: crop(photo, rng, 0.3),
        "zoom_150": lambda photo, rng, other: zoom(photo, 1.5),
        "rotate_5": lambda photo, rng, other: rotated(photo, rng, 5),
        "rotate_20": lambda photo, rng, other: rotated(photo, rng, 20),
        "turn_90": lambda photo, rng, other: photo.transpose(Image.Transpose.ROTATE_90),
        "turn_180": lambda photo, rng, other: photo.transpose(Image.Transpose.ROTATE_180),
        "turn_270": lambda photo, rng, other: photo.transpose(Image.Transpose.ROTATE_270),
        "mirror": lambda photo, rng, other: ImageOps.mirror(photo),
        "flip": lambda photo, rng, other: ImageOps.flip(photo),
        "perspective": lambda photo, rng, other: perspective(photo, rng),
        "border_12": lambda photo, rng, other: drawing.with_border(photo, rng, 0.12),
        "letterbox": lambda photo, rng, other: drawing.with_bars(photo, rng, blurred=False),
        "blurred_bars": lambda photo, rng, other: drawing.with_bars(photo, rng, blurred=True),
        "screenshot": lambda photo, rng, other: drawing.on_phone_screen(photo, rng),
        "paste_third": lambda photo, rng, other: drawing.pasted(photo, other, rng, share=1 / 3),
        "paste_small": lambda photo, rng, other: drawing.pasted(photo, other, rng, share=1 / 8),
        "overlay": lambda photo, rng, other: drawing.pasted(other, photo, rng, share=1 / 5),
        "chain_crop_rotate_colour_jpeg": lambda photo, rng, other: chain_crop_rotate_colour_jpeg(photo, rng),
        "chain_mirror_crop_text_scale_jpeg": lambda photo, rng, other: chain_mirror_crop_text_scale_jpeg(photo, rng),
        "chain_social": lambda photo, rng, other: chain_social(photo, rng),
        "chain_screenshot_of_crop": lambda photo, rng, other: chain_screenshot_of_crop(photo, rng),
    }
)
ATTACKS: tuple[str, ...] = tuple(EDITS)


def attack(name: str, photo: Photo, other: Photo, *, seed: tuple[int, ...]) -> Photo:
    """One attacked version of a photo: the same for the same name, photo, other and seed.

    name:    one of ATTACKS
    photo:   (H, W, 3) uint8, upright RGB
    other:   (H', W', 3) uint8, the ground or the cover where two photos are put together
    seed:    non-negative numbers, such as the run's seed and the photo's number; the name is mixed in, so that a
             suite with fewer attacks makes the same versions
    returns: (h, w, 3) uint8, of any size
    """
    rng = np.random.default_rng([*seed, zlib.crc32(name.encode())])
    edited = EDITS[name](Image.fromarray(photo), rng, Image.fromarray(other))
    return np.array(edited.convert("RGB"))
