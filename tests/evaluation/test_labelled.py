"""`evaluate --labelled`: neighbours of pictures of two colours, one of which lies in the wrong folder."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from neardup.cli import main
from neardup.errors import BadInput
from neardup.evaluation.labelled import LabelledSet, embed_labelled, judge_labelled
from neardup.evaluation.projection import project
from tests.mean_colour import mean_colour


@pytest.fixture
def folder(tmp_path):
    """Eight red and eight blue pictures; one of the reds is blue."""
    rng = np.random.default_rng(0)
    for name, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(8):
            shown = (30, 30, 200) if (name, number) == ("red", 0) else colour
            pixels = np.clip(np.array(shown) + rng.integers(-25, 26, (40, 40, 3)) + rng.integers(-20, 21, 3), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "set" / name / f"{number}.png")
    (tmp_path / "set" / "red" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (tmp_path / "set" / "none.png").write_bytes(b"in no folder: no class")
    return tmp_path / "set"


def unit(*rows):
    array = np.array(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_a_case_by_hand():
    """Of class 0: (1, 0), (1, 0.1), (1, 0.2); of class 1: (0, 1), (0.1, 1) and the stray (1, 0.35)."""
    rows = unit((1, 0), (1, 0.1), (1, 0.2), (0, 1), (0.1, 1), (1, 0.35))
    labels = np.array([0, 0, 0, 1, 1, 1])
    report = judge_labelled(LabelledSet((), ("a", "b"), labels, rows))
    assert report.found.rows[0].tolist() == [1, 2, 5, 4, 3]
    assert report.exact.recall_at_1 == pytest.approx(5 / 6)  # the stray's nearest is of class 0
    assert report.exact.recall_at_5 == 1.0
    # Five neighbours are all others: class 0 has two of them and class 1 three, so that each 0 is taken for 1.
    assert report.exact.confusion.tolist() == [[0, 3], [3, 0]]


def test_through_tables_none_is_its_own_neighbour():
    rng = np.random.default_rng(3)
    rows = unit(*rng.standard_normal((60, 16)))
    report = judge_labelled(LabelledSet((), ("a", "b"), np.arange(60) % 2, rows))
    assert not (report.found.rows == np.arange(60)[:, None]).any()
    assert report.lsh.recall_at_1 <= 1.0
    assert report.as_json()["lsh"]["mean_average_precision"] is None


def test_the_command_and_its_pictures(folder, tmp_path, tiny_model):
    result = CliRunner().invoke(
        main,
        ["evaluate", str(folder), "--labelled", "--model", str(tiny_model.folder), "--plots", str(tmp_path / "plots"),
         "--format", "json"],
        catch_exceptions=False,
    )  # fmt: skip
    found = json.loads(result.stdout)
    assert (found["images"], found["classes"]) == (16, ["blue", "red"])
    assert np.sum(found["exact"]["confusion"]) == 16
    assert "broken.png" in result.stderr
    drawn = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {"classes.png", "embedding.png", "confusion.png", "wrong.png"} <= drawn


def test_what_is_no_set_of_classes(folder, tmp_path):
    one = [(path, "red") for path in sorted((folder / "red").iterdir())]
    with pytest.raises(BadInput, match="8 pictures of 1 classes"):
        embed_labelled(one, mean_colour(), 1)
    for arguments in (["--plots", "x"], ["--labelled", "--lookalikes"], ["--labelled", "--calibrate"]):
        assert CliRunner().invoke(main, ["evaluate", str(folder), *arguments]).exit_code == 2


def test_principal_components_keep_distances_in_a_plane():
    rng = np.random.default_rng(0)
    plane, _ = np.linalg.qr(rng.standard_normal((32, 2)))
    flat = rng.standard_normal((15, 2)) * (3, 1)
    places, how = project((flat @ plane.T).astype(np.float32))
    assert how == "PCA"
    before, after = (np.linalg.norm(x[:, None] - x[None], axis=2) for x in (flat, places))
    assert after == pytest.approx(before, abs=1e-4)
