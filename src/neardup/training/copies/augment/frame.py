"""What a view is set into: borders, other photos, collages, phone screens.

Each `draw` function makes the surroundings and says where in them the photo goes, before the photo is warped: so the
photo is resampled once, straight to the size it ends with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from neardup.training.copies.augment.geometry import Image
from neardup.training.copies.augment.overlay import Colour, other_photo, put_text, random_colour, words


@dataclass(frozen=True)
class Frame:
    """A picture with a place for the photo in it."""

    canvas: Image
    left: int
    top: int
    width: int
    height: int
    alpha: NDArray[np.float32] | None = None  # (height, width) opacity of the photo; None: opaque
    blurred_photo: bool = False  # the surroundings are the photo itself, enlarged and blurred

    def fill(self, photo: Image) -> Image:
        """The canvas with `photo`, (height, width, 3), in its place."""
        canvas = self.canvas.copy()
        if self.blurred_photo:
            rows, columns = canvas.shape[:2]
            small = cv2.resize(photo, (12, 12), interpolation=cv2.INTER_AREA)
            canvas = cv2.resize(cv2.blur(small, (3, 3)), (columns, rows), interpolation=cv2.INTER_CUBIC)
        place = canvas[self.top : self.top + self.height, self.left : self.left + self.width]
        if self.alpha is None:
            place[:] = photo
        else:
            alpha = self.alpha[..., None]
            place[:] = (place * (1 - alpha) + photo * alpha + 0.5).astype(np.uint8)
        return canvas


Draw = Callable[[np.random.Generator, int, int, float, Sequence[Image]], Frame]
"""(rng, width, height, the photo's height / width, other photos) -> Frame"""


def _rounded(width: int, height: int, radius: float) -> NDArray[np.float32]:
    """Opacity of a rectangle with rounded corners."""
    x = np.abs(np.arange(width) + 0.5 - width / 2) - (width / 2 - radius)
    y = np.abs(np.arange(height) + 0.5 - height / 2) - (height / 2 - radius)
    outside = np.hypot(np.maximum(x, 0)[None, :], np.maximum(y, 0)[:, None]) - radius
    alpha: NDArray[np.float32] = np.clip(0.5 - outside, 0, 1).astype(np.float32)
    return alpha


def _plain(width: int, height: int, colour: Colour) -> Image:
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = colour
    return canvas


def border(rng: np.random.Generator, width: int, height: int, aspect: float, others: Sequence[Image]) -> Frame:
    """A frame up to a quarter of the side thick, letterbox or pillarbox bars, or rounded corners.

    The ground is plain, or the photo itself blurred. The thickness is as often the same on all sides as not.
    """
    kind = rng.random()
    thick = 0.02 + 0.23 * rng.random() ** 1.2
    if kind < 0.4:
        left = right = top = bottom = thick
    elif kind < 0.6:
        left = right = 0.0
        top = bottom = thick
    elif kind < 0.75:
        top = bottom = 0.0
        left = right = thick
    else:
        left, right, top, bottom = rng.uniform(0, 0.25, 4)
    x, y = round(left * width), round(top * height)
    inner_width, inner_height = width - x - round(right * width), height - y - round(bottom * height)
    canvas = _plain(width, height, random_colour(rng))
    alpha = None
    if rng.random() < 0.2:
        alpha = _rounded(inner_width, inner_height, min(inner_width, inner_height) * rng.uniform(0.05, 0.35))
    elif rng.random() < 0.15:  # a second line between the border and the photo
        cv2.rectangle(canvas, (x - 2, y - 2), (x + inner_width + 1, y + inner_height + 1), random_colour(rng), -1)
    return Frame(canvas, x, y, inner_width, inner_height, alpha, blurred_photo=bool(rng.random() < 0.15))


def pasted(rng: np.random.Generator, width: int, height: int, aspect: float, others: Sequence[Image]) -> Frame:
    """The photo small on another photo, 15..60 % of the area: plain, bordered, shadowed or translucent."""
    share = math.exp(rng.uniform(math.log(0.15), math.log(0.6)))
    stretch = math.exp(rng.uniform(-0.45, 0.45))
    inner_width = int(np.clip(round(width * math.sqrt(share * stretch)), 1, width))
    inner_height = int(np.clip(round(share * width * height / inner_width), 1, height))
    x, y = int(rng.integers(0, width - inner_width + 1)), int(rng.integers(0, height - inner_height + 1))
    if rng.random() < 0.15:
        x, y = (width - inner_width) // 2, (height - inner_height) // 2
    plain = rng.random() < 0.12
    canvas = _plain(width, height, random_colour(rng)) if plain else other_photo(rng, others, width, height)
    alpha, finish = None, rng.random()
    right, bottom = x + inner_width, y + inner_height
    if finish < 0.18:
        line = int(rng.integers(1, max(2, round(0.03 * width)) + 1))
        cv2.rectangle(canvas, (x - line, y - line), (right + line - 1, bottom + line - 1), random_colour(rng), -1)
    elif finish < 0.33:
        shadow = np.zeros((height, width), np.float32)
        offset = max(1, round(0.02 * width))
        shadow[y + offset : bottom + offset, x + offset : right + offset] = rng.uniform(0.4, 0.8)
        shadow = cv2.GaussianBlur(shadow, (0, 0), offset)
        canvas = (canvas * (1 - shadow[..., None])).astype(np.uint8)
    elif finish < 0.43:
        alpha = np.full((inner_height, inner_width), rng.uniform(0.6, 0.92), np.float32)
    elif finish < 0.53:
        alpha = _rounded(inner_width, inner_height, min(inner_width, inner_height) * rng.uniform(0.08, 0.5))
    elif finish < 0.6:  # edges that fade
        sigma = max(2.0, 0.06 * min(inner_width, inner_height))
        alpha = np.zeros((inner_height, inner_width), np.float32)
        alpha[1:-1, 1:-1] = 1
        alpha = cv2.GaussianBlur(alpha, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return Frame(canvas, x, y, inner_width, inner_height, alpha)


def collage(rng: np.random.Generator, width: int, height: int, aspect: float, others: Sequence[Image]) -> Frame:
    """One cell of a grid of photos: side by side, one above the other, 2 × 2, or three in a row or column."""
    columns, rows = ((2, 1), (1, 2), (2, 2), (3, 1), (1, 3))[int(rng.choice(5, p=[0.3, 0.25, 0.25, 0.1, 0.1]))]
    gap = int(rng.integers(0, max(2, round(0.03 * width)) + 1))
    canvas = _plain(width, height, random_colour(rng))
    cell_width, cell_height = (width - gap * (columns + 1)) // columns, (height - gap * (rows + 1)) // rows
    places = [
        (gap + column * (cell_width + gap), gap + row * (cell_height + gap))
        for row in range(rows)
        for column in range(columns)
    ]
    mine = int(rng.integers(len(places)))
    for place, (x, y) in enumerate(places):
        if place != mine:
            canvas[y : y + cell_height, x : x + cell_width] = other_photo(rng, others, cell_width, cell_height)
    return Frame(canvas, *places[mine], cell_width, cell_height)


def screenshot(rng: np.random.Generator, width: int, height: int, aspect: float, others: Sequence[Image]) -> Frame:
    """A phone's screen with the photo in a viewer, a feed or a chat, squashed like any portrait picture.

    The screen is drawn at its own shape, then reduced: what is round on a phone is flat here. One in seven is a
    tablet or a browser's window, about square or wider than high.
    """
    tall = rng.uniform(1.6, 2.2) if rng.random() < 0.86 else rng.uniform(0.6, 1.4)
    screen_height = round(width * tall)
    dark = rng.random() < 0.45
    ground: Colour = _DARK[int(rng.integers(4))] if dark else _LIGHT[int(rng.integers(4))]
    ink: Colour = (235, 235, 235) if dark else (25, 25, 25)
    faint: Colour = (95, 95, 100) if dark else (170, 170, 175)
    screen = _plain(width, screen_height, ground)
    kind = rng.choice(["viewer", "feed", "chat"], p=[0.35, 0.45, 0.2])
    inner = 1.0 if rng.random() < 0.6 else rng.uniform(0.86, 1.0)
    if kind == "chat":
        inner = rng.uniform(0.62, 0.85)
    elif tall < 1.5:
        inner = rng.uniform(0.5, 0.9)
    # As high as its shape asks, within a quarter to three quarters of the screen.
    share = float(np.clip(inner * aspect * math.exp(rng.normal(0, 0.2)) / tall, 0.25, 0.75))
    bar, app_bar, bottom = 0.035 * screen_height, rng.uniform(0.05, 0.08) * screen_height, 0.06 * screen_height
    first = bar + app_bar + (0.07 * screen_height if kind == "feed" else 0)
    room = max(0.0, screen_height - first - bottom - share * screen_height)
    middle = rng.normal(0.5, 0.08) if kind == "viewer" else rng.uniform(0, 1 if kind == "chat" else 0.5)
    top = min(first + float(np.clip(middle, 0, 1)) * room, screen_height * (1 - share))
    left = {"chat": width * (0.04 if rng.random() < 0.5 else 0.96 - inner)}.get(str(kind), width * (1 - inner) / 2)
    photo_bottom = top + share * screen_height
    if kind == "chat":
        _chat_bubbles(screen, rng, (first, top), ink, faint)
        _chat_bubbles(screen, rng, (photo_bottom, screen_height - bottom), ink, faint)
    elif kind == "feed":
        _post_header(screen, rng, top - 0.065 * screen_height, ink, faint)
        _icons(screen, photo_bottom + 0.03 * screen_height, 0.06 * width, width * 0.4, 3, ink)
        _text_lines(screen, rng, photo_bottom + 0.06 * screen_height, screen_height - bottom, ink, faint)
        _text_lines(screen, rng, first, top - 0.07 * screen_height, ink, faint)
    elif rng.random() < 0.4:
        _text_lines(screen, rng, photo_bottom + 0.04 * screen_height, screen_height - bottom, ink, faint)
    _status_bar(screen, rng, bar, app_bar, ink)
    _icons(screen, screen_height - bottom / 2, 0.1 * width, 0.9 * width, int(rng.integers(3, 6)), ink)
    canvas: Image = cv2.resize(screen, (width, height), interpolation=cv2.INTER_AREA)
    inner_width, inner_height = round(inner * width), round(share * height)
    x = min(round(left), width - inner_width)
    y = min(round(top * height / screen_height), height - inner_height)
    alpha = _rounded(inner_width, inner_height, 0.05 * width) if kind == "chat" or rng.random() < 0.1 else None
    return Frame(canvas, x, y, inner_width, inner_height, alpha)


_DARK: tuple[Colour, ...] = ((0, 0, 0), (18, 18, 20), (40, 42, 46), (24, 32, 44))
_LIGHT: tuple[Colour, ...] = ((255, 255, 255), (245, 245, 247), (225, 228, 232), (198, 200, 204))


def _status_bar(screen: Image, rng: np.random.Generator, bar: float, app_bar: float, ink: Colour) -> None:
    """Clock, signal and battery; below them the app's bar with an arrow and a title."""
    width = screen.shape[1]
    if rng.random() < 0.3:
        screen[: int(bar + app_bar)] = random_colour(rng)
    clock = f"{rng.integers(0, 24)}:{rng.integers(0, 60):02d}"
    put_text(screen, rng, clock, int(0.05 * width), int(0.8 * bar), 0.5 * bar, ink)
    y0, y1 = int(0.3 * bar), int(0.75 * bar)
    cv2.rectangle(screen, (int(0.88 * width), y0), (int(0.95 * width), y1), ink, 1)
    cv2.rectangle(screen, (int(0.88 * width), y0), (int(rng.uniform(0.89, 0.95) * width), y1), ink, -1)
    for bars in range(3):
        x = int((0.76 + 0.03 * bars) * width)
        cv2.line(screen, (x, y1), (x, int(y1 - (bars + 1) * 0.15 * bar)), ink, max(1, width // 80))
    middle, arm = int(bar + app_bar / 2), max(1, int(0.2 * app_bar))
    x = int(0.05 * width)
    cv2.polylines(screen, [np.array([[x + arm, middle - arm], [x, middle], [x + arm, middle + arm]])], False, ink, 1)
    put_text(screen, rng, words(rng, 2), int(0.14 * width), middle + arm, 0.35 * app_bar, ink)


def _post_header(screen: Image, rng: np.random.Generator, top: float, ink: Colour, faint: Colour) -> None:
    """Who posted: an avatar, a name, a line below it."""
    width, rows = screen.shape[1], 0.06 * screen.shape[0]
    middle, radius = int(top + rows / 2), max(2, int(0.36 * rows))
    cv2.circle(screen, (int(0.03 * width) + radius, middle), radius, random_colour(rng), -1, cv2.LINE_AA)
    put_text(screen, rng, words(rng, 1), int(0.06 * width) + 2 * radius, middle, 0.3 * rows, ink)
    put_text(screen, rng, words(rng, 2), int(0.06 * width) + 2 * radius, middle + int(0.4 * rows), 0.22 * rows, faint)


def _icons(screen: Image, middle: float, left: float, right: float, count: int, ink: Colour) -> None:
    """A row of hearts, squares and arrows, as outlines."""
    radius, y = max(2, round(0.025 * screen.shape[1])), int(middle)
    for icon in range(count):
        x = int(left + (right - left) * icon / max(1, count - 1))
        if icon % 3 == 0:
            cv2.circle(screen, (x, y), radius, ink, 1, cv2.LINE_AA)
        elif icon % 3 == 1:
            cv2.rectangle(screen, (x - radius, y - radius), (x + radius, y + radius), ink, 1)
        else:
            arrow = np.array([[x - radius, y + radius], [x + radius, y], [x - radius, y - radius]])
            cv2.polylines(screen, [arrow], True, ink, 1, cv2.LINE_AA)


def _text_lines(screen: Image, rng: np.random.Generator, top: float, bottom: float, ink: Colour, faint: Colour) -> None:
    """Lines of text from `top` down to `bottom`, comments with avatars among them."""
    width, y = screen.shape[1], top
    line = width * rng.uniform(0.035, 0.06)
    comments = rng.random() < 0.5
    while y + 2 * line < bottom:
        left = 0.05 * width
        if comments:
            cv2.circle(screen, (int(left + line), int(y + line / 2)), int(line), random_colour(rng), -1, cv2.LINE_AA)
            left += 2.6 * line
        colour = ink if rng.random() < 0.6 else faint
        put_text(screen, rng, words(rng, int(rng.integers(2, 7))), int(left), int(y + line), line, colour)
        y += line * (2.6 if comments else 1.8)


def _chat_bubbles(
    screen: Image, rng: np.random.Generator, span: tuple[float, float], ink: Colour, faint: Colour
) -> None:
    """Messages left and right between the two heights."""
    width = screen.shape[1]
    (y, bottom), rows = span, width * 0.13
    hues: tuple[Colour, Colour] = ((220, 248, 198), (255, 255, 255)) if ink[0] < 100 else ((0, 92, 75), (48, 50, 54))
    while y + rows < bottom:
        mine, wide = rng.random() < 0.5, rng.uniform(0.25, 0.7) * width
        left = 0.96 * width - wide if mine else 0.04 * width
        cv2.rectangle(
            screen, (int(left), int(y + 2)), (int(left + wide), int(y + rows - 2)), hues[0 if mine else 1], -1
        )
        first, last = (int(left), int(y + 2)), (int(left + wide), int(y + rows - 2))
        cv2.rectangle(screen, first, last, hues[0 if mine else 1], -1)
        cv2.rectangle(screen, first, last, faint, 1)
        line = words(rng, int(max(1, wide / width * 5)))
        put_text(screen, rng, line, int(left + 3), int(y + 0.65 * rows), 0.3 * rows, ink)
        y += rows * 1.15
