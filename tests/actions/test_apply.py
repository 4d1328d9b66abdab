"""Applying a plan, and taking it back: nothing is lost, nothing is overwritten, and twice is as good as once."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from neardup.actions import Action, Plan, apply_plan, files, make_plan, undo_last
from neardup.errors import BadInput, IndexLocked, MissingPackage
from neardup.index.store import write_lock
from tests.actions.a_collection import contents_below, group_of, make_groups, put, snapshot

LINKS: tuple[Action, ...] = ("hardlink", "symlink")
REVERSIBLE: tuple[Action, ...] = ("trash", "move", *LINKS)


def plan_of(tmp_path: Path, action: Action, *, same_bytes: bool = True) -> Plan:
    groups = make_groups(tmp_path / "photos", 2, 3, same_bytes=same_bytes)
    return make_plan(groups, action, to=tmp_path / "moved" if action == "move" else None)


@pytest.mark.parametrize("action", REVERSIBLE)
def test_apply_and_undo(tmp_path: Path, folder: Path, trash: Path, action: Action) -> None:
    plan = plan_of(tmp_path, action)
    before = snapshot(tmp_path / "photos")
    report = apply_plan(folder, plan)
    assert report.count("done") == len(plan.steps) == 4
    for step in plan.steps:
        if action in ("trash", "move"):
            assert not os.path.lexists(step.path)
        else:
            assert step.path.samefile(step.keeper)
            assert step.path.is_symlink() == (action == "symlink")
    assert snapshot(tmp_path / "photos") != before
    taken_back = undo_last(folder)
    assert taken_back.count("done") == 4
    assert taken_back.journal == report.journal
    assert snapshot(tmp_path / "photos") == before
    if action == "trash":
        assert not list(trash.rglob("*.*"))
    assert not (tmp_path / "moved").exists()
    with pytest.raises(BadInput, match="no plan is applied"):
        undo_last(folder)


@pytest.mark.parametrize("action", [*REVERSIBLE, "delete"])
def test_applied_twice_is_applied_once(tmp_path: Path, folder: Path, trash: Path, action: Action) -> None:
    plan = plan_of(tmp_path, action)
    apply_plan(folder, plan)
    once = snapshot(tmp_path)
    report = apply_plan(folder, plan)
    assert [outcome.status for outcome in report.outcomes] == ["skipped"] * 4
    assert snapshot(tmp_path) == once


def test_delete_keeps_the_keeper_and_is_final(tmp_path: Path, folder: Path) -> None:
    plan = plan_of(tmp_path, "delete", same_bytes=False)
    apply_plan(folder, plan)
    assert set(contents_below(tmp_path / "photos")) == {b"picture 0, version 0", b"picture 1, version 0"}
    report = undo_last(folder)
    assert report.count("failed") == 4
    assert "cannot be taken back" in str(report.outcomes[0].reason)
    with pytest.raises(BadInput, match="no plan is applied"):  # and does not stand in the way of earlier plans
        undo_last(folder)


def test_undo_goes_back_plan_by_plan(tmp_path: Path, folder: Path) -> None:
    first, second = make_groups(tmp_path / "photos", 2, 2, same_bytes=True)
    before = snapshot(tmp_path / "photos")
    apply_plan(folder, make_plan([first], "move", to=tmp_path / "moved"))
    between = snapshot(tmp_path / "photos")
    apply_plan(folder, make_plan([second], "hardlink"))
    undo_last(folder)
    assert snapshot(tmp_path / "photos") == between
    undo_last(folder)
    assert snapshot(tmp_path / "photos") == before


def change_bytes(step_path: Path, keeper: Path) -> None:
    found = step_path.stat()
    put(step_path, b"PICTURE 0"[: found.st_size], mtime_ns=found.st_mtime_ns)  # the same size and time


def grow(step_path: Path, keeper: Path) -> None:
    put(step_path, b"picture 0, edited")


def remove_keeper(step_path: Path, keeper: Path) -> None:
    keeper.unlink()


def change_keeper(step_path: Path, keeper: Path) -> None:
    change_bytes(keeper, keeper)


def link_keeper(step_path: Path, keeper: Path) -> None:
    """The keeper has become a link to the very file that would go."""
    keeper.unlink()
    keeper.symlink_to(step_path)


def make_twins(step_path: Path, keeper: Path) -> None:
    step_path.unlink()
    step_path.hardlink_to(keeper)


def make_folder(step_path: Path, keeper: Path) -> None:
    step_path.unlink()
    step_path.mkdir()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_bytes, "other bytes than when it was indexed"),
        (grow, "changed since it was indexed"),
        (remove_keeper, "is gone or has changed"),
        (change_keeper, "is gone or has changed"),
        (link_keeper, "is gone or has changed"),
        (make_twins, "the same file as its keeper"),
        (make_folder, "not a regular file"),
    ],
)
@pytest.mark.parametrize("action", ["trash", "move", "hardlink", "symlink", "reflink", "delete"])
def test_what_changed_since_the_plan_is_left_alone(
    tmp_path: Path, folder: Path, trash: Path, action: Action, change: object, reason: str
) -> None:
    [group] = make_groups(tmp_path / "photos", 1, 2, same_bytes=True)
    plan = make_plan([group], action, to=tmp_path / "moved" if action == "move" else None)
    change(plan.steps[0].path, plan.steps[0].keeper)  # type: ignore[operator]
    before = snapshot(tmp_path / "photos")
    report = apply_plan(folder, plan)
    assert reason in str(report.outcomes[0].reason)
    assert report.count("done") == 0
    assert report.journal is None
    assert snapshot(tmp_path / "photos") == before


def test_files_of_one_name_are_moved_side_by_side(tmp_path: Path, folder: Path) -> None:
    put(tmp_path / "moved" / "x.jpg", b"was here before")
    keeper = put(tmp_path / "keeper.jpg", b"1")
    copies = [put(tmp_path / str(n) / "x.jpg", b"copy %d" % n) for n in range(3)]
    before = snapshot(tmp_path)
    report = apply_plan(folder, make_plan([group_of(keeper, *copies)], "move", to=tmp_path / "moved"))
    names = ["x.jpg", "x (2).jpg", "x (3).jpg", "x (4).jpg"]
    assert [outcome.target for outcome in report.outcomes] == [tmp_path / "moved" / name for name in names[1:]]
    assert (tmp_path / "moved" / "x.jpg").read_bytes() == b"was here before"
    undo_last(folder)
    after = {path: state for path, state in snapshot(tmp_path).items() if not path.startswith(str(folder))}
    assert after == before


def test_a_name_too_long_for_a_number(tmp_path: Path, folder: Path) -> None:
    name = "ä" * 125 + ".jpg"  # 254 bytes
    keeper = put(tmp_path / "keeper.jpg", b"1")
    copies = [put(tmp_path / str(n) / name, b"copy %d" % n) for n in range(2)]
    report = apply_plan(folder, make_plan([group_of(keeper, *copies)], "move", to=tmp_path / "moved"))
    assert [outcome.status for outcome in report.outcomes] == ["done", "done"]
    assert str(report.outcomes[1].target).endswith("ä (2).jpg")
    assert undo_last(folder).count("done") == 2


def test_a_target_that_can_not_be_blocks_nothing_afterwards(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path, "move")
    numbered = files.numbered
    monkeypatch.setattr(files, "numbered", lambda path, n, length: path.name if n == 1 else "x" * 300)
    put(tmp_path / "moved" / plan.steps[0].path.name, b"in the way")
    assert apply_plan(folder, plan).count("failed") > 0
    assert apply_plan(folder, plan).count("failed") > 0
    monkeypatch.setattr(files, "numbered", numbered)
    assert undo_last(folder).count("failed") == 0


def test_a_path_too_long_to_be_blocks_nothing_afterwards(tmp_path: Path, folder: Path) -> None:
    to = tmp_path
    while (left := os.pathconf(tmp_path, "PC_PATH_MAX") - 5 - len(os.fsencode(to))) > 1:
        to /= "d" * min(left - 1, 200 if left < 400 else 250)
    plan = replace(plan_of(tmp_path, "move"), to=to)  # which can be made, and holds no name of five letters
    assert apply_plan(folder, plan).count("failed") > 0
    assert apply_plan(folder, plan).count("failed") > 0
    with pytest.raises(BadInput, match="no plan is applied"):
        undo_last(folder)


def test_another_file_system(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no hard link can be made from one to the other, files are copied, compared and only then removed."""
    link = os.link

    def refuse(source: Path, target: Path, **how: object) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, target, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", refuse)
    plan = plan_of(tmp_path, "move", same_bytes=False)
    before = snapshot(tmp_path / "photos")
    assert apply_plan(folder, plan).count("done") == 4
    assert sum(contents_below(tmp_path / "moved").values()) == 4 + 1  # and the mark
    assert undo_last(folder).count("done") == 4
    assert snapshot(tmp_path / "photos") == before
    assert not (tmp_path / "moved").exists()


