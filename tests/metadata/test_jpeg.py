"""Where the first picture of a JPEG ends, and what stands behind it."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.metadata import read_metadata
from neardup.metadata.jpeg import MAX_SEGMENTS, Part, end_of_picture, is_crowded, parts_behind
from tests.metadata.samples import frames, saved, with_segment

JPEGS = [
    saved("jpg"),
    saved("jpg", progressive=True),
    saved("jpg", quality=100, subsampling=0),
    with_segment(0xFE, b"an end that is none: \xff\xd9")(),
    with_segment(0xE1, b"Exif\0\0" + saved("jpg"))(),
]


@pytest.mark.parametrize("content", JPEGS)
def test_a_picture_ends_where_its_file_does(content: bytes) -> None:
    assert end_of_picture(content) == len(content)
    assert list(parts_behind(content)) == []


def test_a_table_between_scans_may_hold_the_bytes_of_an_end() -> None:
    whole = JPEGS[1]
    place = whole.rindex(b"\xff\xda")
    table = b"\xff\xc4" + struct.pack(">H", 6) + b"\x10\xff\xd9\x01"
    content = whole[:place] + table + whole[place:]
    assert end_of_picture(content + b"more") == len(content)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(JPEGS), st.lists(st.sampled_from(JPEGS), max_size=3), st.binary(max_size=80), st.integers(0, 99))
def test_all_that_follows_is_found(first: bytes, further: list[bytes], rest: bytes, zeros: int) -> None:
    padding = b"\0" * zeros
    content = first + b"".join(padding + picture for picture in further)
    if rest.strip(b"\0\xff\r\n\t ")[:1] not in (b"", b"\xd8"):
        expected_rest = True
        content += b"\1" + rest
    else:
        expected_rest = False
    parts = list(parts_behind(content))
    assert [part.is_picture for part in parts] == [True] * len(further) + [False] * expected_rest
    for part, picture in zip(parts, further, strict=False):
        assert content[part.start : part.end] == picture


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_have_parts_within_them(tail: bytes) -> None:
    for content in (tail, b"\xff\xd8\xff" + tail, JPEGS[0][:300] + tail):
        place = 0
        for part in parts_behind(content):
            assert isinstance(part, Part)
            assert place <= part.start < part.end <= len(content)
            place = part.end


def test_segments_without_number_are_refused(tmp_path) -> None:
    content = saved("jpg")[:2] + b"\xff\xfe\0\2" * (MAX_SEGMENTS + 1) + saved("jpg")[2:]
    assert is_crowded(content)
    (tmp_path / "a.jpg").write_bytes(content)
    assert read_metadata(tmp_path / "a.jpg").unreadable == ("metadata",)


@pytest.mark.parametrize(("kind", "said"), [(0x000000, True), (0x010001, False), (0x010002, False)])
def test_previews_of_a_camera_are_no_further_pictures(tmp_path, kind: int, said: bool) -> None:
    whole = frames("mpo")()
    start = whole.index(b"MPF\0")
    first = whole.rindex(struct.pack("<L", 0x030000), start, whole.index(b"\xff\xdb", start))
    for number in (1, 2):
        place = first + 16 * number
        whole = whole[:place] + struct.pack("<L", kind) + whole[place + 4 :]
    (tmp_path / "a.jpg").write_bytes(whole)
    read = read_metadata(tmp_path / "a.jpg")
    assert replace(read, said={}) == replace(read, said={}, frames=1, unreadable=())
    assert ("further picture in the file" in read.said) == said
