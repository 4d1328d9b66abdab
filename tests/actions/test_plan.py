"""What a plan leaves alone, and what it says would be lost."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neardup.actions import Plan, Step, apply_plan, load_plan, make_plan, save_plan
from neardup.errors import BadInput
from neardup.groups import DuplicateGroup
from neardup.groups.keep import KeepPolicy
from tests.actions.a_collection import group_of, make_groups, member_of, put


def reasons(plan: Plan) -> dict[str, str]:
    return {kept.path.name: kept.reason for kept in plan.kept}


def test_all_but_the_keeper(tmp_path: Path) -> None:
    plan = make_plan(make_groups(tmp_path, 2, 3, same_bytes=True), "trash")
    assert [step.path.relative_to(tmp_path).as_posix() for step in plan.steps] == [
        "album0/1.jpg", "album0/2.jpg", "album1/1.jpg", "album1/2.jpg",
    ]  # fmt: skip
    assert {step.keeper.name for step in plan.steps} == {"0.jpg"}
    assert plan.size_bytes == 4 * len(b"picture 0")
    assert plan.kept == ()


def test_what_is_left_alone(tmp_path: Path) -> None:
    names = ("keeper", "gone", "changed", "twin", "link", "safe/protected", "copy")
    paths = {name: put(tmp_path / name, b"picture") for name in names}
    group = group_of(*paths.values())
    paths["gone"].unlink()
    put(paths["changed"], b"another")
    put(paths["changed"], b"another", mtime_ns=5)
    paths["twin"].unlink()
    paths["twin"].hardlink_to(paths["keeper"])
    paths["link"].unlink()
    paths["link"].symlink_to(paths["keeper"])
    plan = make_plan([group], "delete", keep=KeepPolicy(under=(tmp_path / "safe",)))
    assert [step.path.name for step in plan.steps] == ["copy"]
    assert reasons(plan) == {
        "gone": "is gone",
        "changed": "has changed since it was indexed",
        "twin": "is the same file as its keeper under another name",
        "link": "is not a regular file",
        "protected": "is in a protected folder",
    }


def test_a_date_beyond_what_an_index_holds_is_no_change(tmp_path: Path, folder: Path) -> None:
    late = put(tmp_path / "late", b"picture", mtime_ns=2**63 + 10**9)
    if late.stat().st_mtime_ns < 2**63:
        pytest.skip("this file system holds no such date")
    keeper, member = group_of(put(tmp_path / "keeper", b"picture"), late).members
    plan = make_plan([DuplicateGroup((keeper, replace(member, mtime_ns=2**63 - 1)))], "delete")
    assert [step.path for step in plan.steps] == [late]
    assert apply_plan(folder, plan).count("done") == 1
    assert not late.exists()


@pytest.mark.parametrize("action", ["hardlink", "symlink", "reflink"])
def test_links_are_for_the_same_bytes(tmp_path: Path, action: str) -> None:
    """And a copy of a member that is not the keeper becomes a link to that member."""
    contents = {"a": b"one", "b": b"other", "c": b"one", "d": b"third", "safe/e": b"other"}
    group = group_of(*(put(tmp_path / name, content) for name, content in contents.items()))
    keep = KeepPolicy(under=(tmp_path / "safe",))
    plan = make_plan([group], action, keep=keep)  # type: ignore[arg-type]
    assert [(step.path.name, step.keeper.name) for step in plan.steps] == [("c", "a"), ("b", "e")]
    assert all(step.is_same_bytes and step.similarity == 1 for step in plan.steps)
    assert "bytes of its own" in reasons(plan)["d"]
    assert len(plan.kept) == 1


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_no_keeper_no_step(tmp_path: Path, damage: str) -> None:
    [group] = make_groups(tmp_path, 1, 3, same_bytes=True)
    group.keeper.path.unlink()
    if damage == "changed":
        put(group.keeper.path, b"something else")
    plan = make_plan([group], "delete")
    assert plan.steps == ()
    assert all("its keeper" in reason and "neardup index" in reason for reason in reasons(plan).values())


def save(path: Path, **how: object) -> Path:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path, **how)
    return path


def test_what_would_be_lost(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[306] = "2019:05:04 12:33:10"
    exif[271], exif[272] = "Canon", "EOS 5"
    exif.get_ifd(0x8825)[1] = "N"
    plain = save(tmp_path / "keeper.jpg", quality=50)
    dated = save(tmp_path / "dated.jpg", quality=60, exif=exif)
    film = save(tmp_path / "film.gif", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(clear)
    large = replace(member_of(save(tmp_path / "large.jpg", quality=70)), width=40, height=30)
    framed = replace(member_of(save(tmp_path / "framed.jpg", quality=71)), width=40, height=30, margin=0.25)
    group = DuplicateGroup((*group_of(plain, dated, film, clear).members, large, framed))
    plan = make_plan([group], "trash")
    lost = {step.path.name: step.lost for step in plan.steps}
    assert lost["dated.jpg"] == ("date 2019-05-04 12:33:10", "GPS position", "camera Canon EOS 5")
    assert lost["film.gif"] == ("frames 2 against 1",)
    assert lost["clear.png"] == ("transparency",)
    assert lost["large.jpg"] == ("40 x 30 pixels against 4 x 3",)
    assert lost["framed.jpg"] == ("40 x 30 pixels (25% of them margin) against 4 x 3",)
    [other_way] = make_plan([group_of(dated, plain)], "trash").steps
    assert other_way.lost == ()


def test_files_beside_are_named(tmp_path: Path) -> None:
    copy, keeper = put(tmp_path / "a" / "IMG_1.HEIC", b"1"), put(tmp_path / "b" / "IMG_2.JPG", b"1")
    for name in ("a/IMG_1.MOV", "a/img_1.heic.xmp", "a/IMG_10.MOV", "a/IMG_1.txt", "b/IMG_2.CR2"):
        put(tmp_path / name, b"")
    [step] = make_plan([group_of(keeper, copy)], "trash").steps
    assert step.notes == ("leaves IMG_1.MOV behind", "its keeper has IMG_2.CR2 beside it")
    assert [file.path.name for file in step.along] == ["img_1.heic.xmp"]


def test_a_plan_in_a_file(tmp_path: Path) -> None:
    odd = put(tmp_path / "photos" / "\udcff.jpg", b"picture 0")
    [group] = make_groups(tmp_path / "photos", 1, 3, same_bytes=True)
    group = DuplicateGroup((*group.members, member_of(odd)))
    plan = make_plan([group], "move", to=tmp_path / "moved", keep=KeepPolicy(under=(tmp_path / "photos/album0",)))
    assert len(plan.steps) == 1
    assert len(plan.kept) == 2
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"format": "neardup plan 3"}',
        '{"format": "neardup plan 2", "action": "rm", "to": null, "root": null, "steps": [], "kept": []}',
        '{"format": "neardup plan 2", "action": "move", "to": null, "root": null, "steps": [], "kept": []}',
        '{"format": "neardup plan 2", "action": "trash", "to": null, "steps": [{"path": "/a"}], "kept": []}',
        '{"format": "neardup plan 2", "action": "trash", "to": null, "steps": [1], "kept": []}',
    ],
)  # fmt: skip
def test_a_file_that_is_no_plan(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(BadInput):
        load_plan(tmp_path / "plan.json")


@pytest.mark.parametrize("key", ["path", "keeper"])
def test_paths_in_a_plan_are_absolute(tmp_path: Path, key: str) -> None:
    plan = make_plan(make_groups(tmp_path, 1, 2, same_bytes=True), "trash")
    save_plan(replace(plan, steps=(replace(plan.steps[0], **{key: Path("x")}),)), tmp_path / "plan.json")
    with pytest.raises(BadInput, match="not absolute"):
        load_plan(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("relation", "told", "planned", "planned_edited"),
    [
        ("exact", False, True, True),
        ("copy", False, True, True),
        (None, False, True, True),  # grouped by the embedding alone, as it was asked for
        ("edited", False, False, True),
        ("similar", False, False, False),
        ("other", False, False, False),
        ("edited", True, True, True),  # a person said that it is a duplicate
        ("similar", True, True, True),
    ],
)
def test_only_what_its_keeper_shows_whole_is_planned(
    tmp_path: Path, relation: str | None, told: bool, planned: bool, planned_edited: bool
) -> None:
    keeper, member = group_of(put(tmp_path / "keeper", b"picture"), put(tmp_path / "member", b"another")).members
    more = "writing or other content on 2.0 %" if relation == "edited" else None
    shown = replace(member, relation=relation, told=told, change="changed", shows_more=more)  # type: ignore[arg-type]
    group = DuplicateGroup((keeper, shown))
    for edited, expected in ((False, planned), (True, planned_edited)):
        plan = make_plan([group], "delete", edited=edited)
        assert [step.path for step in plan.steps] == ([member.path] if expected else [])
        assert len(plan.kept) == (not expected)
        for step in plan.steps:
            assert (step.relation, step.change) == (relation, "changed")
            assert (more in step.lost) == (more is not None)
    if relation == "edited" and not told:
        [kept] = make_plan([group], "delete").kept
        assert kept.reason == "shows writing or other content on 2.0 %; --edited plans it, too"


def test_byte_copies_of_an_edited_picture_become_links_to_it_and_lose_nothing(tmp_path: Path) -> None:
    """Whatever that picture is to the group's keeper."""
    contents = {"keeper": b"picture", "b": b"written over", "c": b"written over"}
    keeper, b, c = group_of(*(put(tmp_path / name, content) for name, content in contents.items())).members
    shown = [replace(m, relation="edited", change="other content on 2 %", shows_more="writing") for m in (b, c)]
    plan = make_plan([DuplicateGroup((keeper, *shown))], "hardlink")
    [step] = plan.steps
    assert (step.path, step.keeper, step.relation, step.change) == (c.path, b.path, "exact", "the same file")
    assert step.lost == ()


