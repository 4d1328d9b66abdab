"""Progress bars: on a terminal only, and never among results."""

import io
import os
import sys

import pytest

from neardup.cli import main
from neardup.output import note, progress
from neardup.output.progress import Bar
from tests.conftest import draw_scene


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def open_terminal(monkeypatch):
    def open_terminal():
        """stderr from now on; pytest puts its own in its place before a test begins."""
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    monkeypatch.setattr(progress, "SECONDS_BETWEEN_UPDATES", 0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    return open_terminal


def use(bar):
    with bar:
        bar.begin("Counting", 3)
        bar.advance()
        note("by the way")
        bar.hide()
        print("a result")
        bar.update(2, 5, what="Weighing")
        bar.update(5, words=", 7 kg")
    bar.update(5, what="Too late")


def test_a_bar_says_what_is_done_and_leaves_results_alone(open_terminal, capsys):
    terminal = open_terminal()
    use(Bar(unit="images"))
    shown = terminal.getvalue()
    assert all(words in shown for words in ("Counting", "1/3", "by the way\n", "Weighing, 7 kg", "5/5"))
    assert "Too late" not in shown
    assert shown.endswith("\x1b[2K")  # nothing of it stays
    assert capsys.readouterr().out == "a result\n"


def test_there_is_none_elsewhere(monkeypatch, capsys):
    use(Bar())
    assert capsys.readouterr() == ("a result\n", "by the way\n")


def test_tensorflow_is_told_to_be_quiet_before_anything_imports_it(monkeypatch, capsys):
    for given, seen in ((None, "3"), ("0", "0")):
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", given or "")
        if given is None:
            monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
        main(["undo", "--help"], standalone_mode=False)
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == seen


def test_long_commands_show_how_far_they_are(open_terminal, capsys, tmp_path, tiny_model, monkeypatch):
    """And standard output is what it is elsewhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for seed in (1, 2):
        draw_scene(seed, 160, 120).save(f"photos/{seed}.png")
        draw_scene(seed, 160, 120).convert("L").save(f"photos/{seed} grey.png")

    def run(*arguments):
        terminal = open_terminal()
        main(list(map(str, arguments)), standalone_mode=False)
        return terminal.getvalue(), capsys.readouterr().out

    for command, first in {
        ("index", "photos", "--model", tiny_model.folder): "Indexing",
        ("query", "photos"): "Asking the index",
        ("groups",): "Comparing embeddings",
        ("groups", "--output", "found.json"): "Comparing embeddings",
        ("dedup", "--action", "move", "--to", "gone", "--apply"): "Comparing embeddings",
        ("undo",): "Taking back",
    }.items():
        shown, out = run(*command, "--format", "json")
        assert first in shown, command
        assert "\x1b" not in out
    shown, _ = run("query", "photos/1.png")
    assert "Asking" not in shown  # one picture takes a moment
