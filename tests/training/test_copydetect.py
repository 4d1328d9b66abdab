from dataclasses import replace

import numpy as np
import pytest
from tests.conftest import TINY, draw_photo

from neardup.embedding.bit import get_weights
from neardup.embedding.weights import load_weights
from neardup.errors import BadInput
from neardup.training.copydetect import Checkpoint, MovingAverage, build_trainer, train
from neardup.training.curve import plot_curve, read_log
from neardup.training.recipe import Batches, Recipe

RECIPE = Recipe(steps=6, size=32, photos=8, warmup_steps=2, learning_rate=3e-3)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(30):
        target = folder / "abc"[number % 3]
        target.mkdir(exist_ok=True)
        draw_photo(number).save(target / f"{number}.jpg")
    return sorted(folder.rglob("*.jpg"))


def test_a_batch_follows_from_recipe_and_step(paths):
    one, again = (Batches(RECIPE, paths).make(4) for _ in range(2))
    assert (one.views == again.views).all()
    assert (one.photos == again.photos).all()
    assert one.views.shape == (16, 32, 32, 3)
    assert (one.photos[::2] == one.photos[1::2]).all()
    assert len(set(one.photos.tolist())) == 8
    other = Batches(RECIPE, paths).make(5)
    assert (one.views != other.views).any()
    assert (Batches(replace(RECIPE, seed=1), paths).make(4).views != one.views).any()


def test_half_a_batch_comes_from_one_folder(paths):
    for step in range(20):
        folders = [paths[number].parent for number in Batches(RECIPE, paths).choose(step)]
        assert len(set(Batches(RECIPE, paths).choose(step).tolist())) == 8
        assert max(folders.count(folder) for folder in folders) >= 4


def test_hardness_grows_over_the_first_sixty_percent():
    recipe = Recipe(steps=100, hardness=(0.5, 1.0))
    assert [recipe.hardness_at(step) for step in (0, 30, 60, 99)] == pytest.approx([0.5, 0.75, 1.0, 1.0])


def test_unreadable_photos_are_left_out(paths, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"broken")
    batch = Batches(replace(RECIPE, photos=31), [*paths, broken]).make(0)
    assert len(batch.photos) == 60
    assert 30 not in batch.photos
    with pytest.raises(BadInput, match="fewer than two"):
        Batches(RECIPE, [broken, broken]).make(0)


def test_moving_average_by_hand():
    average = MovingAverage({"w": np.array([0.0])}, 0.9)
    average.update({"w": np.array([1.0])}, 1)  # momentum 2/11 at first
    assert average.weights["w"][0] == pytest.approx(9 / 11)
    for step in (1000, 1001):
        average.update({"w": np.array([1.0])}, step)
    assert average.weights["w"][0] == pytest.approx(1 - 2 / 11 * 0.81)


def test_the_loss_falls(paths):
    model = build_trainer(TINY, replace(RECIPE, steps=40), None)
    batch = Batches(RECIPE, paths).make(0)
    losses = [float(model.train_on_batch(batch.views, batch.photos)) for _ in range(25)]
    assert losses[-1] < losses[0] - 0.3


def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(paths, tmp_path):
    whole = train(paths, tmp_path / "whole", RECIPE, TINY, workers=0)

    seen = []

    class Stop(Exception):
        pass

    def stop(row):
        seen.append(row["step"])
        if row["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(paths, tmp_path / "halves", RECIPE, TINY, workers=0, report=stop)
    assert Checkpoint.read(tmp_path / "halves" / "checkpoint.npz").step == 3
    halves = train(paths, tmp_path / "halves", RECIPE, TINY, workers=0, report=lambda row: seen.append(row["step"]))
    assert seen == [1, 2, 3, 4, 5, 6]
    once, twice = (load_weights(path, TINY.parameters()) for path in (whole, halves))
    for name in once:
        assert np.abs(once[name].astype(float) - twice[name]).max() < 2e-3, name
    assert [row["step"] for row in read_log(tmp_path / "halves" / "log.csv")] == [1, 2, 3, 4, 5, 6]


def test_best_weights_by_validation_are_kept(paths, tmp_path):
    scores = iter([0.2, 0.9, 0.5])

    def validate(embed):
        assert embed(np.zeros((2, 40, 40, 3), np.uint8)).shape == (2, 32)
        return {"uap": next(scores), "recall_at_1": 0.5, "recall_at_1pct_false_alarms": 0.1}

    options = {"validate": validate, "validate_every": 2, "workers": 0}
    best = train(paths, tmp_path / "run", RECIPE, TINY, **options)
    assert best.name == "best.npz"
    last = load_weights(tmp_path / "run" / "weights.npz", TINY.parameters())
    assert any((load_weights(best, TINY.parameters())[name] != last[name]).any() for name in last)
    plot_curve(tmp_path / "run" / "log.csv", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000


def test_patience_ends_a_run_that_stands_still(paths, tmp_path):
    figures = {"uap": 0.5, "recall_at_1": 0.5, "recall_at_1pct_false_alarms": 0.1}
    train(paths, tmp_path, RECIPE, TINY, workers=0, validate=lambda embed: figures, validate_every=1, patience=2)
    assert read_log(tmp_path / "log.csv")[-1]["step"] == 3


def test_workers_make_the_same_batches(paths, tmp_path):
    recipe = replace(RECIPE, steps=2)
    here = train(paths, tmp_path / "here", recipe, TINY, workers=0)
    there = train(paths, tmp_path / "there", recipe, TINY, workers=1)
    once, twice = (load_weights(path, TINY.parameters()) for path in (here, there))
    assert max(np.abs(once[name].astype(float) - twice[name]).max() for name in once) < 2e-3


def test_weights_to_start_from_are_used(paths):
    weights = {name: value * 0.5 for name, value in get_weights(build_trainer(TINY, RECIPE, None).trunk).items()}
    started = get_weights(build_trainer(TINY, RECIPE, weights).trunk)
    assert all((started[name] == weights[name]).all() for name in weights)


def test_too_few_photos(tmp_path):
    with pytest.raises(BadInput, match="at least two"):
        train([], tmp_path, RECIPE, TINY)
