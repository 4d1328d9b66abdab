"""What is put on top of a view: text, captions, watermarks, stickers, shapes, another photo."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from neardup.training.copies.augment.geometry import Image

_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
)
_WORDS = (
    *("when", "you", "the", "best", "day", "ever", "sale", "today", "only", "photo", "by", "love", "this", "free"),
    *("new", "wow", "nobody", "me", "at", "work", "monday", "happy", "birthday", "copyright", "sample", "draft"),
    *("stock", "breaking", "news", "live", "follow", "for", "more", "click", "here", "50% off", "2024", "@user"),
    *("#nofilter", "lol", "why", "not", "good", "morning", "summer", "winter", "home", "sweet", "made", "in"),
)


Colour = tuple[int, int, int]


MAX_COVERED = 0.35
"""Greatest share of a view that another photo covers."""


def random_colour(rng: np.random.Generator) -> Colour:
    """White, black, or any."""
    kind = rng.random()
    if kind < 0.35:
        return 255, 255, 255
    if kind < 0.55:
        return 0, 0, 0
    red, green, blue = rng.integers(0, 256, 3)
    return int(red), int(green), int(blue)


def words(rng: np.random.Generator, count: int) -> str:
    if rng.random() < 0.2:
        return "".join(chr(c) for c in rng.integers(33, 127, 4 * count))
    text = " ".join(_WORDS[int(i)] for i in rng.integers(0, len(_WORDS), count))
    return text.upper() if rng.random() < 0.4 else text


def put_text(
    image: Image, rng: np.random.Generator, line: str, left: int, baseline: int, height: float, colour: Colour
) -> None:
    """Write `line` into `image` in a random font of about `height` pixels, sometimes outlined."""
    if rng.random() < 0.08:
        mask = scalable_text(line, max(6, round(height * 1.4)))
        _paste_mask(image, mask, left, baseline - mask.shape[0], colour)
        return
    font = _FONTS[int(rng.integers(len(_FONTS)))]
    scale = height / (10 if font == cv2.FONT_HERSHEY_PLAIN else 21)
    thick = max(1, round(height / rng.uniform(6, 14)))
    if rng.random() < 0.35:
        edge = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
        cv2.putText(image, line, (left, baseline), font, scale, edge, thick + 2, cv2.LINE_AA)
    cv2.putText(image, line, (left, baseline), font, scale, colour, thick, cv2.LINE_AA)


@lru_cache(maxsize=256)
def scalable_text(line: str, size: int) -> NDArray[np.uint8]:
    """(h, w) uint8 coverage of `line` in Pillow's own scalable font."""
    from PIL import Image as PillowImage
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(line)
    picture = PillowImage.new("L", (max(1, round(right - left)), max(1, round(bottom - top))))
    ImageDraw.Draw(picture).text((-left, -top), line, fill=255, font=font)
    return np.asarray(picture)


