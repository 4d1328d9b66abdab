"""What a stranger's index folder may have done with the files of its reader: nothing."""

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from neardup.actions import apply_plan, make_plan, undo_last
from neardup.actions.files import digest_of, temporary_beside
from neardup.actions.journal import Journal, journals
from neardup.errors import DamagedIndex, NeardupError, NotTrusted
from neardup.index.owner import claim, trust_index
from tests.actions.a_collection import make_groups, put, snapshot

HEADER = {"format": "neardup journal 1", "created": "2026-11-21T08:00:00+00:00", "steps": 3}


def lines_of(*entries: dict[str, object]) -> bytes:
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


def hostile(home: Path, what: str) -> bytes:
    """A journal of format 1, which anyone can write, about files of a user."""
    evil, bashrc = put(home / "got" / "evil", b"touch owned"), home / "home" / "precious"
    begin: dict[str, object] = {
        "event": "begin", "step": 0, "path": str(home / "got" / "a.jpg"), "size_bytes": 11, "mtime_ns": 1,
        "mode": stat.S_IFREG | 0o644, "digest": (digest_of(evil) or b"").hex(), "keeper": str(evil), "target": None,
    }  # fmt: skip
    done = {"event": "done", "step": 0}
    if what == "removes by a link that was begun":
        return lines_of(HEADER | {"action": "hardlink"}, begin | {"target": str(bashrc)})
    if what == "removes by a move that was begun":
        copy = put(home / "got" / "a.jpg", bashrc.read_bytes())
        begin |= {"digest": (digest_of(copy) or b"").hex(), "target": str(bashrc)}
        return lines_of(HEADER | {"action": "move"}, begin)
    if what == "writes by a move":
        begin |= {"path": str(home / "home" / ".config" / "evil.desktop"), "target": str(evil)}
        return lines_of(HEADER | {"action": "move"}, begin, done)
    if what == "removes by a symlink":
        (home / "got" / "link").symlink_to(evil)
        begin |= {"path": str(home / "got" / "link"), "target": str(bashrc), "mode": stat.S_IFREG | 0o6755}
        return lines_of(HEADER | {"action": "symlink"}, begin, done)
    path = home / "home" / "a.jpg"
    path.symlink_to(evil)
    begin |= {"path": str(path), "target": str(temporary_beside(path)), "mode": stat.S_IFREG | 0o6755}
    return lines_of(HEADER | {"action": "symlink"}, begin, done)


HOSTILE = (
    "removes by a link that was begun", "removes by a move that was begun", "writes by a move", "removes by a symlink",
    "sets the owner's rights",
)  # fmt: skip


PLACE = {"number": 1, "stem_length": 1, "folders": 0, "mark": False}


def signed_by_another(content: bytes) -> bytes:
    """As format 2 has it, with MACs of a key that this user has not."""
    entries = [json.loads(line) for line in content.splitlines()]
    to = "/" if entries[0]["action"] == "move" else None
    entries[0] |= {"format": "neardup journal 2", "to": to, "root": None}
    entries[1] |= {"unit": 0, "place": PLACE if to else None, "mode": 0o755}
    del entries[1]["target"]
    return lines_of(*(entry | {"mac": "0" * 64} for entry in entries))


@pytest.mark.parametrize("format", [1, 2])
@pytest.mark.parametrize("is_own_index", [False, True])
@pytest.mark.parametrize("what", HOSTILE)
def test_a_strangers_journal_is_not_acted_on(tmp_path: Path, what: str, is_own_index: bool, format: int) -> None:
    put(tmp_path / "home" / "precious", b"my only copy")
    index = tmp_path / "got" / "index"
    index.mkdir(parents=True)
    if is_own_index:
        trust_index(index)
    content = hostile(tmp_path, what)
    put(index / "actions" / "000001.jsonl", content if format == 1 else signed_by_another(content))
    before = snapshot(tmp_path)
    with pytest.raises((NotTrusted, DamagedIndex), match=r"--trust|move it away") as error:
        undo_last(index)
    assert "\n" not in str(error.value)
    assert before.items() <= snapshot(tmp_path).items()
    groups = make_groups(tmp_path / "photos", 1, 2, same_bytes=True)
    said: list[str] = []
    plan = make_plan(groups, "hardlink")
    if not is_own_index:
        with pytest.raises(NotTrusted, match="--trust"):
            apply_plan(index, plan, say=said.append)
    else:
        assert apply_plan(index, plan, say=said.append).count("done") == 1
        # An earlier neardup's that has nothing left to end does no harm, and is not spoken of each time.
        assert bool(said) == (format == 2 or what != "sets the owner's rights")
        assert all("\n" not in line and "000001.jsonl" in line for line in said)
    assert before.items() <= snapshot(tmp_path).items()


