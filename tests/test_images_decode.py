"""One file's bytes to upright RGB: modes, orientation, reduction, limits, damage."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from neardup.errors import UnreadableImage
from neardup.images import ByteBudget, decode_image, load_image
from neardup.images import decode as module

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")  # pytest undoes the filter that the package sets


def picture(width: int = 120, height: int = 80) -> np.ndarray:
    """(height, width, 3) uint8: smooth, and different in each corner and each channel."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([255 * x / width, 255 * y / height, 127 + 120 * np.sin(x / 9) * np.cos(y / 7)], -1).astype(np.uint8)


def saved(image: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, kind, **options)
    return buffer.getvalue()


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_decoded_describes_the_whole_image():
    decoded = decode_image(saved(picture(), "PNG"))
    assert (decoded.width, decoded.height, decoded.format) == (120, 80, "PNG")
    assert decoded.pixels.dtype == np.uint8
    np.testing.assert_array_equal(decoded.pixels, picture())


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("QOI", {}),
        ("WEBP", {"lossless": True}), ("JPEG2000", {}), ("PPM", {}), ("TGA", {}), ("PCX", {}), ("SGI", {}), ("DDS", {}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ],
)  # fmt: skip
def test_lossless_formats_come_back_exactly(kind, options):
    np.testing.assert_array_equal(decode_image(saved(picture(), kind, **options)).pixels, picture())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "GIF"])
def test_lossy_formats_come_back_nearly(kind):
    if kind.lower() in ("avif", "webp") and not module.PIL.features.check(kind.lower()):
        pytest.skip(f"this Pillow was built without {kind}")
    assert difference(decode_image(saved(picture(), kind)).pixels, picture()) < 9


def test_heic_is_decoded_and_its_plugin_imported_only_then():
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(picture())).save(buffer, quality=95)
    decoded = decode_image(buffer.getvalue())
    assert (decoded.format, decoded.width, decoded.height) == ("HEIF", 120, 80)
    assert difference(decoded.pixels, picture()) < 4
    code = (
        "import sys; from neardup.images import decode_image; decode_image(sys.stdin.buffer.read());"
        "print([m for m in sys.modules if m == 'pillow_heif' or m.endswith('ImagePlugin')])"
    )
    jpeg = saved(picture(), "JPEG")
    out = subprocess.run([sys.executable, "-c", code], input=jpeg, capture_output=True, check=True)
    assert out.stdout.decode().strip() == "['PIL.JpegImagePlugin']"


# ---- modes


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=2)


@pytest.mark.parametrize(("high", "full"), [(200, 255), (3000, 4095), (4095, 4095), (4096, 65535), (65535, 65535)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_sixteen_bit_grey_is_scaled_by_the_range_it_was_made_for(kind, high, full):
    values = np.linspace(0, high, 60 * 40).round().reshape(40, 60).astype(np.uint16)
    got = decode_image(saved(values, kind)).pixels
    np.testing.assert_array_equal(got, grey(np.rint(values * (255 / full)).astype(np.uint8)))


def test_big_endian_sixteen_bit_grey_is_scaled_too():
    values = (np.arange(6 * 8).reshape(6, 8) * 1300).astype(">u2")
    tags = [(256, 8), (257, 6), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, 6), (279, values.nbytes)]
    directory = struct.pack(">H", len(tags)) + b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags)
    tiff = b"MM\0*" + struct.pack(">I", 8 + values.nbytes) + values.tobytes() + directory + bytes(4)
    np.testing.assert_array_equal(decode_image(tiff).pixels, grey(np.rint(values / 257).astype(np.uint8)))


def test_numbers_beyond_sixteen_bits_and_below_zero_are_scaled_by_their_range():
    values = np.array([[-1000, 0], [500, 1000]], np.int32)
    np.testing.assert_array_equal(decode_image(saved(values, "TIFF")).pixels[..., 0], [[0, 128], [191, 255]])
    values = np.array([[0, 100_000], [200_000, 50_000]], np.int32)
    np.testing.assert_array_equal(decode_image(saved(values, "TIFF")).pixels[..., 0], [[0, 128], [255, 64]])


def test_floats_are_scaled_by_their_finite_range():
    values = np.array([[-1.0, 0.0, 1.0], [np.nan, np.inf, -np.inf]], np.float32)
    got = decode_image(saved(values, "TIFF")).pixels[..., 0]
    np.testing.assert_array_equal(got, [[0, 128, 255], [0, 255, 0]])
    flat = decode_image(saved(np.full((3, 4), 7.5, np.float32), "TIFF")).pixels
    assert flat.min() == flat.max()
    nowhere = decode_image(saved(np.full((3, 4), np.nan, np.float32), "TIFF")).pixels
    assert nowhere.min() == nowhere.max()


