"""The objective of copies: its views, its look-alikes, and what it does to a network."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from neardup.embedding.bit import get_weights
from neardup.errors import BadInput
from neardup.training.batches import as_it_is, load
from neardup.training.copies.batches import CopyBatches
from neardup.training.copies.losses import COPIES
from neardup.training.copies.mining import NEAREST, mine
from neardup.training.copies.objective import Copies
from neardup.training.recipe import CopyRecipe
from tests.conftest import TINY
from tests.training.conftest import RECIPE


def test_a_batch_follows_from_recipe_and_step(paths):
    one, again = (CopyBatches(RECIPE, paths).make(4) for _ in range(2))
    assert (one.images == again.images).all()
    assert (one.targets == again.targets).all()
    assert one.images.shape == (16, 32, 32, 3)
    assert (one.targets[::2] == one.targets[1::2]).all()
    assert len(set(one.targets.tolist())) == 8
    other = CopyBatches(RECIPE, paths).make(5)
    assert (one.images != other.images).any()
    assert (CopyBatches(replace(RECIPE, seed=1), paths).make(4).images != one.images).any()


def test_every_photo_has_its_views_one_after_the_other(paths):
    batch = CopyBatches(replace(RECIPE, views=3, untouched=1.0), paths).make(0)
    assert (batch.targets.reshape(8, 3) == batch.targets[::3, None]).all()
    for number, view in zip(batch.targets[::3], batch.images[::3], strict=True):
        assert (view == as_it_is(load(paths[number], 64), 32)).all()


def test_without_look_alikes_half_a_batch_comes_from_one_folder(paths):
    for step in range(20):
        folders = [paths[number].parent for number in CopyBatches(RECIPE, paths).choose(step)]
        assert len(set(CopyBatches(RECIPE, paths).choose(step).tolist())) == 8
        assert max(folders.count(folder) for folder in folders) >= 4


def test_look_alikes_come_in_one_batch(paths):
    # Photos in fives: 0 to 4 look alike, 5 to 9, and so on; the last five know of nobody.
    fives = np.array([[m for m in range(n // 5 * 5, n // 5 * 5 + 5) if m != n] for n in range(30)], np.int32)
    fives[25:] = -1
    for step in range(20):
        chosen = CopyBatches(replace(RECIPE, photos=16), paths, fives).choose(step)
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
    recipe = CopyRecipe(steps=10, size=32, final_size=64)
    assert [recipe.size_at(step) for step in (0, 7, 8, 9)] == [32, 32, 64, 64]
    assert CopyRecipe(steps=10, size=32).size_at(9) == 32


def test_hardness_grows_over_the_first_sixty_percent():
    recipe = CopyRecipe(steps=100, hardness=(0.5, 1.0))
    assert [recipe.hardness_at(step) for step in (0, 30, 60, 99)] == pytest.approx([0.5, 0.75, 1.0, 1.0])


def test_unreadable_photos_are_left_out(paths, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"broken")
    batch = CopyBatches(replace(RECIPE, photos=31), [*paths, broken]).make(0)
    assert len(batch.targets) == 60
    assert 30 not in batch.targets
    with pytest.raises(BadInput, match="fewer than two"):
        CopyBatches(RECIPE, [broken, broken]).make(0)


@pytest.mark.graph
def test_the_loss_falls(paths):
    model = Copies(replace(RECIPE, steps=40), paths, TINY).build(0)
    batch = CopyBatches(RECIPE, paths).make(0)
    losses = [float(model.train_on_batch(batch.images, batch.targets)) for _ in range(25)]
    assert losses[-1] < losses[0] - 0.3


def test_weights_to_start_from_are_used(paths):
    weights = {name: value * 0.5 for name, value in get_weights(Copies(RECIPE, paths, TINY).build(0).trunk).items()}
    started = get_weights(Copies(RECIPE, paths, TINY, weights).build(0).trunk)
    assert all((started[name] == weights[name]).all() for name in weights)


def test_frozen_blocks_stay_as_they_began(paths):
    model = Copies(replace(RECIPE, frozen_blocks=2), paths, TINY).build(0)
    before = get_weights(model.trunk)
    batch = CopyBatches(RECIPE, paths).make(0)
    for _ in range(3):  # the first step's learning rate is 0
        model.train_on_batch(batch.images, batch.targets)
    changed = {name for name, value in get_weights(model.trunk).items() if (value != before[name]).any()}
    frozen = ("resnet/root_block/", "resnet/block1/", "resnet/block2/")
    assert changed == {name for name in before if not name.startswith(frozen)}
    assert any(name.startswith("resnet/block3/") for name in changed)


def test_too_few_photos():
    with pytest.raises(BadInput, match="at least two"):
        Copies(RECIPE, [])
