"""Text set in lines and columns, with Pillow's own font."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from neardup.evaluation.drawing import Colour, font_of
from neardup.evaluation.lookalikes.words import paragraph

Box = tuple[float, float, float, float]  # left, top, right, bottom


@lru_cache(maxsize=1 << 16)
def width_of(text: str, size: float) -> float:
    return float(font_of(size).getlength(text))


def wrapped(text: str, size: float, width: float, indent: float = 0) -> list[str]:
    """Lines at most this wide; a longer word has a line to itself."""
    space = width_of(" ", size)
    lines: list[list[str]] = [[]]
    used = indent
    for word in text.split():
        length = width_of(word, size)
        if lines[-1] and used + space + length > width:
            lines.append([])
            used = 0
        used += length + (space if lines[-1] else 0)
        lines[-1].append(word)
    return [" ".join(line) for line in lines]


@lru_cache(maxsize=1 << 14)
def _stamp(word: str, size: float) -> Image.Image:
    """A word as ink (L). Setting words from these takes a tenth of the time of writing them anew."""
    stamp = Image.new("L", (int(width_of(word, size)) + 3, int(1.4 * size)))
    ImageDraw.Draw(stamp).text((1, 0), word, 255, font_of(size))
    return stamp


def _write_justified(page: Image.Image, line: str, at: tuple[float, float], width: float, size: float) -> None:
    """One line, its words spread over the width."""
    words = line.split()
    gap = (width - sum(width_of(word, size) for word in words)) / max(1, len(words) - 1)
    x = at[0]
    for word in words:
        page.paste((25, 25, 25), (round(x) - 1, round(at[1])), _stamp(word, size))
        x += width_of(word, size) + gap


def fill_column(page: Image.Image, rng: np.random.Generator, box: Box, size: float, leading: float) -> None:
    """Paragraphs from top to bottom, first lines indented, justified as in a book."""
    left, top, right, bottom = box
    y, indent = top, 1.4 * size
    while y + leading <= bottom:
        lines = wrapped(paragraph(rng, int(rng.integers(3, 8))), size, right - left, indent)
        for number, line in enumerate(lines):
            if y + leading > bottom:
                return
            shift = indent if number == 0 else 0
            last = number + 1 == len(lines)
            width = width_of(line, size) if last else right - left - shift
            _write_justified(page, line, (left + shift, y), width, size)
            y += leading


def write_lines(
    draw: ImageDraw.ImageDraw, lines: list[str], at: tuple[float, float], size: float, leading: float, ink: Colour
) -> float:
    """Lines one below the other; returns where the next would go."""
    x, y = at
    for line in lines:
        draw.text((x, y), line, ink, font_of(size))
        y += leading
    return y


@lru_cache(maxsize=1024)
def _cell(letter: str, size: int) -> NDArray[np.uint8]:
    width, height = cell_size(size)
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).text((width / 2, 0.82 * height), letter, 255, font_of(size), anchor="ms")
    return np.asarray(image)


def cell_size(size: int) -> tuple[int, int]:
    """Width and height of a letter at a fixed pitch."""
    return round(0.62 * size), round(1.5 * size)


def typewritten(text: str, size: int) -> Image.Image:
    """One line at a fixed pitch, as a terminal sets it: (L) 255 where there is ink."""
    return Image.fromarray(np.concatenate([_cell(letter, size) for letter in text], axis=1))
