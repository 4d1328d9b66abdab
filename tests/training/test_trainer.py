"""The loop: what it keeps, when it stops, and how it goes on."""

import json
import shutil
import signal
from dataclasses import replace

import keras
import numpy as np
import pytest

from neardup.embedding.weights import load_weights
from neardup.errors import BadInput
from neardup.interrupts import sigterm_interrupts
from neardup.training.beginning import photos_begun_with
from neardup.training.checkpoint import Checkpoint, MovingAverage
from neardup.training.copies.objective import Copies
from neardup.training.log import read_log
from neardup.training.network import Reference
from neardup.training.trainer import Validation, train
from tests.conftest import TINY, random_weights
from tests.training.conftest import RECIPE, train_copies


def scores(*figures, name="share", lower_is_better=False):
    """A validation whose figure is one after the other of these."""
    left = iter(figures)

    def judge(network, embed):
        assert embed(np.zeros((2, 40, 40, 3), np.uint8)).shape == (2, 32)
        assert len(network.trainable_variables) > 10
        return {name: next(left)}

    return Validation((name,), judge, lower_is_better)


def stop_after(step):
    def report(row):
        if row["step"] == step:
            raise KeyboardInterrupt

    return report


def stopped(paths, output, recipe=RECIPE, step=3, **options):
    with pytest.raises(KeyboardInterrupt):
        train_copies(paths, output, recipe, report=stop_after(step), **options)