def test_a_file_system_without_hard_links(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    plan = plan_of(tmp_path, "move")
    before = snapshot(tmp_path / "photos")
    assert apply_plan(folder, plan).count("done") == 4
    assert undo_last(folder).count("done") == 4
    assert snapshot(tmp_path / "photos") == before
    report = apply_plan(folder, replace(plan, action="hardlink", to=None))
    assert {outcome.reason for outcome in report.outcomes} == {"Operation not permitted"}
    assert snapshot(tmp_path / "photos") == before


def test_reflinks_or_a_reason(tmp_path: Path, folder: Path) -> None:
    plan = plan_of(tmp_path, "reflink")
    before = snapshot(tmp_path / "photos")
    report = apply_plan(folder, plan)
    if report.count("done"):
        assert all(not files.is_same_file(step.path, step.keeper) for step in plan.steps)
        undo_last(folder)
    else:
        assert "no reflinks" in str(report.outcomes[0].reason)
        with pytest.raises(BadInput, match="no plan is applied"):
            undo_last(folder)
    assert snapshot(tmp_path / "photos") == before


def test_undo_overwrites_nothing(tmp_path: Path, folder: Path, trash: Path) -> None:
    for action in REVERSIBLE:
        home = tmp_path / action
        plan = make_plan(make_groups(home, 1, 2, same_bytes=True), action, to=home / "to" if action == "move" else None)
        apply_plan(folder, plan)
        path = plan.steps[0].path
        path.unlink(missing_ok=True)
        put(path, b"new, and precious")
        report = undo_last(folder)
        assert report.count("failed") == 1
        assert path.read_bytes() == b"new, and precious"
        path.unlink()
        assert undo_last(folder).count("done") == 1  # once nothing is in the way
        assert path.read_bytes() == b"picture 0"


@pytest.mark.parametrize("action", REVERSIBLE)
def test_what_is_not_there_any_more_is_said(tmp_path: Path, folder: Path, trash: Path, action: Action) -> None:
    plan = plan_of(tmp_path, action)
    apply_plan(folder, plan)
    for place in (trash / "files", tmp_path / "moved"):
        for path in place.glob("*"):
            path.unlink()
    for keeper in {step.keeper for step in plan.steps}:
        keeper.unlink()
    report = undo_last(folder)
    if action == "hardlink":  # the bytes have more than one name
        assert report.count("done") == 4
        return
    assert report.count("failed") == 4
    expected = {"trash": "not in the trash", "move": "is not in", "symlink": "is gone"}
    assert all(expected[action] in str(outcome.reason) for outcome in report.outcomes)


@pytest.mark.parametrize("action", ["trash", "move", "symlink"])
def test_undo_waits_for_a_disk_that_is_away(tmp_path: Path, folder: Path, trash: Path, action: Action) -> None:
    plan = plan_of(tmp_path, action)
    before = snapshot(tmp_path / "photos")
    apply_plan(folder, plan)
    places = [tmp_path / "photos", trash, tmp_path / "moved"]
    for place in places:
        if place.exists():
            place.rename(place.with_name(f"{place.name} away"))
    report = undo_last(folder)
    assert report.count("failed") == 4
    assert all("is not there" in str(outcome.reason) for outcome in report.outcomes)
    for place in places:
        away = place.with_name(f"{place.name} away")
        if away.exists():
            away.rename(place)
    assert undo_last(folder).count("done") == 4
    assert snapshot(tmp_path / "photos") == before


def test_undo_of_a_move_to_what_is_now_the_old_folder(tmp_path: Path, folder: Path) -> None:
    """Where one directory entry has both paths, removing one of the two would remove the file."""
    keeper, copy = put(tmp_path / "a.jpg", b"1"), put(tmp_path / "old" / "b.jpg", b"2")
    apply_plan(folder, make_plan([group_of(keeper, copy)], "move", to=tmp_path / "archive"))
    copy.parent.rmdir()
    copy.parent.symlink_to("archive")
    report = undo_last(folder)
    assert report.count("failed") == 1
    assert (tmp_path / "archive" / "b.jpg").read_bytes() == b"2"
    copy.parent.unlink()
    assert undo_last(folder).count("done") == 1
    assert copy.read_bytes() == b"2"


def test_trash_of_a_folder_reached_through_a_link(
    tmp_path: Path, folder: Path, trash: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trash of another volume lies at the top of that volume, not of the one that the link is on."""
    volume = tmp_path / "volume"
    plain_is_mount = Path.is_mount
    monkeypatch.setattr(Path, "is_mount", lambda path: path == volume or plain_is_mount(path))
    keeper, real = put(volume / "photos" / "a.jpg", b"1"), put(volume / "photos" / "b.jpg", b"2")
    (tmp_path / "link").symlink_to(volume / "photos")
    copy = tmp_path / "link" / "b.jpg"
    apply_plan(folder, make_plan([group_of(tmp_path / "link" / keeper.name, copy)], "trash"))
    assert not real.exists()
    there = volume / f".Trash-{os.getuid()}"
    (there / "files").mkdir(parents=True)
    (there / "info").mkdir()
    for path in trash.rglob("*.*"):
        path.rename(there / path.relative_to(trash))
    [info] = (there / "info").iterdir()
    info.write_bytes(b"[Trash Info]\nPath=photos/b.jpg\nDeletionDate=2026-01-01T00:00:00\n")
    assert undo_last(folder).count("done") == 1
    assert real.read_bytes() == b"2"


def test_no_index_no_folder(tmp_path: Path) -> None:
    for act in (lambda folder: apply_plan(folder, plan_of(tmp_path, "delete")), undo_last):
        with pytest.raises(BadInput, match="no index here"):
            act(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()


def test_a_symlink_whose_keeper_was_edited(tmp_path: Path, folder: Path) -> None:
    plan = plan_of(tmp_path, "symlink")
    apply_plan(folder, plan)
    put(plan.steps[0].keeper, b"edited")
    report = undo_last(folder)
    assert (report.count("done"), report.count("failed")) == (2, 2)
    assert "has changed" in str(report.outcomes[-1].reason)
    assert plan.steps[0].path.is_symlink()


def test_one_at_a_time(tmp_path: Path, folder: Path) -> None:
    plan = plan_of(tmp_path, "delete")
    with write_lock(folder, None):
        with pytest.raises(IndexLocked):
            apply_plan(folder, plan)
        with pytest.raises(IndexLocked):
            undo_last(folder)


def test_a_plan_that_removes_a_keeper(tmp_path: Path, folder: Path) -> None:
    plan = plan_of(tmp_path, "delete")
    chained = replace(plan.steps[1], path=plan.steps[0].keeper, keeper=plan.steps[0].path)
    with pytest.raises(BadInput, match="keeps it for another file"):
        apply_plan(folder, replace(plan, steps=(*plan.steps, chained)))
    assert sum(contents_below(tmp_path / "photos").values()) == 6


def test_trash_needs_its_package(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "send2trash", None)
    with pytest.raises(MissingPackage, match="send2trash"):
        apply_plan(folder, plan_of(tmp_path, "trash"))
    assert sum(contents_below(tmp_path / "photos").values()) == 6


def test_report_is_not_applied(folder: Path) -> None:
    with pytest.raises(BadInput, match="changes nothing"):
        apply_plan(folder, Plan("report", ()))
