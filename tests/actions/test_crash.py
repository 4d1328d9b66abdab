"""Killed at any call that changes a file: undo, or applying again, loses no file and leaves no group without keeper."""

import hashlib
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from neardup.actions import Action, apply_plan, make_plan, undo_last
from neardup.actions.journal import journals
from neardup.errors import BadInput
from neardup.groups import DuplicateGroup
from neardup.index.owner import claim, trust_index
from tests.actions.a_collection import contents_below, make_groups, snapshot

CALLS = ("fsync", "link", "unlink", "rename", "replace", "symlink", "utime")
ACTIONS: tuple[Action, ...] = ("trash", "move", "hardlink", "symlink", "delete")


def kill_at(call: int, run: Callable[[], object]) -> bool:
    """Run in a process of its own that is killed before its n-th change; whether it came so far."""
    child = os.fork()
    if child == 0:
        left = call

        def dying(function: Callable[..., object]) -> Callable[..., object]:
            def change(*arguments: object, **how: object) -> object:
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **how)

            return change

        for name in CALLS:
            setattr(os, name, dying(getattr(os, name)))
        try:
            run()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def collection(tmp_path: Path, action: Action) -> tuple[list[DuplicateGroup], Callable[[], object]]:
    groups = make_groups(tmp_path / "photos", 2, 3, same_bytes=action in ("hardlink", "symlink"))
    to = tmp_path / "moved" if action == "move" else None
    return groups, lambda: apply_plan(tmp_path / "index", make_plan(groups, action, to=to))


def check(groups: list[DuplicateGroup], *folders: Path, action: Action) -> None:
    digests = {hashlib.sha256(content).digest() for content in contents_below(*folders)}
    for group in groups:
        assert hashlib.sha256(group.keeper.path.read_bytes()).digest() == group.keeper.digest
        if action != "delete":
            assert {member.digest for member in group.members} <= digests


def undo_if_any(folder: Path) -> None:
    """A crash may have come before the first file was touched, or after the last one was back."""
    with suppress(BadInput):
        assert undo_last(folder).count("failed") == 0


@pytest.mark.parametrize("action", ACTIONS)
def test_killed_then_undone(tmp_path: Path, folder: Path, trash: Path, action: Action) -> None:
    killed = 0
    for call in range(3, 60, 4):
        home = tmp_path / str(call)
        (home / "index").mkdir(parents=True)
        groups, apply = collection(home, action)
        before = snapshot(home / "photos")
        if not kill_at(call, apply):
            break
        killed += 1
        check(groups, home, trash, action=action)
        if action == "delete":
            continue
        undo_if_any(home / "index")
        assert snapshot(home / "photos") == before
    assert killed >= 4


@pytest.mark.parametrize("action", ACTIONS)
def test_killed_then_applied_again(tmp_path: Path, folder: Path, trash: Path, action: Action) -> None:
    killed = 0
    for call in range(1, 60, 5):
        home = tmp_path / str(call)
        (home / "index").mkdir(parents=True)
        groups, apply = collection(home, action)
        if not kill_at(call, apply):
            break
        killed += 1
        apply()
        check(groups, home, trash, action=action)
        for group in groups:
            assert group.keeper.path.is_file()
            for member in group.members[1:]:
                assert member.path.exists() == (action in ("hardlink", "symlink"))
                assert not os.path.lexists(member.path) or member.path.samefile(group.keeper.path)
        assert not list(home.rglob("*.neardup-tmp"))
    assert killed >= 4


@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "delete"])
def test_undo_killed_then_undone(tmp_path: Path, folder: Path, trash: Path, action: Action) -> None:
    killed = 0
    for call in range(1, 60, 5):
        home = tmp_path / str(call)
        (home / "index").mkdir(parents=True)
        groups, apply = collection(home, action)
        before = snapshot(home / "photos")
        apply()
        if not kill_at(call, lambda folder=home / "index": undo_last(folder)):
            break
        killed += 1
        check(groups, home, trash, action=action)
        undo_if_any(home / "index")
        assert snapshot(home / "photos") == before
        assert not list(home.rglob("*.neardup-tmp"))
    assert killed >= 2


def test_a_torn_last_line_is_no_line(tmp_path: Path, folder: Path) -> None:
    _, apply = collection(tmp_path, "move")
    before = snapshot(tmp_path / "photos")
    apply()
    [path] = (folder / "actions").glob("*.jsonl")
    path.write_bytes(path.read_bytes() + b'{"event": "und')
    assert undo_last(folder).count("done") == 4
    assert snapshot(tmp_path / "photos") == before
    [journal] = journals(folder, claim(folder))
    assert set(journal.states.values()) == {"undone"}


def test_a_journal_without_its_first_line(folder: Path, tmp_path: Path) -> None:
    _, apply = collection(tmp_path, "move")
    trust_index(folder)
    (folder / "actions").mkdir()
    (folder / "actions" / "000001.jsonl").write_bytes(b'{"form')
    apply()
    assert sorted(path.name for path in (folder / "actions").iterdir()) == ["000001.jsonl", "000002.jsonl"]
    assert undo_last(folder).count("done") == 4
