"""What a camera wrote: read from well-made files, and from whatever else may stand there."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neardup.images import decode_image
from neardup.images.exif import CAMERA, DATE, PLACE, Taken, read_taken
from neardup.images.quality import jpeg_quality

IFD, GPS = 0x8769, 0x8825


def exif(
    taken: str | None = "2015:05:01 10:00:00", *, make: str | None = "NIKON", gps: bool = False, **more: str
) -> Image.Exif:
    made = Image.Exif()
    if make is not None:
        made[271] = make
    photo = made.get_ifd(IFD)
    for tag, value in ((36867, taken), (37521, more.get("subseconds")), (36881, more.get("zone"))):
        if value is not None:
            photo[tag] = value
    if gps:
        made.get_ifd(GPS).update({1: "N", 2: (48.0, 6.0, 0.0), 3: "E", 4: (11.0, 30.0, 0.0)})
    return made


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_of_every_format_that_holds_it(name: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, name, exif=exif(gps=True).tobytes())
    assert decode_image(file.getvalue()).taken == Taken(1_430_474_400_000, CAMERA | DATE | PLACE)


@pytest.mark.parametrize(
    ("more", "later_ms"),
    [
        ({"subseconds": "5"}, 500),
        ({"subseconds": "0712"}, 71),
        ({"zone": "+02:00"}, -7_200_000),
        ({"zone": "-05:30"}, 19_800_000),
        ({"zone": "nonsense"}, 0),
    ],
)
def test_fractions_and_zones(more: dict[str, str], later_ms: int) -> None:
    assert read_taken(exif(**more).tobytes()).when_ms == 1_430_474_400_000 + later_ms


@pytest.mark.parametrize(
    "date",
    [
        "0000:00:00 00:00:00", "9999:99:99 99:99:99", "2015:13:01 10:00:00", "2015:02:30 10:00:00",
        "1500:01:01 00:00:00", "    :  :     :  :  ", "yesterday", "", "2015:05:01", "9999:12:31 23:59:59",
    ],
)  # fmt: skip
def test_a_date_that_is_none(date: str) -> None:
    assert read_taken(exif(date).tobytes()) == Taken(None, CAMERA)


def test_what_is_blank_says_nothing() -> None:
    assert read_taken(exif(None, make="  \0").tobytes()) == Taken()
    assert read_taken(b"") == Taken()


def directory(*entries: tuple[int, int, int, int], claimed: int | None = None) -> bytes:
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries) if claimed is None else claimed) + packed


@pytest.mark.parametrize(
    "content",
    [
        directory((IFD, 4, 1, 8)),  # a directory within itself
        directory((IFD, 4, 1, 0xFFFFFFF0), (GPS, 4, 1, 0xFFFFFFF0)),
        directory((271, 2, 0xFFFFFFFF, 8)),  # a name of 4 GiB
        directory((271, 2, 12, 0xFFFFFFFF)),
        directory(claimed=65_535),
        b"II*\0" + b"\xff" * 60_000,
        b"MM\0*\0\0\0\x08" + b"\x00\xff" * 30_000,
    ],
)
def test_directories_that_claim_what_is_not_there(content: bytes) -> None:
    assert read_taken(content).when_ms is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"Exif\0\0MM\0*\0\0\0\x08"]))
def test_any_bytes(content: bytes, head: bytes) -> None:
    found = read_taken(head + content)
    assert 0 <= found.kinds < 8


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_block_with_changed_bytes(data: st.DataObject) -> None:
    block = bytearray(exif(gps=True, subseconds="71", zone="+02:00").tobytes())
    for place in data.draw(st.lists(st.integers(0, len(block) - 1), max_size=8)):
        block[place] = data.draw(st.integers(0, 255))
    found = read_taken(bytes(block))
    assert found.when_ms is None or -2_300_000_000_000 < found.when_ms < 4_200_000_000_000


@pytest.mark.parametrize("quality", [15, 30, 50, 75, 90, 95, 98, 100])
def test_the_quality_is_the_one_that_it_was_saved_with(quality: int) -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, "JPEG", quality=quality)
    assert decode_image(file.getvalue()).quality == pytest.approx(quality, abs=1)


def test_a_table_that_cannot_be_one() -> None:
    assert jpeg_quality({}) is None
    assert jpeg_quality({0: [0] * 64}) is None
    assert jpeg_quality({0: [1] * 63}) is None
