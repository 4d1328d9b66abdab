"""An index out of an archive, at the command line: it is read, and nothing is done by it until --trust, once."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from neardup.cli import main
from neardup.embedding.model import Model
from tests.conftest import draw_photo


@pytest.fixture
def unpacked(tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos and their index, as a copy of those that were indexed: nobody's own."""
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        draw_photo(min(number, 1)).save(photos / name)
    done = run("index", "photos", "--index", "made", "--model", str(tiny_model.folder), "--engine", "onnx")
    assert done.exit_code == 0, done.output
    shutil.copytree("made", ".neardup")
    return tmp_path / ".neardup"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


DEDUP = ("dedup", "--min-similarity", "0.99", "--action", "move", "--to", "moved")


def test_it_is_read_and_not_acted_on_until_it_is_trusted(unpacked: Path) -> None:
    before = sorted(path.name for path in Path("photos").iterdir())
    for reading in (("groups", "--min-similarity", "0.99"), ("info",), DEDUP):
        assert run(*reading).exit_code == 0
    for acting in ((*DEDUP, "--apply"), ("undo",), ("review", "--no-browser")):
        done = run(*acting)
        assert done.exit_code == 1
        assert done.stdout == ""
        assert "give --trust once" in done.stderr
        assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in Path("photos").iterdir()) == before
    done = run(*DEDUP, "--apply", "--trust", "--format", "json")
    assert [step["status"] for step in json.loads(done.stdout)["steps"]] == ["done"]
    assert run("undo").exit_code == 0
    assert sorted(path.name for path in Path("photos").iterdir()) == before


def test_trust_belongs_to_what_acts(unpacked: Path) -> None:
    assert run(*DEDUP, "--trust").exit_code == 2
