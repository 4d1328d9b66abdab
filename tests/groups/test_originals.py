"""A small library like a photographer's: the keeper is the original, whatever the rival, and the reason is said."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from neardup.actions import make_plan
from neardup.groups import DuplicateGroup, KeepPolicy, find_groups
from neardup.index import Index
from tests.conftest import draw_scene
from tests.groups.a_gallery import DIM, index_files

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_library.py"
library = runpy.run_path(str(SCRIPT))
KINDS = list(library["KINDS"])
# Where it kept the original's metadata nothing tells which of the two was sharpened.
UNTOLD = {"sharpened"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """A library with one group of a pair for each kind; the original's file of each kind."""
    root = tmp_path_factory.mktemp("library")
    original_of = {}
    for number, kind in enumerate(KINDS):
        photo = root / f"{number}.png"
        draw_scene(number, 320, 240).save(photo)
        rng = np.random.default_rng(number)
        group = library["make_group"](number, photo, [kind], root / "library", rng, (720,))
        original_of[kind] = root / "library" / group["original"]
        assert [rival["kind"] for rival in group["rivals"]] == [kind]
        photo.unlink()
    return root / "library", original_of


@pytest.fixture(scope="module")
def index(made: tuple[Path, dict[str, Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    paths = sorted(path for path in made[0].rglob("IMG*") if path.suffix not in (".xmp", ".json", ".CR2"))
    numbers = [int(path.stem.removeprefix("IMG_")) for path in paths]
    apart = np.concatenate([np.eye(DIM), -np.eye(DIM)]).astype(np.float32)  # no group is near another
    return index_files(tmp_path_factory.mktemp("index") / "i", paths, apart[numbers]).folder


def of_kinds(groups: list[DuplicateGroup]) -> dict[str, DuplicateGroup]:
    return {KINDS[int(group.keeper.path.stem.removeprefix("IMG_"))]: group for group in groups}


@pytest.fixture(scope="module")
def groups(index: Path) -> dict[str, DuplicateGroup]:
    return of_kinds(list(find_groups(Index.open(index))))


def test_the_original_is_kept(made: tuple[Path, dict[str, Path]], groups: dict[str, DuplicateGroup]) -> None:
    assert len(groups) >= len(KINDS) - 2  # what is damaged may resemble nothing any more
    wrong = {kind for kind, group in groups.items() if group.keeper.path != made[1][kind]}
    assert wrong <= UNTOLD


def test_each_choice_is_said(groups: dict[str, DuplicateGroup]) -> None:
    said = {kind: group.members[1].why for kind, group in groups.items()}
    assert all(said.values())
    assert "damaged" in str(said.get("cut off", "damaged"))
    for kind, words in (("crop", "crop"), ("PNG export", "saved again|camera"), ("proof", "written over|camera")):
        assert any(word in str(said[kind]) for word in words.split("|")), said[kind]


@pytest.mark.parametrize("order", ["oldest", "newest", "largest", "path-order", "metadata,path"])
def test_what_is_damaged_never_wins(index: Path, order: str) -> None:
    for group in find_groups(Index.open(index), keep=KeepPolicy(order)):
        if any(member.damaged for member in group.members):
            assert group.keeper.damaged is None
            [step] = make_plan([group], "report", edited=True).steps
            assert step.why is not None
            assert step.why.startswith("whole: the other is damaged, ")


def test_the_truth_says_what_was_written(tmp_path: Path) -> None:
    photos = [tmp_path / f"{number}.png" for number in range(6)]
    for number, photo in enumerate(photos):
        draw_scene(number, 96, 64).save(photo)
    for place in ("a", "b"):
        library["make_library"](tmp_path / place, photos, 6, 3, (96,))
    truth = json.loads((tmp_path / "a" / "truth.json").read_text())
    named = {
        name
        for group in truth["groups"]
        for entry in ({"path": group["original"], **group}, *group["rivals"])
        for name in (entry["path"], *entry["sidecars"])
    }
    root = tmp_path / "a" / "library"
    assert named == {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    for name in named:  # a seed gives the same files, times among them
        first, second = (tmp_path / place / "library" / name for place in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()
        if not first.name.endswith((".xmp", ".json", ".CR2")):
            assert first.stat().st_mtime_ns == second.stat().st_mtime_ns
