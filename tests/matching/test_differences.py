"""What one of two shows alone is found on any ground, and what compression does to both is not taken for it."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from neardup.matching.judge import judge
from tests.matching.test_judge import jpeg, picture

SIZE = 300, 220


def carpet(seed: int, grain: float) -> Image.Image:
    """A dress on a carpet whose threads differ by `grain` levels, standard deviation."""
    rng = np.random.default_rng(seed)
    threads = Image.fromarray(rng.integers(0, 256, SIZE[::-1], np.uint8)).filter(ImageFilter.GaussianBlur(0.8))
    levels = np.asarray(threads, float)
    levels = 140 + (levels - levels.mean()) * grain / levels.std()
    image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.rectangle((105, 33, 195, 187), fill=(30, 50, 120))
    draw.ellipse((126, 44, 174, 88), fill=(60, 80, 160))
    return image


def watermarked(image: Image.Image, opacity: float) -> Image.Image:
    """Words all over, aslant, of which the ground shines through."""
    words = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(words)
    for y in range(0, image.height, 38):
        for x in range(-20, image.width, 95):
            ink = (0, 0, 0, int(255 * opacity))
            draw.text((x + y * 7 % 60, y), "stockphoto", font=ImageFont.load_default(16), fill=ink)
    return Image.alpha_composite(image.convert("RGBA"), words.rotate(20)).convert("RGB")


@pytest.mark.parametrize(("grain", "opacity"), [(12, 0.4), (18, 0.25), (18, 0.4), (26, 0.25), (26, 0.4)])
def test_writing_laid_thinly_over_a_coarse_ground_is_seen(grain, opacity):
    """It hid in the grain, and a photo with "stockphoto" all over it was a plain copy."""
    photo = carpet(int(grain), grain)
    found = judge(picture(photo), picture(jpeg(watermarked(photo, opacity), 80)))
    assert found.relation != "copy"
    assert found.differing > 0.0125


@pytest.mark.parametrize("grain", [12, 18, 26])
@pytest.mark.parametrize("quality", [15, 40, 80])
def test_a_coarse_ground_that_was_compressed_shows_nothing_new(grain, quality):
    photo = carpet(int(grain), grain)
    found = judge(picture(photo), picture(jpeg(photo, quality)))
    assert found.relation == "copy"
    assert found.differing == 0