def test_one_bit_is_black_and_white():
    bits = picture()[..., 0] > 100
    for kind in ["PNG", "PPM", "TIFF", "XBM", "MSP"]:
        got = decode_image(saved(Image.fromarray(bits), kind)).pixels
        np.testing.assert_array_equal(
            got, grey(np.where(bits ^ (kind == "XBM"), 255, 0)), err_msg=kind
        )  # XBM holds ink


def test_cmyk_jpegs_are_not_inverted():
    cmyk = Image.fromarray(picture()).convert("CMYK")
    got = decode_image(saved(cmyk, "JPEG", quality=95)).pixels
    assert difference(got, picture()) < 4
    np.testing.assert_array_equal(decode_image(saved(cmyk, "TIFF")).pixels, np.asarray(cmyk.convert("RGB")))


@pytest.mark.parametrize(
    ("lab", "rgb"), [((255, 0, 0), (255, 255, 255)), ((0, 0, 0), (0, 0, 0)), ((136, 81, 70), (255, 0, 0))]
)
def test_lab_becomes_srgb(lab, rgb):
    """L in 0..255, a and b signed: white, black, and sRGB red, which is Lab (D50) 54.3, 80.8, 69.9."""
    image = Image.frombytes("LAB", (4, 4), bytes(lab) * 16)
    got = decode_image(saved(image, "TIFF")).pixels
    assert np.abs(got.astype(int) - rgb).max() <= 6


def test_transparency_is_composed_on_white():
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[0] = [[255, 0, 0, 255], [255, 0, 0, 128], [255, 0, 0, 0]]
    want = [[[255, 0, 0], [255, 127, 127], [255, 255, 255]], [[255, 255, 255]] * 3]
    for kind in ["PNG", "TIFF", "TGA", "WEBP"]:
        options = {"lossless": True} if kind == "WEBP" else {}
        assert np.abs(decode_image(saved(rgba, kind, **options)).pixels.astype(int) - want).max() <= 1, kind
    la = np.array([[[0, 255], [0, 128], [0, 0]]], np.uint8)
    got = decode_image(saved(Image.fromarray(la, "LA"), "PNG")).pixels
    assert np.abs(got[0, :, 0].astype(int) - [0, 127, 255]).max() <= 1


def test_a_palette_with_and_without_transparency():
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    opaque = [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]
    for kind in ["PNG", "GIF", "TIFF", "BMP"]:
        np.testing.assert_array_equal(decode_image(saved(image, kind)).pixels, opaque)
    one = [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]
    for kind in ["PNG", "GIF"]:
        np.testing.assert_array_equal(decode_image(saved(image, kind, transparency=1)).pixels, one)
    some = decode_image(saved(image, "PNG", transparency=bytes([255, 0, 128]))).pixels
    assert np.abs(some.astype(int) - [[[10, 20, 30], [255, 255, 255], [162, 167, 172]]]).max() <= 1


def test_a_colour_that_stands_for_transparent():
    rgb = np.array([[[1, 2, 3], [9, 9, 9]]], np.uint8)
    np.testing.assert_array_equal(
        decode_image(saved(rgb, "PNG", transparency=(1, 2, 3))).pixels, [[[255, 255, 255], [9, 9, 9]]]
    )
    sixteen = np.array([[0, 40000, 65535]], np.uint16)
    content = saved(sixteen, "PNG")
    chunk = b"tRNS" + struct.pack(">H", 40000)
    chunk = struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk))
    content = content.replace(content[33:], chunk + content[33:])  # after the signature and IHDR
    np.testing.assert_array_equal(decode_image(content).pixels[0, :, 0], [0, 255, 255])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_the_first_frame_of_an_animation_is_taken(kind):
    if kind == "AVIF" and not module.PIL.features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    red, blue = (Image.new("RGB", (40, 30), colour) for colour in ["red", "blue"])
    got = decode_image(saved(red, kind, save_all=True, append_images=[blue])).pixels
    assert got.shape == (30, 40, 3)
    assert np.abs(got.astype(int) - [255, 0, 0]).max() <= 4


# ---- orientation


def with_orientation(kind: str, value: int, image: np.ndarray, **options) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return saved(image, kind, exif=exif, **options)


