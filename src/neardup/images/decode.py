"""One image file's bytes to upright RGB pixels, within limits on pixels and on memory.

Colour profiles are ignored: the numbers in the file are taken for sRGB, as the model's training photos were.
"""

import ctypes
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageOps

from neardup.errors import UnreadableImage
from neardup.images import jpeg_xl
from neardup.images.budget import ByteBudget
from neardup.images.damage import damage_of, watched
from neardup.images.exif import UNTOLD, Taken, read_taken
from neardup.images.files import read_file, shown
from neardup.images.formats import HEAD_BYTES, PLUGINS, WEAK_FORMATS, format_of
from neardup.images.markers import SCAN, markers
from neardup.images.quality import jpeg_quality
from neardup.images.raw import can_read_raw, is_raw, preview_of
from neardup.images.tiff import first_directory
from neardup.packages import how_to_install

# Recorded in an index. Change the last word whenever the same file gives other pixels than before.
DECODER = f"pillow-{PIL.__version__} draft-reduce-2"

# Pixels of an image, and of what has to be held at once to decode it: fewer where a JPEG is reduced while decoding.
MAX_PIXELS = 200_000_000
MAX_DECODED_PIXELS = 64_000_000
# A progressive JPEG is held whole as coefficients, whatever the scale; 640 MB is 200 Mpx with halved colour.
MAX_COEFFICIENT_BYTES = 640_000_000
# Encoders write about 10 scans; each costs a pass over all coefficients, so thousands of empty ones cost hours.
MAX_SCANS = 200

# Of a JPEG before its first scan: Pillow joins Exif segments by copying what it has. 10 MB of extended XMP take 160.
MAX_SEGMENTS = 1024
# Of a TIFF: Pillow makes an object for each, whatever the size of the image.
MAX_STRIPS = 2**18

# Bytes a pixel in Pillow's own storage, 4 where not listed.
_STORAGE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
# Levels below white that nobody sees on it.
_INVISIBLE = 32
# Bytes a pixel that these decoders hold beside it.
_DECODER_BYTES = {"JPEG2000": 16, "HEIF": 10, "AVIF": 10, "WEBP": 8, "JXL": 20}

_STRIP_OFFSETS, _TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS = 273, 322, 323, 324  # TIFF's tags
_ORIENTATION_TAG = 0x0112
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


# Pillow warns of odd metadata, of which a user can do nothing, and of large sizes, which are checked here.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Decoded:
    """An image as a person sees it: upright, on a ground that shows it."""

    pixels: NDArray[np.uint8]  # (h, w, 3) RGB, perhaps reduced
    width: int  # of the whole upright image
    height: int
    format: str  # Pillow's name: JPEG, PNG, HEIF, ...
    taken: Taken = UNTOLD
    quality: int | None = None  # of a JPEG, 1 to 100 as libjpeg counts
    damaged: str | None = None  # what is wrong with the file though it can be decoded, in words


@dataclass(frozen=True)
class JpegGrid:
    """On what a JPEG's picture was quantised."""

    steps: NDArray[np.uint8]  # (8, 8) of its luminance, as (vertical, horizontal) frequencies
    orientation: int  # EXIF's, of the stored picture

    @property
    def is_turned(self) -> bool:
        """Whether rows are stored as columns."""
        return self.orientation >= 5


def load_image(source: Path | bytes, *, size: int | None = None) -> NDArray[np.uint8]:
    """The pixels of `decode_image`, (h, w, 3) uint8 RGB, of a file or of a file's content."""
    try:
        content = source if isinstance(source, bytes) else read_file(source)
        return decode_image(content, size=size).pixels
    except UnreadableImage as error:
        if isinstance(source, bytes):
            raise
        raise UnreadableImage(f"{shown(source)}: {error}") from error