def _paste_mask(image: Image, mask: NDArray[np.uint8], left: int, top: int, colour: Colour) -> None:
    height, width = image.shape[:2]
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + mask.shape[1]), min(height, top + mask.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    alpha = mask[y0 - top : y1 - top, x0 - left : x1 - left, None].astype(np.float32) / 255
    under = image[y0:y1, x0:x1]
    under[:] = (under * (1 - alpha) + np.array(colour, np.float32) * alpha).astype(np.uint8)


def _to_uint8(values: NDArray[np.floating]) -> Image:
    """Values already within 0..255."""
    rounded: Image = (values + 0.5).astype(np.uint8)
    return rounded


def _blend(image: Image, drawn: Image, share: float) -> Image:
    blended: Image = cv2.addWeighted(image, 1 - share, drawn, share, 0)
    return blended


def text(image: Image, rng: np.random.Generator) -> Image:
    """One to four lines of any size, colour and place, sometimes translucent."""
    height, width = image.shape[:2]
    drawn = image.copy()
    size = height * np.exp(rng.uniform(np.log(0.05), np.log(0.22)))
    left, top = int(rng.uniform(-0.05, 0.5) * width), rng.uniform(0.05, 0.95) * height
    colour = random_colour(rng)
    for row in range(int(rng.integers(1, 5))):
        baseline = int(top + row * size * 1.5)
        put_text(drawn, rng, words(rng, int(rng.integers(1, 5))), left, baseline, size, colour)
    return drawn if rng.random() < 0.75 else _blend(image, drawn, rng.uniform(0.4, 0.9))


def caption(image: Image, rng: np.random.Generator) -> Image:
    """A meme's caption: a band over the top or bottom, or both, with text on it."""
    height, width = image.shape[:2]
    drawn = image.copy()
    band = rng.uniform(0.08, 0.24)
    ground: Colour = (255, 255, 255) if rng.random() < 0.6 else (0, 0, 0)
    ink: Colour = (0, 0, 0) if ground[0] else (255, 255, 255)
    rows = max(1, round(band * height))
    for top in ([0], [height - rows], [0, height - rows])[int(rng.integers(3))]:
        drawn[top : top + rows] = ground
        line_height = rows * rng.uniform(0.25, 0.6)
        lines = 1 if line_height > 0.4 * rows else 2
        for row in range(lines):
            baseline = int(top + rows * (row + 0.5) / lines + line_height / 2)
            put_text(drawn, rng, words(rng, int(rng.integers(2, 6))), int(width * 0.04), baseline, line_height, ink)
    return drawn


def watermark(image: Image, rng: np.random.Generator) -> Image:
    """Translucent text or logos repeated over the whole view, often slanted."""
    height, width = image.shape[:2]
    side = int(1.5 * max(height, width))
    layer = np.zeros((side, side), np.uint8)
    line, size = words(rng, int(rng.integers(1, 3))), max(height, width) * rng.uniform(0.05, 0.16)
    step_x, step_y = int(side * rng.uniform(0.25, 0.6)) + 1, int(size * rng.uniform(1.6, 4)) + 2
    logo = rng.random() < 0.3
    for row, y in enumerate(range(0, side + step_y, step_y)):
        for x in range(-(row % 2) * step_x // 2, side, step_x):
            if logo:
                cv2.circle(layer, (x, y), max(2, int(size / 2)), 255, max(1, int(size / 8)), cv2.LINE_AA)
                cv2.line(layer, (x, y - int(size)), (x, y + int(size)), 255, max(1, int(size / 8)), cv2.LINE_AA)
            else:
                cv2.putText(layer, line, (x, y), _FONTS[0], size / 21, 255, max(1, round(size / 10)), cv2.LINE_AA)
    slant = rng.choice([0.0, 30.0, 45.0, -30.0, float(rng.uniform(-90, 90))])
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), slant, 1)
    turn[:, 2] -= (side - width) / 2, (side - height) / 2
    layer = cv2.warpAffine(layer, turn, (width, height))
    alpha = layer[..., None].astype(np.float32) * np.float32(rng.uniform(0.2, 0.65) / 255)
    return _to_uint8(image * (1 - alpha) + np.array(random_colour(rng), np.float32) * alpha)


def sticker(image: Image, rng: np.random.Generator) -> Image:
    """One to five faces, hearts, stars or bubbles."""
    drawn = image.copy()
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(1, 6))):
        radius = max(2, int(min(height, width) * rng.uniform(0.05, 0.17)))
        x, y = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        _STICKERS[int(rng.integers(len(_STICKERS)))](drawn, rng, x, y, radius)
    return drawn