def as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores so that a viewer that applies `orientation` shows `upright` (EXIF 2.32, tag 0x0112)."""
    turned = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.swapaxes(0, 1), 6: np.rot90(upright), 8: np.rot90(upright, -1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
    }  # fmt: skip
    return np.ascontiguousarray(turned[orientation])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_come_out_upright(orientation):
    stored = as_stored(picture(), orientation)
    for kind, options in [("JPEG", {"quality": 95}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})]:
        decoded = decode_image(with_orientation(kind, orientation, stored, **options))
        assert (decoded.width, decoded.height) == (120, 80), kind
        assert difference(decoded.pixels, picture()) < 3, kind
    reduced = decode_image(with_orientation("JPEG", orientation, stored), size=20)
    assert (reduced.width, reduced.height, reduced.pixels.shape) == (120, 80, (40, 60, 3))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_out_of_range_is_none(value):
    assert difference(decode_image(with_orientation("JPEG", value, picture())).pixels, picture()) < 5


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 500]
)
def test_broken_exif_does_not_make_an_image_unreadable(exif):
    for kind in ["JPEG", "WEBP"]:
        assert difference(decode_image(saved(picture(), kind, exif=exif)).pixels, picture()) < 9


# ---- reduction


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_reduction_leaves_twice_the_size_and_the_same_picture(kind):
    big = np.asarray(Image.fromarray(picture(100, 75)).resize((1600, 1200), Image.Resampling.BICUBIC))
    content = saved(big, kind)
    for size, shape in [(64, (134, 178)), (160, (400, 534)), (599, (1200, 1600)), (5000, (1200, 1600))]:
        decoded = decode_image(content, size=size)
        assert (decoded.width, decoded.height) == (1600, 1200)
        assert min(decoded.pixels.shape[:2]) >= min(2 * size, 1200)
        if kind != "JPEG":  # which comes in eighths
            assert decoded.pixels.shape[:2] == shape
        small = Image.fromarray(decoded.pixels).resize((64, 64), Image.Resampling.BICUBIC)
        full = Image.fromarray(big).resize((64, 64), Image.Resampling.BICUBIC)
        assert difference(np.asarray(small), np.asarray(full)) < 1.5


def test_reduction_does_not_let_hidden_colours_bleed_through_transparency():
    rgba = np.zeros((400, 400, 4), np.uint8)
    rgba[::2] = [255, 0, 0, 0]  # invisible red between visible black
    rgba[1::2] = [0, 0, 0, 255]
    np.testing.assert_allclose(decode_image(saved(rgba, "PNG"), size=20).pixels, 127.5, atol=1)


def test_load_image_reads_a_file_and_names_it_in_the_error(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(picture(), "PNG"))
    np.testing.assert_array_equal(load_image(path), picture())
    np.testing.assert_array_equal(load_image(path.read_bytes(), size=20).shape, (40, 60, 3))
    path.write_bytes(b"")
    with pytest.raises(UnreadableImage, match=r"a\.png: empty file"):
        load_image(path)
    odd = tmp_path / "two\nlines.png"
    odd.write_bytes(b"")
    with pytest.raises(UnreadableImage, match=r"two\\nlines\.png': empty file"):
        load_image(odd)
    with pytest.raises(UnreadableImage, match=r"^empty file$"):
        load_image(b"")


# ---- limits


def test_more_pixels_than_the_limit_are_refused_before_decoding(monkeypatch):
    big = saved(Image.new("1", (9000, 8000)), "PNG")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UnreadableImage, match=r"9000 x 8000 pixels are 72 Mpx, more than the 64 Mpx"):
        decode_image(big, size=160)


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    frame = jpeg.index(b"\xff\xc0")
    return jpeg[: frame + 5] + struct.pack(">HH", height, width) + jpeg[frame + 9 :]


def test_a_jpeg_may_be_larger_when_it_is_reduced_while_decoding():
    jpeg = saved(picture(), "JPEG")
    decoded = decode_image(with_size(jpeg, 16000, 12500), size=160)
    assert (decoded.width, decoded.height, decoded.pixels.shape) == (16000, 12500, (391, 500, 3))
    with pytest.raises(UnreadableImage, match="202 Mpx, more than the 200 Mpx"):
        decode_image(with_size(jpeg, 16100, 12550), size=160)
    with pytest.raises(UnreadableImage, match="200 Mpx, more than the 64 Mpx"):
        decode_image(with_size(jpeg, 16000, 12500))


def test_limits_count_what_is_decoded(monkeypatch):
    jpeg = saved(picture(640, 480), "JPEG")
    monkeypatch.setattr(module, "MAX_DECODED_PIXELS", 100_000)
    assert decode_image(jpeg, size=60).pixels.shape == (120, 160, 3)
    with pytest.raises(UnreadableImage, match="more than"):
        decode_image(jpeg, size=200)  # no scale leaves 400 pixels


def test_a_progressive_jpeg_is_limited_by_its_coefficients(monkeypatch):
    jpeg = saved(picture(640, 480), "JPEG", progressive=True)
    needed = 2 * 640 * 480 * 3 // 2  # 2 bytes each, colour at a quarter
    monkeypatch.setattr(module, "MAX_COEFFICIENT_BYTES", needed)
    assert decode_image(jpeg, size=60).pixels.shape == (120, 160, 3)
    monkeypatch.setattr(module, "MAX_COEFFICIENT_BYTES", needed - 1)
    with pytest.raises(UnreadableImage, match="a progressive JPEG of 640 x 480 pixels needs 0 MB"):
        decode_image(jpeg, size=60)


def test_a_jpeg_of_endless_scans_is_refused():
    jpeg = saved(picture(), "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    assert decode_image(jpeg).format == "JPEG"
    bomb = jpeg[:last] + jpeg[last:-2] * 1000 + jpeg[-2:]
    with pytest.raises(UnreadableImage, match="more than 200 scans"):
        decode_image(bomb, size=160)


def test_scans_cannot_be_hidden_behind_a_marker_without_a_length():
    """FF 01 stands alone: two bytes after it taken for a length would pass over all that follows."""
    jpeg = saved(picture(), "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    hidden = jpeg[:last] + b"\xff\x01\xff\xff" + jpeg[last:-2] * 1000 + jpeg[-2:]
    with pytest.raises(UnreadableImage, match="more than 200 scans"):
        decode_image(hidden, size=160)


@pytest.mark.parametrize("segment", [b"\xff\xe1\x00\x0cExif\0\0abcd", b"\xff\xe5\x00\x02"])
def test_a_jpeg_of_endless_segments_is_refused(segment):
    jpeg = saved(picture(), "JPEG")
    assert decode_image(jpeg[:2] + segment * 500 + jpeg[2:]).format == "JPEG"
    with pytest.raises(UnreadableImage, match="more than 1024 segments"):
        decode_image(jpeg[:2] + segment * 2000 + jpeg[2:])


def tiff(order: str, entries: list[tuple[int, int, int, int]], *, big: bool = False) -> bytes:
    """A TIFF of one directory without pixels: (tag, type, count, value) of each entry."""
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + struct.pack(order + "HHHQQ", 43, 8, 0, 16, len(entries))
        return head + b"".join(struct.pack(order + "HHQI4x", *entry) for entry in entries) + bytes(8)
    head = mark + struct.pack(order + "HIH", 42, 8, len(entries))
    return head + b"".join(struct.pack(order + "HHII", *entry) for entry in entries) + bytes(4)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([(256, 4, 1, 8), (257, 4, 1, 8), (273, 1, 10**6, 8)], "more than 262,144 strips"),
        ([(256, 4, 1, 8), (257, 4, 1, 8), (322, 4, 1, 20_000), (323, 4, 1, 20_000), (324, 4, 1, 8)], "400 Mpx"),
    ],
)
def test_a_tiff_that_would_be_allocated_for_when_it_is_opened(order, big, entries, reason):
    with pytest.raises(UnreadableImage, match=reason):
        decode_image(tiff(order, entries, big=big))


def test_tiffs_that_are_as_they_should_be():
    for options in ({"compression": "tiff_lzw"}, {"big_tiff": True}, {"tiffinfo": {278: 1}}):
        assert (load_image(saved(picture(), "TIFF", **options)) == picture()).all()


def test_a_text_chunk_that_unpacks_to_far_more_is_refused():
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "\0" * 20_000_000, zip=True)
    content = saved(picture(), "PNG", pnginfo=text)
    assert len(content) < 100_000
    with pytest.raises(UnreadableImage, match="PNG"):
        decode_image(content)


def test_an_icon_may_not_hide_a_huge_image():
    inner = saved(Image.new("1", (9000, 8000)), "PNG")
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inner), 22) + inner
    with pytest.raises(UnreadableImage, match="72 Mpx"):
        decode_image(icon)


def test_an_apple_icon_may_not_hide_a_huge_image():
    stream = b"\xff\x4f\xff\x51" + struct.pack(">HHII", 47, 0, 10_000, 10_000) + bytes(100)
    icon = b"icns" + struct.pack(">I", 16 + len(stream)) + b"ic10" + struct.pack(">I", 8 + len(stream)) + stream
    with pytest.raises(UnreadableImage, match="100 Mpx"):
        decode_image(icon)


def test_avifs_are_decoded_one_at_a_time():
    """What is in one may be larger than its container says."""
    reserved = []

    class Watched(ByteBudget):
        def reserve(self, size_bytes):
            reserved.append(size_bytes)
            return super().reserve(size_bytes)

    decode_image(saved(picture(), "AVIF"), budget=Watched(10**9))
    assert reserved == [10**9]


def test_what_decoding_needs_is_reserved_meanwhile():
    budget = ByteBudget(10**9)
    reserved = []

    class Watched(ByteBudget):
        def reserve(self, size_bytes):
            reserved.append(size_bytes)
            return budget.reserve(size_bytes)

    for content in [saved(picture(1600, 1200), "JPEG"), saved(picture(1600, 1200), "PNG")]:
        decode_image(content, size=160, budget=Watched())
    whole = 1600 * 1200 * 4
    assert whole / 9 < reserved[0] < whole < reserved[1] < 2 * whole
    assert budget._reserved == 0


# ---- damage


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}), ("WEBP", {}), ("BMP", {}),
        ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("JPEG2000", {}), ("PPM", {}), ("TGA", {}), ("AVIF", {}),
    ],
)  # fmt: skip
def test_a_truncated_file_is_unreadable_and_never_padded(kind, options, kept):
    content = saved(picture(400, 300), kind, **options)
    for size in (None, 40):
        with pytest.raises(UnreadableImage):
            decode_image(content[: int(len(content) * kept)], size=size)


@pytest.mark.parametrize(
    "error",
    [
        OSError("broken\nin two lines"), SyntaxError("odd"), IndexError(), TypeError("t"), ValueError("v"),
        KeyError("k"), NotImplementedError(), struct.error("s"), zlib.error("z"), EOFError(), RuntimeError(object()),
        MemoryError(), OverflowError(), ZeroDivisionError(), RecursionError(), AttributeError("a"), AssertionError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        Image.DecompressionBombError("Image size (12 pixels) exceeds"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_whatever_a_decoder_raises_becomes_one_readable_line(monkeypatch, error):
    def fail(self):
        raise error

    content = saved(picture(), "PNG")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(UnreadableImage) as caught:
        decode_image(content)
    message = str(caught.value)
    assert "PNG file" in message
    assert "\n" not in message
    assert " at 0x" not in message


def test_an_interruption_passes(monkeypatch):
    def interrupt(self):
        raise KeyboardInterrupt

    content = saved(picture(), "PNG")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decode_image(content)


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"\xff\xd8\xff", b"GIF89a", b"hello " * 100, bytes(5000), b"%!PS-Adobe-3.0 EPSF"]
)
def test_what_is_no_image_is_unreadable(content):
    with pytest.raises(UnreadableImage):
        decode_image(content)


def test_random_damage_never_raises_anything_else():
    rng = np.random.default_rng(5)
    for kind in ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "ICO", "TGA", "PCX", "SGI", "DDS", "QOI"]:
        content = np.frombuffer(saved(picture(), kind), np.uint8)
        for _ in range(25):
            damaged = content.copy()
            where = rng.integers(0, min(len(damaged), 600), size=4)
            damaged[where] = rng.integers(0, 256, size=4)
            try:
                decoded = decode_image(damaged.tobytes(), size=20)
            except UnreadableImage:
                continue
            assert decoded.pixels.ndim == 3


def test_nothing_is_written_to_stderr(tmp_path):
    odd = saved(picture(), "TIFF", compression="tiff_lzw")
    Path(tmp_path / "a").write_bytes(odd[: len(odd) // 2] + bytes(40))
    Path(tmp_path / "b").write_bytes(saved(picture(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))
    code = (
        "import sys, pathlib\nfrom neardup.images import decode_image\nfrom neardup.errors import UnreadableImage\n"
        "for path in sys.argv[1:]:\n"
        "    try: decode_image(pathlib.Path(path).read_bytes())\n"
        "    except UnreadableImage: pass\n"
    )
    command = [sys.executable, "-W", "always", "-c", code, str(tmp_path / "a"), str(tmp_path / "b")]
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""
