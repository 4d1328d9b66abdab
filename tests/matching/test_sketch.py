"""Sketches let copies pass, and hold strangers back."""

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from neardup.matching.picture import picture_of
from neardup.matching.sketch import Sketch, load_sketch, may_resemble, sketch_of
from tests.conftest import draw_scene


def sketch(image: Image.Image) -> Sketch:
    return sketch_of(picture_of(np.asarray(image.convert("RGB"))))


def pasted(image: Image.Image) -> Image.Image:
    ground = draw_scene(99, 480, 360)
    ground.paste(image.resize((240, 180)), (200, 120))
    return ground


EDITS = {
    "cropped": lambda image: image.crop((120, 80, 400, 300)),
    "mirrored and cropped": lambda image: ImageOps.mirror(image).crop((60, 40, 360, 280)),
    "turned": lambda image: image.rotate(25, expand=True),
    "upside down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "small": lambda image: image.resize((160, 120)),
    "negative contrast": lambda image: image.point(lambda value: 90 + value // 4),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "pasted": pasted,
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_copies_are_worth_a_look(edit):
    passed = 0
    for seed in range(6):
        scene = draw_scene(seed, 480, 360)
        passed += may_resemble(sketch(scene), sketch(edit(scene)))
    assert passed >= 5


def test_strangers_are_not():
    sketches = [sketch(draw_scene(seed, 480, 360)) for seed in range(20)]
    passed = sum(may_resemble(a, b) for a, b in combinations(sketches, 2))
    assert passed <= 0.1 * 190


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_plain_pictures_are_for_the_pixels_to_decide(shade):
    plain = sketch(Image.new("RGB", (200, 100), (shade,) * 3))
    assert may_resemble(plain, sketch(Image.new("RGB", (50, 80), (shade,) * 3)))
    assert not may_resemble(plain, sketch(draw_scene(3)))


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 2), (9, 9), (5000, 40)])
def test_pictures_of_any_size_have_a_sketch(size):
    found = sketch(draw_scene(5).resize(size))
    assert len(found.upright.points) == len(found.upright.descriptors)
    may_resemble(found, found)


def test_a_file_is_decoded_no_larger_than_needed():
    """By a sketch's own size: the same whether or not the picture itself was decoded before."""
    scene = draw_scene(7, 3000, 2000)
    content = io.BytesIO()
    scene.save(content, "JPEG", quality=90)
    assert may_resemble(load_sketch(content.getvalue()), sketch(scene.crop((500, 300, 2500, 1800))))
