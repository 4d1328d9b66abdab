"""Metadata carried into the keeper's sidecar: what it becomes, that undo takes it back, and that a crash loses none."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from neardup.actions import Action, Plan, apply_plan, load_plan, make_plan, save_plan, undo_last
from neardup.errors import BadInput
from neardup.groups.keep import KeepPolicy
from neardup.metadata import Carried, losses, read_metadata, read_sidecar
from tests.actions.a_collection import group_of, put, snapshot
from tests.actions.test_crash import kill_at, undo_if_any
from tests.metadata.samples import BOMB, EXIF_IFD, GPS, GPS_IFD, items, saved, with_exif, with_iptc, with_xmp, xmp_of

CONTENTS = {
    "keeper.jpg": lambda: saved("jpg", quality=95),
    "dated.jpg": with_exif({36867: "1987:05:01 10:00:00"}, EXIF_IFD),
    "placed.jpg": with_exif(GPS, GPS_IFD),
    "rated.jpg": with_exif({0x4746: 5}),
    "told.jpg": with_iptc((120, "Grandma"), (25, "family"), (25, "1987")),
    "tagged.jpg": with_xmp(items("dc:subject", "Bag", "Family", "Berlin")),
}
SIDECARS = {"none": None, "keeper.jpg.xmp": "keeper.jpg.xmp", "keeper.xmp": "keeper.xmp"}


def photos(home: Path, sidecar: str | None = None) -> Path:
    for name, make in CONTENTS.items():
        put(home / name, make())
    if sidecar:
        put(home / sidecar, xmp_of("<xmp:Label>Red</xmp:Label>" + items("dc:subject", "Bag", "old")), mode=0o600)
    return home


def plan_of(home: Path, action: Action = "trash", **options: object) -> Plan:
    to = home.parent / "moved" if action == "move" else None
    group = group_of(*(home / name for name in CONTENTS))
    return make_plan([group], action, to=to, merge_metadata=True, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("sidecar", SIDECARS.values(), ids=SIDECARS)
@pytest.mark.parametrize("action", ["trash", "move"])
def test_the_keepers_sidecar_gets_what_it_lacks(
    tmp_path: Path, folder: Path, trash: Path, action: Action, sidecar: str | None
) -> None:
    home = photos(tmp_path / "photos", sidecar)
    before = snapshot(home)
    plan = plan_of(home, action)
    assert [step.lost for step in plan.steps] == [()] * 5
    assert plan.steps[4].carried == Carried(keywords=("Berlin",)), "the other one is carried already"
    assert apply_plan(folder, plan).count("done") == 5
    path = home / (sidecar or "keeper.jpg.xmp")
    said = read_sidecar(path)
    assert (said.date, said.values("rating"), said.values("caption")) == ("1987-05-01 10:00:00", ("5",), ("Grandma",))
    assert said.values("keywords") == (*(["old"] if sidecar else []), "family", "1987", "Berlin")
    assert said.values("other XMP") == (("xmp:Label",) if sidecar else ())
    assert said.said["GPS position"]
    assert sorted(path.name for path in home.iterdir()) == ["keeper.jpg", path.name]
    assert (home / "keeper.jpg").read_bytes() == CONTENTS["keeper.jpg"]()
    if sidecar:
        assert path.stat().st_mode & 0o777 == 0o600
    assert undo_last(folder).count("failed") == 0
    assert snapshot(home) == before


def test_without_being_asked_nothing_is_carried(tmp_path: Path, folder: Path, trash: Path) -> None:
    home = photos(tmp_path / "photos")
    plan = make_plan([group_of(*(home / name for name in CONTENTS))], "trash")
    assert all(step.lost and step.carried is None for step in plan.steps)
    apply_plan(folder, plan)
    assert [path.name for path in home.iterdir()] == ["keeper.jpg"]


def test_links_carry_nothing(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / name, CONTENTS["rated.jpg"]())
    put(tmp_path / "b.jpg.xmp", xmp_of("<xmp:Label>Red</xmp:Label>"))
    [step] = make_plan([group_of(tmp_path / "a.jpg", tmp_path / "b.jpg")], "hardlink", merge_metadata=True).steps
    assert (step.carried, step.lost) == (None, ())


def test_nothing_is_written_in_a_protected_folder(tmp_path: Path, folder: Path, trash: Path) -> None:
    put(tmp_path / "safe" / "keeper.jpg", CONTENTS["keeper.jpg"]())
    put(tmp_path / "rated.jpg", CONTENTS["rated.jpg"]())
    keep = KeepPolicy(under=(tmp_path / "safe",))
    group = group_of(tmp_path / "safe" / "keeper.jpg", tmp_path / "rated.jpg")
    plan = make_plan([group], "trash", keep=keep, merge_metadata=True)
    assert plan.steps[0].lost == ("rating 5",)
    assert "its keeper is in a protected folder, where nothing is carried to" in plan.steps[0].notes
    apply_plan(folder, plan)
    assert [path.name for path in (tmp_path / "safe").iterdir()] == ["keeper.jpg"]


def test_what_differs_is_not_replaced_and_is_lost(tmp_path: Path) -> None:
    put(tmp_path / "keeper.jpg", with_exif({0x4746: 2, 270: "Mine"})())
    put(tmp_path / "rated.jpg", with_exif({0x4746: 5, 270: "Other"})())
    group = group_of(tmp_path / "keeper.jpg", tmp_path / "rated.jpg")
    [step] = make_plan([group], "trash", merge_metadata=True).steps
    assert step.carried is None
    assert step.lost == ("other rating 5 against 2", 'other caption "Other" against "Mine"')


@pytest.mark.parametrize("content", [b"no XMP", BOMB, b"<x/>"])
def test_a_sidecar_that_is_none_stops_its_file_only(tmp_path: Path, folder: Path, trash: Path, content: bytes) -> None:
    home = photos(tmp_path / "photos")
    plan = plan_of(home)
    put(home / "keeper.jpg.xmp", content)
    before = snapshot(home)
    report = apply_plan(folder, plan)
    assert report.count("failed") == 5
    assert all("sidecar cannot be added to" in str(outcome.reason) for outcome in report.outcomes)
    assert snapshot(home) == before
    if content != b"<x/>":
        later = plan_of(home)
        assert all(step.carried is None and step.lost for step in later.steps)
        assert "its keeper's sidecar cannot be read, and is left as it is" in later.steps[0].notes


def test_a_link_for_a_sidecar_is_not_followed(tmp_path: Path, folder: Path, trash: Path) -> None:
    home = photos(tmp_path / "photos")
    secret = put(tmp_path / "secret", b"precious")
    (home / "keeper.jpg.xmp").symlink_to(secret)
    assert apply_plan(folder, plan_of(home)).count("failed") == 5
    assert secret.read_bytes() == b"precious"
    assert (home / "keeper.jpg.xmp").is_symlink()


def test_a_plan_in_a_file_keeps_what_is_carried(tmp_path: Path) -> None:
    plan = plan_of(photos(tmp_path / "photos"))
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan
    for name, value in (("position", "1 2 3"), ("position", "x y"), ("rating", "x"), ("keywords", 3)):
        broken = replace(Carried(), **{name: value})
        save_plan(replace(plan, steps=(replace(plan.steps[0], carried=broken),)), tmp_path / "plan.json")
        with pytest.raises(BadInput):
            load_plan(tmp_path / "plan.json")


def test_undo_leaves_a_sidecar_that_was_changed_since(tmp_path: Path, folder: Path, trash: Path) -> None:
    home = photos(tmp_path / "photos")
    apply_plan(folder, plan_of(home))
    put(home / "keeper.jpg.xmp", xmp_of("<xmp:Rating>1</xmp:Rating>"))
    report = undo_last(folder)
    assert {outcome.path.name for outcome in report.outcomes if outcome.status == "done"} == CONTENTS.keys() - {
        "keeper.jpg"
    }
    assert read_sidecar(home / "keeper.jpg.xmp").values("rating") == ("1",)
    assert any("has changed since" in str(outcome.reason) for outcome in report.outcomes)


@pytest.mark.parametrize("sidecar", [None, "keeper.xmp"])
def test_undo_leaves_metadata_of_files_that_do_not_come_back(
    tmp_path: Path, folder: Path, trash: Path, sidecar: str | None
) -> None:
    home = photos(tmp_path / "photos", sidecar)
    apply_plan(folder, plan_of(home))
    path = home / (sidecar or "keeper.jpg.xmp")
    merged = path.read_bytes()
    for trashed in (trash / "files").iterdir():
        trashed.unlink()
    undo_last(folder)
    assert path.read_bytes() == merged


def test_a_deleted_files_metadata_stays(tmp_path: Path, folder: Path) -> None:
    home = photos(tmp_path / "photos")
    apply_plan(folder, plan_of(home, "delete"))
    merged = (home / "keeper.jpg.xmp").read_bytes()
    assert undo_last(folder).count("done") == 0
    assert (home / "keeper.jpg.xmp").read_bytes() == merged
    with pytest.raises(BadInput, match="no plan is applied"):
        undo_last(folder)


def unsaid(home: Path, *places: Path) -> list[str]:
    """What no file and no sidecar says any more of what was said before."""
    known = read_metadata(home / "keeper.jpg")
    for place in (home, *places):
        for path in place.rglob("*"):
            if path.is_file():
                known = known.joined(read_sidecar(path) if path.suffix == ".xmp" else read_metadata(path))
    whole = read_metadata(home / "keeper.jpg")
    for number, make in enumerate(CONTENTS.values()):
        sample = home.parent / f"sample{number}"
        sample.write_bytes(make())
        whole = whole.joined(read_metadata(sample))
    return [
        kind for kind in ("date", "GPS position", "rating", "caption") if kind in whole.said and kind not in known.said
    ] + [phrase for phrase in losses(whole, known) if phrase.startswith("keywords")]


@pytest.mark.parametrize("sidecar", [None, "keeper.xmp"])
def test_killed_then_undone(tmp_path: Path, folder: Path, trash: Path, sidecar: str | None) -> None:
    killed = 0
    for call in range(3, 120, 3):
        home = photos(tmp_path / str(call) / "photos", sidecar)
        index = tmp_path / str(call) / "index"
        index.mkdir()
        before = snapshot(home)
        if not kill_at(call, lambda index=index, home=home: apply_plan(index, plan_of(home, "move"))):
            break
        killed += 1
        assert unsaid(home, home.parent / "moved") == []
        undo_if_any(index)
        assert {path: state for path, state in snapshot(home).items() if not path.endswith(".tmp")} == before
    assert killed >= 8


@pytest.mark.parametrize("sidecar", [None, "keeper.xmp"])
def test_undo_killed_then_undone(tmp_path: Path, folder: Path, trash: Path, sidecar: str | None) -> None:
    killed = 0
    for call in range(1, 120, 3):
        home = photos(tmp_path / str(call) / "photos", sidecar)
        index = tmp_path / str(call) / "index"
        index.mkdir()
        before = snapshot(home)
        apply_plan(index, plan_of(home, "move"))
        if not kill_at(call, lambda index=index: undo_last(index)):
            break
        killed += 1
        assert unsaid(home, home.parent / "moved") == []
        undo_if_any(index)
        assert snapshot(home) == before
    assert killed >= 5


def test_killed_then_applied_again(tmp_path: Path, folder: Path, trash: Path) -> None:
    for call in range(2, 120, 5):
        home = photos(tmp_path / str(call) / "photos")
        index = tmp_path / str(call) / "index"
        index.mkdir()
        plan = plan_of(home, "move")
        if not kill_at(call, lambda index=index, plan=plan: apply_plan(index, plan)):
            break
        apply_plan(index, plan)
        assert not [name for name in CONTENTS if name != "keeper.jpg" and os.path.lexists(home / name)]
        said = read_sidecar(home / "keeper.jpg.xmp")
        assert (said.date, said.values("rating"), said.values("caption")) == (
            "1987-05-01 10:00:00",
            ("5",),
            ("Grandma",),
        )
        assert said.values("keywords") == ("family", "1987", "Berlin")