def write_plan(path: Path, /, **changes: object) -> Path:
    """A plan with one step, of which some fields are not what they should be."""
    save_plan(Plan("delete", (Step(Path("/a"), 1, 1, bytes(32), 1.0, "exact", Path("/b"), bytes(32)),)), path)
    plan = json.loads(path.read_bytes())
    plan["steps"][0] |= changes
    path.write_bytes(json.dumps(plan).encode().replace(b'"1e400"', b"1e400"))
    return path


def test_the_plan_that_others_are_made_from_is_good(tmp_path: Path) -> None:
    assert len(load_plan(write_plan(tmp_path / "plan.json")).steps) == 1


GIVEN: dict[str, object] = {"date": None, "position": None, "rating": None, "caption": None, "keywords": []}
BESIDE: dict[str, object] = {"path": "/a.xmp", "size_bytes": 1, "mtime_ns": 1, "digest": "0" * 64, "copy": None}
ODD: dict[str, list[object]] = {
    "size_bytes": ["1e400", -1, 2**63, 1.5, True, "1", None, [], 10**40],
    "mtime_ns": ["1e400", 2**63, True, "1", None],
    "similarity": ["1e400", "1", None, True, 10**400, float("nan")],
    "digest": ["0", "x" * 64, 1, None],
    "path": ["/a\ud800b", "/a\0b", "a", "", 1, None],
    "keeper": ["/a\ud800b", "/a\0b", "a", None],
    "lost": [["\ud800"], [1], 1, None],
    "notes": [["\ud800"], [None]],
    "change": ["\ud800", 1],
    "why": ["\ud800", 1],
    "carried": [
        1,
        {},
        GIVEN | {"more": 1},
        *(
            GIVEN | {name: value}
            for name, value in (
                ("date", 1),
                ("caption", "\ud800"),
                ("keywords", None),
                ("keywords", [1]),
                ("rating", 2**63),
                ("rating", "5"),
                ("position", "nan nan"),
                ("position", "1"),
                ("position", "1 inf"),
                ("position", "91 1"),
            )
        ),
    ],
    "along": [
        1,
        [1],
        [{}],
        [BESIDE | {"more": 1}],
        *(
            [BESIDE | {name: value}]
            for name, value in (
                ("path", "a"),
                ("path", "/a\0b"),
                ("path", "/a.cr2"),
                ("path", "/a.mov"),
                ("copy", "/b.xmp"),
                ("copy", "b"),
                ("digest", "0"),
                ("digest", None),
                ("size_bytes", -1),
                ("size_bytes", "1e400"),
                ("mtime_ns", 2**63),
            )
        ),
    ],
    "freed_bytes": [-1, "1e400", None, True],
    "another": [1],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in ODD.items() for value in values])
