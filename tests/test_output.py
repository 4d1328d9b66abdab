"""One renderer: what each format writes, and where matplotlib may be imported."""

import ast
import csv
import io
import json
from pathlib import Path

import pytest

import neardup
from neardup.output import FORMATS, Aside, Rendering, emit, one_record

SOURCE = Path(neardup.__file__).parent
# ESC that would retitle and clear a terminal, an override that turns text round, a byte that is no text, a line feed.
HOSTILE = "x\x1b]0;owned\x07\x1b[2J\u202egpj\udcff\nb,c"


def written(result, format):
    file = io.StringIO(newline="")
    emit(result, format, file)
    return file.getvalue()


def test_only_what_the_format_asks_for_is_read(capsys):
    def unread():
        raise AssertionError("this format has no use for it")
        yield

    nothing = unread()
    assert written(Rendering(iter([{"a": 1}, {"a": 2}]), (), nothing, nothing), "json") == '{"a": 1}\n{"a": 2}\n'
    assert written(Rendering(nothing, ("a", "b"), iter([Aside("by the way"), {"b": 1}]), nothing), "csv") == "a,b\n,1\n"
    assert written(Rendering(nothing, (), nothing, iter(["one", Aside("beside"), "two"])), "text") == "one\ntwo\n"
    assert capsys.readouterr().err == "by the way\nbeside\n"


def test_json_lines_are_out_before_the_next_record_is_worked_out():
    file = io.StringIO()

    def records():
        yield {"n": 1}
        assert file.getvalue() == '{"n": 1}\n'
        yield {"n": 2}

    emit(Rendering(records(), (), (), ()), "json", file)
    assert file.getvalue().count("\n") == 2


@pytest.mark.parametrize("format", FORMATS)
def test_no_format_writes_what_would_drive_a_terminal(format):
    out = written(one_record({"path": HOSTILE, "size": 3}, [HOSTILE]), format)
    assert not {c for c in out if not c.isprintable()} - {"\n"}
    assert "\u202e" not in out


def test_csv_keeps_line_feeds_in_quotes_and_json_the_name_itself():
    out = written(one_record({"path": HOSTILE}, []), "csv")
    [row] = csv.DictReader(io.StringIO(out, newline=""))
    assert row["path"] == "x\\x1b]0;owned\\x07\\x1b[2J\\u202egpj\\xff\nb,c"
    assert json.loads(written(one_record({"path": HOSTILE}, []), "json"))["path"] == HOSTILE


def test_a_row_may_differ_from_the_record():
    result = one_record({"files": ["a", "b"], "n": 2}, [], row={"files": 2})
    assert written(result, "csv") == "files,n\n2,2\n"
    assert json.loads(written(result, "json"))["files"] == ["a", "b"]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_matplotlib_is_imported_by_figures_alone():
    drawing = {path for path in SOURCE.rglob("*.py") if any(n.split(".")[0] == "matplotlib" for n in imports(path))}
    assert drawing
    assert {path.parent for path in drawing} == {SOURCE / "output" / "figures"}


def test_only_the_renderer_asks_for_the_format():
    """Comparisons with `format` anywhere in output and cli would be a second renderer."""
    for path in [*(SOURCE / "output").rglob("*.py"), *(SOURCE / "cli").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                assert not (isinstance(node.left, ast.Name) and node.left.id == "format"), f"{path}:{node.lineno}"