def decode_image(content: bytes, *, size: int | None = None, budget: ByteBudget | None = None) -> Decoded:
    """First frame of an image file's content as upright RGB: EXIF orientation applied, transparency on white, or on
    black where white would show nothing.

    size:   edge in pixels of what will be made of it. Where given, both sides may come back reduced by the same whole
            factor, to no less than 2 * size, which is what a final antialiased resize needs; a JPEG is then decoded at
            an eighth, a quarter or half of its size in the first place.
    budget: what the decoding may need is reserved in it meanwhile, `content` included.

    Numbers with more than 8 bits are scaled: integers by 255, 4095 or 65535, whichever is the first that holds them
    all, other integers and floats by their finite range. Raises UnreadableImage, in one line that leaves the path to
    the caller, on whatever is wrong with the content: also where it is truncated, and where it has more than MAX_PIXELS
    or needs more than MAX_DECODED_PIXELS at once.
    """
    if can_read_raw() and is_raw(content):
        return _decode_raw(content, size, budget)
    name = format_of(content[:HEAD_BYTES])
    try:
        # This one decodes while it opens.
        with budget.reserve(len(content) + _jpeg_xl_bytes(content)) if budget and name == "JXL" else nullcontext():
            image = _open(content, name)
        width, height = image.size
        reducible = image.format in ("JPEG", "MPO")
        coefficients = _coefficient_bytes(image, content) if reducible else 0
        if reducible and size:
            image.draft(None, (2 * size, 2 * size))
        _check_pixels(width, height, image.size, reduced=bool(reducible and size))
        needed = len(content) + coefficients + _working_bytes(image, size)
        if image.format == "AVIF" and budget:
            # The stream within may be larger than the container says, and it is decoded by all cores: one at a time.
            needed = max(needed, budget.limit)
        with budget.reserve(needed) if budget else nullcontext():
            watch = watched(image, content) if reducible else None
            image.load()
            taken = _taken(image, content, (width, height))
            if not reducible:
                width, height = image.size  # some containers tell the size only now, and TIFF is turned upright
            damaged = damage_of(image, content, watch)
            orientation = _orientation(image)
            upright = _on_ground(_reduced(_eight_bits(image), size))
            if orientation in _TRANSPOSITIONS:
                upright = upright.transpose(_TRANSPOSITIONS[orientation])
            if orientation >= 5:
                width, height = height, width
            return Decoded(
                np.asarray(upright), width, height, image.format or name or "",
                taken, _quality(image), damaged,
            )  # fmt: skip
    except UnreadableImage:
        raise
    # Decoders of damaged files raise nearly everything: SyntaxError, IndexError, struct.error, MemoryError, ...
    except Exception as error:
        raise UnreadableImage(_reason(error, name)) from error


def _decode_raw(content: bytes, size: int | None, budget: ByteBudget | None) -> Decoded:
    with budget.reserve(3 * len(content)) if budget else nullcontext():
        preview = preview_of(content)
    if preview.pixels is None:
        decoded = decode_image(preview.jpeg, size=size, budget=budget)
        return replace(decoded, format="RAW")
    height, width = preview.pixels.shape[:2]
    _check_pixels(width, height, (width, height), reduced=False)
    return Decoded(np.asarray(_reduced(Image.fromarray(preview.pixels), size)), width, height, "RAW")


def _jpeg_xl_bytes(content: bytes) -> int:
    """Upper estimate of what decoding a JPEG XL takes; raises UnreadableImage where that is more than is given."""
    if not jpeg_xl.can_read_jpeg_xl():
        missing = f"JPEG XL is read with a package more: {how_to_install('pillow_jxl')}"
        raise UnreadableImage(missing) from ImportError("pillow_jxl")
    width, height = jpeg_xl.size_of(content)
    if not width:
        raise UnreadableImage("damaged JXL file: states no size")
    _check_pixels(width, height, (width, height), reduced=False)
    return width * height * _DECODER_BYTES["JXL"]


def jpeg_grid(content: bytes) -> JpegGrid | None:
    """Of a file's content; None where it is no JPEG, or not one that can be opened."""
    try:
        if format_of(content[:HEAD_BYTES]) not in ("JPEG", "MPO"):
            return None
        image = _open(content, "JPEG")
        steps = np.array(image.quantization[0], np.uint16)
        if steps.shape != (64,) or steps.min() < 1:
            return None
        return JpegGrid(np.minimum(steps, 255).astype(np.uint8).reshape(8, 8), _orientation(image))
    except Exception:  # as of damaged files above
        return None


