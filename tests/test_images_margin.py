"""Flat margins: pictures made with a known one, and pictures that only look as if they had one."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from neardup.embedding import preprocess
from neardup.images import flat_margin

COLOURS = [(0, 0, 0), (255, 255, 255), (40, 90, 200)]


def a_photo(width: int = 600, height: int = 400, *, seed: int = 3) -> Image.Image:
    """Bright and dark shapes with some grain, of no one colour at its edges."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 216, (9, 13, 3), np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return Image.fromarray(np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8))


def margin_of(image: Image.Image, *, quality: int = 85) -> float:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    pixels = np.asarray(Image.open(file))
    return flat_margin(preprocess(pixels, 176), image.width, image.height)


@pytest.mark.parametrize("size", [(600, 400), (300, 700), (176, 176)])
def test_a_photo_has_no_margin(size):
    assert margin_of(a_photo(*size)) == 0


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("width", [20, 60])
def test_a_border(colour, width):
    bordered = ImageOps.expand(a_photo(), width, colour)
    true = 1 - 600 * 400 / (bordered.width * bordered.height)
    assert true - 0.025 < margin_of(bordered) <= true + 0.01


@pytest.mark.parametrize(("width", "height"), [(600, 600), (900, 400)])
def test_letterbox_bars(width, height):
    canvas = Image.new("RGB", (width, height))
    canvas.paste(a_photo(), ((width - 600) // 2, (height - 400) // 2))
    true = 1 - 600 * 400 / (width * height)
    assert true - 0.025 < margin_of(canvas, quality=60) <= true + 0.01


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("degrees", [-33, 7, 20, 45])
def test_a_turned_picture_on_a_larger_canvas(colour, degrees):
    turned = a_photo().rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=colour)
    true = 1 - 600 * 400 / (turned.width * turned.height)
    assert true - 0.04 < margin_of(turned) <= true + 0.01


@pytest.mark.parametrize("degrees", [-12, 25])
def test_a_turned_picture_that_lost_its_own_corners(degrees):
    turned = a_photo().rotate(degrees, Image.Resampling.BICUBIC)
    true = float((np.asarray(a_photo().point(lambda _: 255).rotate(degrees))[..., 0] == 0).mean())
    assert true - 0.04 < margin_of(turned) <= true + 0.01


def test_a_thing_before_a_plain_ground_has_no_margin():
    """Its ground is as flat in every copy, and how flat it is would be measured a little differently in each."""
    for draw in (
        lambda pen: pen.ellipse((100, 60, 500, 360), fill=(90, 30, 20)),
        lambda pen: pen.polygon([(300, 30), (560, 370), (40, 370)], fill=(20, 60, 120)),
        lambda pen: [pen.rectangle((80 + 40 * i, 380 - 29 * i, 110 + 40 * i, 380), fill=(70, 0, 0)) for i in range(12)],
    ):
        image = Image.new("RGB", (600, 400), (250, 250, 250))
        draw(ImageDraw.Draw(image))
        assert margin_of(image) == 0


def test_pictures_of_one_colour_and_with_one_corner_off():
    assert margin_of(Image.new("RGB", (50, 80), (9, 9, 9))) == 0
    bordered = np.asarray(ImageOps.expand(a_photo(), 60)).copy()
    bordered[-40:, -40:] = 255
    assert margin_of(Image.fromarray(bordered)) == 0


def test_a_border_too_thin_to_measure():
    assert margin_of(ImageOps.expand(a_photo(), 2)) == 0


@pytest.mark.parametrize("size", [(4000, 16), (16, 4000)])
def test_pictures_of_extreme_shape(size):
    assert 0 <= margin_of(ImageOps.expand(a_photo(*size), 40)) < 1
