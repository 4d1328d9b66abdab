"""Whose a sidecar or a partner is, by its name alone."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.actions.belongings import PARTNERS, SIDECARS, extension, owners_among

LONG = "a photo with a name that is much longer than what Google takes 2024"


@pytest.mark.parametrize(
    ("sidecar", "picture"),
    [
        ("IMG_0.jpg.json", "IMG_0.jpg"),
        ("IMG_0.json", "IMG_0.jpg"),
        ("IMG_0.xmp", "IMG_0.jpg"),
        ("img_0.JPG.XMP", "IMG_0.jpg"),
        ("IMG_0_01.jpg.xmp", "IMG_0.jpg"),
        ("IMG_0.aae", "IMG_0.HEIC"),
        ("IMG_O0123.AAE", "IMG_E0123.HEIC"),
        ("IMG_0.jpg.pp3", "IMG_0.jpg"),
        ("IMG_0.pp3", "IMG_0.jpg"),
        ("IMG_0.yml", "IMG_0.jpg"),
        ("IMG_0.jpg.yml", "IMG_0.jpg"),
        ("IMG_0.THM", "IMG_0.JPG"),
        ("IMG_0.WAV", "IMG_0.JPG"),
        ("IMG_0.jpg.supplemental-metadata.json", "IMG_0.jpg"),
        ("IMG_0.jpg.supplemental-metad.json", "IMG_0.jpg"),
        ("IMG_0.jpg.s.json", "IMG_0.jpg"),
        ("IMG_0.jpg..json", "IMG_0.jpg"),
        ("IMG_0.jpg.supplemental-metadata(1).json", "IMG_0(1).jpg"),
        ("IMG_0(1).jpg.supplemental-metadata.json", "IMG_0(1).jpg"),
        ("IMG_0.jpg.suppl(12).json", "IMG_0(12).jpg"),
        ("IMG_0.jpg(1).json", "IMG_0(1).jpg"),
        ("IMG_0(1).json", "IMG_0(1).jpg"),
        (f"{LONG[:46]}.json", f"{LONG}.jpg"),
        (f"{LONG[:46]}(2).json", f"{LONG}(2).jpg"),
        (f"{LONG[:40]}.jpg.s.json", f"{LONG[:40]}.jpg"),
        ("PXL_1.MP.jpg.json", "PXL_1.MP.jpg"),
        ("PXL_1.xmp", "PXL_1.MP.jpg"),
        ("no ending.xmp", "no ending"),
        ("two\nlines.jpg.xmp", "two\nlines.jpg"),
        ("two\nlines.jpg.supplemental-meta(1).json", "two\nlines(1).jpg"),
        ("two\nlines_02.jpg.xmp", "two\nlines.jpg"),
        ("\udcff.jpg.xmp", "\udcff.jpg"),
        ("IMG_0.CR2", "IMG_0.jpg"),
        ("IMG_0.MOV", "img_0.heic"),
        ("PXL_1.MP", "PXL_1.MP.jpg"),
        ("PXL_1.MP", "PXL_1.jpg"),
        ("PXL_1.mp4", "PXL_1.MP.jpg"),
    ],
)
def test_of_each_kind(sidecar: str, picture: str) -> None:
    """Whatever other pictures, with sidecars of their own, are beside it."""
    others = ["IMG_10.jpg", "IMG_10.jpg.xmp", "IMG.jpg", "other.jpg", "other.CR2"]
    assert owners_among([picture, sidecar, *others])[sidecar] == (picture,)


@pytest.mark.parametrize(
    ("sidecar", "names", "owners"),
    [
        ("IMG_9.xmp", ["IMG_9.jpg", "IMG_9.CR2"], {"IMG_9.jpg", "IMG_9.CR2"}),
        ("IMG_9.xmp", ["IMG_9.jpg", "IMG_9.png"], {"IMG_9.jpg", "IMG_9.png"}),
        ("IMG_9.xmp", ["IMG_9.jpg", "img_9.JPG"], {"IMG_9.jpg", "img_9.JPG"}),
        ("IMG_9.jpg.xmp", ["IMG_9.jpg", "IMG_9.CR2"], {"IMG_9.jpg"}),
        ("IMG_9.jpg.xmp", ["IMG_9.jpg", "IMG_9.JPG"], {"IMG_9.jpg"}),
        ("IMG_9.CR2.xmp", ["IMG_9.jpg", "IMG_9.CR2"], {"IMG_9.CR2"}),
        ("IMG_9_01.jpg.xmp", ["IMG_9.jpg", "IMG_9_01.jpg"], {"IMG_9_01.jpg"}),
        ("IMG_9.jpg.json", ["IMG_9.jpg", "IMG_9-edited.jpg"], {"IMG_9.jpg", "IMG_9-edited.jpg"}),
        ("IMG_9.jpg(1).json", ["IMG_9(1).jpg", "IMG_9.jpg"], {"IMG_9(1).jpg"}),
        ("IMG_9.jpg(1).json", ["IMG_9(1).jpg", "IMG_9-edited(1).jpg"], {"IMG_9(1).jpg", "IMG_9-edited(1).jpg"}),
        ("IMG_9(1).jpg.json", ["IMG_9(1).jpg", "IMG_9-edited(1).jpg"], {"IMG_9(1).jpg", "IMG_9-edited(1).jpg"}),
        (f"{LONG[:46]}.json", [f"{LONG} a.jpg", f"{LONG} b.jpg"], {f"{LONG} a.jpg", f"{LONG} b.jpg"}),
        ("chart.json", ["chart.png", "chart.csv"], {"chart.png", "chart.csv"}),
        ("IMG_9.MOV", ["IMG_9.HEIC", "IMG_9.JPG"], {"IMG_9.HEIC", "IMG_9.JPG"}),
        ("IMG_9.CR2", ["IMG_9.jpg", "IMG_9.MOV"], {"IMG_9.jpg"}),
    ],
)
def test_of_several(sidecar: str, names: list[str], owners: set[str]) -> None:
    assert set(owners_among([*names, sidecar])[sidecar]) == owners


@pytest.mark.parametrize(
    "name",
    ["settings.json", "IMG_1.xmp", "IMG_90.jpg.xmp", "IMG_9.jpg (1).json", "IMG_9.jpg.metadata.json", ".xmp", "xmp",
     "IMG_9.txt", "IMG_9.jpg.bak", "IMG_90.CR2"],
)  # fmt: skip
def test_of_nobody(name: str) -> None:
    assert name not in owners_among(["IMG_9.jpg", "IMG_8.jpg", name])


stems = st.text(st.characters(exclude_characters="/\0.()"), min_size=1, max_size=60)
pictures = st.builds(lambda stem, ending: f"{stem}.{ending}", stems, st.sampled_from(["jpg", "JPG", "png", "heic"]))


@given(pictures, st.sampled_from(sorted(SIDECARS)), st.lists(pictures, max_size=5))
def test_a_whole_name_and_an_ending_is_that_pictures_alone(picture: str, ending: str, others: list[str]) -> None:
    sidecar = f"{picture}.{ending}"
    owners = owners_among(dict.fromkeys([picture, sidecar, *others]))[sidecar]
    assert owners[0] == picture
    if ending != "json":
        assert owners == (picture,)


@given(st.lists(st.one_of(pictures, st.text(max_size=30), st.builds(
    lambda stem, end: f"{stem}.{end}", stems, st.sampled_from(sorted(SIDECARS | PARTNERS)))), max_size=12))  # fmt: skip
def test_owners_are_other_files_of_the_folder(names: list[str]) -> None:
    for name, owners in owners_among(names).items():
        assert name not in owners
        assert set(owners) <= set(names)
        assert not any(extension(owner) in SIDECARS for owner in owners)
        assert len(set(owners)) == len(set(owners) & set(names))


@given(st.sampled_from(["", "(3)"]), stems, st.integers(0, 21), st.booleans())
def test_googles_names_are_found_however_they_are_cut(number: str, stem: str, cut: int, at_end: bool) -> None:
    picture = f"{stem}{number}.jpg"
    base = f"{stem}.jpg" if at_end else picture
    sidecar = base + ("." + "supplemental-metadata"[:cut] if cut else "") + (number if at_end else "") + ".json"
    assert owners_among([picture, sidecar])[sidecar] == (picture,)


def test_many_files_in_a_folder_take_time_in_proportion() -> None:
    """Also where all begin alike, longer than what a cut name tells."""

    def seconds(count: int) -> float:
        names = [f"{LONG} {n}.jpg" for n in range(count)]
        names += [f"{LONG[:46]}({n}).json" for n in range(count)] + [f"IMG_{n}.jpg.xmp" for n in range(count)]
        started = time.process_time()
        owners_among(names)
        return time.process_time() - started

    assert seconds(32_000) < 24 * max(seconds(4_000), 0.01)  # 64 times as long where it is quadratic


def test_case_is_of_no_account_for_any_name() -> None:
    for name in ("İMG.jpg", "straße.jpg", "ſ.jpg"):
        assert owners_among([name, f"{name}.xmp", os.fsdecode(b"\xff.xmp")]) == {f"{name}.xmp": (name,)}