@pytest.mark.parametrize("what", HOSTILE)
def test_a_strangers_journal_that_is_trusted_goes_where_actions_go(tmp_path: Path, what: str) -> None:
    """And gives no rights; what it says of other places is refused."""
    precious = put(tmp_path / "home" / "precious", b"my only copy")
    index = tmp_path / "got" / "index"
    put(index / "actions" / "000001.jsonl", hostile(tmp_path, what))
    if what == "sets the owner's rights":
        assert undo_last(index, trust=True).count("done") == 1
        assert stat.S_IMODE((tmp_path / "home" / "a.jpg").lstat().st_mode) == 0o755
    else:
        with pytest.raises(DamagedIndex, match="not a journal"):
            undo_last(index, trust=True)
        assert not (tmp_path / "home" / ".config").exists()
    assert precious.read_bytes() == b"my only copy"


def applied(tmp_path: Path, folder: Path, name: str = "photos") -> Path:
    groups = make_groups(tmp_path / name, 2, 3, same_bytes=True)
    journal = apply_plan(folder, make_plan(groups, "move", to=tmp_path / "moved")).journal
    assert journal is not None
    return journal


def other_digit(line: bytes) -> bytes:
    at = line.index(b"mtime_ns") + 12
    return line[:at] + (b"1" if line[at : at + 1] != b"1" else b"2") + line[at + 1 :]


