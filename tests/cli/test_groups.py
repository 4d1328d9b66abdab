"""groups, dedup and undo as a user types them."""

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageDraw, ImageFont

from neardup.cli import main
from neardup.embedding.model import Model
from neardup.index import Index
from neardup.index.notes import pair_of, record_verdicts
from neardup.text import show_bytes
from tests.conftest import draw_scene

Neardup = Callable[..., Result]


@pytest.fixture
def neardup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Neardup:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("NEARDUP"):
            monkeypatch.delenv(name)

    def run(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def copies(neardup: Neardup, photos: Callable[..., list[Path]], tiny_model: Model) -> list[Path]:
    """Three pictures, two of them with a copy in another folder, indexed."""
    originals = photos(3)
    folder = originals[0].parents[1] / "copies"
    folder.mkdir()
    found = [Path(shutil.copy2(path, folder / f"copy of {path.name}")) for path in originals[:2]]
    neardup("index", "photos", "copies", "--model", tiny_model.folder)
    return found


EXACTLY = ("--min-similarity", "1")


def as_json(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_groups_in_json(neardup: Neardup, copies: list[Path], tmp_path: Path) -> None:
    found = as_json(neardup("groups", *EXACTLY, "--format", "json"))
    assert [group["group"] for group in found] == [1, 2]
    for number, group in enumerate(found):
        assert group.keys() == {"group", "keeper", "images"}
        keeper, copy = group["images"]
        assert group["keeper"] == keeper["path"] == str(tmp_path / "photos" / f"00{number}.jpg")
        assert copy == {
            "path": str(copies[number]), "similarity": 1.0, "relation": "exact", "change": "the same file",
            "why": "a shorter path", "damaged": None,
            "width": 120, "height": 90, "size_bytes": copies[number].stat().st_size,
            "label": None,
        }  # fmt: skip
        assert (keeper["similarity"], keeper["relation"], keeper["change"]) == (1.0, "keeper", None)


@pytest.fixture
def changed(neardup: Neardup, tiny_model: Model, tmp_path: Path) -> dict[str, Path]:
    """A scene, a smaller copy of it, one cropped and mirrored, one with a line written over it; and another scene."""
    scene = draw_scene(1)
    written = scene.copy()
    ImageDraw.Draw(written).text((100, 150), "for sale!", fill="yellow", font=ImageFont.load_default(60))
    images = {
        "scene": scene,
        "small": scene.resize((240, 180)),
        "mirrored": scene.crop((0, 0, 400, 360)).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "written": written,
        "other": draw_scene(2),
    }
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name, image in images.items():
        image.save(folder / f"{name}.jpg", quality=90)
    neardup("index", "scenes", "--model", tiny_model.folder)
    return {name: folder / f"{name}.jpg" for name in images}


def test_groups_are_confirmed_by_the_pictures(neardup: Neardup, changed: dict[str, Path]) -> None:
    """By relation and what was done; stderr says what looking came to, and a second run looks at nothing again."""
    first = neardup("groups", "--format", "json")
    [group] = as_json(first)
    assert group["keeper"] == str(changed["scene"])
    found = {Path(image["path"]).stem: (image["relation"], image["change"]) for image in group["images"]}
    assert found.pop("scene") == ("keeper", None)
    words = {
        "small": ("copy", "scaled to 50 %"),
        "mirrored": ("copy", "mirrored left to right, cropped to 83 %"),
        "written": ("edited", "other content on"),
    }
    assert found.keys() == words.keys()
    for name, (relation, change) in words.items():
        assert found[name][0] == relation
        assert found[name][1].startswith(change)
    [line] = first.stderr.splitlines()
    counts = re.fullmatch(
        r"(\d+) pairs at similarity 0.33 or above: (\d+) looked at; (\d+) confirmed, (\d+) refused, (\d+) linked by"
        r" others\.",
        line,
    )
    assert counts
    candidates, looked, confirmed, refused, linked = map(int, counts.groups())
    assert looked == confirmed + refused
    assert candidates == looked + linked
    assert confirmed == 3  # the four of a kind hang together by three links
    again = neardup("groups", "--format", "json")
    assert again.stdout == first.stdout
    assert f"{looked} looked at, {looked} of them in an earlier run;" in again.stderr


def test_files_that_cannot_be_read_are_not_confirmed_and_said(neardup: Neardup, changed: dict[str, Path]) -> None:
    changed["small"].unlink()
    draw_scene(3).save(changed["mirrored"])  # indexed as it was
    result = neardup("groups", "--format", "json")
    [group] = as_json(result)
    assert [Path(image["path"]).stem for image in group["images"]] == ["scene", "written"]
    assert "Not looked at, and so not confirmed: " in result.stderr
    assert "  scenes/mirrored.jpg: changed since it was indexed; the next 'neardup index' sees to it\n" in result.stderr
    assert "  scenes/small.jpg: the file is gone\n" in result.stderr


def test_the_embedding_alone_reads_nothing(neardup: Neardup, changed: dict[str, Path]) -> None:
    """And takes another scene for one, which looking does not."""
    for path in changed.values():
        path.unlink()
    result = neardup("groups", "--min-similarity", "0.7", "--format", "json")
    assert result.stderr == ""
    [group] = as_json(result)
    assert {Path(image["path"]).stem for image in group["images"]} >= {"scene", "small", "written", "other"}
    assert {(image["relation"], image["change"]) for image in group["images"][1:]} == {(None, None)}


def test_similar_pictures_are_taken_in_where_asked_for(neardup: Neardup, changed: dict[str, Path]) -> None:
    [plain] = as_json(neardup("groups", "--format", "json"))
    [more] = as_json(neardup("groups", "--similar", "--format", "json"))
    assert {image["relation"] for image in plain["images"]} == {"keeper", "copy", "edited"}
    assert len(more["images"]) >= len(plain["images"])


def test_dedup_leaves_what_shows_something_else(neardup: Neardup, changed: dict[str, Path]) -> None:
    [plan] = as_json(neardup("dedup", "--action", "delete", "--format", "json"))
    planned = {Path(step["path"]).stem: step["relation"] for step in plan["steps"]}
    assert planned == {"small": "copy", "mirrored": "copy"}
    [kept] = plan["kept"]
    assert Path(kept["path"]).stem == "written"
    assert re.fullmatch(r"shows writing or other content on \d\.\d %; --edited plans it, too", kept["reason"])
    assert plan["min_similarity"] is None

    [plan] = as_json(neardup("dedup", "--action", "delete", "--edited", "--apply", "--format", "json"))
    [step] = [step for step in plan["steps"] if Path(step["path"]).stem == "written"]
    assert (step["relation"], step["status"]) == ("edited", "done")
    assert step["lost"][0].startswith("writing or other content on")
    assert plan["kept"] == []
    assert {name for name, path in changed.items() if path.exists()} == {"scene", "other"}


def test_the_plan_in_text_says_relation_and_change(neardup: Neardup, changed: dict[str, Path]) -> None:
    shown = neardup("dedup").stdout
    assert "keep      scenes/scene.jpg\n" in shown
    assert "scenes/small.jpg  copy (scaled to 50 %); " in shown
    assert "leave     scenes/written.jpg: shows writing or other content on" in shown
    shown = neardup("groups").stdout
    change = r"\(mirrored left to right, cropped to 83 %; kept: shows more: the other is a crop\)"
    assert re.search(rf"copy +400 x 360 .* scenes/mirrored.jpg  {change}", shown)


def test_groups_in_text_and_csv(neardup: Neardup, copies: list[Path]) -> None:
    text = neardup("groups", *EXACTLY).stdout
    assert "copies/copy of 000.jpg" in text
    freed = show_bytes(sum(path.stat().st_blocks * 512 for path in copies))
    assert text.splitlines()[-1] == f"2 groups of 4 images: 2 duplicates, {freed} could be freed."
    rows = list(csv.DictReader(io.StringIO(neardup("groups", *EXACTLY, "--format", "csv").stdout)))
    assert [row["group"] for row in rows] == ["1", "1", "2", "2"]
    assert rows[1]["path"] == str(copies[0])


@pytest.mark.parametrize("ending", ["json", "csv", "parquet", "html"])
def test_groups_in_a_file(neardup: Neardup, copies: list[Path], tmp_path: Path, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow", exc_type=ImportError)
    if ending == "html":
        pytest.importorskip("jinja2")
    file = tmp_path / f"groups.{ending}"
    result = neardup("groups", *EXACTLY, "--output", file)
    assert result.stdout == ""
    assert "2 groups of 4 images" in result.stderr
    if ending == "json":
        assert file.read_text() == neardup("groups", *EXACTLY, "--format", "json").stdout
    elif ending == "csv":
        assert file.read_text() == neardup("groups", *EXACTLY, "--format", "csv").stdout
    elif ending == "parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(file)
        assert table.column("relation").to_pylist() == ["keeper", "exact"] * 2
        assert table.column("change").to_pylist() == [None, "the same file"] * 2
        assert table.column("path").to_pylist()[1] == str(copies[0])
    else:
        assert "copy of 000.jpg" in file.read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")) == []


def test_names_that_are_not_unicode(neardup: Neardup, copies: list[Path], tmp_path: Path) -> None:
    odd = tmp_path / "copies" / os.fsdecode(b"\xff\n.jpg")
    shutil.copy2(copies[0], odd)
    neardup("index", "copies", "--model", Index.open(".neardup").model.name)  # type: ignore[union-attr]
    [first, _] = as_json(neardup("groups", *EXACTLY, "--format", "json"))
    assert os.fsencode(odd) in {os.fsencode(image["path"]) for image in first["images"]}
    neardup("groups", *EXACTLY)
    neardup("groups", *EXACTLY, "--format", "csv")
    pytest.importorskip("pyarrow", exc_type=ImportError)
    neardup("groups", *EXACTLY, "--output", "odd.parquet")


def test_an_output_of_no_known_kind(neardup: Neardup, copies: list[Path]) -> None:
    assert ".parquet" in neardup("groups", "--output", "groups.txt", code=1).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("groups", "--across", "--within"),
        ("groups", "--folder", "photos"),
        ("dedup", "--apply"),
        ("dedup", "--action", "move"),
        ("dedup", "--action", "trash", "--to", "x"),
        ("groups", "--keep", "worst"),
        ("dedup", "--keep", "detail,metadata,worst"),
        ("groups", "--keep", ""),
        ("dedup", "--keep-under", "misspelt"),
    ],
)
def test_usage(neardup: Neardup, copies: list[Path], arguments: tuple[str, ...]) -> None:
    neardup(*arguments, code=2)


def test_a_model_without_thresholds(
    neardup: Neardup, photos: Callable[..., list[Path]], tiny_model: Model, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_model.folder, tmp_path / "uncalibrated")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"thresholds": {}}))
    photos(2)
    neardup("index", "photos", "--model", folder)
    for command in ("groups", "dedup"):
        assert "guess" not in neardup(command).stderr  # the pictures decide
        for name, guess in (("strict", 0.95), ("default", 0.9), ("loose", 0.8)):
            told = neardup(command, "--min-similarity", name).stderr
            assert f"no calibrated threshold '{name}': {guess} is a guess" in told


