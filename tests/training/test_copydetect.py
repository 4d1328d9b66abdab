from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tests.conftest import TINY, draw_photo

from neardup.embedding.bit import get_weights
from neardup.embedding.weights import load_weights
from neardup.errors import BadInput
from neardup.training.copydetect import Checkpoint, MovingAverage, build_trainer, train
from neardup.training.curve import plot_curve, read_log
from neardup.training.losses import COPIES
from neardup.training.mining import NEAREST, mine
from neardup.training.recipe import Batches, Recipe, as_it_is, load

RECIPE = Recipe(steps=6, size=32, photos=8, views=2, warmup_steps=2, learning_rate=3e-3)


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


def test_every_photo_has_its_views_one_after_the_other(paths):
    batch = Batches(replace(RECIPE, views=3, untouched=1.0), paths).make(0)
    assert (batch.photos.reshape(8, 3) == batch.photos[::3, None]).all()
    for number, view in zip(batch.photos[::3], batch.views[::3], strict=True):
        assert (view == as_it_is(load(paths[number], 64), 32)).all()


def test_without_look_alikes_half_a_batch_comes_from_one_folder(paths):
    for step in range(20):
        folders = [paths[number].parent for number in Batches(RECIPE, paths).choose(step)]
        assert len(set(Batches(RECIPE, paths).choose(step).tolist())) == 8
        assert max(folders.count(folder) for folder in folders) >= 4


def test_look_alikes_come_in_one_batch(paths):
    # Photos in fives: 0 to 4 look alike, 5 to 9, and so on; the last five know of nobody.
    fives = np.array([[m for m in range(n // 5 * 5, n // 5 * 5 + 5) if m != n] for n in range(30)], np.int32)
    fives[25:] = -1
    for step in range(20):
        chosen = Batches(replace(RECIPE, photos=16), paths, fives).choose(step)
        assert len(set(chosen.tolist())) == 16
        families = np.bincount(chosen // 5, minlength=6)
        assert sum(families[:5] >= 4) >= 2, "fours, but for the last, which the batch may cut short"


def test_a_mirrored_photo_is_a_copy_and_what_cannot_be_read_is_nothing(tmp_path):
    """The network sees how red the halves are, and how green the whole: a red ramp, the same mirrored, and a green."""
    ramp = np.zeros((40, 40, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 255, 40)
    for number, picture in enumerate([ramp, ramp[:, ::-1], np.full_like(ramp, (0, 200, 0))]):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"broken")

    def embed(views):
        halves = views[:, :, :16, 0].mean((1, 2)), views[:, :, 16:, 0].mean((1, 2)), views[..., 1].mean((1, 2))
        rows = np.stack(halves, 1) + 1e-6
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    paths = sorted(tmp_path.glob("*.png"))
    rows = embed(np.stack([as_it_is(load(path, 64), 32) for path in paths[:2]]))
    assert rows[0] @ rows[1] < COPIES, "0.6: only the other way round they are the same"
    found = mine(paths, embed, 32, 0)
    assert found.shape == (4, NEAREST)
    assert [{n for n in row if n >= 0} for row in found.tolist()] == [{2}, {2}, {0, 1}, set()]


def test_mining_orders_by_similarity_and_keeps_no_copy(tmp_path):
    angles = [0, 10, 60, 90, 119]
    for number in range(5):
        Image.fromarray(np.full((8, 8, 3), 10 * number, np.uint8)).save(tmp_path / f"{number}.png")

    def embed(views):
        turn = np.radians([angles[view[0, 0, 0] // 10] for view in views])
        return np.stack([np.cos(turn), np.sin(turn)], 1).astype(np.float32)

    found = mine(sorted(tmp_path.glob("*.png")), embed, 32, 0)
    expected = [[2, 3, 4], [2, 3, 4], [1, 4, 0], [1, 0], [2, 1, 0]]  # 10, 29 and 30 degrees are copies, 50 are not
    assert [[n for n in row if n >= 0] for row in found.tolist()] == expected


def test_views_grow_in_the_last_fifth():
    recipe = Recipe(steps=10, size=32, final_size=64)
    assert [recipe.size_at(step) for step in (0, 7, 8, 9)] == [32, 32, 64, 64]
    assert Recipe(steps=10, size=32).size_at(9) == 32


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


@pytest.mark.parametrize("recipe", [RECIPE, replace(RECIPE, views=3, mine_every=2, final_size=48, frozen_blocks=1)])
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(paths, tmp_path, recipe):
    whole = train(paths, tmp_path / "whole", recipe, TINY, workers=0)

    seen = []

    def stop(row):
        seen.append(row["step"])
        if row["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(paths, tmp_path / "halves", recipe, TINY, workers=0, report=stop)
    saved = Checkpoint.read(tmp_path / "halves" / "checkpoint.npz")
    assert saved.step == 3
    assert (saved.look_alikes is not None) == (recipe.mine_every == 2)
    halves = train(paths, tmp_path / "halves", recipe, TINY, workers=0, report=lambda row: seen.append(row["step"]))
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


def test_frozen_blocks_stay_as_they_began(paths):
    model = build_trainer(TINY, replace(RECIPE, frozen_blocks=2), None)
    before = get_weights(model.trunk)
    batch = Batches(RECIPE, paths).make(0)
    for _ in range(3):  # the first step's learning rate is 0
        model.train_on_batch(batch.views, batch.photos)
    changed = {name for name, value in get_weights(model.trunk).items() if (value != before[name]).any()}
    frozen = ("resnet/root_block/", "resnet/block1/", "resnet/block2/")
    assert changed == {name for name in before if not name.startswith(frozen)}
    assert any(name.startswith("resnet/block3/") for name in changed)


def test_too_few_photos(tmp_path):
    with pytest.raises(BadInput, match="at least two"):
        train([], tmp_path, RECIPE, TINY)
