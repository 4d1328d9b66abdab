"""`neardup train` end to end: a few steps on a few photos."""

import json
from pathlib import Path

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
from neardup.training import job
from neardup.training.recipe import CopyRecipe
from tests.conftest import TINY, draw_photo


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


@pytest.mark.graph
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


@pytest.fixture
def classes(tmp_path):
    """Eight pictures of each of two classes, and one that is in none."""
    for number in range(16):
        folder = tmp_path / "classes" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        draw_photo(number).save(folder / f"{number}.jpg")
    draw_photo(99).save(tmp_path / "classes" / "loose.jpg")
    return tmp_path / "classes"


LABELLED = (
    "--labelled", "--photos", 8, "--size", 32, "--workers", 0, "--steps", 4, "--head-steps", 2, "--held-out", 0.25,
)  # fmt: skip


@pytest.mark.parametrize("loss", ["triplet", "supcon", "arcface"])
def test_labelled_makes_a_model_that_index_takes(classes, tmp_path, tiny_model, monkeypatch, loss):
    monkeypatch.chdir(tmp_path)
    done = run(classes, "mine", *LABELLED, "--init", tiny_model.folder, "--loss", loss, "--format", "json")
    assert done.exit_code == 0, done.output
    assert "12 pictures of 2 classes to train on, 4 held out" in done.stderr
    result = json.loads(done.stdout)
    assert result.keys() == {"steps", "loss", "validation_loss", "knn_accuracy", "recall_at_1", "model", "curve"}
    assert 0 <= result["knn_accuracy"] <= 1
    paths = tiny_model.file("weights.npz"), Path("mine", "best.npz")
    begun, ended = (load_weights(path, TINY.parameters()) for path in paths)
    assert all((begun[name] != ended[name]).any() for name in begun), "the trunk has learned"
    made = CliRunner().invoke(main, ["index", str(classes), "--model", result["model"], "--format", "json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["indexed"] == 17


def test_labelled_goes_on_with_what_it_began_with(classes, tmp_path, tiny_model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun = run("classes", "mine", *LABELLED, "--init", tiny_model.folder, "--format", "json")
    assert begun.exit_code == 0, begun.output
    draw_photo(50).save(classes / "a" / "0a.jpg")
    again = run("classes", "mine", *LABELLED, "--init", tiny_model.folder, "--format", "json")
    assert "with the 16 photos that its run began with; 1 added since" in again.stderr
    assert json.loads(again.stdout)["loss"] == json.loads(begun.stdout)["loss"]
    (classes / "a" / "0.jpg").rename(classes / "b" / "0.jpg")
    assert "1 of the 16 photos of its run" in run("classes", "mine", *LABELLED, "--init", tiny_model.folder).stderr


def test_labelled_goes_on_and_takes_a_data_set(tmp_path, tiny_model, small_flowers):
    name = f"tfds:{small_flowers.data_dir}:train"
    begun = run(name, tmp_path / "mine", *LABELLED, "--init", tiny_model.folder, "--format", "json")
    assert begun.exit_code == 0, begun.output
    assert "of 2 classes" in begun.stderr
    again = run(name, tmp_path / "mine", *LABELLED, "--init", tiny_model.folder, "--format", "json")
    assert json.loads(again.stdout)["loss"] == json.loads(begun.stdout)["loss"]
    other = run(f"{name}[:50%]", tmp_path / "mine", *LABELLED, "--init", tiny_model.folder)
    assert other.exit_code == 1
    assert "of its run are not among those given now" in other.stderr


def test_from_scratch_there_is_no_model_to_begin_with(classes, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(job, "starting_point", lambda start: started.append(start) or (TINY, None))
    assert run(classes, tmp_path / "mine", *LABELLED, "--init", "none").exit_code == 0
    assert run(classes, tmp_path / "default", *LABELLED).exit_code == 0
    assert started == ["none", "default"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--labelled", "--untouched", 0.5, "--final-size", 64), "--final-size, --untouched: not with --labelled"),
        (("--loss", "triplet"), "--loss: only with --labelled"),
        (("--labelled", "--init", "none", "--frozen-blocks", 1), "give some with --start"),
        (("--labelled", "--loss", "hinge"), "'hinge' is not one of 'triplet', 'supcon', 'arcface'"),
    ],
)
def test_options_of_the_other_objective_are_refused(classes, tmp_path, options, said):
    done = run(classes, tmp_path / "mine", *options)
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "mine").exists()


def test_a_folder_without_classes_is_said(photos, tmp_path):
    done = run(photos, tmp_path / "mine", "--labelled")
    assert done.exit_code == 1
    assert "needs two classes, found 0; give a folder with one of pictures for each" in done.stderr
    assert run(tmp_path / "nowhere", tmp_path / "mine", "--labelled").exit_code == 2
