"""A picture and what belongs to it go together and come back together; what belongs to another one as well stays."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from neardup.actions import Action, Plan, apply_plan, load_plan, make_plan, save_plan, undo_last
from neardup.errors import BadInput
from neardup.groups import DuplicateGroup
from neardup.output import Aside
from neardup.output.actions import render_applied, render_plan
from tests.actions.a_collection import contents_below, group_of, put, snapshot
from tests.actions.test_crash import kill_at

# What is beside picture.jpg, and goes with it.
KINDS = (
    "IMG_1.xmp", "IMG_1.jpg.xmp", "IMG_1_01.jpg.xmp", "IMG_1_02.jpg.xmp", "IMG_1.json", "IMG_1.jpg.json",
    "IMG_1.jpg.supplemental-metadata.json", "IMG_1.jpg.supplemental-met.json", "img_1.AAE", "IMG_1.pp3",
    "IMG_1.jpg.pp3", "IMG_1.yml", "IMG_1.jpg.yml", "IMG_1.THM", "IMG_1.WAV",
)  # fmt: skip
REVERSIBLE: tuple[Action, ...] = ("trash", "move")


def a_library(home: Path) -> DuplicateGroup:
    """A picture to keep, and one to discard with every kind of sidecar; with others beside them that stay."""
    keeper = put(home / "best" / "keeper.jpg", b"the picture")
    for number, name in enumerate(KINDS):
        put(home / "old" / name, b"about it, %d" % number, mtime_ns=1_400_000_000_000_000_000 + number, mode=0o600)
    for name in ("IMG_2.jpg", "IMG_2.xmp", "IMG_10.jpg.xmp", "notes.txt"):
        put(home / "old" / name, b"another's")
    return group_of(keeper, put(home / "old" / "IMG_1.jpg", b"a copy of the picture"))


def plan_for(group: DuplicateGroup, action: Action, home: Path) -> Plan:
    return make_plan([group], action, to=home / "moved" if action == "move" else None, root=home)


@pytest.mark.parametrize("action", [*REVERSIBLE, "delete"])
def test_every_kind_goes_and_comes_back(tmp_path: Path, folder: Path, trash: Path, action: Action) -> None:
    home = tmp_path / "photos"
    group = a_library(home)
    before = snapshot(home)
    plan = plan_for(group, action, home)
    [step] = plan.steps
    assert {file.path.name for file in step.along} == set(KINDS)
    assert plan.size_bytes == step.size_bytes + sum((home / "old" / name).stat().st_size for name in KINDS)
    report = apply_plan(folder, plan)
    assert (report.count("done"), [each.status for each in report.along]) == (1, ["done"] * len(KINDS))
    left = {"IMG_2.jpg", "IMG_2.xmp", "IMG_10.jpg.xmp", "notes.txt"}
    assert {path.name for path in (home / "old").iterdir()} == left
    if action == "move":
        assert {path.name for path in (home / "moved" / "old").iterdir()} == {"IMG_1.jpg", *KINDS}
    undone = undo_last(folder)
    if action == "delete":
        assert undone.count("failed") == 1 + len(KINDS)
        return
    assert undone.count("done") == 1 + len(KINDS)
    assert snapshot(home) == before
    assert sorted(path.name for path in home.iterdir()) == ["best", "old"]


@pytest.mark.parametrize("action", ["hardlink", "symlink"])
def test_a_link_keeps_the_pictures_place_and_its_sidecars(tmp_path: Path, folder: Path, action: Action) -> None:
    group = group_of(put(tmp_path / "a.jpg", b"1"), put(tmp_path / "b.jpg", b"1"))
    put(tmp_path / "b.jpg.xmp", b"about b")
    plan = make_plan([group], action)
    assert (plan.steps[0].along, plan.steps[0].notes) == ((), ())
    apply_plan(folder, plan)
    assert (tmp_path / "b.jpg.xmp").read_bytes() == b"about b"


@pytest.mark.parametrize("action", [*REVERSIBLE, "delete"])
def test_what_others_need_stays(tmp_path: Path, folder: Path, trash: Path, action: Action) -> None:
    keeper, copy = put(tmp_path / "best" / "a.jpg", b"1"), put(tmp_path / "old" / "IMG_9.jpg", b"2")
    for name in ("IMG_9.xmp", "IMG_9.CR2", "IMG_9.MOV", "IMG_9.CR2.xmp"):
        put(tmp_path / "old" / name, name.encode())
    plan = plan_for(group_of(keeper, copy), action, tmp_path)
    assert plan.steps[0].along == ()
    assert plan.steps[0].notes == (
        "leaves IMG_9.CR2 behind", "leaves IMG_9.MOV behind", "IMG_9.xmp stays with IMG_9.CR2",
    )  # fmt: skip
    apply_plan(folder, plan)
    left = {path.name for path in (tmp_path / "old").iterdir()}
    assert left == {"IMG_9.xmp", "IMG_9.CR2", "IMG_9.MOV", "IMG_9.CR2.xmp"}


@pytest.mark.parametrize("partner", ["IMG_9.CR2", "IMG_9.mov", "IMG_9.MP", "IMG_9.mp4"])
def test_a_partner_goes_where_its_copy_stays(tmp_path: Path, folder: Path, trash: Path, partner: str) -> None:
    for place in ("best", "old"):
        put(tmp_path / place / partner, b"raw")
    put(tmp_path / "old" / "IMG_9.xmp", b"of both")
    put(tmp_path / "old" / f"{partner}.xmp", b"of the partner")
    group = group_of(put(tmp_path / "best" / "IMG_9.jpg", b"1"), put(tmp_path / "old" / "IMG_9.jpg", b"1"))
    plan = plan_for(group, "trash", tmp_path)
    before = snapshot(tmp_path / "old")
    assert sorted(file.path.name for file in plan.steps[0].along) == sorted([partner, "IMG_9.xmp", f"{partner}.xmp"])
    put(tmp_path / "best" / partner, b"RAW")  # another one by now
    report = apply_plan(folder, plan)
    assert {path.name for path in (tmp_path / "old").iterdir()} == {partner, "IMG_9.xmp", f"{partner}.xmp"}
    assert [each.status for each in report.along] == ["failed", "skipped", "skipped"]
    put(tmp_path / "best" / partner, b"raw")
    report = apply_plan(folder, plan)  # the picture is gone, by what is in the journal
    assert [each.status for each in report.along] == ["done"] * 3
    assert not list((tmp_path / "old").iterdir())
    undo_last(folder)
    undo_last(folder)
    assert snapshot(tmp_path / "old") == before


def test_a_hard_link_is_no_copy_that_stays(tmp_path: Path) -> None:
    group = group_of(put(tmp_path / "best" / "IMG_9.jpg", b"1"), put(tmp_path / "old" / "IMG_9.jpg", b"1"))
    (tmp_path / "old" / "IMG_9.CR2").hardlink_to(put(tmp_path / "best" / "IMG_9.CR2", b"raw"))
    assert make_plan([group], "trash").steps[0].along == ()


def test_a_sidecar_of_two_goes_after_both_or_not_at_all(tmp_path: Path, folder: Path, trash: Path) -> None:
    first = group_of(put(tmp_path / "a.jpg", b"a"), put(tmp_path / "old" / "IMG_9.jpg", b"a2"))
    second = group_of(put(tmp_path / "b.jpg", b"b"), put(tmp_path / "old" / "IMG_9.png", b"b2"))
    shared = put(tmp_path / "old" / "IMG_9.xmp", b"of both")
    assert make_plan([first], "trash").steps[0].along == ()
    plan = make_plan([first, second], "trash")
    assert [[file.path for file in step.along] for step in plan.steps] == [[], [shared]]
    put(first.members[1].path, b"edited")
    report = apply_plan(folder, plan)
    assert report.along[0].reason == "stays with IMG_9.jpg, which it belongs to as well"
    assert shared.exists()


def add_a_raw_file(sidecar: Path) -> None:
    put(sidecar.with_name("IMG_1.CR2"), b"raw")


def edit(sidecar: Path) -> None:
    put(sidecar, b"five stars")


def edit_unseen(sidecar: Path) -> None:
    put(sidecar, b"four star", mtime_ns=sidecar.stat().st_mtime_ns)


def make_a_link(sidecar: Path) -> None:
    sidecar.unlink()
    sidecar.symlink_to("/etc/hostname")


@pytest.mark.parametrize("change", [add_a_raw_file, edit, edit_unseen, make_a_link])
def test_what_changed_since_the_plan_stays(
    tmp_path: Path, folder: Path, trash: Path, change: Callable[[Path], None]
) -> None:
    group = group_of(put(tmp_path / "a.jpg", b"1"), put(tmp_path / "old" / "IMG_1.jpg", b"2"))
    sidecar = put(tmp_path / "old" / "IMG_1.xmp", b"five star")
    plan = make_plan([group], "delete")
    change(sidecar)
    report = apply_plan(folder, plan)
    assert report.count("done") == 1
    assert [each.status for each in report.along] != ["done"]
    assert os.path.lexists(sidecar)


def test_the_sidecar_of_a_picture_that_went_elsewhere_stays(tmp_path: Path, folder: Path) -> None:
    group = group_of(put(tmp_path / "a.jpg", b"1"), put(tmp_path / "old" / "IMG_1.jpg", b"2"))
    sidecar = put(tmp_path / "old" / "IMG_1.xmp", b"five stars")
    plan = make_plan([group], "delete")
    group.members[1].path.rename(tmp_path / "renamed.jpg")
    assert apply_plan(folder, plan).along[0].status == "skipped"
    assert sidecar.exists()


def test_a_plan_that_takes_along_what_stays_is_refused(tmp_path: Path, folder: Path) -> None:
    group = group_of(put(tmp_path / "photos" / "a.jpg", b"1"), put(tmp_path / "photos" / "b.jpg", b"2"))
    put(tmp_path / "photos" / "b.xmp", b"x")
    plan = make_plan([group], "delete")
    [step] = plan.steps
    forged = replace(step, along=(replace(step.along[0], path=step.keeper),))
    with pytest.raises(BadInput, match="keeps it for another file"):
        apply_plan(folder, replace(plan, steps=(forged,)))
    assert sum(contents_below(tmp_path / "photos").values()) == 3


def test_a_plan_in_a_file_holds_the_unit(tmp_path: Path) -> None:
    home = tmp_path / "photos"
    plan = plan_for(a_library(home), "move", home)
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan


def test_text_and_json_name_what_goes_along(tmp_path: Path, folder: Path) -> None:
    group = group_of(put(tmp_path / "a.jpg", b"1"), put(tmp_path / "old" / "IMG_1.jpg", b"2"))
    sidecar = put(tmp_path / "old" / "IMG_1\n.jpg", b"").with_name("IMG_1.xmp")
    put(sidecar, b"x")
    plan = make_plan([group], "delete")
    shown = render_plan(plan, min_similarity=None)
    lines = list(shown.lines)
    assert "; with IMG_1.xmp" in lines[1]
    assert lines[-1].startswith("1 file and 1 that belong to them, ")
    [record] = shown.records
    assert (record["along"], record["size_bytes"], record["freed_bytes"]) == (1, 2, plan.freed_bytes)
    assert record["steps"][0]["along"] == [
        {"path": str(sidecar), "size_bytes": 1, "status": "planned", "reason": None, "target": None}
    ]
    put(sidecar, b"xyz")
    applied = render_applied(plan, apply_plan(folder, plan), min_similarity=None, index_option="")
    [record] = applied.records
    assert record["steps"][0]["along"][0]["status"] == "failed"
    assert any(
        isinstance(line, Aside) and "IMG_1.xmp: has changed since the plan was made" in line for line in applied.lines
    )


@pytest.mark.parametrize("action", REVERSIBLE)
def test_killed_anywhere_undo_brings_all_back(tmp_path: Path, folder: Path, trash: Path, action: Action) -> None:
    """And applying again after a kill leaves no sidecar behind."""
    killed = 0
    for call in range(2, 90, 5):
        home = tmp_path / str(call) / "photos"
        index = tmp_path / str(call) / "index"
        index.mkdir(parents=True)
        keeper = put(home / "keep.jpg", b"1")
        group = group_of(keeper, put(home / "old" / "IMG_1.jpg", b"2"))
        for name in ("IMG_1.xmp", "IMG_1.jpg.json", "IMG_1_01.jpg.xmp"):
            put(home / "old" / name, name.encode())
        before = snapshot(home)
        plan = plan_for(group, action, home)
        if not kill_at(call, lambda index=index, plan=plan: apply_plan(index, plan)):
            break
        killed += 1
        apply_plan(index, plan)
        assert not list((home / "old").iterdir())
        for _ in range(2):
            try:
                assert undo_last(index).count("failed") == 0
            except BadInput:
                break
        assert snapshot(home) == before
        assert sorted(path.name for path in home.iterdir()) == ["keep.jpg", "old"]
    assert killed >= 4
