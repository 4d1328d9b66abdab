"""One image file to what it says beside its pixels; nothing is decoded, and errors are part of the answer."""

import io
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from neardup.errors import UnreadableImage
from neardup.images import read_file
from neardup.images.decode import MAX_STRIPS
from neardup.images.formats import HEAD_BYTES, PLUGINS, format_of
from neardup.images.tiff import first_directory
from neardup.metadata import containers, jpeg, kinds
from neardup.metadata.exif import add_exif, add_saved_date
from neardup.metadata.facts import Facts, Metadata
from neardup.metadata.iptc import add_iptc
from neardup.metadata.xmp import add_xmp
from neardup.text import show_bytes

# Decoded as soon as they are opened, and without metadata.
_BARE = ("ICO", "CUR", "ICNS")
_MOST_FRAMES = 2000
# Pillow finds out how many frames a GIF has by going through them.
_LARGEST_COUNTED_BYTES = 64 << 20
_FRAME_NAMES = {"TIFF": "pages", "PSD": "layers", "DCX": "pages"}
_STRIPS = (273, 324)  # TIFF's tags
_BITS_PER_SAMPLE = 258
# Apple's, by the ends of their names.
_AUXILIARY = {"hdrgainmap": kinds.GAIN_MAP, "depth": kinds.DEPTH, "disparity": kinds.DEPTH}
# ImageMagick writes them into each PNG: when the file, not the picture, was made.
_FILE_DATES = ("date:create", "date:modify", "date:timestamp")


def read_metadata(path: Path) -> Metadata:
    """What a regular file says; `unreadable` names what could not be read, be it all of it. Never raises."""
    facts = Facts()
    try:
        content = read_file(path)
        name = format_of(content[:HEAD_BYTES])
        if name not in _BARE:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _read(facts, content, name)
    except Exception:  # decoders of odd files raise nearly everything, and a plan goes on
        facts.unreadable.append("metadata")
    return facts.metadata()


def _read(facts: Facts, content: bytes, name: str | None) -> None:
    image = _open(content, name)
    parts: dict[str, Callable[[], None]] = {
        "EXIF": lambda: add_exif(facts, _exif(image)),
        "IPTC": lambda: _add_iptc(facts, image),
        "XMP": lambda: _add_xmp(facts, image),
        "date": lambda: add_saved_date(facts, _exif(image)),
        "texts": lambda: _add_texts(facts, image),
        "further content": lambda: _add_further(facts, image, content, str(name)),
        "frames": lambda: _count_frames(facts, image, content, str(name)),
        "channels": lambda: _add_channels(facts, image, content, str(name)),
    }
    for part, add in parts.items():
        try:
            add()
        except Exception:  # one damaged block leaves the others
            facts.unreadable.append(part)


def _open(content: bytes, name: str | None) -> Any:
    """The header, by the plugin of the format alone, within the limits of `images.decode`."""
    from PIL import Image

    if name == "HEIF":
        from pillow_heif import HeifImageFile

        return HeifImageFile(io.BytesIO(content), "")
    if name is None:
        raise UnreadableImage("not an image of a known format")
    if name == "JPEG" and jpeg.is_crowded(content):
        raise UnreadableImage("a JPEG of very many segments")
    if name == "TIFF" and max(map(first_directory(content).count, _STRIPS)) > MAX_STRIPS:
        raise UnreadableImage("a TIFF of very many strips")
    import_module(f"PIL.{PLUGINS[name]}")
    factory, _ = Image.OPEN[name]
    return factory(io.BytesIO(containers.png_without_pixels(content) if name == "PNG" else content), "")


def _exif(image: Any) -> Any:
    """Not the PNG plugin's own way, which decodes the picture where no EXIF stands before it."""
    from PIL import Image

    return Image.Image.getexif(image) if image.format == "PNG" else image.getexif()


def _add_iptc(facts: Facts, image: Any) -> None:
    from PIL.IptcImagePlugin import getiptcinfo

    add_iptc(facts, getiptcinfo(image) or {})


def _add_xmp(facts: Facts, image: Any) -> None:
    if packet := image.info.get("xmp") or _gif_xmp(image):
        try:
            add_xmp(facts, packet)
        except ValueError:
            facts.add(kinds.OTHER_XMP, "that cannot be read")
    extended = [part for segment, part in _segments(image) if part.startswith(b"http://ns.adobe.com/xmp/extension/\0")]
    if extended and not {kinds.DEPTH, kinds.FURTHER, kinds.GAIN_MAP} & facts.said.keys():
        facts.add(kinds.OTHER_XMP, f"extension of {show_bytes(sum(map(len, extended)))}")


