"""A file of every kind of loss, and what a plan must say of it; `python -m tests.metadata.samples` prints the table."""

import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
from PIL import Image, ImageCms, PngImagePlugin

from neardup.actions import make_plan
from tests.actions.a_collection import group_of

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(range(1, 256)) * 4


@dataclass(frozen=True)
class Sample:
    """A kind of loss: the ending of its file, the file's content, and part of what is said of it."""

    kind: str
    ending: str
    make: Callable[[], bytes]
    said: str


def picture(mode: str = "RGB") -> Image.Image:
    ramp = np.linspace(0, 255, 48 * 32 * 3).reshape(32, 48, 3).astype(np.uint8)
    return Image.fromarray(ramp).convert(mode)


def saved(ending: str, image: Image.Image | None = None, **how: Any) -> bytes:
    file = io.BytesIO()
    (image or picture()).save(file, {"jpg": "JPEG", "tif": "TIFF", "heic": "HEIF"}.get(ending, ending), **how)
    return file.getvalue()


def exif_of(tags: dict[int, Any], directory: int | None = None) -> Image.Exif:
    exif = Image.Exif()
    where = exif.get_ifd(directory) if directory else exif
    where.update(tags)
    return exif


def with_exif(tags: dict[int, Any], directory: int | None = None, ending: str = "jpg") -> Callable[[], bytes]:
    # As bytes: Pillow's TIFF writer takes nothing else for a directory within.
    return lambda: saved(ending, exif=exif_of(tags, directory).tobytes())


def wide(tag: int, text: str) -> Callable[[], bytes]:
    return with_exif({tag: (text + "\0").encode("utf-16-le")})


def with_segment(marker: int, content: bytes) -> Callable[[], bytes]:
    def make() -> bytes:
        whole = saved("jpg")
        return whole[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content + whole[2:]

    return make


def with_iptc(*datasets: tuple[int, str]) -> Callable[[], bytes]:
    data = b"".join(struct.pack(">BBBH", 0x1C, 2, number, len(t.encode())) + t.encode() for number, t in datasets)
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)
    return with_segment(0xED, b"Photoshop 3.0\0" + resource)


