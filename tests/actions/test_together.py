"""Sidecars that go along and metadata that stays: one does not lose what the other needs, and undo brings both back."""

from dataclasses import replace
from pathlib import Path

import pytest

from neardup.actions import Action, Looks, Plan, apply_plan, make_plan, protect, undo_last
from neardup.actions.belongings import Belongings
from neardup.actions.sidecars import own_sidecar
from neardup.errors import BadInput
from neardup.groups import DuplicateGroup
from neardup.groups.keep import KeepPolicy
from neardup.metadata import read_sidecar
from neardup.output.actions import render_plan
from tests.actions.a_collection import group_of, put, snapshot
from tests.actions.test_crash import kill_at
from tests.metadata.samples import EXIF_IFD, items, saved, with_exif, xmp_of

REVERSIBLE: tuple[Action, ...] = ("trash", "move")
RATED = xmp_of("<xmp:Rating>4</xmp:Rating>")
TAGGED = xmp_of(items("dc:subject", "Bag", "Berlin"))


def a_library(home: Path) -> DuplicateGroup:
    """A keeper with a sidecar, and in two folders copies of one name, with sidecars that say more."""
    keeper = put(home / "best" / "keeper.jpg", saved("jpg", quality=95))
    put(home / "best" / "keeper.xmp", xmp_of("<xmp:Label>Red</xmp:Label>"), mode=0o600)
    dated = put(home / "2019" / "IMG_1.jpg", with_exif({36867: "1987:05:01 10:00:00"}, EXIF_IFD)())
    put(home / "2019" / "IMG_1.xmp", RATED, mode=0o604, mtime_ns=1_400_000_000_000_000_001)
    put(home / "2019" / "IMG_1.jpg.json", b"{}")
    plain = put(home / "2020" / "IMG_1.jpg", saved("jpg", quality=60))
    put(home / "2020" / "IMG_1_01.jpg.xmp", TAGGED, mtime_ns=1_400_000_000_000_000_002)
    return group_of(keeper, dated, plain)


def plan_for(group: DuplicateGroup, action: Action, home: Path, *, flat: bool = False) -> Plan:
    to = home.parent / "moved" if action == "move" else None
    return make_plan([group], action, to=to, root=None if flat else home, merge_metadata=True)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("action", REVERSIBLE)
def test_merged_first_then_gone_then_back(
    tmp_path: Path, folder: Path, trash: Path, action: Action, flat: bool
) -> None:
    home = tmp_path / "photos"
    group = a_library(home)
    before = snapshot(home)
    plan = plan_for(group, action, home, flat=flat)
    assert [step.lost for step in plan.steps] == [(), ()]
    assert [[file.path.name for file in step.along] for step in plan.steps] == [
        ["IMG_1.jpg.json", "IMG_1.xmp"], ["IMG_1_01.jpg.xmp"],
    ]  # fmt: skip
    report = apply_plan(folder, plan)
    assert (report.count("done"), [each.status for each in report.along]) == (2, ["done"] * 3)
    assert sorted(path.name for path in home.rglob("*") if path.is_file()) == ["keeper.jpg", "keeper.xmp"]
    said = read_sidecar(home / "best" / "keeper.xmp")
    assert (said.date, said.values("rating"), said.values("keywords")) == ("1987-05-01 10:00:00", ("4",), ("Berlin",))
    if action == "move":
        there = {path.relative_to(tmp_path / "moved").as_posix() for path in (tmp_path / "moved").rglob("*.xmp")}
        assert there == ({"IMG_1.xmp", "IMG_1 (2)_01.jpg.xmp"} if flat else {"2019/IMG_1.xmp", "2020/IMG_1_01.jpg.xmp"})
    undone = undo_last(folder)
    assert (undone.count("done"), undone.count("failed")) == (7, 0)
    assert snapshot(home) == before
    assert not (tmp_path / "moved").exists()


@pytest.mark.parametrize("action", REVERSIBLE)
def test_killed_anywhere(tmp_path: Path, trash: Path, action: Action) -> None:
    """Then undone, or applied again and undone: every file's bytes, time and permissions are as before."""
    killed = 0
    for call in range(2, 200, 7):
        home, index = tmp_path / str(call) / "photos", tmp_path / str(call) / "index"
        index.mkdir(parents=True)
        group = a_library(home)
        before = snapshot(home)
        plan = plan_for(group, action, home)
        if not kill_at(call, lambda index=index, plan=plan: apply_plan(index, plan)):
            break
        killed += 1
        if killed % 2:
            apply_plan(index, plan)
            assert sorted(path.name for path in home.rglob("*") if path.is_file()) == ["keeper.jpg", "keeper.xmp"]
            said = read_sidecar(home / "best" / "keeper.xmp")
            assert (said.date, said.values("rating")) == ("1987-05-01 10:00:00", ("4",))
        for _ in range(2):
            try:
                assert undo_last(index).count("failed") == 0
            except BadInput:
                break
        assert snapshot(home) == before
        assert not (home.parent / "moved").exists()
    assert killed >= 6


def test_what_a_lost_sidecar_said_stays_with_the_keeper(tmp_path: Path, folder: Path, trash: Path) -> None:
    home = tmp_path / "photos"
    apply_plan(folder, plan_for(a_library(home), "trash", home))
    (trash / "files" / "IMG_1.xmp").unlink()
    report = undo_last(folder)
    assert (home / "2019" / "IMG_1.jpg").exists()
    assert {outcome.path.name for outcome in report.outcomes if outcome.status == "failed"} == {
        "IMG_1.xmp", "keeper.xmp",
    }  # fmt: skip
    assert read_sidecar(home / "best" / "keeper.xmp").values("rating") == ("4",)
    assert read_sidecar(home / "best" / "keeper.xmp").values("keywords") == (), "its picture and sidecar are back"


