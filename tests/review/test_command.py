"""`neardup review` as a process: the URL on stdout, an end on Ctrl-C, verdicts out and in."""

import http.client
import json
import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from neardup.cli.review import review as command
from neardup.index.notes import load_verdicts, pair_of, record_verdicts

PAIR = pair_of(b"a" * 32, b"b" * 32)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_url_and_ends_when_asked(tmp_path, tiny_model, photos, number):
    from neardup.cli import main

    photos(3)
    index = tmp_path / "index"
    model = str(tiny_model.folder)
    arguments = ["index", str(tmp_path / "photos"), "--index", str(index), "--model", model]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    # A shell's background job starts with SIGINT ignored, and hands that on.
    awake = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    run = f"{awake}; from neardup.cli.review import review; review(prog_name='review')"
    process = subprocess.Popen(
        [sys.executable, "-c", run, "--index", str(index), "--format", "json", "--min-similarity=-1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NEARDUP_MODELS": str(tiny_model.folder.parent), "NEARDUP_REVIEW_NO_BROWSER": "1"},
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        start = json.loads(line)
        assert start["plan"] == str(index / "review-plan.json")
        url = urlsplit(start["url"])
        assert url.hostname == "127.0.0.1"
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
        connection.request("GET", f"{url.path}?{url.query}")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out == ""
    assert f"0 of {start['groups']} group" in err
    assert "Traceback" not in err


def test_verdicts_go_out_and_come_in(folder, tmp_path):
    record_verdicts(folder, {PAIR: "not"})
    file = tmp_path / "verdicts.json"
    result = CliRunner().invoke(command, ["--index", str(folder), "--export", str(file)])
    assert result.exit_code == 0, result.output
    assert "1 verdict written" in result.stderr
    record_verdicts(folder, {PAIR: None})
    result = CliRunner().invoke(command, ["--index", str(folder), "--import", str(file)])
    assert result.exit_code == 0, result.output
    assert load_verdicts(folder) == {PAIR: "not"}


def test_moving_needs_a_folder(folder):
    result = CliRunner().invoke(command, ["--index", str(folder), "--action", "move"])
    assert result.exit_code == 2
    assert "--to DIR" in result.stderr