Edit = Callable[[list[bytes]], list[bytes]]
EDITS: dict[str, Edit] = {
    "changed": lambda lines: [lines[0], other_digit(lines[1]), *lines[2:]],
    "header changed": lambda lines: [lines[0].replace(b"moved", b"other"), *lines[1:]],
    "added": lambda lines: [*lines, b'{"event": "end"}\n'],
    "added again": lambda lines: [*lines, lines[-1]],
    "moved": lambda lines: [*lines[:3], lines[5], lines[6], lines[3], lines[4], *lines[7:]],
    "left out": lambda lines: [*lines[:3], *lines[5:]],
    "left out at the start": lambda lines: lines[1:],
    "without a MAC": lambda lines: [*lines[:2], b'{"event": "done", "step": 0}\n', *lines[3:]],
    "no field": lambda lines: [*lines, b"{}\n"],
    "no event": lambda lines: [*lines, b'{"event": "explode", "step": 1}\n'],
    "no text": lambda lines: [*lines, b"\xff\n"],
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_line_that_was_touched_stops_undo_and_not_the_next_plan(tmp_path: Path, folder: Path, edit: str) -> None:
    journal = applied(tmp_path, folder)
    changed = b"".join(EDITS[edit](journal.read_bytes().splitlines(keepends=True)))
    assert changed != journal.read_bytes()
    journal.write_bytes(changed)
    before = snapshot(tmp_path / "photos") | snapshot(tmp_path / "moved")
    with pytest.raises((NotTrusted, DamagedIndex), match="move it away"):
        undo_last(folder)
    assert snapshot(tmp_path / "photos") | snapshot(tmp_path / "moved") == before
    said: list[str] = []
    more = make_groups(tmp_path / "more", 1, 2, same_bytes=True)
    assert apply_plan(folder, make_plan(more, "hardlink"), say=said.append).count("done") == 1
    [line] = said
    assert str(journal) in line
    assert journal.read_bytes() == changed


@pytest.mark.parametrize("place", ["another number", "another index"])
def test_a_journal_speaks_for_its_own_place_alone(tmp_path: Path, folder: Path, place: str) -> None:
    journal = applied(tmp_path, folder)
    other = tmp_path / "other"
    other.mkdir()
    trust_index(other)
    target = folder / "actions" / "000002.jsonl" if place == "another number" else other / "actions" / "000001.jsonl"
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(journal, target)
    with pytest.raises(NotTrusted, match="not written by you with this index"):
        undo_last(target.parents[1])


def test_a_journal_cut_anywhere_is_one_that_a_crash_left(tmp_path: Path, folder: Path) -> None:
    journal = applied(tmp_path, folder)
    whole = journal.read_bytes()
    owner = claim(folder)
    [full] = journals(folder, owner)
    for cut in range(0, len(whole), 7):
        journal.write_bytes(whole[:cut])
        found = Journal.read(journal, owner)
        assert (found is None) == (b"\n" not in whole[:cut])
        if found is not None:
            assert found.records == full.records[: len(found.records)]
            assert found.is_signed


def as_format_1(journal: Path) -> None:
    """As an earlier neardup would have written it."""
    header, *entries = [json.loads(line) for line in journal.read_bytes().splitlines()]
    to = Path(header.pop("to")) if header["action"] == "move" else header.pop("to")
    del header["root"]
    for entry in (header, *entries):
        del entry["mac"]
        if entry.get("event") == "begin":
            del entry["unit"]
            place, path = entry.pop("place"), Path(entry["path"])
            number = place["number"] if place else 1
            name = path.name if number == 1 else f"{path.stem} ({number}){path.suffix}"
            entry |= {"mode": entry["mode"] | stat.S_IFREG, "target": str(to / name if to else temporary_beside(path))}
    journal.write_bytes(lines_of(header | {"format": "neardup journal 1"}, *entries))


@pytest.mark.parametrize("action", ["move", "hardlink", "symlink"])
def test_a_journal_of_an_earlier_neardup_is_taken_back_when_it_is_trusted(
    tmp_path: Path, folder: Path, action: str
) -> None:
    groups = make_groups(tmp_path / "photos", 2, 3, same_bytes=True)
    before = snapshot(tmp_path / "photos")
    to = tmp_path / "moved" if action == "move" else None
    journal = apply_plan(folder, make_plan(groups, action, to=to)).journal  # type: ignore[arg-type]
    assert journal is not None
    as_format_1(journal)
    (folder / "owner.json").unlink()
    with pytest.raises(NotTrusted, match="not known to be an index of yours"):
        undo_last(folder)
    trust_index(folder, trust=True)  # as dedup --apply --trust does
    with pytest.raises(NotTrusted, match="an earlier neardup wrote it"):
        undo_last(folder)
    assert snapshot(tmp_path / "photos") != before
    report = undo_last(folder, trust=True)
    assert report.count("done") == 4
    assert snapshot(tmp_path / "photos") == before
    with pytest.raises(NeardupError, match="no plan is applied"):  # it is signed now
        undo_last(folder)


def test_rights_that_run_as_the_owner_do_not_come_back(tmp_path: Path, folder: Path) -> None:
    groups = make_groups(tmp_path / "photos", 1, 2, same_bytes=True)
    path = groups[0].members[1].path
    path.chmod(0o6755)
    apply_plan(folder, make_plan(groups, "symlink"))
    assert undo_last(folder).count("done") == 1
    assert stat.S_IMODE(path.lstat().st_mode) == 0o755


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_sparse(path: Path) -> None:
    path.write_bytes(lines_of(HEADER | {"action": "move"}))
    os.truncate(path, 30 << 30)


UNFIT: dict[str, Callable[[Path], object]] = {
    "FIFO": make_fifo,
    "link": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
    "30 GB of nothing": make_sparse,
    "a line without an end": lambda path: path.write_bytes(b"x" * (1 << 20)),
    "deep JSON": lambda path: path.write_bytes(b"[" * 60_000 + b"\n"),
    "no header": lambda path: path.write_bytes(b"[]\n"),
    "an unknown format": lambda path: path.write_bytes(b'{"format": "neardup journal 99"}\n'),
    "an unknown action": lambda path: path.write_bytes(lines_of(HEADER | {"action": "explode"})),
    "an unknown field": lambda path: path.write_bytes(lines_of(HEADER | {"action": "trash", "run": "rm"})),
    "a number beyond all": lambda path: path.write_bytes(
        lines_of(HEADER | {"action": "trash"}) + b'{"event": "done", "step": 1e400}\n'
    ),
}


@pytest.mark.parametrize("kind", UNFIT)
@pytest.mark.parametrize("trust", [False, True])
def test_what_is_no_journal_costs_a_line(tmp_path: Path, folder: Path, kind: str, trust: bool) -> None:
    trust_index(folder)
    (folder / "actions").mkdir()
    UNFIT[kind](folder / "actions" / "000001.jsonl")
    with pytest.raises((DamagedIndex, NotTrusted), match=r"000001\.jsonl: .*move it away") as error:
        undo_last(folder, trust=trust)
    assert "\n" not in str(error.value)
    groups = make_groups(tmp_path / "photos", 1, 2, same_bytes=True)
    assert apply_plan(folder, make_plan(groups, "hardlink")).count("done") == 1


@pytest.mark.parametrize("name", ["²", "9" * 200, "x", "-1", "1_0"])
def test_a_name_that_no_journal_has_is_none(tmp_path: Path, folder: Path, name: str) -> None:
    trust_index(folder)
    put(folder / "actions" / f"{name}.jsonl", b"{}\n")
    assert applied(tmp_path, folder).name == "000001.jsonl"


@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_journals_lie_in_the_index_itself(tmp_path: Path, folder: Path, kind: str) -> None:
    trust_index(folder)
    elsewhere = tmp_path / "elsewhere"
    if kind == "link":
        elsewhere.mkdir()
    if kind == "file":
        put(folder / "actions", b"")
    else:
        (folder / "actions").symlink_to(elsewhere)
    before = snapshot(tmp_path)
    plan = make_plan(make_groups(tmp_path / "photos", 1, 2, same_bytes=True), "hardlink")
    for run in (lambda: apply_plan(folder, plan), lambda: undo_last(folder)):
        with pytest.raises(NeardupError, match="actions"):
            run()
    assert before.items() <= snapshot(tmp_path).items()
    assert not elsewhere.exists() or not list(elsewhere.iterdir())
