"""Camera RAW files by their previews, and JPEG XL: where the packages for them are installed."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from neardup.errors import UnreadableImage
from neardup.images import decode_image, find, jpeg_xl
from neardup.images.raw import is_raw
from tests.conftest import draw_photo

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 10: 8}


def _entry(tag, kind, values, blobs, offset):
    """A TIFF entry; what does not fit in it goes to `blobs`, which begin at `offset`."""
    data = (
        values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{'BHI'[(1, 3, 4).index(kind)]}", *values)
    )
    count = len(data) // _SIZES[kind]
    if len(data) > 4:
        where = offset + len(blobs)
        blobs += data
        data = struct.pack("<I", where)
    return struct.pack("<HHI4s", tag, kind, count, data.ljust(4, b"\0"))


def dng(preview: Image.Image, *, orientation: int = 1) -> bytes:
    """A DNG of 64 x 48 samples whose first directory holds a JPEG preview, as cameras write it."""
    jpeg = io.BytesIO()
    preview.save(jpeg, "JPEG", quality=95)
    samples = np.arange(64 * 48, dtype="<u2").tobytes()
    head = b"II*\0\x08\0\0\0"
    first = 8
    second = first + 2 + 17 * 12 + 4
    data_at = second + 2 + 16 * 12 + 4
    blobs = bytearray()
    blobs += jpeg.getvalue() + bytes(len(jpeg.getvalue()) % 2)
    raw_at = data_at + len(blobs)
    blobs += samples

    def entries(*rows):
        return b"".join(_entry(tag, kind, values, blobs, data_at) for tag, kind, values in rows)

    matrix = struct.pack("<18i", *[v for n in (10000, 0, 0, 0, 10000, 0, 0, 0, 10000) for v in (n, 10000)])
    preview_entries = entries(
        (254, 4, [1]), (256, 4, [preview.width]), (257, 4, [preview.height]), (258, 3, [8, 8, 8]), (259, 3, [7]),
        (262, 3, [6]), (271, 2, b"Maker\0"), (272, 2, b"Model\0"), (273, 4, [data_at]), (274, 3, [orientation]),
        (277, 3, [3]), (278, 4, [preview.height]), (279, 4, [len(jpeg.getvalue())]), (330, 4, [second]),
        (50706, 1, [1, 4, 0, 0]), (50708, 2, b"Maker Model\0"), (50721, 10, matrix),
    )  # fmt: skip
    raw_entries = entries(
        (254, 4, [0]), (256, 4, [64]), (257, 4, [48]), (258, 3, [16]), (259, 3, [1]), (262, 3, [32803]),
        (273, 4, [raw_at]), (277, 3, [1]), (278, 4, [48]), (279, 4, [len(samples)]), (284, 3, [1]),
        (33421, 3, [2, 2]), (33422, 1, [0, 1, 1, 2]), (50710, 1, [0, 1, 2]), (50711, 3, [1]), (50717, 4, [4095]),
    )  # fmt: skip
    directories = struct.pack("<H", 17) + preview_entries + bytes(4) + struct.pack("<H", 16) + raw_entries + bytes(4)
    return head + directories + bytes(blobs)


def test_raw_files_are_told_from_tiffs():
    tiff = io.BytesIO()
    draw_photo(1).save(tiff, "TIFF")
    assert not is_raw(tiff.getvalue())
    assert is_raw(dng(draw_photo(1)))
    for head in (b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0\0\0", b"\0\0\0\x18ftypcrx ", b"II*\0\x10\0\0\0CR\x02\0"):
        assert is_raw(head.ljust(64, b"\0"))
    for head in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"\xff\xd8\xff\xe0", b"\0\0\0\x18ftypheic"):
        assert not is_raw(head)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_raw_file_is_its_preview(orientation):
    """Upright, in its own size; never called equal to a picture with the same pixels."""
    pytest.importorskip("rawpy")
    from neardup.matching.pixels import pixel_digest

    photo = draw_photo(3, width=240, height=160)
    content = dng(photo, orientation=orientation)
    decoded = decode_image(content)
    shown = photo if orientation == 1 else photo.transpose(Image.Transpose.ROTATE_270)
    assert (decoded.width, decoded.height, decoded.format) == (*shown.size, "RAW")
    assert np.abs(decoded.pixels.astype(int) - np.asarray(shown)).mean() < 4
    assert pixel_digest(content) is None
    assert min(decode_image(content, size=32).pixels.shape[:2]) < 160


def test_a_damaged_raw_file_is_an_unreadable_image():
    pytest.importorskip("rawpy")
    content = dng(draw_photo(3))
    for end in range(60, len(content), len(content) // 7):
        with pytest.raises(UnreadableImage) as caught:
            decode_image(content[:end])
        assert "\n" not in str(caught.value)


def saved(picture, **options):
    pytest.importorskip("pillow_jxl")
    file = io.BytesIO()
    picture.save(file, "JXL", **options)
    return file.getvalue()


@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("size", [(120, 90), (64, 64), (256, 8), (1280, 720), (700, 3)])
def test_jpeg_xl_is_read_and_its_size_beforehand(size, container):
    photo = draw_photo(3, *(max(side, 12) for side in size)).resize(size)
    content = saved(photo, lossless=True, use_container=container)
    decoded = decode_image(content)
    assert (decoded.width, decoded.height, decoded.format) == (*size, "JXL")
    assert (decoded.pixels == np.asarray(photo)).all()
    assert jpeg_xl.size_of(content) == size


def test_a_large_jpeg_xl_is_refused_before_it_is_decoded(monkeypatch):
    content = saved(Image.new("RGB", (4000, 3000)), lossless=True)
    opened = []
    monkeypatch.setattr("neardup.images.decode.MAX_DECODED_PIXELS", 10_000_000)
    monkeypatch.setattr("pillow_jxl.JpegXLImagePlugin.JXLImageFile", lambda *given: opened.append(given))
    with pytest.raises(UnreadableImage, match="12 Mpx"):
        decode_image(content)
    assert not opened


def test_a_damaged_jpeg_xl_is_an_unreadable_image():
    content = saved(draw_photo(3))
    for end in (12, 20, 40, len(content) // 2):
        with pytest.raises(UnreadableImage):
            decode_image(content[:end])


def test_the_size_of_what_is_no_jpeg_xl_is_none():
    for content in (b"", b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 40):
        assert min(jpeg_xl.size_of(content.ljust(2, b"x"))) >= 0


@pytest.mark.parametrize("installed", [True, False])
def test_endings_are_offered_where_their_package_is_installed(tmp_path, monkeypatch, installed):
    monkeypatch.setattr(find, "can_read_raw", lambda: installed)
    monkeypatch.setattr(find, "can_read_jpeg_xl", lambda: installed)
    find._readable.cache_clear()
    for name in ("a.jpg", "b.cr2", "c.JXL", "d.svg"):
        (tmp_path / name).touch()
    finder = find.Finder()
    offered = [path.name for path in finder.images_below(tmp_path)]
    find._readable.cache_clear()
    assert offered == (["a.jpg", "b.cr2", "c.JXL"] if installed else ["a.jpg"])
    assert dict(finder.passed_over) == ({".svg": 1} if installed else {".cr2": 1, ".jxl": 1, ".svg": 1})


def test_jpeg_xl_without_its_package_says_what_to_install(monkeypatch):
    """And is no lasting failure: the next run tries again."""
    from neardup.prepare import Content, Decode

    monkeypatch.setattr(jpeg_xl, "can_read_jpeg_xl", lambda: False)
    prepared = Decode(16)(Content(b"\xff\x0a" + bytes(40)))
    assert prepared.error == "JPEG XL is read with a package more: pip install 'neardup[jxl]'"
    assert not prepared.lasting
