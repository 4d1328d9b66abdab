"""The same pixels in every frame give one digest; whatever else may differ, none where it cannot be told."""

import io

import numpy as np
import pytest
from PIL import Image

from neardup.errors import UnreadableImage
from neardup.matching import pixels
from neardup.matching.pixels import pixel_digest


def encoded(image: Image.Image, format: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **how)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8))


def dotted(image: Image.Image, *colour: int) -> Image.Image:
    other = image.copy()
    other.putpixel((31, 23), colour)
    return other


def test_other_containers_and_metadata_are_the_same_pixels(image):
    exif = Image.Exif()
    exif[306] = "2020:01:02 03:04:05"
    contents = [
        encoded(image, "PNG"),
        encoded(image, "PNG", compress_level=1, exif=exif),
        encoded(image, "BMP"),
        encoded(image, "TIFF", compression="tiff_lzw"),
        encoded(image, "WEBP", lossless=True),
    ]
    assert len(set(contents)) == 5
    [digest] = {pixel_digest(content) for content in contents}
    assert digest is not None
    assert len(digest) == 32


def test_one_pixel_a_turn_a_shape_and_a_profile_are_something_else(image):
    turned = Image.Exif()
    turned[274] = 6
    contents = [
        encoded(image, "PNG"),
        encoded(dotted(image, 1, 2, 3), "PNG"),
        encoded(image, "PNG", exif=turned),
        encoded(image, "PNG", icc_profile=b"one profile"),
        encoded(image, "PNG", icc_profile=b"another one"),
        encoded(Image.fromarray(np.asarray(image).reshape(32, 24, 3)), "PNG"),  # the same bytes in other rows
    ]
    assert len({pixel_digest(content) for content in contents}) == len(contents)


def test_upright_pixels_are_compared(image):
    """A photo turned by its EXIF tag, and one whose pixels were turned."""
    exif = Image.Exif()
    exif[274] = 6
    tagged = encoded(image, "PNG", exif=exif)
    assert pixel_digest(tagged) == pixel_digest(encoded(image.transpose(Image.Transpose.ROTATE_270), "PNG"))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16"])
def test_where_equal_pixels_prove_nothing_there_is_none(image, mode):
    """Transparency, and more than 8 bits: what is compared here would be less than what the file holds."""
    odd = image.convert("L").convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
    assert pixel_digest(encoded(odd, "PNG")) is None


def film(*frames: Image.Image, format: str = "PNG", **how: object) -> bytes:
    return encoded(frames[0], format, save_all=True, append_images=list(frames[1:]), **how)


@pytest.mark.parametrize("format", ["PNG", "GIF", "TIFF"])
def test_every_frame_counts(image, format):
    first, second, third = (dotted(image, level, 0, 0).quantize(64).convert("RGB") for level in (10, 120, 240))
    timed = {} if format == "TIFF" else {"duration": 100}
    same = film(first, second, third, format=format, **timed)
    anew = film(first, second, third, format=format, **timed, **({} if format == "TIFF" else {"loop": 3}))
    assert pixel_digest(same) == pixel_digest(anew) is not None
    others = [
        film(first, third, second, format=format, **timed),
        film(first, second, second.rotate(180), format=format, **timed),
        film(first, second, format=format, **timed),
        encoded(first, format),
    ]
    if format != "TIFF":
        others.append(film(first, second, third, format=format, duration=300))
    assert len({pixel_digest(content) for content in [same, *others]}) == len(others) + 1


def test_a_film_beyond_the_limits_has_none(image, monkeypatch):
    """And each is read in bounded time: nothing is decoded beyond them."""
    frames = [dotted(image, level, 0, 0) for level in range(8)]
    content = film(*frames, duration=100)
    assert pixel_digest(content) is not None
    monkeypatch.setattr(pixels, "MAX_FRAMES", 7)
    assert pixel_digest(content) is None
    monkeypatch.setattr(pixels, "MAX_FRAMES", 8)
    monkeypatch.setattr(pixels, "MAX_FRAME_PIXELS", 8 * 24 * 32 - 1)
    assert pixel_digest(content) is None


def test_what_cannot_be_read_is_said(image):
    whole = film(*(dotted(image, level, 0, 0) for level in (0, 200)), duration=100)
    for content in (b"no image", b"", whole[: len(whole) // 3]):
        with pytest.raises(UnreadableImage):
            pixel_digest(content)
