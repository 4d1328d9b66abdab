"""`neardup evaluate` with a small untrained network: it sees little, but everything runs."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from neardup.cli.evaluate import evaluate
from neardup.embedding.architecture import Architecture
from neardup.embedding.export import export_model
from neardup.errors import BadInput
from neardup.evaluation import calibration
from neardup.evaluation.attacks import ATTACKS


def export_untrained(folder: Path, projection: float) -> Path:
    architecture = Architecture(units=(1, 1, 1, 1), width=0.25, groups=4, projection=16)
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in architecture.parameters().items()}
    weights["projection/kernel"] *= projection
    export_model(folder, "untrained", architecture, weights, input_size=32)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_untrained(tmp_path_factory.mktemp("models") / "untrained", projection=1)


@pytest.fixture(autouse=True)
def few_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MOST_VERSIONS", 3)


def run(*arguments: object):
    result = CliRunner().invoke(evaluate, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_json_plot_and_calibration(photo_folder, model, tmp_path):
    picture = tmp_path / "recall.png"
    arguments = [photo_folder, "--model", model, "--no-baselines", "--photos", 24, "--format", "json"]
    fields = json.loads(run(*arguments, "--plot", picture, "--calibrate", "--precision", 0.5).stdout)
    assert fields["images"] == 24
    assert fields["model"] == "untrained"
    assert fields["baselines"] == {}
    assert set(fields["attacks"]) == set(ATTACKS)
    assert fields["attacks"]["mirror"].keys() == {"recall_at_1", "recall_at_1pct_false_alarms"}
    assert fields["calibration"]["precision"]["precision"] == 0.5
    assert set(fields["calibration"]["false_matches"]["thresholds"]) == {"strict", "default", "loose"}
    with Image.open(picture) as opened:
        assert opened.format == "PNG"


def test_csv(photo_folder, model):
    printed = run(photo_folder, "--model", model, "--no-baselines", "--photos", 20, "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [row["attack"] for row in rows] == ["all", *ATTACKS]
    assert 0 <= float(rows[0]["uap"]) <= 1


def test_one_baseline_that_is_missing_is_named_and_the_others_are_shown(photo_folder, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagehash", None)
    result = run(photo_folder, "--model", model, "--photos", 20)
    assert "Left out: pHash and dHash: the package imagehash is not installed" in result.stderr
    assert "neardup[baselines]" in result.stderr
    [heading] = [line for line in result.stdout.splitlines() if "95 % interval of the model" in line]
    assert heading.split()[:2] == ["model", "pdq"]
    assert "uAP" in result.stdout
    assert all(name in result.stdout for name in ATTACKS)


def test_a_precision_out_of_reach_is_noted_and_the_rest_reported(photo_folder, tmp_path):
    blind = export_untrained(tmp_path / "blind", projection=0)  # the same embedding for every photo
    arguments = [photo_folder, "--model", blind, "--no-baselines", "--photos", 20, "--calibrate"]
    result = run(*arguments, "--precision", 0.9)
    assert "precision 0.9: no threshold reaches it" in result.stderr
    assert "strict" in result.stdout
    fields = json.loads(run(*arguments, "--precision", 0.9, "--format", "json").stdout)
    assert fields["calibration"]["precision"] is None
    assert fields["recall_at_1"] == pytest.approx(1 / fields["gallery"], abs=0.01)  # but for rounding


def test_a_plot_without_a_folder_is_refused_at_once(photo_folder, tmp_path):
    with pytest.raises(BadInput, match="no such folder"):
        run(photo_folder, "--model", "none", "--plot", tmp_path / "missing" / "recall.png")