def xmp_of(properties: str) -> bytes:
    namespaces = (
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"'
        ' xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/"'
        ' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:GAudio="http://ns.google.com/photos/1.0/audio/"'
    )
    return (
        f'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF{namespaces}>'
        f'<rdf:Description rdf:about="">{properties}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def with_xmp(properties: str, ending: str = "jpg") -> Callable[[], bytes]:
    packet = xmp_of(properties)
    if ending == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        return lambda: saved("png", pnginfo=info)
    if ending == "tif":
        return lambda: saved("tif", tiffinfo={700: packet})
    return lambda: saved(ending, xmp=packet)


def items(name: str, kind: str, *texts: str) -> str:
    return f"<{name}><rdf:{kind}>{''.join(f'<rdf:li>{text}</rdf:li>' for text in texts)}</rdf:{kind}></{name}>"


def with_raw_xmp(packet: bytes) -> Callable[[], bytes]:
    return with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'
DEEP = b"<a>" * 10_000 + b"</a>" * 10_000


def with_text(compressed: bool, international: bool) -> Callable[[], bytes]:
    info = PngImagePlugin.PngInfo()
    (info.add_itxt if international else info.add_text)("parameters", "a cat in a hat, Steps: 30", zip=compressed)
    return lambda: saved("png", pnginfo=info)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk_behind(kind: bytes, content: bytes) -> Callable[[], bytes]:
    """Behind the pixels, where Pillow looks only once it has decoded them."""
    return lambda: (whole := saved("png"))[:-12] + chunk(kind, content) + whole[-12:]


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def behind(ending: str, rest: bytes, **how: Any) -> Callable[[], bytes]:
    return lambda: saved(ending, **how) + rest


def gif_with_xmp() -> bytes:
    whole = saved("gif", comment=b"")
    start = 13 + (3 << (whole[10] & 7) + 1)  # behind the palette
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    packet = xmp_of("<xmp:Rating>4</xmp:Rating>")
    return whole[:start] + b"\x21\xff\x0bXMP DataXMP" + packet + trailer + whole[start:]


def frames(ending: str) -> Callable[[], bytes]:
    def make() -> bytes:
        turned = [picture().rotate(angle) for angle in (0, 90, 180)]
        return saved(ending, turned[0], save_all=True, append_images=turned[1:])

    return make


def clear() -> Image.Image:
    image = picture()
    image.putalpha(100)
    return image


def clear_gif() -> bytes:
    image = picture("P")
    return saved("gif", image, transparency=image.getpixel((5, 5)))


def deep_png() -> bytes:
    return bytes(cv2.imencode(".png", np.arange(48 * 32 * 3, dtype=np.uint16).reshape(32, 48, 3))[1])


def deep_heic() -> bytes:
    numbers = np.arange(48 * 32 * 3, dtype=np.uint16).reshape(32, 48, 3) * 40
    file = io.BytesIO()
    pillow_heif.encode("RGB;16", (48, 32), numbers.tobytes(), file, quality=80)
    return file.getvalue()


def marked_jpeg(mark: bytes) -> bytes:
    """A further picture, such as cameras put behind the first one, with XMP of its own."""
    packet = b"http://ns.adobe.com/xap/1.0/\0" + mark
    return with_segment(0xE1, packet)()


GPS = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}
SAMPLES = (
    Sample("EXIF date", "jpg", with_exif({36867: "1987:05:01 10:00:00"}, EXIF_IFD), "date 1987-05-01 10:00:00"),
    Sample("EXIF date of scanning", "jpg", with_exif({36868: "1987:05:01 10:00:00"}, EXIF_IFD), "date 1987-05-01"),
    Sample("EXIF date of saving", "jpg", with_exif({306: "1987:05:01 10:00:00"}), "date 1987-05-01"),
    Sample("EXIF GPS", "jpg", with_exif(GPS, GPS_IFD), "GPS position 52.52000, 13.40500"),
    Sample("EXIF GPS altitude", "jpg", with_exif({6: 34.0}, GPS_IFD), "other EXIF (GPSAltitude)"),
    Sample("EXIF camera", "jpg", with_exif({271: "Canon", 272: "EOS 5"}), "camera Canon EOS 5"),
    Sample("EXIF lens", "jpg", with_exif({0xA434: "EF 50"}, EXIF_IFD), "lens and exposure (LensModel)"),
    Sample("EXIF exposure", "jpg", with_exif({0x829D: 2.8}, EXIF_IFD), "lens and exposure (FNumber)"),
    Sample("EXIF rating", "jpg", with_exif({0x4746: 5}), "rating 5"),
    Sample("EXIF rating in percent", "jpg", with_exif({0x4749: 75}), "rating 4"),
    Sample("EXIF caption", "jpg", with_exif({270: "Grandma, 1987"}), 'caption "Grandma, 1987"'),
    Sample("EXIF copyright", "jpg", with_exif({33432: "Me"}), "copyright Me"),
    Sample("EXIF artist", "jpg", with_exif({315: "Me"}), "author Me"),
    Sample("EXIF comment", "jpg", with_exif({0x9286: b"ASCII\0\0\0Grandma"}, EXIF_IFD), 'comment "Grandma"'),
    Sample(
        "EXIF comment in Unicode", "jpg", with_exif({0x9286: b"UNICODE\0\xe4\0h\0"}, EXIF_IFD), 'comment "äh"'
    ),
    Sample("EXIF maker note", "jpg", with_exif({0x927C: b"\x01camera's own"}, EXIF_IFD), "maker note"),
    Sample("EXIF of other kinds", "jpg", with_exif({305: "Editor 3"}), "other EXIF (Software)"),
    Sample("Windows title", "jpg", wide(0x9C9B, "Grandma"), 'title "Grandma"'),
    Sample("Windows comment", "jpg", wide(0x9C9C, "Grandma"), 'comment "Grandma"'),
    Sample("Windows author", "jpg", wide(0x9C9D, "Me"), "author Me"),
    Sample("Windows keywords", "jpg", wide(0x9C9E, "family;1987"), "keywords family, 1987"),
    Sample("Windows subject", "jpg", wide(0x9C9F, "Grandma"), 'title "Grandma"'),
    Sample("IPTC caption", "jpg", with_iptc((120, "Grandma, 1987")), 'caption "Grandma, 1987"'),
    Sample("IPTC keywords", "jpg", with_iptc((25, "family"), (25, "1987")), "keywords family, 1987"),
    Sample("IPTC title", "jpg", with_iptc((5, "Grandma")), 'title "Grandma"'),
    Sample("IPTC author", "jpg", with_iptc((80, "Me")), "author Me"),
    Sample("IPTC copyright", "jpg", with_iptc((116, "Me")), "copyright Me"),
    Sample("IPTC date", "jpg", with_iptc((55, "19870501")), "date 1987-05-01"),
    Sample("IPTC of other kinds", "jpg", with_iptc((90, "Berlin")), "other IPTC (city)"),
    Sample("XMP date", "jpg", with_xmp("<xmp:CreateDate>1987-05-01T10:00:00</xmp:CreateDate>"), "date 1987-05-01"),
    Sample(
        "XMP GPS", "jpg",
        with_xmp("<exif:GPSLatitude>52,31.2N</exif:GPSLatitude><exif:GPSLongitude>13,24.3E</exif:GPSLongitude>"),
        "GPS position 52.52000, 13.40500",
    ),
    Sample("XMP rating", "jpg", with_xmp("<xmp:Rating>5</xmp:Rating>"), "rating 5"),
    Sample("XMP caption", "jpg", with_xmp(items("dc:description", "Alt", "Grandma")), 'caption "Grandma"'),
    Sample("XMP keywords", "jpg", with_xmp(items("dc:subject", "Bag", "family", "1987")), "keywords family, 1987"),
    Sample("XMP title", "jpg", with_xmp(items("dc:title", "Alt", "Grandma")), 'title "Grandma"'),
    Sample("XMP author", "jpg", with_xmp(items("dc:creator", "Seq", "Me")), "author Me"),
    Sample("XMP copyright", "jpg", with_xmp(items("dc:rights", "Alt", "Me")), "copyright Me"),
    Sample("XMP of other kinds", "jpg", with_xmp("<xmp:Label>Red</xmp:Label>"), "other XMP (xmp:Label)"),
    Sample(
        "XMP hierarchy", "jpg", with_xmp(items("lr:hierarchicalSubject", "Bag", "a|b")),
        "other XMP (lr:hierarchicalSubject)",
    ),
    Sample("XMP that is a bomb", "jpg", with_raw_xmp(BOMB), "other XMP (that cannot be read)"),
    Sample("XMP that is very deep", "jpg", with_raw_xmp(DEEP[:65000]), "other XMP (that cannot be read)"),
    Sample(
        "XMP extension", "jpg", with_segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 80),
        "other XMP (extension",
    ),
    Sample("PNG text", "png", with_text(False, False), "PNG text (parameters: a cat in a hat, Steps: 30)"),
    Sample("PNG text, compressed", "png", with_text(True, False), "PNG text (parameters: a cat in a hat, Steps: 30)"),
    Sample("PNG text, international", "png", with_text(True, True), "PNG text (parameters: a cat in a hat, Steps: 30)"),
    Sample(
        "PNG text behind the pixels", "png", with_chunk_behind(b"tEXt", b"parameters\0a cat"),
        "PNG text (parameters: a cat)",
    ),
    Sample("JPEG comment", "jpg", with_segment(0xFE, b"Grandma, 1987"), 'comment "Grandma, 1987"'),
    Sample("GIF comment", "gif", lambda: saved("gif", comment=b"Grandma, 1987"), 'comment "Grandma, 1987"'),
    *(
        Sample(f"colour profile in {ending}", ending, lambda ending=ending: saved(ending, icc_profile=profile()),
               "colour profile (")
        for ending in ("jpg", "png", "webp", "tif", "avif", "heic")
    ),
    *(
        Sample(f"EXIF in {ending}", ending, with_exif({270: "Grandma, 1987"}, None, ending), 'caption "Grandma, 1987"')
        for ending in ("png", "webp", "tif", "avif", "heic")
    ),
    *(
        Sample(f"XMP in {ending}", ending, with_xmp("<xmp:Rating>4</xmp:Rating>", ending), "rating 4")
        for ending in ("png", "webp", "tif", "avif", "heic")
    ),
    Sample("XMP in gif", "gif", gif_with_xmp, "rating 4"),
    Sample("film behind a JPEG", "jpg", behind("jpg", MP4), "film in the file ("),
    Sample("film behind a progressive JPEG", "jpg", behind("jpg", MP4, progressive=True), "film in the file ("),
    Sample("film behind padding", "jpg", behind("jpg", b"\0" * 5000 + MP4), "film in the file ("),
    Sample("film in a maker's own data", "jpg", behind("jpg", b"\1\2MotionPhoto_Data" + MP4), "film in the file ("),
    Sample(
        "film in a HEIC", "heic", behind("heic", struct.pack(">I", 8 + len(MP4)) + b"mpvd" + MP4), "film in the file ("
    ),
    Sample("film behind a PNG", "png", behind("png", MP4), "film in the file ("),
    Sample("gain map behind a JPEG", "jpg",
        behind("jpg", marked_jpeg(b'<x hdrgm:Version="1.0"/>')), "gain map (HDR) ("),
    Sample("gain map that XMP names", "jpg", with_xmp("<hdrgm:Version>1.0</hdrgm:Version>"), "gain map (HDR)"),
    Sample(
        "depth map behind a JPEG", "jpg",
        behind("jpg", marked_jpeg(b"urn:com:apple:photo:2018:aux:depth")), "depth map ("
    ),
    Sample("depth map in XMP", "jpg", with_xmp("<GDepth:Data>AAAA</GDepth:Data>"), "depth map"),
    Sample("sound in XMP", "jpg", with_xmp("<GAudio:Data>AAAA</GAudio:Data>"), "sound in the file"),
    Sample("second picture of an MPO", "mpo", frames("mpo"), "further picture in the file ("),
    Sample("other data behind a JPEG", "jpg", behind("jpg", b"a note" * 9), "data behind the picture (54 B)"),
    Sample("content credentials", "jpg",
        with_segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x20jumb"), "content credentials (C2PA)"),
    Sample("clipping path", "jpg",
        with_segment(0xED, b"Photoshop 3.0\x008BIM\x07\xd0\0\0\0\0\0\2ab"), "Photoshop data"),
    *(
        Sample(f"frames in {ending}", ending, frames(ending), "frames 3 against 1")
        for ending in ("gif", "png", "webp", "avif")
    ),
    Sample("pages in tif", "tif", frames("tif"), "pages 3 against 1"),
    *(
        Sample(f"transparency in {ending}", ending, lambda ending=ending: saved(ending, clear()), "transparency")
        for ending in ("png", "webp", "tif", "avif", "heic")
    ),
    Sample("transparency in gif", "gif", clear_gif, "transparency"),
    Sample("16 bits in a PNG", "png", deep_png, "16 bits a channel against 8"),
    Sample(
        "16 bits in a TIFF", "tif",
        lambda: saved("tif", Image.fromarray(np.arange(1536, dtype=np.uint16).reshape(32, 48))),
        "16 bits a channel against 8",
    ),
    Sample("more than 8 bits in a HEIC", "heic", deep_heic, "bits a channel against 8"),
    Sample("what cannot be read", "jpg", lambda: b"no picture any more", "its metadata cannot be read"),
)  # fmt: skip


def lost(folder: Path, sample: Sample) -> tuple[str, ...]:
    """What a plan says of the sample beside a keeper of the same picture with nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    keeper, member = folder / "keeper.jpg", folder / f"member.{sample.ending}"
    keeper.write_bytes(saved("jpg", quality=50))
    member.write_bytes(sample.make())
    [step] = make_plan([group_of(keeper, member)], "trash").steps
    return step.lost


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        said = 0
        for number, sample in enumerate(SAMPLES):
            found = lost(Path(home) / str(number), sample)
            is_said = any(sample.said in phrase for phrase in found)
            said += is_said
            print(f"{sample.kind:<34}{'said' if is_said else 'NOT SAID':<10}{'; '.join(found)}")
        print(f"{said} of {len(SAMPLES)} kinds are said.")


pillow_heif.register_heif_opener()

if __name__ == "__main__":
    main()
