"""`bench --lsh`: what is measured of tables and bits is what theory says; sign codes lose less the longer they are."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from neardup.cli import main
from neardup.evaluation.lsh_grid import clustered_rows, measure_grid


@pytest.fixture(scope="module")
def grid():
    rows = clustered_rows(3000, 64, np.random.default_rng(1))
    return measure_grid(rows, source="noise", queries=300, tables=(1, 8), bits=(4, 10), code_bits=(64, 512))


def test_measurement_and_theory_agree(grid):
    assert [(s.tables, s.bits) for s in grid.settings] == [(1, 4), (1, 10), (8, 4), (8, 10)]
    for setting in grid.settings:
        assert setting.recall == pytest.approx(setting.expected_recall, abs=0.09)
        assert setting.candidates == pytest.approx(setting.expected_candidates, rel=0.25, abs=1)


def test_probing_finds_more():
    rows = clustered_rows(1000, 64, np.random.default_rng(1))
    own, four = (
        measure_grid(rows, source="noise", queries=200, tables=(4,), bits=(10,), code_bits=(), probes=probes)
        for probes in (1, 8)
    )
    assert four.settings[0].recall > own.settings[0].recall
    assert four.settings[0].expected_candidates is None
    assert four.settings[0].recall == pytest.approx(four.settings[0].expected_recall, abs=0.09)


def test_longer_codes_keep_more(grid):
    short, long = grid.codes
    assert (short.bytes_per_image, long.bytes_per_image) == (8, 64)
    assert short.recall < long.recall
    assert long.recall > 0.97


def test_the_command_and_its_picture(tmp_path):
    plot = tmp_path / "grid.png"
    arguments = ["bench", "--lsh", "--synthetic", "--images", "300", "--queries", "10", "--plot", str(plot)]
    result = CliRunner().invoke(main, [*arguments, "--format", "json"], catch_exceptions=False)
    found = json.loads(result.stdout)
    assert (found["rows"], found["dim"], len(found["settings"]), len(found["codes"])) == (300, 256, 42, 4)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert CliRunner().invoke(main, [*arguments, "--engines", "onnx"]).exit_code == 2
