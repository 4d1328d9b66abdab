"""Nothing is lost in silence: every kind of loss in a real file, and what is no loss."""

import io
import random
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from neardup.actions import make_plan
from neardup.actions.belongings import Belongings
from neardup.actions.losses import Losses
from neardup.groups import DuplicateGroup
from neardup.metadata import Metadata, losses, read_metadata
from neardup.metadata.facts import Facts
from tests.actions.a_collection import group_of, member_of
from tests.metadata.samples import (
    BOMB,
    EXIF_IFD,
    GPS,
    GPS_IFD,
    SAMPLES,
    Sample,
    exif_of,
    items,
    lost,
    picture,
    saved,
    with_exif,
    with_iptc,
    with_segment,
    with_xmp,
    xmp_of,
)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_every_kind_is_said(tmp_path: Path, sample: Sample) -> None:
    found = lost(tmp_path, sample)
    assert any(sample.said in phrase for phrase in found)
    assert len(found) == 1 or sample.kind == "second picture of an MPO", "and nothing that is not there"


@pytest.mark.parametrize("relation", ["exact", "copy", "edited", "similar", None])
def test_equal_pixels_are_no_reason_to_be_silent(tmp_path: Path, relation: str | None) -> None:
    """`exact` is a relation of pixels; what else a file holds is named whatever its relation is."""
    (tmp_path / "keeper.jpg").write_bytes(saved("jpg"))
    (tmp_path / "member.jpg").write_bytes(with_iptc((120, "Grandma, 1987"))())
    keeper, member = group_of(tmp_path / "keeper.jpg", tmp_path / "member.jpg").members
    member = replace(member, relation=relation, told=True)  # type: ignore[arg-type]
    [step] = make_plan([DuplicateGroup((keeper, member))], "delete").steps
    assert step.lost == ('caption "Grandma, 1987"',)


def with_thumbnail() -> bytes:
    """EXIF whose second directory holds a small picture of it (CIPA DC-008, 4.5.4)."""
    small = saved("jpg", picture().resize((8, 8)))
    first = struct.pack("<HI", 0, 14)
    second = struct.pack("<HHHIIHHIII", 2, 0x201, 4, 1, 44, 0x202, 4, 1, len(small), 0)
    return with_segment(0xE1, b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + second + small)()


@pytest.mark.parametrize(
    "content",
    [
        with_thumbnail(),
        with_exif({274: 6})(),
        with_exif({282: 72.0, 283: 72.0, 296: 2})(),
        with_segment(0xFE, b" " * 4096)(),
        saved("jpg") + b"\0" * 4096,
        saved("jpg", progressive=True, quality=30),
        saved("png"),
        saved("bmp"),
    ],
    ids=["thumbnail", "orientation", "resolution", "blank comment", "padding", "progressive", "png", "bmp"],
)
def test_what_is_no_loss(tmp_path: Path, content: bytes) -> None:
    assert lost(tmp_path, Sample("", "jpg", lambda: content, "")) == ()


SAME = [
    with_exif({36867: "1987:05:01 10:00:00"}, EXIF_IFD)(),
    with_xmp("<xmp:CreateDate>1987-05-01T10:00:00.00+02:00</xmp:CreateDate>")(),
    with_iptc((55, "19870501"), (60, "100000+0200"))(),
]
PLACES = [
    with_exif(GPS, GPS_IFD)(),
    with_xmp("<exif:GPSLatitude>52,31,12N</exif:GPSLatitude><exif:GPSLongitude>13,24.3E</exif:GPSLongitude>")(),
]
CAPTIONS = [
    with_exif({270: "Grandma, 1987"})(),
    with_iptc((120, "Grandma, 1987"))(),
    with_xmp(items("dc:description", "Alt", "Grandma,\n 1987"))(),
]
WORDS = [
    with_exif({0x9C9E: "family;1987\0".encode("utf-16-le")})(),
    with_iptc((25, "1987"), (25, "family"))(),
    with_xmp(items("dc:subject", "Bag", "Family", "1987"))(),
]
RATINGS = [with_exif({0x4746: 5})(), with_exif({0x4749: 99})(), with_xmp("<xmp:Rating>5</xmp:Rating>")()]


@pytest.mark.parametrize("written", [SAME, PLACES, CAPTIONS, WORDS, RATINGS])
def test_one_fact_in_another_block_is_no_loss(tmp_path: Path, written: list[bytes]) -> None:
    read = []
    for number, content in enumerate(written):
        (tmp_path / f"{number}.jpg").write_bytes(content)
        read.append(read_metadata(tmp_path / f"{number}.jpg"))
    for mine in read:
        assert losses(mine, Metadata())
        for theirs in read:
            assert losses(mine, theirs) == ()