def test_verdicts_are_honoured(neardup: Neardup, copies: list[Path]) -> None:
    digests = [image.digest for image in Index.open(".neardup") if image.path.parent.name == "photos"]
    record_verdicts(Path(".neardup"), {pair_of(digests[0], digests[2]): "duplicate"})
    first, second = as_json(neardup("groups", *EXACTLY, "--format", "json"))
    assert len(first["images"]) == 3
    assert len(second["images"]) == 2


def test_dedup_plans_first(neardup: Neardup, copies: list[Path]) -> None:
    result = neardup("dedup", *EXACTLY, "--action", "delete")
    assert "copies/copy of 000.jpg" in result.stdout
    assert "cannot be taken back" in result.stderr
    assert "--apply does it" in result.stderr
    assert all(path.exists() for path in copies)


def test_dedup_and_undo(neardup: Neardup, copies: list[Path], tmp_path: Path) -> None:
    arguments = ("dedup", *EXACTLY, "--action", "move", "--to", "moved", "--format", "json")
    [plan] = as_json(neardup(*arguments))
    assert plan.keys() == {
        "action", "applied", "min_similarity", "files", "along", "size_bytes", "freed_bytes", "journal", "steps",
        "kept",
    }  # fmt: skip
    assert (plan["applied"], plan["files"], plan["journal"]) == (False, 2, None)
    assert [step["status"] for step in plan["steps"]] == ["planned", "planned"]

    [applied] = as_json(neardup(*arguments, "--apply"))
    assert applied["applied"]
    assert Path(applied["journal"]).is_file()
    assert [step["target"] for step in applied["steps"]] == [
        str(tmp_path / "moved" / "copies" / path.name) for path in copies
    ]
    assert not any(path.exists() for path in copies)

    neardup("query", "photos/000.jpg", "--format", "json")  # the index still lists files that are gone
    [nothing_left] = as_json(neardup(*arguments, "--apply"))
    assert nothing_left["steps"] == []
    assert {kept["reason"] for kept in nothing_left["kept"]} == {"is gone"}

    [undone] = as_json(neardup("undo", "--format", "json"))
    assert (undone["action"], undone["restored"], undone["failed"]) == ("move", 2, 0)
    assert {file["path"] for file in undone["files"]} == {str(path) for path in copies}
    assert all(path.exists() for path in copies)
    assert "no plan is applied" in neardup("undo", code=1).stderr


