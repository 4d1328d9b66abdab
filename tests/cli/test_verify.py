"""`neardup verify` and `neardup repair` at the command line: what they say, and how they end."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from neardup.cli import main
from neardup.embedding.model import Model
from tests.conftest import draw_photo


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def index(tmp_path: Path, tiny_model: Model, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of three photos, two of them alike, and a journal of a plan that was applied and taken back."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        draw_photo(min(number, 1)).save(tmp_path / "photos" / name)
    for arguments in (
        ("index", "photos", "--model", str(tiny_model.folder), "--engine", "onnx"),
        ("dedup", "--min-similarity", "0.99", "--action", "move", "--to", "moved", "--apply"),
        ("undo",),
    ):
        assert run(*arguments).exit_code == 0
    return tmp_path / ".neardup"


def test_a_whole_index(index: Path) -> None:
    done = run("verify")
    assert (done.exit_code, done.stderr) == (0, "")
    assert ".neardup: 3 images, 1 segment," in done.stdout
    assert done.stdout.endswith("looked at: whole.\n")
    report = json.loads(run("verify", "--format", "json").stdout)
    assert (report["valid"], report["images"], report["findings"]) == (True, 3, [])
    assert run("repair").exit_code == 0
    assert run("verify", "--format", "csv").stdout == "path,wrong,advice,mends,damage\n"


def test_damage_is_a_line_until_it_is_repaired(index: Path, tiny_model: Model) -> None:
    path = index / "segments" / "1" / "embeddings.npy"
    path.write_bytes(path.read_bytes()[:-64])  # a row of 32 numbers
    done = run("verify")
    assert done.exit_code == 1
    assert "segments/1/embeddings.npy: holds" in done.stdout
    assert "the catalogue says 256; 'neardup repair' mends it" in done.stdout
    done = run("repair", "--format", "json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["valid"], report["mended"], report["left"]) == (0, True, 1, 0)
    assert (report["lost_embeddings"], report["kept"]) == (1, None)
    assert run("verify").exit_code == 0
    again = run("index", "photos", "--model", str(tiny_model.folder), "--engine", "onnx", "--format", "json")
    assert json.loads(again.stdout)["indexed"] == report["lost_images"]
    assert json.loads(run("verify", "--format", "json").stdout)["images"] == 3


def test_a_journal_is_named_and_left(index: Path) -> None:
    [journal] = (index / "actions").glob("*.jsonl")
    content = journal.read_bytes()
    journal.write_bytes(content.replace(b'"undone"', b'"lost"'))
    (index / "review-plan.json").write_text("{}")
    for command in ("verify", "repair"):
        done = run(command)
        assert done.exit_code == 1
        assert "actions/000001.jsonl: holds lines that you did not write" in done.stdout
        assert "review-plan.json: not a plan" in done.stdout
    assert journal.read_bytes() == content.replace(b'"undone"', b'"lost"')
    journal.write_bytes(b"\0" * 100 + b"\n")
    assert "actions/000001.jsonl: not a journal" in run("verify").stdout


def test_an_index_of_someone_else_is_looked_at_and_not_changed(index: Path) -> None:
    shutil.copytree(index, "copy")
    (Path("copy") / "owner.json").unlink()
    done = run("verify", "--index", "copy")
    assert done.exit_code == 0
    assert "owner.json: not known to be an index of yours" in done.stdout
    assert "actions/000001.jsonl: not known to be written by you" in done.stdout
    done = run("repair", "--index", "copy")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "give --trust once" in done.stderr
    assert run("repair", "--index", "copy", "--trust").exit_code == 1  # the journal is still not theirs


def test_no_index_is_a_line(tmp_path: Path) -> None:
    for command in ("verify", "repair"):
        done = run(command, "--index", str(tmp_path / "none"))
        assert done.exit_code == 1
        assert done.stderr.count("\n") == 1
        assert "no index" in done.stderr
