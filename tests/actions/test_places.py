"""Where moved files go, what is left of that after an undo, and that an index leaves it alone from then on."""

from pathlib import Path

import pytest

from neardup.actions import apply_plan, make_plan, undo_last, will_be_set_aside
from neardup.actions.places import clear
from neardup.actions.records import Header, Record, read_header, read_record
from neardup.errors import BadInput
from neardup.images import find_images
from neardup.sources.walk import Walk
from tests.actions.a_collection import group_of, put, snapshot

MARK = ".neardup-moved"


def names_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_moved_files_keep_their_folders(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "photos"
    keeper = put(home / "keeper.jpg", b"1")
    copies = [put(home / year / "Rome" / "IMG_1.jpg", year.encode()) for year in ("2019", "2020")]
    before = snapshot(home)
    plan = make_plan([group_of(keeper, *copies)], "move", to=home / "a" / "dups", root=home)
    apply_plan(folder, plan)
    moved = [MARK, "2019/Rome/IMG_1.jpg", "2020/Rome/IMG_1.jpg"]
    assert names_below(home / "a" / "dups") == moved
    undo_last(folder)
    assert snapshot(home) == before
    assert sorted(path.name for path in home.iterdir()) == ["2019", "2020", "keeper.jpg"]


def test_without_a_root_they_lie_side_by_side_unit_by_unit(tmp_path: Path, folder: Path) -> None:
    """What belongs to a picture has its number, and no other one's name."""
    keeper = put(tmp_path / "keeper.jpg", b"1")
    copies = []
    for year in ("2018", "2019", "2020"):
        copies.append(put(tmp_path / year / ("IMG_1.png" if year == "2020" else "IMG_1.jpg"), year.encode()))
        for name in ("IMG_1.xmp", "IMG_1_01.jpg.xmp", "IMG_1.jpg.json"):
            put(tmp_path / year / name, year.encode() + name.encode())
    before = snapshot(tmp_path)
    apply_plan(folder, make_plan([group_of(keeper, *copies)], "move", to=tmp_path / "moved"))
    moved = tmp_path / "moved"
    assert names_below(moved) == [
        MARK,
        "IMG_1 (2).jpg", "IMG_1 (2).jpg.json", "IMG_1 (2).xmp", "IMG_1 (2)_01.jpg.xmp",
        "IMG_1 (3).png", "IMG_1 (3).xmp",
        "IMG_1.jpg", "IMG_1.jpg.json", "IMG_1.xmp", "IMG_1_01.jpg.xmp",
    ]  # fmt: skip
    assert (moved / "IMG_1 (3).xmp").read_bytes() == b"2020IMG_1.xmp"
    undo_last(folder)
    assert {path: state for path, state in snapshot(tmp_path).items() if "/index/" not in path} == before


@pytest.mark.parametrize("there", ["new", "empty", "used", "marked"])
def test_a_folder_with_files_of_its_own_is_not_set_aside(tmp_path: Path, folder: Path, there: str) -> None:
    home, to = tmp_path / "photos", tmp_path / "photos" / "dups"
    group = group_of(put(home / "a.jpg", b"1"), put(home / "b.jpg", b"2"))
    if there != "new":
        to.mkdir()
    if there in ("used", "marked"):
        put(to / "mine.jpg", b"mine")
    if there == "marked":
        put(to / MARK, b"")
    assert will_be_set_aside(to) == (there != "used")
    apply_plan(folder, make_plan([group], "move", to=to, root=home))
    expected = {"a.jpg"} if there != "used" else {"a.jpg", "b.jpg", "mine.jpg"}
    assert {path.name for path in find_images(home)} == expected
    undo_last(folder)
    assert to.exists() == (there != "new")
    assert names_below(to) == {"used": ["mine.jpg"], "marked": [MARK, "mine.jpg"]}.get(there, [])


def test_a_walk_says_once_what_it_leaves_out_and_goes_where_it_is_sent(tmp_path: Path) -> None:
    dups = tmp_path / "photos" / "dups"
    inner = put(dups / "2019" / "b.jpg", b"2")
    outer = put(tmp_path / "photos" / "a.jpg", b"1")
    put(dups / MARK, b"")
    walk = Walk([tmp_path / "photos"])
    assert [source.path for source in walk] == [outer]
    assert list(walk.set_aside) == [dups]
    assert walk.whole_roots() == [tmp_path / "photos"]
    walk = Walk([tmp_path / "photos", dups])
    assert {source.path for source in walk} == {outer, inner}
    assert not walk.set_aside
    (dups / MARK).unlink()
    (dups / MARK).symlink_to(outer)
    assert {source.path for source in Walk([tmp_path / "photos"])} == {outer, inner}


def test_what_was_moved_is_not_moved_again(tmp_path: Path) -> None:
    home = tmp_path / "photos"
    group = group_of(put(home / "a.jpg", b"1"), put(home / "dups" / "b.jpg", b"2"))
    (tmp_path / "link").symlink_to(home / "dups")
    for to in (home / "dups", tmp_path / "link"):
        plan = make_plan([group], "move", to=to, root=home)
        assert plan.steps == ()
        assert plan.kept[0].reason == "is in the folder to move to already"


def test_nothing_moved_leaves_no_folder(tmp_path: Path, folder: Path) -> None:
    group = group_of(put(tmp_path / "a.jpg", b"1"), put(tmp_path / "b.jpg", b"2"))
    plan = make_plan([group], "move", to=tmp_path / "to" / "dups", root=tmp_path)
    put(tmp_path / "b.jpg", b"edited")
    assert apply_plan(folder, plan).count("failed") == 1
    assert not (tmp_path / "to").exists()


def test_a_folder_that_cannot_be_made_is_said_first(tmp_path: Path, folder: Path) -> None:
    group = group_of(put(tmp_path / "a.jpg", b"1"), put(tmp_path / "b.jpg", b"2"))
    put(tmp_path / "file", b"")
    with pytest.raises(BadInput, match="Not a directory; choose another folder"):
        apply_plan(folder, make_plan([group], "move", to=tmp_path / "file" / "dups"))


def test_undo_takes_away_only_what_was_made_and_is_empty(tmp_path: Path, folder: Path) -> None:
    home, to = tmp_path / "photos", tmp_path / "to"
    group = group_of(put(home / "a.jpg", b"1"), put(home / "x" / "b.jpg", b"2"))
    apply_plan(folder, make_plan([group], "move", to=to, root=home))
    put(to / "x" / "mine.txt", b"mine")
    undo_last(folder)
    assert names_below(to) == [MARK, "x/mine.txt"]


def test_a_plan_that_climbs_out_of_the_folder_does_not(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "photos"
    (home / "x").mkdir(parents=True)
    group = group_of(put(home / "a.jpg", b"1"), put(home / "x" / ".." / ".." / "b.jpg", b"2"))
    report = apply_plan(folder, make_plan([group], "move", to=tmp_path / "to" / "dups", root=home))
    assert report.outcomes[0].target == tmp_path / "to" / "dups" / "b.jpg"


ODD: list[dict[str, object]] = [
    {"made": -1}, {"made": True}, {"made": "1"}, {"marked": 1}, {"stem": 1}, {"target": "/x"},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_what_no_journal_says_of_places(tmp_path: Path, odd: dict[str, object]) -> None:
    header = Header("move", tmp_path / "to", "", 1, tmp_path)
    record = Record(0, tmp_path / "a.jpg", 1, 1, 0o644, bytes(32), tmp_path / "b.jpg", 1, "a", 2, True)
    told = {"format": "neardup journal 2"} | header.to_json()
    assert read_header(told) == header
    assert read_record(record.to_json(), header) == record
    with pytest.raises(ValueError, match=r"made|marked|stem|a line has"):
        read_record(record.to_json() | odd, header)
    with pytest.raises(ValueError, match="not absolute"):
        read_header(told | {"root": "photos"})


def test_a_journal_takes_away_no_folder_that_holds_something(tmp_path: Path) -> None:
    """However many it says were made."""
    to = tmp_path / "to"
    kept = put(to / "x" / "mine.txt", b"mine")
    (to / "x" / "y" / "z").mkdir(parents=True)
    clear(to, to / "x" / "y" / "z" / "a.jpg", 10**6, marked=True)
    assert kept.exists()
    assert not (to / "x" / "y").exists()