def test_a_sidecar_that_stays_with_another_is_not_lost(tmp_path: Path) -> None:
    """Nor counted twice, where the keeper shares it."""
    group = group_of(put(tmp_path / "a.jpg", saved("jpg")), put(tmp_path / "old" / "IMG_1.jpg", saved("jpg")))
    put(tmp_path / "old" / "IMG_1.xmp", RATED)
    assert make_plan([group], "trash").steps[0].lost == ("rating 4",)
    put(tmp_path / "old" / "IMG_1.CR2", b"raw")
    [step] = make_plan([group], "trash", merge_metadata=True).steps
    assert (step.lost, step.carried, step.along) == ((), None, ())
    assert step.notes == ("leaves IMG_1.CR2 behind", "IMG_1.xmp stays with IMG_1.CR2")
    both = group_of(put(tmp_path / "b" / "x.jpg", saved("jpg")), put(tmp_path / "b" / "x.png", saved("png")))
    put(tmp_path / "b" / "x.xmp", RATED)
    [step] = make_plan([both], "trash", merge_metadata=True).steps
    assert (step.lost, step.carried, step.along) == ((), None, ())


def test_a_shared_sidecar_is_not_added_to(tmp_path: Path, folder: Path, trash: Path) -> None:
    keeper = put(tmp_path / "IMG_1.jpg", saved("jpg", quality=95))
    put(tmp_path / "IMG_1.CR2", b"raw")
    shared = put(tmp_path / "IMG_1.xmp", TAGGED)
    member = put(tmp_path / "old" / "b.jpg", with_exif({0x4746: 5})())
    before = snapshot(tmp_path)
    apply_plan(folder, make_plan([group_of(keeper, member)], "trash", merge_metadata=True))
    assert shared.read_bytes() == TAGGED
    assert read_sidecar(tmp_path / "IMG_1.jpg.xmp").values("rating") == ("5",)
    undo_last(folder)
    assert {path: state for path, state in snapshot(tmp_path).items() if path in before} == before
    assert not (tmp_path / "IMG_1.jpg.xmp").exists()


def test_which_sidecar_is_a_pictures_own(tmp_path: Path) -> None:
    picture = put(tmp_path / "IMG.jpg", b"")

    def own() -> str | None:
        found = own_sidecar(picture, Belongings())
        return found and found.name

    assert own() is None
    put(tmp_path / "img.XMP", b"")
    assert own() == "img.XMP"
    (tmp_path / "IMG.jpg.xmp").symlink_to(tmp_path / "img.XMP")
    assert own() == "img.XMP", "links are not followed"
    (tmp_path / "IMG.jpg.xmp").unlink()
    put(tmp_path / "IMG.jpg.xmp", b"")
    assert own() == "IMG.jpg.xmp"
    (tmp_path / "IMG.jpg.xmp").unlink()
    put(tmp_path / "IMG.CR2", b"raw")
    assert own() is None, "it is of the RAW file as well"


@pytest.mark.parametrize("which", ["the keeper's sidecar", "anothers sidecar", "no sidecar", "a film"])
def test_no_plan_takes_along_what_belongs_to_others(tmp_path: Path, folder: Path, which: str) -> None:
    home = tmp_path / "photos"
    group = a_library(home)
    put(home / "2019" / "IMG_2.jpg", b"another")
    path = {
        "the keeper's sidecar": home / "best" / "keeper.xmp",
        "anothers sidecar": put(home / "2019" / "IMG_2.xmp", b"x"),
        "no sidecar": put(home / "2019" / "precious.txt", b"x"),
        "a film": put(home / "2019" / "IMG_2.MOV", b"x"),
    }[which]
    looks = Looks()
    [first, second] = make_plan([group], "delete").steps
    forged = replace(
        first.along[0], path=path, size_bytes=path.stat().st_size, mtime_ns=path.stat().st_mtime_ns,
        digest=looks.digests.of(path) or b"",
    )  # fmt: skip
    for name in (path, path.parent / ".." / path.parent.name / path.name):
        plan = Plan("delete", (replace(first, along=(replace(forged, path=name),)), second))
        report = apply_plan(folder, plan)
        assert path.exists()
        assert report.outcomes[0].along[0].status != "done"


def test_a_keeper_that_is_protected_later_is_given_nothing(tmp_path: Path, folder: Path, trash: Path) -> None:
    home = tmp_path / "photos"
    plan = protect(plan_for(a_library(home), "trash", home), KeepPolicy(under=(home / "best",)))
    assert [step.carried for step in plan.steps] == [None, None]
    assert [step.lost for step in plan.steps] == [("date 1987-05-01 10:00:00", "rating 4"), ("keywords Berlin",)]
    before = snapshot(home / "best")
    apply_plan(folder, plan)
    assert snapshot(home / "best") == before


def test_each_file_beside_is_spoken_of_once(tmp_path: Path) -> None:
    home = tmp_path / "photos"
    lines = list(render_plan(plan_for(a_library(home), "trash", home), min_similarity=None).lines)
    line = str(lines[1])
    assert line.endswith(
        "its keeper's sidecar gets date 1987-05-01 10:00:00, rating 4; with IMG_1.jpg.json, IMG_1.xmp;"
        " its keeper has keeper.xmp beside it"
    )
    assert [line.count(name) for name in ("IMG_1.xmp", "keeper.xmp", "behind")] == [1, 1, 0]
