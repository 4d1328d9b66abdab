"""Frames of animations and pages of files: counted within limits, some of those after the first decoded."""

import io

import numpy as np
import pytest
from PIL import Image

from neardup.errors import UnreadableImage
from neardup.images import frames
from neardup.images.frames import read_frames


def still(level: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    image = Image.new("RGB", size, (level, 255 - level, 128))
    image.putpixel((0, 0), (255 - level, 0, 0))
    return image


def film(count: int, format: str, size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    first, *others = (still(20 * number, size) for number in range(count))
    how = {"lossless": True} if format == "WEBP" else {}
    first.save(buffer, format, save_all=True, append_images=others, **how)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("count", "sampled"), [(1, []), (2, [1]), (3, [1, 2]), (4, [1, 2, 3]), (10, [3, 6, 9])])
def test_frames_are_counted_and_some_are_read(format, count, sampled):
    """Spread over those after the first, the last among them."""
    found = read_frames(film(count, format), sample=3, edge=32)
    assert found.count == count
    assert [frame.shape for frame in found.later] == [(24, 32, 3)] * len(sampled)
    levels = [round(float(np.median(frame[..., 0])) / 20) for frame in found.later]
    assert levels == sampled


def test_a_photo_is_one_frame():
    buffer = io.BytesIO()
    still(3).save(buffer, "JPEG")
    assert read_frames(buffer.getvalue(), sample=3, edge=32) == frames.ONE


def test_what_is_no_image_has_none():
    with pytest.raises(UnreadableImage):
        read_frames(b"GIF89a and nothing more", sample=3, edge=32)


def test_a_file_that_breaks_off_has_its_first_frame():
    content = film(6, "GIF")
    whole = len(content)
    for cut in range(whole // 2, whole, whole // 9):
        found = read_frames(content[:cut], sample=3, edge=32)
        assert 1 <= found.count <= 6


def test_no_more_frames_are_gone_to_than_the_limits_allow(monkeypatch):
    monkeypatch.setattr(frames, "_MOST_FRAMES", 5)
    assert read_frames(film(9, "GIF"), sample=3, edge=32).count == 5
    monkeypatch.undo()
    monkeypatch.setattr(frames, "_MOST_PIXELS", 4 * 64 * 48)
    assert read_frames(film(9, "GIF"), sample=3, edge=32).count == 4


def test_pages_of_a_huge_size_after_a_small_one_are_not_decoded(monkeypatch):
    """A TIFF's pages have sizes of their own."""
    monkeypatch.setattr(frames, "_MOST_PIXELS", 400_000)
    buffer = io.BytesIO()
    still(0).save(buffer, "TIFF", save_all=True, append_images=[still(40), still(80, (900, 900)), still(120)])
    found = read_frames(buffer.getvalue(), sample=3, edge=32)
    assert found.count == 4
    assert len(found.later) == 1