@pytest.fixture(scope="module")
def run_of_25(paths, tmp_path_factory):
    """A run on the first 25 photos that was stopped after two of its six steps."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    stopped(paths[:25], folder, step=2)
    return folder


@pytest.fixture
def begun(run_of_25, tmp_path):
    """A copy of it."""
    return shutil.copytree(run_of_25, tmp_path / "run")


def test_moving_average_by_hand():
    average = MovingAverage({"w": np.array([0.0])}, 0.9)
    average.update({"w": np.array([1.0])}, 1)  # momentum 2/11 at first
    assert average.weights["w"][0] == pytest.approx(9 / 11)
    for step in (1000, 1001):
        average.update({"w": np.array([1.0])}, step)
    assert average.weights["w"][0] == pytest.approx(1 - 2 / 11 * 0.81)


@pytest.mark.parametrize("recipe", [
    pytest.param(RECIPE, marks=pytest.mark.graph),
    replace(RECIPE, views=3, mine_every=2, final_size=48, frozen_blocks=1),
])  # fmt: skip
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(paths, tmp_path, recipe):
    whole = train_copies(paths, tmp_path / "whole", recipe)
    stopped(paths, tmp_path / "halves", recipe)
    saved = Checkpoint.read(tmp_path / "halves" / "checkpoint.npz")
    assert saved.step == 3
    assert set(saved.memory) == ({"look_alikes"} if recipe.mine_every == 2 else set())
    seen = []
    halves = train_copies(paths, tmp_path / "halves", recipe, report=lambda row: seen.append(row["step"]))
    assert seen == [4, 5, 6]
    once, twice = (load_weights(path, TINY.parameters()) for path in (whole, halves))
    for name in once:
        assert np.abs(once[name].astype(float) - twice[name]).max() < 2e-3, name
    assert [row["step"] for row in read_log(tmp_path / "halves" / "log.csv")] == [1, 2, 3, 4, 5, 6]


def test_best_weights_by_validation_are_kept(paths, tmp_path):
    best = train_copies(paths, tmp_path, replace(RECIPE, validate_every=2), validation=scores(0.2, 0.9, 0.5))
    assert best.name == "best.npz"
    last = load_weights(tmp_path / "weights.npz", TINY.parameters())
    assert any((load_weights(best, TINY.parameters())[name] != last[name]).any() for name in last)
    assert [row.get("share") for row in read_log(tmp_path / "log.csv")] == [None, 0.2, None, 0.9, None, 0.5]


def test_patience_ends_a_run_that_stands_still(paths, tmp_path):
    recipe = replace(RECIPE, validate_every=1, patience=2)
    train_copies(paths, tmp_path, recipe, validation=scores(0.3, 0.4, 0.5, lower_is_better=True))
    assert read_log(tmp_path / "log.csv")[-1]["step"] == 3
    assert Checkpoint.read(tmp_path / "checkpoint.npz").step == 3


def test_a_resumed_run_knows_what_was_best_and_for_how_long(paths, tmp_path):
    recipe = replace(RECIPE, validate_every=1, patience=3)
    stopped(paths, tmp_path, recipe, validation=scores(0.9, 0.2, 0.3))
    best = (tmp_path / "best.npz").read_bytes()
    train_copies(paths, tmp_path, recipe, validation=scores(0.4))
    assert read_log(tmp_path / "log.csv")[-1]["step"] == 4
    assert (tmp_path / "best.npz").read_bytes() == best


def test_workers_make_the_same_batches(paths, tmp_path):
    recipe = replace(RECIPE, steps=2)
    here = train_copies(paths, tmp_path / "here", recipe)
    there = train_copies(paths, tmp_path / "there", replace(recipe, workers=1))
    once, twice = (load_weights(path, TINY.parameters()) for path in (here, there))
    assert max(np.abs(once[name].astype(float) - twice[name]).max() for name in once) < 2e-3


def test_what_does_not_change_the_steps_may_change_when_a_run_goes_on(paths, begun):
    changed = replace(RECIPE, validate_every=4, patience=9)
    train_copies(paths[:25], begun, changed, validation=scores(0.5, 0.4))
    found = [(row["step"], row.get("share")) for row in read_log(begun / "log.csv")]
    assert found == [(1, None), (2, None), (3, None), (4, 0.5), (5, None), (6, 0.4)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": replace(RECIPE, size=48, views=3)}, r"begun with size 32 \(now 48\), views 2 \(now 3\)"),
        ({"recipe": replace(RECIPE, steps=12)}, r"begun with steps 6 \(now 12\)"),
        ({"architecture": replace(TINY, projection=16)}, r"begun with projection 32 \(now 16\)"),
        ({"start": random_weights(TINY)}, "began with other weights"),
        ({"more": True}, "on other photos"),
    ],
)
def test_another_run_in_the_same_folder_is_refused_and_nothing_is_overwritten(paths, begun, change, said):
    before = {path.name: path.read_bytes() for path in begun.iterdir()}
    assert {"checkpoint.npz", "weights.npz", "log.csv", "recipe.json", "photos.json"} == set(before)
    other = Copies(
        change.get("recipe", RECIPE), paths if "more" in change else paths[:25], change.get("architecture", TINY),
        change.get("start"),
    )  # fmt: skip
    with pytest.raises(BadInput, match=said) as error:
        train(other, begun)
    assert "another OUTPUT" in str(error.value)
    assert {path.name: path.read_bytes() for path in begun.iterdir()} == before


def test_photos_added_since_are_left_out_and_those_gone_are_missed(paths, begun, tmp_path):
    assert photos_begun_with(tmp_path / "nothing", paths) is None
    assert photos_begun_with(begun, paths[::-1]) == paths[:25]
    with pytest.raises(BadInput, match=f"2 of the 25 photos of its run .* first {paths[3]};"):
        photos_begun_with(begun, [path for path in paths if path not in (paths[3], paths[7])])


@pytest.mark.parametrize("file", ["recipe.json", "photos.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", b'{"recipe": 3, "photos": 4}'])
def test_a_run_that_has_lost_what_it_was_begun_with(paths, begun, file, content):
    (begun / file).unlink()
    if content is not None:
        (begun / file).write_bytes(content)
    with pytest.raises(BadInput, match="not what its run was begun with"):
        train_copies(paths[:25], begun)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no zip at all"])
def test_a_checkpoint_that_cannot_be_read(paths, begun, content):
    (begun / "checkpoint.npz").write_bytes(content)
    with pytest.raises(BadInput, match=r"checkpoint\.npz: not a checkpoint that can be read"):
        train_copies(paths[:25], begun)


def test_a_log_whose_last_line_was_cut_short(paths, begun):
    log = begun / "log.csv"
    log.write_bytes(log.read_bytes() + b"3,1")
    train_copies(paths[:25], begun)
    assert [row["step"] for row in read_log(log)] == [1, 2, 3, 4, 5, 6]


def test_files_are_replaced_not_written_through_links(paths, tmp_path):
    (tmp_path / "run").mkdir()
    aim = tmp_path / "aim"
    aim.write_bytes(b"mine")
    names = ("checkpoint.npz", "weights.npz", "best.npz", "log.csv", "recipe.json", "photos.json")
    for name in names[1:]:
        (tmp_path / "run" / name).symlink_to(aim)
    train_copies(paths, tmp_path / "run", replace(RECIPE, steps=2), validation=scores(0.5))
    assert aim.read_bytes() == b"mine"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted(names)
    assert json.loads((tmp_path / "run/recipe.json").read_text())["recipe"]["steps"] == 2


def test_keras_keeps_its_policy(paths, tmp_path):
    before = keras.config.dtype_policy().name
    try:
        keras.config.set_dtype_policy("float64")
        network = Copies(replace(RECIPE, precision="mixed_bfloat16"), paths, TINY).build(0)
        assert keras.config.dtype_policy().name == "float64"
        assert network.trunk.get_layer("resnet__root_block__standardized_conv2d").compute_dtype == "bfloat16"
        with pytest.raises(Exception, match="missing"):
            Copies(RECIPE, paths, TINY, {}).build(0)
        Reference(TINY)
        assert keras.config.dtype_policy().name == "float64"
    finally:
        keras.config.set_dtype_policy(before)


def test_in_float16_a_checkpoint_holds_the_scale_of_the_loss(paths, tmp_path):
    objective = Copies(replace(RECIPE, precision="mixed_float16"), paths, TINY)
    network = objective.build(0)
    batch = objective.stretch(network, 0, lambda: None).batches.make(0)
    average = MovingAverage({}, 0.9)
    fresh = Checkpoint.of(network, average, 0, 0, {})
    network.train_on_batch(batch.images, batch.targets)
    Checkpoint.of(network, average, 1, 0, {}).write(tmp_path / "checkpoint.npz")
    again = objective.build(0)
    Checkpoint.read(tmp_path / "checkpoint.npz").restore(again)
    assert len(fresh.state) == len(Checkpoint.of(again, average, 1, 0, {}).state)
    assert int(again.optimizer.iterations.numpy()) == int(network.optimizer.iterations.numpy())


def test_sigterm_interrupts_for_as_long_as_it_should():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
