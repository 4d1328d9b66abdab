"""`index --ray --dry-run`, and `--ray` where Ray is not: neither needs a cluster."""

import json
import sys

import pytest
from click.testing import CliRunner

from neardup.cli import main
from neardup.distributed.plan import DECODE_SECONDS, EMBED_SECONDS, FACT_BYTES


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize(("more", "views"), [((), 1), (("--parts",), 6)])
def test_a_dry_run_says_what_it_takes_and_does_nothing(photos, tmp_path, tiny_model, more, views):
    photos(7)
    arguments = ("index", tmp_path / "photos", "--index", tmp_path / "index", "--model", tiny_model.folder)
    plan = json.loads(run(*arguments, *more, "--ray", "--dry-run", "--format", "json").stdout)
    assert plan["pictures"] == 7
    hours = (7 * DECODE_SECONDS + 7 * views * EMBED_SECONDS) / 3600
    assert plan["cpu_hours"] == pytest.approx(hours, abs=1e-6)
    assert plan["shuffle_bytes"] == 7 * views * 48 * 48 * 3
    assert plan["result_bytes"] == 7 * (views * 32 * 2 + FACT_BYTES)
    assert not (tmp_path / "index").exists()
    gpu = json.loads(run(*arguments, *more, "--ray", "--dry-run", "--engine", "tensorrt", "--format", "json").stdout)
    assert (gpu["gpu_hours"], gpu["embed_hours"]) == (None, None)
    assert "Nothing was changed." in run(*arguments, "--ray", "--dry-run").stdout
    assert "give --ray" in run(*arguments, "--dry-run", code=2).output


@pytest.mark.parametrize("command", ["index", "groups"])
def test_without_ray_one_line_says_how_to_install_it(photos, tmp_path, tiny_model, monkeypatch, command):
    photos(3)
    monkeypatch.chdir(tmp_path)
    arguments = ["photos", "--model", tiny_model.folder] if command == "index" else []
    if command == "groups":
        run("index", "photos", "--model", tiny_model.folder)
    monkeypatch.setitem(sys.modules, "ray", None)
    [line] = run(command, *arguments, "--ray", code=1).stderr.splitlines()
    assert line.startswith("Error: --ray: the package ray ")
    assert line.endswith("pip install 'neardup[ray]'")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379", "no address", "127.0.0.1:999999"])
def test_a_cluster_that_is_not_there_is_one_line_and_soon(photos, tmp_path, tiny_model, address):
    pytest.importorskip("ray", reason="pip install 'neardup[ray]'")
    photos(2)
    arguments = ("index", tmp_path / "photos", "--index", tmp_path / "index", "--model", tiny_model.folder)
    [line] = run(*arguments, f"--ray={address}", code=1).stderr.splitlines()
    assert line.startswith(f"Error: --ray {address}: no Ray cluster there (")
    assert not (tmp_path / "index").exists()


def test_a_dry_run_forgets_nothing_and_watching_is_done_here(photos, tmp_path, tiny_model, monkeypatch):
    photos(3)
    monkeypatch.chdir(tmp_path)
    run("index", "photos", "--model", tiny_model.folder)
    (tmp_path / "photos").rename(tmp_path / "new")
    run("index", "new", "--prune", "photos", "--ray", "--dry-run", "--model", tiny_model.folder)
    assert json.loads(run("info", "--format", "json").stdout)["images"] == 3
    assert "leave --ray out" in run("index", "new", "--watch", "--ray", code=2).output
    assert "Missing argument" in run("index", "--prune", "photos", "--ray", "--dry-run", code=2).output
