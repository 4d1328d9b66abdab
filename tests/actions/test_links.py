"""Hard links are one file, symbolic links hold where an album goes, and two volumes are said in one line."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from neardup.actions import apply_plan, files, make_plan, undo_last
from neardup.actions.elsewhere import Elsewhere
from neardup.actions.plan import freed_by_default
from neardup.actions.savings import freed_bytes
from neardup.groups.keep import KeepPolicy
from neardup.index import Index, Model
from tests.actions.a_collection import group_of, put, snapshot

NO_HARDLINK = "is on another volume than its keeper, where no hardlink can be; use symlink, move or trash"
OTHER_VOLUME = Path("/dev/shm")


def blocks(path: Path) -> int:
    return path.stat().st_blocks * 512 or path.stat().st_size


def test_a_file_is_counted_once_and_only_with_its_last_name(tmp_path: Path) -> None:
    one, two = put(tmp_path / "1", b"x" * 5000), put(tmp_path / "2", b"y")
    (tmp_path / "1b").hardlink_to(one)
    (tmp_path / "2b").hardlink_to(two)
    both = [one, tmp_path / "1b", two, tmp_path / "gone"]
    assert freed_bytes(both) == [0, blocks(one), None, 0]


def test_links_of_one_file_in_a_plan(tmp_path: Path) -> None:
    keeper, copy = put(tmp_path / "a", b"1" * 9000), put(tmp_path / "b", b"2" * 9000)
    (tmp_path / "b2").hardlink_to(copy)
    (tmp_path / "a2").hardlink_to(keeper)
    group = group_of(keeper, copy, tmp_path / "b2", tmp_path / "a2")
    plan = make_plan([group], "trash")
    assert [step.path.name for step in plan.steps] == ["b", "b2"]
    assert plan.freed_bytes == blocks(copy) == freed_by_default(group, KeepPolicy())
    assert plan.size_bytes == 18_000
    assert "same file as its keeper" in plan.kept[0].reason
    (tmp_path / "outside").hardlink_to(copy)
    plan = make_plan([group], "trash")
    assert plan.freed_bytes == 0 == freed_by_default(group, KeepPolicy())
    assert [step.notes for step in plan.steps] == [("frees nothing, as its file has another name that stays",)] * 2


def test_what_is_freed_counts_sidecars(tmp_path: Path) -> None:
    group = group_of(put(tmp_path / "a.jpg", b"1"), put(tmp_path / "b.jpg", b"2"))
    sidecar = put(tmp_path / "b.xmp", b"x" * 6000)
    assert make_plan([group], "trash").freed_bytes == blocks(tmp_path / "b.jpg") + blocks(sidecar)


def test_what_is_protected_cannot_be_freed(tmp_path: Path) -> None:
    group = group_of(put(tmp_path / "a.jpg", b"1"), put(tmp_path / "safe" / "b.jpg", b"2"))
    assert freed_by_default(group, KeepPolicy(under=(tmp_path / "safe",))) == 0
    assert freed_by_default(group, KeepPolicy()) > 0


def album(home: Path) -> tuple[Path, Path]:
    return put(home / "album" / "2020" / "a.jpg", b"picture"), put(home / "album" / "best" / "b.jpg", b"picture")


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_symbolic_link_is_relative_and_undone(tmp_path: Path, folder: Path, through_a_link: bool) -> None:
    keeper, copy = album(tmp_path)
    if through_a_link:
        (tmp_path / "far" / "away").mkdir(parents=True)
        (tmp_path / "far" / "away" / "best").symlink_to(copy.parent)
        copy = tmp_path / "far" / "away" / "best" / copy.name
    before = snapshot(tmp_path / "album")
    apply_plan(folder, make_plan([group_of(keeper, copy)], "symlink"))
    assert copy.readlink() == Path("../2020/a.jpg")
    assert copy.samefile(keeper)
    assert undo_last(folder).count("done") == 1
    assert snapshot(tmp_path / "album") == before


def index_of(folder: Path, *paths: Path) -> None:
    import hashlib

    import numpy as np

    model = Model(name="tiny", digest="0" * 64, engine="x", precision="FP32", decoder="1", dim=4)
    with Index.write(folder, model) as writer:
        for path in paths:
            found, digest = path.stat(), hashlib.sha256(path.read_bytes()).digest()
            writer.add(
                path, size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, digest=digest, width=4, height=3,
                embedding=np.array([1, 0, 0, 0], np.float32),
            )  # fmt: skip


@pytest.mark.parametrize("action", ["symlink", "hardlink"])
def test_undo_finds_an_album_that_was_moved(tmp_path: Path, folder: Path, action: str) -> None:
    keeper, copy = album(tmp_path)
    before = {path.replace("/album/", "/x/elsewhere/"): state for path, state in snapshot(tmp_path).items()}
    apply_plan(folder, make_plan([group_of(keeper, copy)], action))  # type: ignore[arg-type]
    (tmp_path / "x").mkdir()
    (tmp_path / "album").rename(tmp_path / "x" / "elsewhere")
    report = undo_last(folder)
    assert (report.count("failed"), report.outcomes[0].path) == (1, copy)  # and is asked again
    index_of(folder, tmp_path / "x" / "elsewhere" / "2020" / "a.jpg")
    report = undo_last(folder)
    assert report.outcomes[0].path == tmp_path / "x" / "elsewhere" / "best" / "b.jpg"
    assert snapshot(tmp_path / "x") == before


@pytest.mark.parametrize("changed", ["another link", "another file", "another keeper"])
def test_undo_leaves_alone_what_is_not_its_own_there(tmp_path: Path, folder: Path, changed: str) -> None:
    keeper, copy = album(tmp_path)
    apply_plan(folder, make_plan([group_of(keeper, copy)], "symlink"))
    (tmp_path / "album").rename(tmp_path / "elsewhere")
    keeper, copy = tmp_path / "elsewhere" / "2020" / "a.jpg", tmp_path / "elsewhere" / "best" / "b.jpg"
    index_of(folder, keeper)
    if changed == "another keeper":
        put(keeper, b"another")
    else:
        copy.unlink()
        put(copy.with_name("c.jpg"), b"picture")
        copy.symlink_to("c.jpg") if changed == "another link" else put(copy, b"picture")
    before = snapshot(tmp_path / "elsewhere")
    assert undo_last(folder).count("failed") == 1
    assert snapshot(tmp_path / "elsewhere") == before


def test_without_an_index_a_link_stays_unfound(tmp_path: Path) -> None:
    assert Elsewhere(tmp_path / "nowhere")._places == {}


def on_two_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "is_on_another_volume", lambda first, second: True)
    monkeypatch.setattr("neardup.actions.plan.is_on_another_volume", lambda first, second: True)


def test_hard_links_between_volumes_are_not_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = group_of(put(tmp_path / "a", b"1"), put(tmp_path / "b", b"1"))
    on_two_volumes(monkeypatch)
    plan = make_plan([group], "hardlink")
    assert (plan.steps, plan.kept[0].reason) == ((), NO_HARDLINK)


def test_a_hard_link_that_meets_another_volume_says_so(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    plan = make_plan([group_of(put(tmp_path / "a", b"1"), put(tmp_path / "b", b"1"))], "hardlink")
    monkeypatch.setattr(os, "link", refuse)
    [outcome] = apply_plan(folder, plan).outcomes
    assert (
        outcome.reason == "is on another volume than its keeper, where no hardlink can be; use symlink, move or trash"
    )


def test_a_symbolic_link_to_another_volume_is_absolute(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, copy = album(tmp_path)
    on_two_volumes(monkeypatch)
    apply_plan(folder, make_plan([group_of(keeper, copy)], "symlink"))
    assert copy.readlink() == keeper
    assert undo_last(folder).count("done") == 1
    assert not copy.is_symlink()


@pytest.mark.skipif(not os.access(OTHER_VOLUME, os.W_OK), reason="no second volume here")
def test_two_real_volumes(tmp_path: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=OTHER_VOLUME) as there:
        keeper, copy = put(tmp_path / "a.jpg", b"1"), put(Path(there) / "b.jpg", b"1")
        if not files.is_on_another_volume(keeper, copy):
            pytest.skip("one volume holds both")
        group = group_of(keeper, copy)
        assert make_plan([group], "hardlink").kept[0].reason == NO_HARDLINK
        before = snapshot(Path(there))
        for action in ("symlink", "move"):
            to = tmp_path / "moved" if action == "move" else None
            assert apply_plan(folder, make_plan([group], action, to=to)).count("done") == 1  # type: ignore[arg-type]
            assert undo_last(folder).count("done") == 1
            assert snapshot(Path(there)) == before
