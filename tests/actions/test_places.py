"""Where moved files go, what is left of that after an undo, and that an index leaves it alone from then on."""

from pathlib import Path

import pytest

from neardup.actions import apply_plan, make_plan, undo_last, will_be_set_aside
from neardup.actions.places import Place, clear
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


MOVE = Header("move", Path("/to"), "", 4, Path("/photos"))
PLACE = {"number": 2, "stem_length": 1, "folders": 2, "mark": True}


def begun(**changes: object) -> dict[str, object]:
    record = Record(1, Path("/photos/x/a.jpg"), 1, 1, 0o644, bytes(32), Path("/photos/b.jpg"), 0, Place(2, 1, 2, True))
    return record.to_json() | changes


def test_what_a_journal_says_of_places() -> None:
    record = read_record(begun(), MOVE)
    assert record.to_json() == begun()
    assert record.target(MOVE) == Path("/to/x/a (2).jpg")
    assert record.made(MOVE) == [Path("/to"), Path("/to") / MARK, Path("/to/x")]
    header = {"format": "neardup journal 2"} | MOVE.to_json()
    assert read_header(header) == MOVE
    for odd in ({"root": "photos"}, {"root": 1}, {"to": "a"}, {"to": None}, {"action": "trash"}, {"more": 1}):
        with pytest.raises(ValueError, match=r"path|action|root|a line has"):
            read_header(header | odd)


@pytest.mark.parametrize(
    "odd",
    [
        *({"place": PLACE | {name: value}} for name, value in (
            ("number", 0), ("number", None), ("number", "1"), ("stem_length", 0), ("stem_length", 8),
            ("stem_length", True), ("folders", -1), ("folders", 4), ("folders", 10**9), ("mark", 1),
            ("mark", None), ("path", "/x"),
        )),
        {"place": None}, {"place": []}, {"place": {}}, {"path": "/photos/.."}, {"path": "/"}, {"path": "a"},
        {"unit": 2}, {"unit": -1}, {"unit": None}, {"target": "/x"}, {"made": ["/x"]}, {"written": "0" * 64},
        {"step": -1},
    ],
)  # fmt: skip
def test_what_no_journal_says_of_places(odd: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        read_record(begun(**odd), MOVE)


def test_places_are_of_moves_alone() -> None:
    for action in ("trash", "delete", "symlink"):
        header = Header(action, None, "", 4)  # type: ignore[arg-type]
        assert read_record(begun(place=None), header).target(header).parent == Path("/photos/x")
        with pytest.raises(ValueError, match="a place with action"):
            read_record(begun(), header)


def given(**changes: object) -> dict[str, object]:
    path, keeper = Path("/photos/b.jpg.xmp"), Path("/photos/b.jpg")
    return Record(-1, path, 1, 1, 0o644, bytes(32), keeper, written=bytes(32)).to_json() | changes


@pytest.mark.parametrize(
    "odd",
    [
        {"path": "/photos/c.jpg.xmp"}, {"path": "/photos/b.jpg"}, {"path": "/photos/b.jpg.json"}, {"path": "/b.xmp"},
        {"path": "/photos/../photos/b.xmp"}, {"path": "b.xmp"}, {"step": 0}, {"step": -(2**63)}, {"step": True},
        {"written": "0"}, {"written": None}, {"digest": "0"}, {"digest": None}, {"digest": ""}, {"size_bytes": 1 << 30},
        {"mode": 0o4755}, {"unit": 0}, {"place": None}, {"saved": "/x"}, {"keeper": "/photos/c.jpg"},
    ],
)  # fmt: skip
def test_what_no_journal_says_of_sidecars(odd: dict[str, object]) -> None:
    assert read_record(given(), MOVE).to_json() == given()
    assert read_record(given(path="/photos/B.XMP", digest="", size_bytes=0), MOVE).digest == b""
    with pytest.raises((ValueError, TypeError)):
        read_record(given(**odd), MOVE)
    with pytest.raises(ValueError, match="no sidecar that a hardlink"):
        read_record(given(), Header("hardlink", None, "", 4))


def test_folders_with_something_in_them_are_not_taken_away(tmp_path: Path) -> None:
    """However many a journal says were made."""
    to = tmp_path / "to"
    kept = put(to / "x" / "mine.txt", b"mine")
    (to / "x" / "y" / "z").mkdir(parents=True)
    target = to / "x" / "y" / "z" / "a.jpg"
    clear(Place(1, 1, len(target.parents), mark=True).made(target, to), target)
    assert kept.exists()
    assert not (to / "x" / "y").exists()
