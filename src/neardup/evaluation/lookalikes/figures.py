"""Drawings of data: charts of one report, sheets of one city map."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from neardup.evaluation.drawing import Colour, font_of, pick
from neardup.evaluation.lookalikes import words
from neardup.evaluation.lookalikes.sample import Sample

WHITE: Colour = (255, 255, 255)
INK: Colour = (60, 60, 60)
GRID: Colour = (225, 225, 225)
SERIES: tuple[Colour, ...] = ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40))
_LEFT, _TOP, _RIGHT, _BOTTOM = 90, 90, 870, 520  # the plot, of 900 x 600


def chart(sample: Sample) -> Image.Image:
    """A figure of one report, bars, lines and points taking turns: axes and colours stay, title and data change."""
    own = sample.own()
    image = Image.new("RGB", (900, 600), WHITE)
    draw = ImageDraw.Draw(image)
    top = int(own.choice([10, 20, 50, 100, 200, 500]))
    noun = pick(own, words.NOUNS)
    draw.text((480, 44), f"{words.capitalized(noun)} sales in {pick(own, words.TOWNS)}", INK, font_of(28), anchor="mm")
    for tick in range(6):
        y = _BOTTOM - (_BOTTOM - _TOP) * tick / 5
        draw.line((_LEFT, y, _RIGHT, y), GRID, 1)
        draw.text((_LEFT - 12, y), f"{top * tick / 5:g}", INK, font_of(16), anchor="rm")
    for number, month in enumerate(words.MONTHS):
        x = _LEFT + (_RIGHT - _LEFT) * (number + 0.5) / 12
        draw.text((x, _BOTTOM + 20), month[:3], INK, font_of(16), anchor="mm")
    (_bars, _lines, _points)[sample.number % 3](draw, own)
    draw.line((_LEFT, _TOP, _LEFT, _BOTTOM, _RIGHT, _BOTTOM), INK, 2)
    for number in range(2):
        x = 380 + 130 * number
        draw.rectangle((x, 566, x + 18, 584), fill=SERIES[number])
        draw.text((x + 26, 575), str(2023 + number), INK, font_of(16), anchor="lm")
    return image


def _height(value: float) -> float:
    """Where on the plot a value between 0 and 1 lies."""
    return _BOTTOM - (_BOTTOM - _TOP) * value


def _bars(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    step = (_RIGHT - _LEFT) / 12
    for number, pair in enumerate(rng.uniform(0.08, 0.97, (12, 2)).tolist()):
        for series, value in enumerate(pair):
            left = _LEFT + step * (number + 0.18 + 0.33 * series)
            draw.rectangle((left, _height(value), left + 0.3 * step, _BOTTOM), fill=SERIES[series])


def _lines(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    step = (_RIGHT - _LEFT) / 12
    for series in range(2):
        values = np.clip(rng.uniform(0.3, 0.7) + np.cumsum(rng.normal(0, 0.06, 12)), 0.03, 0.97).tolist()
        points = [(_LEFT + step * (number + 0.5), _height(value)) for number, value in enumerate(values)]
        draw.line(points, SERIES[series], 4, joint="curve")
        for x, y in points:
            draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=SERIES[series])


def _points(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    slope = rng.uniform(-0.6, 0.6)
    for series in range(2):
        x = rng.uniform(0.03, 0.97, 45)
        y = np.clip(0.5 + slope * (x - 0.5) + rng.normal(0.08 * series, 0.12, 45), 0.02, 0.98)
        for across, value in zip(x.tolist(), y.tolist(), strict=True):
            at = _LEFT + across * (_RIGHT - _LEFT), _height(value)
            draw.ellipse((at[0] - 5, at[1] - 5, at[0] + 5, at[1] + 5), fill=SERIES[series])


def city_map(sample: Sample) -> Image.Image:
    """A sheet of one web map in one style: streets, two main roads, a park or two, a river, and their names."""
    own = sample.own()
    width, height = 800, 600
    image = Image.new("RGB", (width, height), (242, 239, 233))
    draw = ImageDraw.Draw(image)
    for _ in range(int(own.integers(1, 4))):
        x, y = own.uniform(0, width), own.uniform(0, height)
        angles = np.sort(own.uniform(0, 2 * np.pi, 7))
        radii = own.uniform(50, 130, 7)
        draw.polygon(
            [(x + r * np.cos(a), y + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)], (200, 230, 190)
        )
    if own.random() < 0.6:
        draw.line(_winding(own, width, height), (170, 211, 223), int(own.integers(14, 34)), joint="curve")

    angle = own.uniform(0, np.pi / 2)
    streets = [_street(own, angle + quarter * np.pi / 2, offset, width, height)
               for quarter in range(2) for offset in _offsets(own)]  # fmt: skip
    mains = [_winding(own, width, height) for _ in range(2)]
    for path in streets:
        draw.line(path, (200, 198, 194), 9, joint="curve")
    for path in streets:
        draw.line(path, WHITE, 7, joint="curve")
    for path in mains:
        draw.line(path, (220, 160, 90), 16, joint="curve")
    for path in mains:
        draw.line(path, (252, 214, 164), 13, joint="curve")
    for number in own.permutation(len(streets))[:9].tolist():
        _write_name(image, own, streets[number])
    draw.rectangle((width - 150, height - 34, width - 20, height - 12), fill=WHITE)
    draw.line((width - 140, height - 18, width - 30, height - 18), INK, 3)
    draw.text((width - 85, height - 27), "200 m", INK, font_of(12), anchor="mm")
    return image


def _offsets(rng: np.random.Generator) -> list[float]:
    """Where the streets of one direction lie, in pixels from the middle."""
    return [float(offset) for offset in np.cumsum(rng.uniform(38, 85, 18))]


def _street(
    rng: np.random.Generator, angle: float, offset: float, width: int, height: int
) -> list[tuple[float, float]]:
    """Nearly straight, with a kink, some of them ending in the sheet."""
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    start, end = rng.uniform(-600, -100), rng.uniform(100, 600)
    places = np.linspace(start, end, 4)
    points = np.array([width / 2, height / 2]) + places[:, None] * along + (offset - 560) * across
    points += rng.normal(0, 5, points.shape)
    return [(float(x), float(y)) for x, y in points]


def _winding(rng: np.random.Generator, width: int, height: int) -> list[tuple[float, float]]:
    """A river or a main road from one side of the sheet to the other."""
    if rng.random() < 0.5:
        x = np.linspace(-20, width + 20, 24)
        y = height * rng.uniform(0.15, 0.85) + np.cumsum(rng.normal(0, 16, 24))
    else:
        y = np.linspace(-20, height + 20, 24)
        x = width * rng.uniform(0.15, 0.85) + np.cumsum(rng.normal(0, 16, 24))
    return [(float(a), float(b)) for a, b in zip(x, y, strict=True)]


def _write_name(image: Image.Image, rng: np.random.Generator, street: list[tuple[float, float]]) -> None:
    """The name of a street along it, where its middle is on the sheet."""
    (left, top), (right, bottom) = street[1], street[2]
    angle = float(np.degrees(np.arctan2(top - bottom, right - left)))
    angle = angle - 180 if angle > 90 else angle + 180 if angle < -90 else angle
    label = Image.new("L", (170, 170))
    name = f"{pick(rng, words.NOUNS).title()} {pick(rng, ('St', 'Rd', 'Lane', 'Way'))}"
    ImageDraw.Draw(label).text((85, 85), name, 255, font_of(14), anchor="mm")
    label = label.rotate(angle, Image.Resampling.BICUBIC)
    image.paste((90, 90, 90), (round((left + right) / 2) - 85, round((top + bottom) / 2) - 85), label)