def _gif_xmp(image: Any) -> bytes:
    """XMP's own extension of a GIF: the packet, then 258 bytes that lead any reader of blocks to the end."""
    kind, place = image.info.get("extension") or (b"", 0)
    if image.format != "GIF" or not kind.startswith(b"XMP DataXMP"):
        return b""
    file = image.fp
    here = file.tell()
    file.seek(place - 1)
    packet = file.read(1 << 20)
    file.seek(here)
    end = packet.find(b"\x01\xff\xfe\xfd")
    return bytes(packet[packet.find(b"<") : end]) if end > 0 else b""


def _segments(image: Any) -> list[tuple[str, bytes]]:
    """Of a JPEG: the names and contents of its marker segments."""
    return list(getattr(image, "applist", []))


def _add_texts(facts: Facts, image: Any) -> None:
    """Comments of JPEG and GIF, and the text chunks of PNG."""
    comments = [part for segment, part in _segments(image) if segment == "COM"] or [image.info.get("comment", "")]
    for comment in comments:
        text = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)
        facts.add(kinds.COMMENT, text)
    texts: Mapping[str, str] = image.png.im_text if image.format == "PNG" else {}
    for name, text in texts.items():
        if name not in ("XML:com.adobe.xmp", "Raw profile type exif", *_FILE_DATES):
            facts.add(kinds.PNG_TEXT, f"{name}: {text}")


def _add_further(facts: Facts, image: Any, content: bytes, name: str) -> None:
    if profile := image.info.get("icc_profile"):
        facts.add(kinds.PROFILE, kinds.PROFILE, show_bytes(len(profile)))
    photoshop = image.info.get("photoshop")
    if isinstance(photoshop, dict) and any(2000 <= resource <= 2997 for resource in photoshop):
        facts.add(kinds.PHOTOSHOP, "paths")
    if any(segment == "APP11" and b"jumb" in part[:64] for segment, part in _segments(image)):
        facts.add(kinds.CREDENTIALS, "C2PA")
    if name == "JPEG":
        jpeg.add_behind(facts, content, thumbnails=_thumbnails(image))
    elif name == "PNG":
        if containers.has_chunk(content, b"caBX"):
            facts.add(kinds.CREDENTIALS, "C2PA")
        if content[(rest := containers.png_rest(content)) :].strip(b"\0\r\n "):
            jpeg.add_rest(facts, content, rest)
    elif name in ("HEIF", "AVIF"):
        _add_auxiliary(facts, image.info)
        containers.add_boxes(facts, content)


def _thumbnails(image: Any) -> int:
    """How many pictures of an MPO are previews of the first."""
    entries = (getattr(image, "mpinfo", None) or {}).get(0xB002, ())
    return sum(str(entry["Attribute"]["MPType"]).startswith("Large Thumbnail") for entry in entries)


def _add_auxiliary(facts: Facts, info: Mapping[str, Any]) -> None:
    """What pillow-heif lists beside the picture of a HEIC."""
    if info.get("depth_images"):
        facts.add(kinds.DEPTH, "picture", "")
    for urn in info.get("aux") or {}:
        short = str(urn).rpartition(":")[2]
        kind = (
            kinds.GAIN_MAP
            if "gainmap" in short.lower()
            else kinds.DEPTH
            if short in ("depth", "disparity")
            else kinds.FURTHER
        )
        facts.add(kind, "picture" if kind != kinds.FURTHER else short)


def _count_frames(facts: Facts, image: Any, content: bytes, name: str) -> None:
    facts.frame_name = _FRAME_NAMES.get(name, "frames")
    if name == "JPEG":  # the pictures behind the first one of an MPO are no frames
        return
    if name == "PNG":
        facts.frames = containers.png_frames(content)
    elif name == "TIFF" or (name == "GIF" and len(content) > _LARGEST_COUNTED_BYTES):
        facts.frames = _sought(image, _MOST_FRAMES if name == "TIFF" else 2)
    else:
        facts.frames = max(1, int(getattr(image, "n_frames", 1)))


def _sought(image: Any, most: int) -> int:
    count = 1
    try:
        while count < most:
            image.seek(count)
            count += 1
    except EOFError:
        image.seek(0)
    return count


def _add_channels(facts: Facts, image: Any, content: bytes, name: str) -> None:
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        facts.add(kinds.ALPHA, kinds.ALPHA, "")
    facts.bits = 32 if image.mode in ("F", "I") else 16 if image.mode.startswith("I;16") else 8
    if name == "PNG":
        facts.bits = max(8, content[24])
    elif name == "TIFF":
        facts.bits = max(facts.bits, *image.tag_v2.get(_BITS_PER_SAMPLE, (8,)))
    elif name == "HEIF":
        facts.bits = int(image.info.get("bit_depth", 8))
    elif name == "AVIF":
        facts.bits = containers.av1_bits(content)
