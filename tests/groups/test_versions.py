"""Many versions of one picture are one group around the picture itself, and what one look cannot tell, others do."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from neardup.groups import KeepPolicy, find_groups
from neardup.index import Index
from neardup.index.notes import record_found
from neardup.matching.evidence import Evidence
from neardup.matching.judge import MATCHER
from tests.conftest import draw_scene
from tests.groups.a_gallery import index_files, save_gallery
from tests.matching.test_origin import on_a_screen, with_noise, with_specks, written_over


def versions(seed: int) -> dict[str, Image.Image]:
    scene = draw_scene(seed)
    screen = on_a_screen(scene)
    return {
        "photo.png": scene,
        "a screen.png": screen,
        "a screen again.png": screen.resize((screen.width - 20, screen.height - 25)),
        "a crop on a screen.png": on_a_screen(scene.crop((0, 50, 480, 310)), 3),
        "letterbox.png": ImageOps.expand(scene, (0, 90), "black"),
        "framed.png": ImageOps.expand(scene, 50, "white"),
        "noise.png": with_noise(scene, 22),
        "specks.png": with_specks(scene, 0.03),
        "writing.png": written_over(scene),
        "crop.png": scene.crop((50, 30, 400, 320)),
        "turned.png": written_over(scene).transpose(Image.Transpose.ROTATE_90),
        "small.png": scene.resize((160, 120)),
    }


@pytest.mark.parametrize(("seed", "threads"), [(1, 3), (2, 1)])
def test_one_group_around_the_photo(tmp_path, seed, threads):
    """Six of these are larger than the photo, in pixels or in bytes."""
    pictures = versions(seed)
    [group] = find_groups(index_files(tmp_path / "index", save_gallery(tmp_path / "photos", pictures)), threads=threads)
    assert group.keeper.path.name == "photo.png"
    assert {member.path.name for member in group.members} == pictures.keys()
    copies = {member.path.stem for member in group.members if member.relation == "copy"}
    assert copies == {"letterbox", "framed", "noise", "crop", "small"} | (copies & {"specks"})


def test_two_photos_with_many_versions_are_two_groups(tmp_path):
    pictures = {f"{seed} {name}": image for seed in (1, 2) for name, image in versions(seed).items()}
    groups = list(find_groups(index_files(tmp_path / "index", save_gallery(tmp_path / "photos", pictures))))
    assert [group.keeper.path.name for group in groups] == ["1 photo.png", "2 photo.png"]
    assert all(len({member.path.name[0] for member in group.members}) == 1 for group in groups)


UNIT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
COPY = Evidence("copy", 0.99, matrix=UNIT, inliers=90, agreeing=1.0, well=1.0)
EDITED = replace(COPY, relation="edited", differing=0.1)
SIMILAR = replace(COPY, relation="similar", confidence=0.3, differing=0.1)


def told(
    tmp_path: Path, found: dict[tuple[str, str], Evidence], names: str = "abc", *, similar: bool = False
) -> list[list[str]]:
    """Names of the groups of these, kept in this order, where this was found of each two of them before."""
    pictures = {f"{name}.png": draw_scene(n, 60, 60) for n, name in enumerate(names)}
    index = index_files(tmp_path / "index", save_gallery(tmp_path / "photos", pictures))
    digests = {image.path.stem: image.digest for image in index}
    links = {}
    for (first, second), evidence in found.items():
        key = digests[first], digests[second]
        links[min(key), max(key)] = json.dumps((evidence if key[0] < key[1] else evidence.reversed()).to_json())
    record_found(index.folder, pixels={}, links=links, matcher=MATCHER)
    groups = find_groups(Index.open(index.folder), keep=KeepPolicy("path-order"), similar=similar)
    return [[f"{member.path.stem} {member.relation}" for member in group.members] for group in groups]


def test_a_copy_of_the_keeper_carries_what_the_keeper_is_too_spoiled_for(tmp_path):
    found = {("a", "b"): COPY, ("b", "c"): EDITED, ("a", "c"): SIMILAR}
    assert told(tmp_path, found) == [["a exact", "b copy", "c edited"]]


def test_what_a_copy_carries_is_never_a_copy(tmp_path):
    """What both of them show was not seen side by side: it is not thrown away."""
    found = {("a", "b"): COPY, ("b", "c"): COPY, ("a", "c"): SIMILAR}
    assert told(tmp_path, found) == [["a exact", "b copy", "c edited"]]


@pytest.mark.parametrize(
    "between",
    [
        EDITED,  # what differs between a and b may be what b and c share
        replace(COPY, confidence=0.7),
    ],
)
def test_what_is_no_sure_copy_carries_nothing(tmp_path, between):
    found = {("a", "b"): between, ("b", "c"): EDITED, ("a", "c"): SIMILAR}
    assert told(tmp_path, found) == [["a exact", f"b {between.relation}"]]


def test_an_unsure_link_is_not_carried(tmp_path):
    found = {("a", "b"): COPY, ("b", "c"): replace(EDITED, confidence=0.6), ("a", "c"): SIMILAR}
    assert told(tmp_path, found) == [["a exact", "b copy"]]


def test_two_parts_of_a_picture_are_not_carried_by_it(tmp_path):
    """a and c are cut out of b side by side: by the maps between them they have nothing in common."""
    left, right = (1, 0, 0, 0, 1, 0, 0, 0, 1), (1, 0, -60, 0, 1, 0, 0, 0, 1)
    found = {
        ("a", "b"): replace(COPY, matrix=tuple(map(float, left)), more_b=0.5),
        ("b", "c"): replace(COPY, matrix=tuple(map(float, right)), more_a=0.5),
        ("a", "c"): SIMILAR,
    }
    assert told(tmp_path, found) == [["a exact", "b edited"]]


def test_a_link_to_a_late_keeper_counts(tmp_path):
    """A component with more keepers than each is compared with: z joins them all, x is the last one's alone."""
    names = "abcdefghxz"
    found: dict[tuple[str, str], Evidence] = dict.fromkeys(combinations(names, 2), SIMILAR)
    found |= {(name, "z"): EDITED for name in "abcdefgh"} | {("h", "x"): EDITED}
    assert told(tmp_path, found, names) == [["a exact", "z edited"], ["h exact", "x edited"]]


def test_one_picture_comes_before_one_scene(tmp_path):
    """c is b's picture, and shows the scene of a, which is kept before b; z joins the three."""
    found: dict[tuple[str, str], Evidence] = dict.fromkeys(combinations("abcz", 2), Evidence("other", 0.0))
    found |= {("a", "z"): EDITED, ("b", "z"): EDITED, ("b", "c"): EDITED, ("a", "c"): SIMILAR}
    assert told(tmp_path, found, "abcz", similar=True) == [["a exact", "z edited"], ["b exact", "c edited"]]


def test_evidence_of_shape_and_order():
    assert COPY.a_shows_all_of_b
    assert COPY.b_shows_all_of_a
    assert not SIMILAR.is_confirmed
    assert np.allclose(np.reshape(UNIT, (3, 3)), np.eye(3))
