"""scripts/compare_groups.py: how tools are judged beside each other."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from neardup.evaluation.attacks import ATTACKS
from tests.conftest import draw_photo

SCRIPT = Path(__file__).parents[1] / "scripts" / "compare_groups.py"
compare_groups = runpy.run_path(str(SCRIPT))
Picture, Tool = compare_groups["Picture"], compare_groups["Tool"]


def groups(*names: str) -> set[frozenset[str]]:
    """Files of one letter each."""
    return {frozenset(group) for group in names}


def test_groups_that_share_a_member_become_one():
    assert compare_groups["joined"](groups("ab", "cd", "be", "fg", "ad")) == groups("abcde", "fg")


@pytest.fixture
def pictures():
    """Photo 1 (a) with copies b, c, d; photo 2 (e) with a copy f; another photo (g)."""
    rows = ("a 1 photo", "b 1 grey", "c 1 mirror", "d 1 blur", "e 2 photo", "f 2 grey", "g 3 other")
    return {row[0]: Picture(*row.split()) for row in rows}


def test_pairs_are_counted_by_what_they_show(pictures):
    # abe: ab is right, ae two photos as they came, be wrong. cd is right, but without their photo. fg is wrong.
    score = compare_groups["score"](groups("abe", "cd", "fg"), pictures, [])
    assert (score.right, score.apart, score.wrong) == (2, 1, 2)
    assert score.precision == 0.5
    assert score.recall == 1 / 4
    assert (score.by_kind["grey"], score.by_kind["mirror"], score.by_kind["blur"]) == (0.5, 0, 0)


def test_versions_of_photos_of_one_scene_are_neither_right_nor_wrong(pictures):
    # 1 and 2 show one scene: in abef, ae, af, be and bf are apart; in cg, cg is still wrong.
    score = compare_groups["score"](groups("abef", "cg"), pictures, [("1", "2")])
    assert (score.right, score.apart, score.wrong) == (2, 4, 1)


def test_a_chain_is_wrong_where_its_links_were_right(pictures):
    links = groups("ab", "bc", "cf", "fe")
    assert compare_groups["score"](links, pictures, []).precision == 3 / 4
    # abcef: ab, ac, bc, ef are right, ae two photos, be, ce, af, bf, cf wrong.
    assert compare_groups["score"](compare_groups["joined"](links), pictures, []).precision == 4 / 9


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        draw_photo(number).save(folder / f"{number}.png")
    return folder


def test_the_folder_holds_every_kind_once_and_no_ground(photos, tmp_path):
    for folder in (tmp_path / "one" / "folder", tmp_path / "two" / "folder"):
        compare_groups["make_folder"](photos, folder, count=1, distractors=2, seed=3, same=set())
    truth = compare_groups["read_truth"](tmp_path / "one" / "truth.csv")
    assert sorted(picture.kind for picture in truth) == sorted(["photo", "other", "other", *ATTACKS])
    assert len({picture.photo for picture in truth if picture.kind in (*ATTACKS, "photo")}) == 1
    assert sorted(path.name for path in folder.iterdir()) == [picture.name for picture in truth]
    assert all((folder / p.name).read_bytes() == (tmp_path / "one" / "folder" / p.name).read_bytes() for p in truth)


def test_the_folder_holds_one_photo_of_a_scene(photos, tmp_path):
    draw_photo(0).resize((90, 60)).save(photos / "small.jpg")
    same = {(photos / "1.png", photos / "3.png")}
    with pytest.raises(SystemExit, match="5 different photos are needed, 4 are there"):
        compare_groups["make_folder"](photos, tmp_path / "one" / "folder", count=1, distractors=3, seed=3, same=same)
    compare_groups["make_folder"](photos, tmp_path / "two" / "folder", count=1, distractors=2, seed=3, same=same)
    assert "3.png" not in {picture.photo for picture in compare_groups["read_truth"](tmp_path / "two" / "truth.csv")}


def test_a_tool_is_measured_in_a_process_of_its_own(photos, tmp_path):
    runner = """
import json, sys
ballast = b"x" * (300 << 20)
sum(range(3_000_000))
json.dump({"version": "7", "groups": [[sys.argv[1] + "/a.png", sys.argv[1] + "/b.png"]]}, open(sys.argv[4], "w"))
"""
    run = compare_groups["run_tool"](Tool("x", "x", runner), sys.executable, photos, tmp_path)
    assert (run.version, run.groups, run.reason) == ("7", [["a.png", "b.png"]], "")
    assert 300 < run.peak_mib < 400
    assert run.seconds > 0
    assert run.cpu_seconds > 0


def test_a_tool_that_cannot_run_says_why(photos, tmp_path):
    run = compare_groups["run_tool"](Tool("x", "x", "import not_installed_here"), sys.executable, photos, tmp_path)
    assert run.reason == "ModuleNotFoundError: No module named 'not_installed_here'"
    assert run.groups == []


def test_neardup_is_run_once_and_again_when_named(photos, tmp_path):
    work, figures = tmp_path / "work", tmp_path / "figures.json"
    command = [sys.executable, SCRIPT, photos, "--photos", "1", "--distractors", "3", "--work", work, "--json", figures]
    rows = []
    for only in ([], [], ["--only", "neardup"]):
        done = subprocess.run([*command, *only], check=True, capture_output=True, text=True)
        assert "| neardup (" in done.stdout
        rows += json.loads(figures.read_text())["rows"]
    first, second, third = rows
    assert first == second
    assert third["seconds"] != first["seconds"]
    assert third["groups"] == first["groups"]
    assert first["recall"] > 0.2
