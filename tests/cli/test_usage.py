"""What a mistake on the command line is answered with: one line, and the way on."""

import json

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from neardup.cli import main
from neardup.embedding.thresholds import parse_similarity
from neardup.errors import BadInput
from neardup.text import said
from tests.conftest import draw_photo


def run(*args, **env):
    return CliRunner().invoke(main, [str(arg) for arg in args], env=env, prog_name="neardup")


@pytest.mark.parametrize(
    ("args", "answer"),
    [
        (["qury"], "there is no command 'qury'; did you mean 'query'? 'neardup --help'"),
        (["models", "lisst"], "there is no command 'lisst'; did you mean 'list'? 'neardup models --help'"),
        (["zzzz"], "there is no command 'zzzz'; 'neardup --help'"),
        (["query"], "'neardup query --help'"),
        (["query", "a.jpg", "--nope"], "--nope"),
        (["query", "a.jpg", "--top", "0"], "--top"),
        (["query", "a.jpg", "--format", "\x1b[2Jxml"], "\\x1b[2Jxml"),
    ],
)
def test_a_usage_error_is_one_line(args, answer):
    result = run(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("Error: ")
    assert answer in result.stderr


def test_without_a_command_help_is_shown():
    for result in (run(), run("models"), run("--help")):
        assert "Usage: neardup" in result.output
        assert "Commands:" in result.output


@pytest.mark.parametrize(("text", "number"), [("90%", 0.9), ("99.5 %", 0.995), ("-100%", -1.0), ("0.9", 0.9)])
def test_a_similarity_may_be_given_in_percent(text, number):
    assert parse_similarity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["900%", "%", "nan%", "9 0%"])
def test_a_percentage_that_is_none_is_refused(text):
    with pytest.raises(BadInput, match="number from -1 to 1"):
        parse_similarity(text)


def test_the_names_of_thresholds_are_completed():
    def completed(*args, incomplete):
        found = ShellComplete(main, {}, "neardup", "_NEARDUP_COMPLETE").get_completions(list(args), incomplete)
        return [item.value for item in found]

    assert completed("compare", "--min-similarity", incomplete="") == ["strict", "default", "loose"]
    assert completed("groups", "--min-similarity", incomplete="l") == ["loose"]
    assert completed("dedup", "--keep", incomplete="best,ne") == ["best,newest"]
    assert completed(incomplete="gr") == ["groups"]


def test_a_misspelt_criterion_is_answered_with_the_one_that_was_meant(tmp_path):
    result = run("groups", "--index", tmp_path, "--keep", "detail,metdata")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "did you mean 'metadata'?" in result.stderr


def test_compare_says_that_a_file_is_not_there(tmp_path):
    draw_photo(1).save(tmp_path / "x.png")
    result = run("compare", tmp_path / "x.png", tmp_path / "nope.jpg")
    assert result.exit_code == 1
    assert result.stderr.endswith("nope.jpg: no such file\n")


def plan_file(folder):
    path = folder / "plan.json"
    plan = {"format": "neardup plan 2", "action": "trash", "steps": [], "kept": [], "to": None, "root": None}
    path.write_text(json.dumps(plan))
    return path


def test_what_the_environment_prefers_does_not_stand_in_the_way_of_a_plan(tmp_path):
    plan = ["dedup", "--index", tmp_path, "--plan", plan_file(tmp_path)]
    result = run(*plan, NEARDUP_DEDUP_KEEP="largest", NEARDUP_DEDUP_ACTION="delete")
    assert result.exit_code == 0, result.output
    assert result.stdout == "0 files, 0 B.\n"
    assert "leave out --keep" in run(*plan, "--keep", "largest").stderr


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"\xff\xfe", b"[1]", b"{}", b"[" * 100_000])
def test_what_is_no_plan_is_refused_without_the_names_of_exceptions(tmp_path, content):
    (tmp_path / "x.csv").write_bytes(content)
    result = run("dedup", "--index", tmp_path, "--plan", tmp_path / "x.csv")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "not a plan" in result.stderr
    assert "Error(" not in result.stderr


def test_an_error_without_a_text_is_told_by_its_kind():
    assert said(RuntimeError()) == "RuntimeError"
    assert said(RuntimeError("\n")) == "RuntimeError"
    assert said(KeyError("steps")) == "'steps' is missing"
    assert said(RuntimeError("first\nsecond")) == "first"
