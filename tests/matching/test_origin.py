"""Which of two was there first: what more was put around, over or into the other is not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from neardup.matching.judge import judge
from neardup.matching.picture import picture_of
from tests.conftest import draw_scene


def on_a_screen(shown: Image.Image, seed: int = 0) -> Image.Image:
    """A phone: the picture over the whole width, above and below it black with writing."""
    screen = Image.new("RGB", (shown.width, shown.height + 240), "black")
    screen.paste(shown, (0, 120))
    draw = ImageDraw.Draw(screen)
    for y in (20, 60, shown.height + 140, shown.height + 190):
        draw.text((20 + 7 * seed, y), "12:04   Photos   Edit   Share", "white", font_size=22)
    return screen


def with_noise(image: Image.Image, sigma: float) -> Image.Image:
    pixels = np.asarray(image, np.float64) + np.random.default_rng(0).normal(0, sigma, (*image.size[::-1], 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def with_specks(image: Image.Image, share: float) -> Image.Image:
    rng = np.random.default_rng(0)
    pixels = np.array(image)
    struck = rng.random(pixels.shape[:2]) < share
    pixels[struck] = rng.choice([0, 255], (int(struck.sum()), 1))
    return Image.fromarray(pixels)


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def written_over(image: Image.Image) -> Image.Image:
    image = image.copy()
    ImageDraw.Draw(image).text((60, 150), "PROOF ONLY", "white", font_size=64, stroke_width=3, stroke_fill="black")
    return image


MADE = {
    "a crop": lambda scene: scene.crop((60, 40, 380, 300)),
    "a screen": on_a_screen,
    "a crop on a screen": lambda scene: on_a_screen(scene.crop((0, 60, 480, 300))),
    "a border": lambda scene: _bordered(scene),
    "noise": lambda scene: with_noise(scene, 20),
    "noise in a smaller one": lambda scene: with_noise(scene.resize((360, 270)), 20),
    "specks": lambda scene: with_specks(scene, 0.03),
    "an enlargement": lambda scene: scene.resize((960, 720), Image.Resampling.LANCZOS),
    "an enlarged turn, compressed": lambda scene: jpeg(scene.rotate(90, expand=True).resize((756, 1008)), 85),
    "writing": written_over,
    "a blurred one": lambda scene: scene.filter(ImageFilter.GaussianBlur(1.5)),
    "a grey one": lambda scene: scene.convert("L").convert("RGB"),
    "writing on a turned one": lambda scene: written_over(scene).transpose(Image.Transpose.ROTATE_90),
}


def _bordered(image: Image.Image) -> Image.Image:
    wide = Image.new("RGB", (image.width + 120, image.height + 120), "white")
    wide.paste(image, (60, 60))
    return wide


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("made", MADE)
def test_what_something_was_made_of_was_there_first(made, seed):
    scene = draw_scene(seed)
    first, second = (picture_of(np.asarray(image)) for image in (scene, MADE[made](scene)))
    there, back = judge(first, second), judge(second, first)
    assert there.is_confirmed
    assert (there.original, back.original) == ("a", "b")


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "change",
    [
        lambda scene: jpeg(scene, 40),
        lambda scene: scene.resize((240, 180)),
        lambda scene: scene.filter(ImageFilter.GaussianBlur(0.5)),
        lambda scene: scene.filter(ImageFilter.UnsharpMask(2, 120)),
        lambda scene: scene.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda scene: scene.point(lambda level: int(level * 0.8)),
        lambda scene: scene.point(lambda level: level // 8),
    ],
)
def test_nothing_is_said_where_nothing_tells(change, seed):
    """A softer picture is not the cleaner one, nor a sharpened one the noisier."""
    scene = draw_scene(seed)
    found = judge(*(picture_of(np.asarray(image)) for image in (scene, change(scene))))
    assert found.relation == "copy"
    assert found.original is None
    assert found.noisier is None


def test_of_two_parts_of_one_picture_none_was_there_first():
    scene = draw_scene(4, 720, 360)
    left, right = scene.crop((0, 0, 480, 360)), scene.crop((240, 0, 720, 360))
    for a, b in ((left, right), (written_over(left), right), (left, written_over(right))):
        found = judge(*(picture_of(np.asarray(image)) for image in (a, b)))
        assert found.is_confirmed
        assert found.original is None


def test_the_bars_over_a_crop_are_what_it_shows_more():
    scene = draw_scene(1)
    screen = on_a_screen(scene.crop((0, 60, 480, 300)))
    found = judge(*(picture_of(np.asarray(image)) for image in (scene, screen)))
    assert found.holds("b")
    assert not found.a_shows_all_of_b
    assert not found.b_shows_all_of_a
