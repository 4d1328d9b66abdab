"""Photos: the caller's, or drawn scenes where there are none; too dark, too pale, in bursts, with words on them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from neardup.evaluation.drawing import Colour, any_colour, fitted_font, font_of, pick
from neardup.evaluation.lookalikes import words
from neardup.evaluation.lookalikes.lettering import width_of, wrapped
from neardup.evaluation.lookalikes.sample import Sample
from neardup.sources import load_stored

LONG_SIDE = 1024
BURST = 4  # frames of one scene
FRAME = (640, 480)


def drawn_scene(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """A landscape with hills, trees and a house, grainy all over so that there is detail everywhere."""
    top, bottom = rng.uniform((60, 100, 170), (150, 180, 240)), rng.uniform((190, 190, 190), (250, 240, 240))
    ramp = np.linspace(0, 1, height)[:, None, None]
    sky = np.broadcast_to(top + (bottom - top) * ramp, (height, width, 3))
    scene = Image.fromarray(sky.astype(np.uint8))
    draw = ImageDraw.Draw(scene)
    x, y, radius = rng.uniform(0.1, 0.9) * width, rng.uniform(0.08, 0.3) * height, rng.uniform(0.03, 0.07) * width
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 244, 200))
    for layer in range(4):
        ridge = height * (0.42 + 0.13 * layer) + np.cumsum(rng.normal(0, 0.012 * height, 33))
        points = [(width * i / 32, float(level)) for i, level in enumerate(ridge)]
        shade = rng.uniform((40, 70, 30), (140, 160, 110)) * (1.1 - 0.15 * layer)
        draw.polygon([*points, (width, height), (0, height)], fill=tuple(int(value) for value in shade))
        for _ in range(int(rng.integers(4, 12))):
            at = int(rng.integers(0, 32))
            _draw_tree(draw, rng, points[at], height * rng.uniform(0.05, 0.12) * (0.6 + 0.3 * layer))
    x, y, side = rng.uniform(0.1, 0.75) * width, rng.uniform(0.6, 0.75) * height, rng.uniform(0.1, 0.18) * width
    wall, roof = any_colour(rng), any_colour(rng)
    draw.rectangle((x, y, x + side, y + 0.7 * side), fill=wall)
    draw.polygon([(x - 0.1 * side, y), (x + side / 2, y - 0.5 * side), (x + 1.1 * side, y)], fill=roof)
    for column in (0.15, 0.6):
        left = x + column * side
        draw.rectangle((left, y + 0.2 * side, left + 0.22 * side, y + 0.42 * side), fill=(250, 240, 170))
    coarse = Image.fromarray(rng.normal(0, 9, (height // 3, width // 3, 3)).astype(np.int8).view(np.uint8))
    grain = np.asarray(coarse.resize((width, height), Image.Resampling.NEAREST)).view(np.int8)
    return Image.fromarray(np.clip(np.asarray(scene, np.int16) + grain, 0, 255).astype(np.uint8))


def _draw_tree(draw: ImageDraw.ImageDraw, rng: np.random.Generator, foot: tuple[float, float], tall: float) -> None:
    x, y = foot
    green = (int(rng.integers(20, 90)), int(rng.integers(70, 150)), int(rng.integers(20, 80)))
    draw.rectangle((x - 0.06 * tall, y - 0.4 * tall, x + 0.06 * tall, y + 0.1 * tall), fill=(90, 60, 40))
    if rng.random() < 0.5:
        draw.polygon([(x, y - 1.3 * tall), (x - 0.35 * tall, y - 0.3 * tall), (x + 0.35 * tall, y - 0.3 * tall)], green)
    else:
        draw.ellipse((x - 0.42 * tall, y - 1.2 * tall, x + 0.42 * tall, y - 0.35 * tall), green)


@lru_cache(maxsize=8)
def _photo(path: Path) -> Image.Image:
    """Upright RGB, at most 1,024 px on its long side."""
    photo = Image.fromarray(load_stored(path, size=LONG_SIDE))
    photo.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    return photo


def _scene(sample: Sample, number: int, rng: np.random.Generator) -> Image.Image:
    return _photo(sample.photos[number]) if sample.photos else drawn_scene(rng, *FRAME)


def dark_photo(sample: Sample) -> Image.Image:
    """A photo at 4 to 15 % of its light."""
    own = sample.own()
    share = own.uniform(0.04, 0.15)
    return _scene(sample, sample.number, own).point(lambda level: round(share * level))


def pale_photo(sample: Sample) -> Image.Image:
    """A photo at 4 to 15 % of its contrast, towards white, grey or black-grey."""
    own = sample.own()
    share, ground = own.uniform(0.04, 0.15), (255, 255, 190, 128, 60)[int(own.integers(5))]
    return _scene(sample, sample.number, own).point(lambda level: round(share * level + (1 - share) * ground))


def burst_frame(sample: Sample) -> Image.Image:
    """One of four frames of a scene: someone walks through it, the camera moves a little, near things more than far."""
    scene, own = sample.shared(BURST), sample.own()
    frame = sample.number % BURST
    ground = ImageOps.fit(_scene(sample, sample.number // BURST, scene), (704, 528), Image.Resampling.BICUBIC)
    drift, start, stride = scene.uniform(-9, 9), scene.uniform(0.15, 0.45), scene.uniform(0.07, 0.14)
    tall, clothes = scene.uniform(0.3, 0.45) * FRAME[1], (any_colour(scene), any_colour(scene))
    shake = own.uniform(-2, 2, 2)
    picture = _with_parallax(ground, drift * (frame - 1.5) + shake[0], shake[1])
    x, foot = (start + stride * frame) * FRAME[0], 0.93 * FRAME[1]
    _draw_walker(picture, x, foot, tall, clothes, own.uniform(0.15, 1))
    exposure = own.uniform(0.92, 1.08)
    grain = own.integers(-4, 5, (FRAME[1], FRAME[0], 3), np.int16)
    pixels = (np.asarray(picture, np.float32) * exposure).astype(np.int16) + grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _with_parallax(ground: Image.Image, shift: float, down: float) -> Image.Image:
    """The ground from a little to the side, at 640 x 480: its lower rows, the near ones, move three times as far."""
    margin_x, margin_y = (ground.width - FRAME[0]) / 2, (ground.height - FRAME[1]) / 2
    bands, pieces = 16, []
    for band in range(bands):
        top, bottom = FRAME[1] * band // bands, FRAME[1] * (band + 1) // bands
        above, below = (margin_x + shift * (0.5 + row / FRAME[1]) for row in (top, bottom))
        y0, y1 = margin_y + down + top, margin_y + down + bottom
        corners = (above, y0, below, y1, below + FRAME[0], y1, above + FRAME[0], y0)
        pieces.append(((0, top, FRAME[0], bottom), corners))
    return ground.transform(FRAME, Image.Transform.MESH, pieces, Image.Resampling.BILINEAR)


def _draw_walker(
    picture: Image.Image, x: float, foot: float, tall: float, clothes: tuple[Colour, Colour], swing: float
) -> None:
    """A person from the side, drawn twice as large and reduced; `swing`: how far apart the legs are."""
    side = round(tall)
    figure = Image.new("RGBA", (2 * side, 2 * side))
    draw = ImageDraw.Draw(figure)
    unit = 2 * side / 100
    shirt, trousers = clothes

    def line(points: tuple[float, ...], colour: Colour, width: float) -> None:
        draw.line([unit * value for value in points], colour, round(unit * width), joint="curve")

    line((50, 55, 50 + 6 * swing, 75, 50 + 17 * swing, 97), trousers, 9)
    line((50, 55, 50 - 4 * swing, 75, 50 - 17 * swing, 97), trousers, 9)
    line((50, 24, 50, 57), shirt, 18)
    line((50, 28, 50 - 14 * swing, 42, 50 - 12 * swing, 54), shirt, 6)
    line((50, 28, 50 + 14 * swing, 42, 50 + 19 * swing, 51), shirt, 6)
    draw.ellipse([unit * value for value in (42, 2, 58, 21)], fill=(225, 180, 150))
    draw.chord([unit * value for value in (41, 0, 59, 19)], 170, 20, fill=(60, 45, 30))
    figure = figure.resize((side, side), Image.Resampling.LANCZOS)
    picture.paste(figure, (round(x) - side // 2, round(foot) - side), figure)


def meme(sample: Sample) -> Image.Image:
    """600 x 600: one picture for all, with a line above and a line below in capitals."""
    own = sample.own()
    template = ImageOps.fit(_scene(sample, 0, sample.common()), (600, 600), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(template)
    lines = words.message(own).upper(), words.clause(own).upper()
    for y, anchor, text in ((18, "ma", lines[0]), (582, "md", lines[1])):
        font = fitted_font(text, 540, 52, draw)
        draw.text((300, y), text, (255, 255, 255), font, anchor=anchor, stroke_width=3, stroke_fill=(0, 0, 0))
    return template


@lru_cache(maxsize=4)
def _card(first: Colour, second: Colour) -> Image.Image:
    ramp = np.linspace(0, 1, 720)
    mixed = (ramp[:, None] + ramp[None, :])[..., None] / 2
    return Image.fromarray((np.array(first) * (1 - mixed) + np.array(second) * mixed).astype(np.uint8))


def quote_card(sample: Sample) -> Image.Image:
    """720 x 720: one account's coloured ground and name, another quotation on each."""
    common, own = sample.common(), sample.own()
    first, second = any_colour(common), any_colour(common)
    first = (first[0] // 2, first[1] // 2, first[2] // 2)
    second = (second[0] // 2, second[1] // 2, second[2] // 2)
    card = _card(first, second).copy()
    draw = ImageDraw.Draw(card)
    draw.text((70, 60), '"', (255, 255, 255), font_of(150))
    lines = wrapped(words.sentence(own), 42, 560)
    y = 370 - 29 * len(lines)
    for line in lines:
        draw.text((360, y), line, (255, 255, 255), font_of(42), anchor="ma")
        y += 58
    author = words.person(own)
    draw.line((360 - width_of(author, 26) / 2, y + 22, 360 + width_of(author, 26) / 2, y + 22), (255, 255, 255), 2)
    draw.text((360, y + 40), author, (235, 235, 235), font_of(26), anchor="ma")
    draw.text((360, 660), f"@{pick(common, words.NOUNS)}.quotes", (215, 215, 215), font_of(22), anchor="mm")
    return card