@pytest.mark.parametrize(
    ("mine", "theirs", "said"),
    [
        (
            with_exif({36867: "2019:05:01 10:00:00"}, EXIF_IFD),
            with_exif({36867: "2021:01:01 10:00:00"}, EXIF_IFD),
            "other date 2019-05-01 against 2021-01-01",
        ),
        (
            with_exif({36867: "2019:05:01 10:00:00"}, EXIF_IFD),
            with_exif({36867: "2019:05:01 10:00:01"}, EXIF_IFD),
            "other date 2019-05-01 10:00:00 against 2019-05-01 10:00:01",
        ),
        (
            with_exif(GPS, GPS_IFD),
            with_exif(GPS | {3: "W"}, GPS_IFD),
            "other GPS position 52.52000, 13.40500 against 52.52000, -13.40500",
        ),
        (with_exif({0x4746: 5}), with_xmp("<xmp:Rating>2</xmp:Rating>"), "other rating 5 against 2"),
        (with_exif({270: "A"}), with_iptc((120, "B")), 'other caption "A" against "B"'),
        (with_iptc((25, "a"), (25, "b")), with_iptc((25, "b"), (25, "c")), "keywords a"),
        (with_exif({315: "A"}), with_exif({315: "B"}), "other author A against B"),
        (with_segment(0xFE, b"A"), with_segment(0xFE, b"B"), 'comment "A"'),
    ],
)
def test_other_values_are_said_as_such(tmp_path: Path, mine: object, theirs: object, said: str) -> None:
    for name, make in (("mine", mine), ("theirs", theirs)):
        (tmp_path / name).write_bytes(make())  # type: ignore[operator]
    assert losses(read_metadata(tmp_path / "mine"), read_metadata(tmp_path / "theirs")) == (said,)


def test_long_texts_that_begin_alike_are_two() -> None:
    first, second = Facts(), Facts()
    first.add("PNG text", "workflow: " + "x" * 100_000 + "1")
    second.add("PNG text", "workflow: " + "x" * 100_000 + "2")
    assert len(losses(first.metadata(), second.metadata())) == 1
    assert losses(first.metadata(), first.metadata()) == ()


def test_a_sidecar_speaks_for_its_picture(tmp_path: Path) -> None:
    """Also where the pictures are the same bytes: it goes with the one that goes."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(saved("jpg"))
    (tmp_path / "b.jpg.xmp").write_bytes(xmp_of("<xmp:Rating>4</xmp:Rating>"))
    (tmp_path / "c.xmp").write_bytes(BOMB)
    group = group_of(*(tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")))
    lost = {step.path.name: step.lost for step in make_plan([group], "trash").steps}
    assert lost == {"b.jpg": ("rating 4",), "c.jpg": ("its sidecar c.xmp cannot be read",)}
    assert [step.lost for step in make_plan([group], "hardlink").steps] == [(), ()]
    back = group_of(*(tmp_path / name for name in ("b.jpg", "a.jpg")))
    assert [step.lost for step in make_plan([back], "trash").steps] == [()]


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "gif", "heic", "avif", "bmp"])
def test_damaged_files_never_stop_a_plan(tmp_path: Path, ending: str) -> None:
    """Bytes changed and cut at random: whatever is said, nothing is raised."""
    rng = random.Random(ending)
    exif = {} if ending in ("gif", "bmp") else {"exif": exif_of({270: "caption", 0x4746: 3}).tobytes()}
    whole = saved(ending, **exif)
    path = tmp_path / f"a.{ending}"
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(rng.randrange(1, 12)):
            content[rng.randrange(min(len(content), 600))] = rng.randrange(256)
        path.write_bytes(content[: rng.choice((len(content), rng.randrange(len(content))))])
        losses(read_metadata(path), Metadata())


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.jpg")
    assert read_metadata(tmp_path / "pipe.jpg").unreadable == ("metadata",)
    (tmp_path / "a.jpg").write_bytes(saved("jpg"))
    os.mkfifo(tmp_path / "a.jpg.xmp")
    member = member_of(tmp_path / "a.jpg")
    assert Losses(Belongings()).said(member.path) == read_metadata(member.path)


def test_each_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("neardup.actions.losses.read_metadata", lambda path: asked.append(path) or Metadata())
    paths = [tmp_path / f"{number}.jpg" for number in range(20)]
    for number, path in enumerate(paths):
        path.write_bytes(saved("jpg", quality=30 + number))
    make_plan([group_of(*paths)], "trash")
    assert sorted(asked) == sorted(paths)


def test_no_picture_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageFile

    def refuse(self: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
    for ending in ("jpg", "png", "webp", "tif", "bmp", "avif"):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending))
        (tmp_path / ending).write_bytes(file.getvalue())
        assert read_metadata(tmp_path / ending).unreadable == ()