def _face(image: Image, rng: np.random.Generator, x: int, y: int, radius: int) -> None:
    skin: Colour = (255, int(rng.integers(180, 225)), int(rng.integers(40, 90)))
    cv2.circle(image, (x, y), radius, skin, -1, cv2.LINE_AA)
    eye, dark = max(1, radius // 6), (60, 40, 20)
    for side in (-1, 1):
        cv2.circle(image, (x + side * radius * 2 // 5, y - radius // 4), eye, dark, -1, cv2.LINE_AA)
    mouth = (x, y + radius // 4)
    start = 0 if rng.random() < 0.7 else 180  # a smile or a frown
    cv2.ellipse(image, mouth, (radius // 2, radius // 3), 0, start, start + 180, dark, max(1, radius // 7), cv2.LINE_AA)


def _heart(image: Image, rng: np.random.Generator, x: int, y: int, radius: int) -> None:
    angle = np.linspace(0, 2 * np.pi, 24)
    across = 16 * np.sin(angle) ** 3
    down = -(13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle))
    outline = np.stack([x + across * radius / 16, y + down * radius / 16], 1).astype(np.int32)
    cv2.fillPoly(image, [outline], (int(rng.integers(190, 256)), int(rng.integers(0, 90)), 70), cv2.LINE_AA)


def _star(image: Image, rng: np.random.Generator, x: int, y: int, radius: int) -> None:
    points = int(rng.integers(4, 9))
    angle = np.arange(2 * points) * np.pi / points + rng.uniform(0, np.pi)
    reach = radius * np.where(np.arange(2 * points) % 2, 0.45, 1.0)
    outline = np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], 1).astype(np.int32)
    cv2.fillPoly(image, [outline], random_colour(rng), cv2.LINE_AA)


def _bubble(image: Image, rng: np.random.Generator, x: int, y: int, radius: int) -> None:
    ground: Colour = (255, 255, 255) if rng.random() < 0.7 else random_colour(rng)
    cv2.ellipse(image, (x, y), (int(radius * 1.6), radius), 0, 0, 360, ground, -1, cv2.LINE_AA)
    tail = np.array([[x, y + radius // 2], [x + radius, y + radius // 2], [x + radius, y + 2 * radius]], np.int32)
    cv2.fillPoly(image, [tail], ground, cv2.LINE_AA)
    put_text(image, rng, words(rng, 1)[:6], x - radius, y + radius // 4, radius * 0.5, (0, 0, 0))


_STICKERS = (_face, _face, _heart, _star, _bubble)


def shapes(image: Image, rng: np.random.Generator) -> Image:
    """Boxes, lines, circles and scribbles, filled or not; together rarely more than a fifth of the view."""
    drawn = image.copy()
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(1, 5))):
        colour, thick = random_colour(rng), max(1, round(max(height, width) * rng.uniform(0.006, 0.035)))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        reach_x, reach_y = rng.uniform(0.08, 0.34, 2) * (width, height)
        first, last = (int(x - reach_x / 2), int(y - reach_y / 2)), (int(x + reach_x / 2), int(y + reach_y / 2))
        kind = rng.integers(5)
        if kind <= 1:
            cv2.rectangle(drawn, first, last, colour, -1 if kind == 0 else thick)
        elif kind == 2:
            cv2.line(drawn, (0, int(y)), (width, int(rng.uniform(0, height))), colour, thick, cv2.LINE_AA)
        elif kind == 3:
            cv2.ellipse(drawn, (int(x), int(y)), (int(reach_x / 2), int(reach_y / 2)), 0, 0, 360, colour, thick)
        else:
            path = np.cumsum(rng.normal(0, 0.08, (12, 2)), 0) * (width, height) + (x, y)
            cv2.polylines(drawn, [path.astype(np.int32)], False, colour, thick, cv2.LINE_AA)
    return drawn if rng.random() < 0.8 else _blend(image, drawn, rng.uniform(0.4, 0.8))


def stripes(image: Image, rng: np.random.Generator) -> Image:
    """Translucent stripes across the view, as on a screen filmed or a page ruled."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), max(height, width) / rng.uniform(6, 40)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * np.float32(2 * np.pi / period))
    alpha = (wave > rng.uniform(0, 0.7))[..., None] * np.float32(rng.uniform(0.1, 0.4))
    return _to_uint8(image * (1 - alpha) + np.array(random_colour(rng), np.float32) * alpha)


def flare(image: Image, rng: np.random.Generator) -> Image:
    """A bright reflection or a dark shadow lying over part of the view."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    radius = max(height, width) * rng.uniform(0.2, 0.8)
    squared = (x - rng.uniform(0, width)) ** 2 + (y - rng.uniform(0, height)) ** 2
    alpha = np.exp(-squared / np.float32(radius**2))[..., None] * np.float32(rng.uniform(0.3, 0.75))
    return _to_uint8(image * (1 - alpha) + np.float32(255 if rng.random() < 0.6 else 0) * alpha)


def other_photo_over(image: Image, rng: np.random.Generator, others: Sequence[Image]) -> Image:
    """Another photo pasted over at most MAX_COVERED of the view."""
    height, width = image.shape[:2]
    share = rng.uniform(0.25, 1) * MAX_COVERED
    aspect = float(np.exp(rng.uniform(-0.5, 0.5)))
    over_width = int(np.clip(width * np.sqrt(share * aspect), 2, width))
    over_height = int(np.clip(share * height * width / over_width, 2, height))
    left, top = int(rng.integers(0, width - over_width + 1)), int(rng.integers(0, height - over_height + 1))
    drawn = image.copy()
    over = other_photo(rng, others, over_width, over_height)
    drawn[top : top + over_height, left : left + over_width] = over
    if rng.random() < 0.3:
        cv2.rectangle(drawn, (left, top), (left + over_width - 1, top + over_height - 1), random_colour(rng))
    return drawn if rng.random() < 0.85 else _blend(image, drawn, rng.uniform(0.5, 0.9))


def photo_blended(image: Image, rng: np.random.Generator, others: Sequence[Image]) -> Image:
    """Another photo shining through the whole view, at most a third of it."""
    return _blend(image, other_photo(rng, others, image.shape[1], image.shape[0]), rng.uniform(0.1, 0.33))


def other_photo(rng: np.random.Generator, others: Sequence[Image], width: int, height: int) -> Image:
    """A crop of one of `others` at the given size; a gradient of two colours when there are none."""
    if not others:
        ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
        first, last = rng.integers(0, 256, (2, 3)).astype(np.float32)
        return np.broadcast_to(first * (1 - ramp) + last * ramp, (height, width, 3)).astype(np.uint8, order="C")
    photo = others[int(rng.integers(len(others)))]
    rows, columns = photo.shape[:2]
    keep = rng.uniform(0.5, 1)
    crop_rows, crop_columns = max(1, int(rows * keep)), max(1, int(columns * keep))
    top, left = int(rng.integers(0, rows - crop_rows + 1)), int(rng.integers(0, columns - crop_columns + 1))
    crop = photo[top : top + crop_rows, left : left + crop_columns]
    shrinks = crop_rows >= height and crop_columns >= width
    sized: Image = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return sized[:, ::-1].copy() if rng.random() < 0.5 else sized
