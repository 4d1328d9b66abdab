"""`neardup train` end to end: a few steps on a few photos."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from neardup.cli import main
from neardup.embedding import load_embedder
from neardup.embedding.architecture import Architecture
from neardup.embedding.model import find_model
from neardup.embedding.weights import load_weights
from neardup.errors import BadInput
from neardup.jobs import train as job
from neardup.training.recipe import CopyRecipe


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a1", "a2", "a3", "a4", "b1"):
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(folder / f"{name}.png")
    return folder


def run(*arguments):
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


def test_a_few_steps_from_a_file_of_weights(photos, tmp_path):
    shipped = find_model("default").file("weights.npz")
    options = ("--photos", 4, "--size", 32, "--input-size", 64, "--start", shipped, "--without", "b", "--workers", 0)
    done = run(photos, tmp_path / "mine", "--steps", 2, "--learning-rate", 1e-9, *options, "--format", "json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["steps"], result["model"]) == (2, str(tmp_path / "mine/model"))
    assert (tmp_path / "mine/curve.png").stat().st_size > 1000
    begun, ended = (
        load_weights(p, Architecture().parameters()) for p in (shipped, tmp_path / "mine/model/weights.npz")
    )
    assert max(np.abs(begun[name] - ended[name]).max() for name in begun) < 1e-3
    embedder = load_embedder(str(tmp_path / "mine/model"))
    assert embedder.embed([np.zeros((20, 20, 3), np.uint8)]).shape == (1, 256)
    # The same command goes on where a run was stopped: here, at its end.
    again = run(photos, tmp_path / "mine", "--steps", 2, "--learning-rate", 1e-9, *options, "--format", "json")
    assert json.loads(again.stdout)["loss"] == result["loss"]


def test_fewer_photos_than_a_batch_is_said(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(photos, "--photos", 6)
    assert done.exit_code == 1
    assert "5 photos, fewer than the 6 of a batch" in done.stderr
    assert not (tmp_path / "trained").exists()


def test_photos_added_to_a_run_are_left_out_and_said(photos, tmp_path, tiny_model, monkeypatch):
    """This was an IndexError: look-alikes are numbers of the photos that the run began with."""
    recipe = CopyRecipe(steps=4, photos=4, size=32, input_size=64, workers=0)
    monkeypatch.setattr(job, "SAY_EVERY", 2)

    def interrupt(text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.train_copies(photos, tmp_path / "mine", recipe, start=str(tiny_model.folder), say=interrupt)
    draw = np.random.default_rng(1)
    for name in ("a0", "c1"):
        Image.fromarray(draw.integers(0, 256, (48, 64, 3), np.uint8)).save(photos / f"{name}.png")
    said = []
    trained = job.train_copies(photos, tmp_path / "mine", recipe, start=str(tiny_model.folder), say=said.append)
    assert [row["step"] for row in trained.log] == [1, 2, 3, 4]
    assert "with the 5 photos that its run began with; 2 added since are left out" in said[0]
    assert said[1].startswith("step 4/4: loss ")
    (photos / "a1.png").unlink()
    with pytest.raises(BadInput, match="1 of the 5 photos of its run are not among those given now"):
        job.train_copies(photos, tmp_path / "mine", recipe, start=str(tiny_model.folder))


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--start", "default"), "began with other weights"), (("--steps", 4), "begun with steps 2 (now 4)")],
)
def test_a_run_begun_otherwise_is_not_gone_on_with(photos, tmp_path, options, said):
    """--start was ignored, and recipe.json overwritten."""
    always = ("--photos", 4, "--size", 32, "--input-size", 64, "--workers", 0, "--steps", 2)
    begun = run(photos, tmp_path / "mine", *always)
    assert begun.exit_code == 0, begun.output
    recipe = (tmp_path / "mine/recipe.json").read_bytes()
    done = run(photos, tmp_path / "mine", *always, *options)
    assert done.exit_code == 1
    assert said in done.stderr
    assert (tmp_path / "mine/recipe.json").read_bytes() == recipe