def test_every_week_again_moves_nothing_twice(neardup: Neardup, copies: list[Path], tiny_model: Model) -> None:
    """With the target among the photos, and a sidecar that goes along."""
    sidecar = copies[0].with_name(copies[0].name + ".xmp")
    sidecar.write_text("stars")
    before = {path: path.read_bytes() for path in Path().rglob("*.*") if ".neardup" not in path.parts}
    arguments = ("dedup", *EXACTLY, "--action", "move", "--to", "photos/moved", "--apply")
    first = neardup(*arguments)
    assert first.stdout.startswith("2 files and 1 that belong to them moved.")
    assert Path("photos/moved/copies", sidecar.name).is_file()
    after = sorted(Path("photos").rglob("*"))
    for _ in range(2):
        told = neardup("index", "photos", "copies", "--model", tiny_model.folder).stderr
        assert told.count("Left out: ") == 1
        assert neardup(*arguments).stdout.startswith("0 files moved.")
        assert sorted(Path("photos").rglob("*")) == after
    neardup("undo")
    assert not Path("photos/moved").exists()
    assert {path: path.read_bytes() for path in Path().rglob("*.*") if ".neardup" not in path.parts} == before


def test_flat_and_a_folder_in_use(neardup: Neardup, copies: list[Path]) -> None:
    Path("photos/used").mkdir()
    Path("photos/used/mine.txt").write_text("mine")
    result = neardup("dedup", *EXACTLY, "--action", "move", "--to", "photos/used", "--flat", "--apply")
    assert "holds files of its own" in result.stderr
    assert sorted(path.name for path in Path("photos/used").iterdir()) == [
        "copy of 000.jpg", "copy of 001.jpg", "mine.txt",
    ]  # fmt: skip