def test_a_value_that_no_plan_has(tmp_path: Path, field: str, value: object) -> None:
    path = write_plan(tmp_path / "plan.json", **{field: value})
    with pytest.raises(BadInput, match="not a plan") as error:
        load_plan(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 30 << 30)


FILES: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
    "nothing": lambda path: None,
    "30 GB of nothing": sparse,
    "deep JSON": lambda path: path.write_bytes(b"[" * 1_000_000),
    "no text": lambda path: path.write_bytes(b"\xff\xfe"),
    "a number of many digits": lambda path: path.write_bytes(b"1" * 10_000),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_plan_costs_a_line(tmp_path: Path, kind: str) -> None:
    FILES[kind](tmp_path / "plan.json")
    with pytest.raises(BadInput, match=r"plan\.json: ") as error:
        load_plan(tmp_path / "plan.json")
    assert "\n" not in str(error.value)


def test_a_damaged_file_with_more_pixels_than_the_whole_one_is_for_a_person_to_decide(tmp_path: Path) -> None:
    group = group_of(put(tmp_path / "small", b"whole"), put(tmp_path / "large", b"damaged"))
    keeper, member = group.members
    damaged = replace(member, width=2 * keeper.width, height=2 * keeper.height, damaged="breaks off at 61 %")
    plan = make_plan([DuplicateGroup((keeper, damaged))], "trash")
    assert not plan.steps
    assert "is damaged (breaks off at 61 %), and has more pixels" in reasons(plan)["large"]
    same_size = replace(damaged, width=keeper.width, height=keeper.height, why="whole: the other is damaged")
    [step] = make_plan([DuplicateGroup((keeper, same_size))], "trash").steps
    assert step.why == "whole: the other is damaged"