def turned_back(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Upright pixels as a file of this EXIF orientation stores them."""
    if orientation not in _TRANSPOSITIONS:
        return pixels
    back = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}.get(orientation, _TRANSPOSITIONS[orientation])
    return np.asarray(Image.fromarray(pixels).transpose(back))


def _open(content: bytes, name: str | None) -> Any:
    """The header only, by the plugin of the format alone: not `Image.open`, which imports and tries many others."""
    if name is None:
        for weak in WEAK_FORMATS:
            try:
                return _open_as(content, weak)
            except Exception:  # not of this format, as nearly any exception can say
                continue
        raise UnreadableImage("empty file" if not content else "not an image of a known format")
    if name in ("ICO", "CUR", "ICNS"):  # decoded as soon as they are opened
        _check_embedded(content)
    if name == "TIFF":
        _check_tiff(content)
    if name in ("JPEG", "MPO"):
        _check_segments(content)
    return _open_as(content, name)


def _open_as(content: bytes, name: str) -> Any:
    if name == "HEIF":
        from pillow_heif import HeifImageFile

        return HeifImageFile(io.BytesIO(content), "")
    if name == "JXL":
        return _open_jpeg_xl(content)
    import_module(f"PIL.{PLUGINS[name]}")
    if name == "TIFF":
        _silence_libtiff()
    factory, accept = Image.OPEN[name]
    if accept and (refused := accept(content[:16])) is not True:
        raise UnreadableImage(refused if isinstance(refused, str) else f"not a {name} file")
    return factory(io.BytesIO(content), "")


def _open_jpeg_xl(content: bytes) -> Any:
    _jpeg_xl_bytes(content)
    return import_module("pillow_jxl.JpegXLImagePlugin").JXLImageFile(io.BytesIO(content), "")


@cache
def _silence_libtiff() -> None:
    """libtiff writes a line to stderr for each oddity of a file; what matters comes back as an exception anyway."""
    with suppress(OSError, AttributeError):  # a Pillow whose libtiff cannot be reached goes on writing
        library = ctypes.CDLL(import_module("PIL._imaging").__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)


def _check_embedded(content: bytes) -> None:
    """Sizes of all PNGs (IHDR) and JPEG 2000 streams (SIZ) within."""
    for header in re.finditer(rb"(?:IHDR|\xff\x4f\xff\x51.{4})(.{4})(.{4})", content, re.DOTALL):
        width, height = (int.from_bytes(side, "big") for side in header.groups())
        _check_pixels(width, height, (width, height), reduced=False)


def _check_tiff(content: bytes) -> None:
    """Refuse what Pillow allocates for before it is asked for a pixel: very many strips, or tiles of great size."""
    directory = first_directory(content)
    if max(directory.count(tag) for tag in (_STRIP_OFFSETS, _TILE_OFFSETS)) > MAX_STRIPS:
        raise UnreadableImage(f"a TIFF of more than {MAX_STRIPS:,} strips; save it anew to make it readable")
    width, height = directory.value(_TILE_WIDTH), directory.value(_TILE_LENGTH)
    if width and height:
        _check_pixels(width, height, (width, height), reduced=False)


def _check_segments(content: bytes) -> None:
    """Refuse a JPEG of very many segments before its first scan."""
    segments = takewhile(lambda marker: marker[0] != SCAN, markers(content))
    if next(islice(segments, MAX_SEGMENTS, None), None):
        raise UnreadableImage(f"a JPEG of more than {MAX_SEGMENTS} segments; save it anew to make it readable")


def _check_pixels(width: int, height: int, decoded: tuple[int, int], *, reduced: bool) -> None:
    limit = MAX_PIXELS if reduced else MAX_DECODED_PIXELS
    if width < 1 or height < 1:
        raise UnreadableImage(f"an image of {width} x {height} pixels")
    if width * height > limit or decoded[0] * decoded[1] > MAX_DECODED_PIXELS:
        raise UnreadableImage(
            f"{width} x {height} pixels are {width * height / 1e6:,.0f} Mpx, more than the {limit // 10**6} Mpx"
            " that are decoded; make a smaller copy"
        )


def _working_bytes(image: Any, size: int | None) -> int:
    """Upper estimate of the memory that decoding takes."""
    width, height = image.size
    stored = _STORAGE_BYTES.get(image.mode, 4)
    converted = 0 if image.mode in ("L", "RGB", "CMYK") else 4
    result = 0 if size else 11  # RGB, turned upright, and as an array
    decoding = _DECODER_BYTES.get(image.format, 0)
    if any(tile[0] in Image.DECODERS for tile in image.tile):  # written in Python, with lists of numbers
        decoding = 16
    return int(width) * int(height) * (stored + converted + result + decoding)


def _coefficient_bytes(image: Any, content: bytes) -> int:
    """Bytes of DCT coefficients that libjpeg keeps: all of them where the file has several scans, else none."""
    scans = _scans(content)
    components_in_first = next(scans, 0)
    if components_in_first >= len(image.layer) and not image.info.get("progressive"):
        return 0
    if sum(1 for _ in zip(scans, range(MAX_SCANS), strict=False)) >= MAX_SCANS:
        raise UnreadableImage(f"a JPEG of more than {MAX_SCANS} scans; save it anew to make it readable")
    widest = max(layer[1] for layer in image.layer)
    tallest = max(layer[2] for layer in image.layer)
    width, height = image.size
    samples = sum(
        -(-width * layer[1] // (8 * widest)) * -(-height * layer[2] // (8 * tallest)) * 64 for layer in image.layer
    )
    if 2 * samples > MAX_COEFFICIENT_BYTES:
        raise UnreadableImage(
            f"a progressive JPEG of {width} x {height} pixels needs {2 * samples // 10**6} MB at once, more than the"
            f" {MAX_COEFFICIENT_BYTES // 10**6} MB that are given; make a smaller or a baseline copy"
        )
    return int(2 * samples)


def _scans(content: bytes) -> Iterator[int]:
    """Number of components of each scan of a JPEG, up to the end of its first image (ITU-T T.81, annex B)."""
    for code, position in markers(content):
        if code == SCAN:
            yield content[position + 2] if position + 2 < len(content) else 0


def _orientation(image: Any) -> int:
    """EXIF orientation, 1 (upright) where it is missing, out of range or unreadable."""
    if image.format == "JXL" and not image.jpeg:  # turned upright already, whatever its Exif says
        return 1
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # the same variety as above, and the pixels are good
        return 1
    return value if isinstance(value, int) and value in _TRANSPOSITIONS else 1


def _taken(image: Any, content: bytes, size: tuple[int, int]) -> Taken:
    exif = content if image.format == "TIFF" else image.info.get("exif")
    return read_taken(exif, size) if isinstance(exif, bytes) else UNTOLD


def _quality(image: Any) -> int | None:
    return jpeg_quality(image.quantization) if image.format in ("JPEG", "MPO") else None


def _eight_bits(image: Any) -> Any:
    """The same picture in L, LA, RGB, RGBA or CMYK."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _scaled_grey(image)
    if image.mode == "LAB":
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.applyTransform(image, ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
    if image.has_transparency_data:
        return image if image.mode == "LA" else image.convert("RGBA")
    if image.mode == "1":
        grey = image.convert("L")
        return (
            ImageOps.invert(grey) if image.format == "XBM" else grey
        )  # a set bit is ink, and Pillow shows it as light
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _scaled_grey(image: Any) -> Image.Image:
    """Numbers of more than 8 bits as L, or as LA where one of them stands for transparent."""
    low, high = np.inf, -np.inf
    for numbers in _strips(image):
        finite = numbers[np.isfinite(numbers)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:  # nothing finite
        low = high = 0.0
    elif image.mode != "F" and low >= 0:
        low, high = 0.0, next((full for full in (255.0, 4095.0, 65535.0) if high <= full), high)
    transparent = image.info.get("transparency")
    width, height = image.size
    grey = np.empty((height, width), np.uint8)
    alpha = None if transparent is None else np.empty_like(grey)
    top = 0
    scale = 255 / (high - low) if low < high else 0.0
    for numbers in _strips(image):
        rows = slice(top, top := top + len(numbers))
        bounded = np.nan_to_num(numbers, nan=low, posinf=high, neginf=low)
        grey[rows] = np.rint((bounded - low) * scale)
        if alpha is not None:
            alpha[rows] = np.where(numbers == transparent, 0, 255)
    if alpha is None:
        return Image.fromarray(grey)
    return Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))


def _strips(image: Any) -> Iterator[NDArray[np.float64]]:
    """The rows of a single-channel image from top to bottom, about a million numbers at a time."""
    width, height = image.size
    rows = max(1, 2**20 // width)
    for top in range(0, height, rows):
        strip = np.asarray(image.crop((0, top, width, min(top + rows, height))))
        with np.errstate(invalid="ignore"):  # a signalling NaN is one like any other
            numbers = strip.astype(np.float64)
        yield numbers


def _reduced(image: Any, size: int | None) -> Any:
    factor = min(image.size) // (2 * size) if size else 1
    return image.reduce(factor) if factor > 1 else image


def _on_ground(image: Any) -> Any:
    """Transparency on white; on black what white would not show: a white drawing."""
    if image.mode not in ("LA", "RGBA"):
        return image.convert("RGB")
    image = image.convert("RGBA")
    on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if _least(on_white) >= 255 - _INVISIBLE and image.getextrema()[3][0] < 255:
        return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image).convert("RGB")
    return on_white


def _least(image: Image.Image) -> int:
    """The lowest value of any channel."""
    return min(low for low, _ in image.getextrema())  # type: ignore[misc]


def _reason(error: Exception, name: str | None) -> str:
    """What a decoder said, in one line, without addresses of objects."""
    file = f"{name} file" if name else "file"
    said = " ".join(re.sub(r"<[^<>]* at 0x[0-9a-fA-F]+>", "", str(error)).split())[:200]
    if isinstance(error, MemoryError):
        return f"{file}: not enough memory to decode it"
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\d+ pixels", said)
        return f"{file}: {pixels[0] if pixels else 'the pixels'} are more than are decoded; make a smaller copy"
    if "truncated" in said.lower() or isinstance(error, EOFError):
        return f"truncated {file}: {said or 'it ends too early'}"
    speaks = said and isinstance(error, (OSError, SyntaxError, ValueError, NotImplementedError))
    return f"damaged {file}: {said}" if speaks else f"damaged {file}: {type(error).__name__} {said}".rstrip()
