"""Files that can be decoded although their data breaks off or was changed: noticed at whatever scale they are read."""

import io
import re
import zlib

import numpy as np
import pytest
from PIL import Image

from neardup.errors import UnreadableImage
from neardup.images import decode_image
from neardup.images.damage import DAMAGED
from tests.conftest import draw_scene

SIZES = (176, None)


def jpeg(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **({"quality": 90} | options))
    return file.getvalue()


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


SCENE = draw_scene(5, 640, 480)
JPEGS = {
    "as Pillow saves it": jpeg(SCENE),
    "with tables of its own": jpeg(SCENE, optimize=True),
    "in grey": jpeg(SCENE.convert("L")),
    "with all of its colour": jpeg(SCENE, subsampling=0),
    "with restarts": jpeg(SCENE, restart_marker_rows=1),
    "at the best quality": jpeg(SCENE, quality=100),
    "at a bad quality": jpeg(SCENE, quality=15),
    "for print": jpeg(SCENE.convert("CMYK")),
    "of one colour": jpeg(Image.new("RGB", (333, 217), "white")),
    "of nothing but grey": jpeg(Image.new("RGB", (333, 217), (128, 128, 128))),
    "as small as a block": jpeg(Image.new("RGB", (8, 8), "red")),
}
SCENES = {name: content for name, content in JPEGS.items() if "of " not in name and "block" not in name}


def broken_off(content: bytes, share: float) -> bytes:
    """With the end marker that a repair program puts behind what is left."""
    start = content.index(b"\xff\xda") + 14
    return content[: start + int(share * (len(content) - start))].rstrip(b"\xff") + b"\xff\xd9"


def decayed(content: bytes, start: float, changed: int = 8) -> bytes:
    """With a few bytes changed, none of them part of a marker."""
    decayed = bytearray(content)
    first = int(start * len(content))
    for place in range(first, min(first + 50 * changed, len(content) - 3), 50):
        if decayed[place] not in (0xFF, 0xAA) and decayed[place - 1] != 0xFF:
            decayed[place] ^= 0x55
    return bytes(decayed)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("behind", [b"", b"\0" * 99, b"a film, or a second picture \xff\xd8\xff\xda\xff\xd9"])
@pytest.mark.parametrize("content", [*JPEGS.values(), jpeg(SCENE, progressive=True)], ids=[*JPEGS, "progressive"])
def test_a_whole_jpeg_is_not_damaged(content: bytes, behind: bytes, size: int | None) -> None:
    assert decode_image(content + behind, size=size).damaged is None


@pytest.mark.parametrize("content", JPEGS.values(), ids=JPEGS)
def test_nothing_but_the_reading_is_watched(content: bytes) -> None:
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(decode_image(content).pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("share", [0.2, 0.61, 0.97])
@pytest.mark.parametrize("content", SCENES.values(), ids=SCENES)
def test_a_jpeg_that_breaks_off_before_its_end_marker(content: bytes, share: float, size: int | None) -> None:
    damaged = decode_image(broken_off(content, share), size=size).damaged
    assert damaged is not None
    if found := re.fullmatch(r"breaks off at (\d+) %", damaged):
        assert abs(int(found[1]) / 100 - share) < 0.2  # of the picture's height, not of its bytes


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_a_progressive_jpeg_without_its_last_scans(share: float) -> None:
    content = broken_off(jpeg(SCENE, progressive=True), share)
    assert decode_image(content, size=176).damaged == "breaks off before its last scan"


@pytest.mark.parametrize("name", [name for name in SCENES if name not in ("with restarts", "for print")])
def test_a_jpeg_with_bytes_that_changed(name: str) -> None:
    """Many of them: where what the changed bits mean takes as many others, nobody can tell from the data."""
    damages = [decode_image(decayed(SCENES[name], start), size=176).damaged for start in np.linspace(0.2, 0.85, 12)]
    assert sum(damaged is not None for damaged in damages) >= 4
    assert {damaged for damaged in damages if damaged} <= {DAMAGED} | {d for d in damages if d and "breaks off" in d}


def test_a_jpeg_that_lacks_nothing_but_its_end_marker_is_read() -> None:
    content = JPEGS["as Pillow saves it"]
    decoded = decode_image(content[:-2])
    assert decoded.damaged is None
    assert np.array_equal(decoded.pixels, decode_image(content).pixels)


@pytest.mark.parametrize("left", [0.3, 0.9])
def test_a_jpeg_whose_data_just_ends_cannot_be_read(left: float) -> None:
    content = JPEGS["as Pillow saves it"]
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_image(content[: int(left * len(content))])


def test_a_png_whose_data_does_not_have_its_sum() -> None:
    """The bytes are those of another picture, and decode without complaint."""
    content = png(SCENE)
    assert decode_image(content).damaged is None
    start = content.index(b"IDAT") + 4
    pixels = bytearray(zlib.decompress(_data(content)))
    pixels[len(pixels) // 2 + 7] ^= 1
    other = zlib.compress(bytes(pixels), 0)
    chunk = len(other).to_bytes(4, "big") + b"IDAT" + other + b"\0\0\0\0"
    assert decode_image(content[: start - 8] + chunk + content[-12:]).damaged == DAMAGED


def _data(png: bytes) -> bytes:
    parts, position = [], 8
    while position < len(png):
        size = int.from_bytes(png[position : position + 4], "big")
        if png[position + 4 : position + 8] == b"IDAT":
            parts.append(png[position + 8 : position + 8 + size])
        position += size + 12
    return b"".join(parts)
