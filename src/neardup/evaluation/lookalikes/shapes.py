"""Glyphs as short lists of shapes on a grid of 24 x 24, the way icon sets are drawn."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

from PIL import Image, ImageDraw

# c circle, d disc: x y radius · o oval, e filled one: left top right bottom · r rectangle, f filled one: the same,
# and a radius where its corners are round · a arc: the same, from, to (degrees) · l line, p polygon: points
Shape: TypeAlias = tuple[str, tuple[float, ...]]
Glyph: TypeAlias = tuple[Shape, ...]


def glyph(text: str) -> Glyph:
    """`c 12 12 9; l 3 3 9 9` to shapes."""
    shapes = []
    for part in text.split(";"):
        kind, *numbers = part.split()
        shapes.append((kind, tuple(float(number) for number in numbers)))
    return tuple(shapes)


@lru_cache(maxsize=2048)
def mask(shapes: Glyph, side: int, pen: float = 1.8) -> Image.Image:
    """(side, side) L, 255 where there is ink; drawn four times larger and reduced for smooth edges."""
    scale = 4 * side / 24
    large = Image.new("L", (4 * side, 4 * side))
    draw = ImageDraw.Draw(large)
    for kind, numbers in shapes:
        _draw(draw, kind, [scale * number for number in numbers], max(1, round(scale * pen)), numbers)
    return large.resize((side, side), Image.Resampling.LANCZOS)


def _draw(draw: ImageDraw.ImageDraw, kind: str, at: list[float], width: int, numbers: tuple[float, ...]) -> None:
    if kind in "cd":
        x, y, radius = at
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, fill=255 if kind == "d" else None, outline=255, width=width)
    elif kind in "rf":
        radius = at[4] if len(at) > 4 else 0
        left, top, right, bottom = at[:4]
        box = (left, top, right, bottom)
        draw.rounded_rectangle(box, radius, fill=255 if kind == "f" else None, outline=255, width=width)
    elif kind in "oe":
        left, top, right, bottom = at
        draw.ellipse((left, top, right, bottom), fill=255 if kind == "e" else None, outline=255, width=width)
    elif kind == "a":
        left, top, right, bottom = at[:4]
        draw.arc((left, top, right, bottom), numbers[4], numbers[5], fill=255, width=width)
    else:
        points = list(zip(at[::2], at[1::2], strict=True))
        if kind == "p":
            draw.polygon(points, fill=255)
        else:
            draw.line(points, 255, width, joint="curve")
            for x, y in (points[0], points[-1]):  # round ends
                draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