def test_protected_folders_are_not_touched(neardup: Neardup, copies: list[Path], tmp_path: Path) -> None:
    arguments = ("dedup", *EXACTLY, "--action", "delete", "--keep-under", "copies", "--apply", "--format", "json")
    [report] = as_json(neardup(*arguments))
    assert [step["keeper"] for step in report["steps"]] == [str(path) for path in copies]
    assert all(path.exists() for path in copies)
    assert not (tmp_path / "photos" / "000.jpg").exists()
    assert (tmp_path / "photos" / "002.jpg").exists()


def test_nothing_could_be_done(neardup: Neardup, copies: list[Path]) -> None:
    from neardup.actions import Plan, Step, save_plan

    steps = tuple(Step(path, 1, 1, b"x" * 32, 1.0, "exact", Path("/keeper"), b"x" * 32) for path in copies)
    save_plan(Plan("delete", steps), Path("plan.json"))
    result = neardup("dedup", "--plan", "plan.json", "--apply", code=1)
    assert "changed since it was indexed" in result.stderr
    assert all(path.exists() for path in copies)


def test_an_empty_index(neardup: Neardup) -> None:
    Path(".neardup").mkdir()
    for command in ("groups", "dedup"):
        assert "neardup index PATH" in neardup(command, code=1).stderr


def test_a_plan_and_options_that_would_be_passed_over(neardup: Neardup, copies: list[Path], tiny_model: Model) -> None:
    from neardup.actions import load_plan, make_plan, save_plan
    from neardup.groups import find_groups

    groups = find_groups(Index.open(Path(".neardup")), min_similarity=0.99)
    save_plan(make_plan(groups, "delete"), Path("plan.json"))
    steps = load_plan(Path("plan.json")).steps
    assert len(steps) == 2
    for options in (
        ["--action", "trash"],
        ["--action", "move", "--to", "x"],
        ["--min-similarity", "0.9"],
        ["--across"],
    ):
        result = neardup("dedup", "--plan", "plan.json", *options, "--apply", code=2)
        assert f"leave out {options[0]}" in result.stderr
        assert all(step.path.exists() for step in steps)
    protected = steps[0].path
    neardup("dedup", "--plan", "plan.json", "--keep-under", protected.parent, "--apply", "--format", "json")
    assert protected.exists()


def test_what_takes_a_plan_back_names_the_index(neardup: Neardup, copies: list[Path], tmp_path: Path) -> None:
    Path(".neardup").rename("an index")
    applied = neardup("dedup", "--index", "an index", "--action", "trash", "--min-similarity", "0.999", "--apply")
    assert "neardup undo --index 'an index'" in applied.stdout
    assert "brings it up to date" in applied.stderr


def test_names_in_csv_stay_on_their_line(
    neardup: Neardup, photos: Callable[..., list[Path]], tiny_model: Model
) -> None:
    folder = photos(1)[0].parent
    odd = [os.fsdecode(name) for name in (b"a\rb.jpg", b"n\xff.jpg")]
    for name in odd:
        shutil.copy(next(folder.glob("*.jpg")), folder / name)
    neardup("index", "photos", "--model", tiny_model.folder)
    for arguments in (["groups"], ["dedup"], ["query", "photos"]):
        listed = neardup(*arguments, "--min-similarity", "0.99", "--format", "csv").stdout
        paths = {Path(row["path"]).name for row in csv.DictReader(io.StringIO(listed, newline=""))}
        assert paths >= {"a\\rb.jpg", "n\\xff.jpg"}, arguments
