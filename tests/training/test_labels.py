"""The objective of labels: its split, its batches, its two stretches, and what it does to a network."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neardup.embedding.bit import get_weights
from neardup.embedding.weights import load_weights
from neardup.errors import BadInput
from neardup.training.batches import as_it_is
from neardup.training.checkpoint import Checkpoint
from neardup.training.labels.batches import LabelBatches, squashed, view
from neardup.training.labels.objective import Labels
from neardup.training.labels.split import Labelled, split
from neardup.training.labels.validation import criterion_of, validation_on
from neardup.training.log import read_log
from neardup.training.recipe import LabelRecipe
from neardup.training.trainer import train
from tests.conftest import TINY, draw_photo, random_weights

RECIPE = LabelRecipe(
    steps=6, head_steps=3, size=32, photos=12, learning_rate=0.05, loss="arcface", workers=0, held_out=0.2,
    validate_every=3,
)  # fmt: skip


@pytest.fixture
def labelled(paths):
    return [Labelled(path, path.parent.name) for path in paths]


def named(*counts: int) -> list[Labelled]:
    classes = zip("abcdefgh", counts, strict=False)
    return [Labelled(Path(f"{name}/{number}.jpg"), name) for name, count in classes for number in range(count)]


def test_a_share_of_every_class_is_held_out_the_same_for_a_seed():
    pictures = named(20, 10, 5)
    parts, again, other = split(pictures, 0.2, 7), split(pictures, 0.2, 7), split(pictures, 0.2, 8)
    assert parts.classes == ("a", "b", "c")
    assert Counter(parts.held_out[1].tolist()) == {0: 4, 1: 2, 2: 1}
    assert Counter(parts.training[1].tolist()) == {0: 16, 1: 8, 2: 4}
    assert not set(parts.held_out[0]) & set(parts.training[0])
    assert (parts.is_held_out == again.is_held_out).all()
    assert (parts.is_held_out != other.is_held_out).any()


def test_two_of_a_class_stay_whatever_is_held_out():
    parts = split(named(2, 3, 40), 0.9, 0)
    assert Counter(parts.training[1].tolist()) == {0: 2, 1: 2, 2: 4}


@pytest.mark.parametrize(
    ("counts", "said"), [((), "found 0"), ((5,), "found 1"), ((4, 1), "class 'b' has one picture")]
)
def test_nothing_to_tell_apart(counts, said):
    with pytest.raises(BadInput, match=said):
        split(named(*counts), 0.1, 0)


@pytest.mark.parametrize(
    ("counts", "photos", "classes", "each"),
    [((50, 5, 9), 12, 3, 4), ((9,) * 8, 12, 3, 4), ((50, 3), 12, 2, 6), ((9,) * 8, 4, 2, 2)],
)
def test_batches_are_balanced(counts, photos, classes, each):
    pictures = split(named(*counts), 0.0, 0)
    seen = Counter()
    for step in range(60):
        chosen = LabelBatches(replace(RECIPE, photos=photos), *pictures.training).choose(step)
        assert set(Counter(label for _, label in chosen).values()) == {each}
        assert len({label for _, label in chosen}) == classes
        assert all(pictures.training[1][number] == label for number, label in chosen)
        if min(counts) >= each:
            assert len({number for number, _ in chosen}) == classes * each, "none twice"
        seen.update({label for _, label in chosen})
    assert max(seen.values()) < 2.5 * min(seen.values())


def test_a_batch_follows_from_recipe_and_step(labelled):
    parts = split(labelled, 0.2, 0)
    one, again, other = (LabelBatches(RECIPE, *parts.training).make(step) for step in (4, 4, 5))
    assert one.images.shape == (12, 32, 32, 3)
    assert (one.images == again.images).all()
    assert (one.images != other.images).any()
    assert sorted(one.targets.tolist()) == [0] * 4 + [1] * 4 + [2] * 4


def test_a_view_without_changes_is_the_middle_of_the_picture():
    picture = np.asarray(draw_photo(3).resize((40, 40)))
    still = replace(RECIPE, rotation=0.0, zoom=0.0)
    views = [view(picture, still, np.random.default_rng(seed)) for seed in range(40)]
    cut = [picture[top : top + 32, left : left + 32] for top in range(9) for left in range(9)]
    cut += [part[:, ::-1] for part in cut]
    # Places between pixels are interpolated: close to one of the cuts.
    nearest = [min(np.abs(made.astype(int) - part).mean() for part in cut) for made in views]
    assert max(nearest) < 6
    assert np.mean(nearest) < 3


def test_views_are_mirrored_turned_and_zoomed_within_their_limits():
    """A red dot right of the middle, a green one above it: where they come to lie says what was done."""
    picture = np.zeros((240, 240, 3), np.uint8)
    picture[117:123, 137:143, 0] = 255  # 20 to the right
    picture[97:103, 117:123, 1] = 255  # 20 up
    recipe = replace(RECIPE, size=240)  # as large as the picture: nothing is cut
    angles, lengths, mirrored = [], [], []
    for seed in range(300):
        made = view(picture, recipe, np.random.default_rng(seed)).astype(float)
        places = [np.argwhere(made[..., c] > 100).mean(axis=0)[::-1] - 119.5 for c in (0, 1)]
        red, green = places
        cross = red[0] * green[1] - red[1] * green[0]
        mirrored.append(cross > 0)
        lengths.append(np.hypot(*red) / 20)
        angles.append(np.degrees(np.arctan2(green[0], -green[1])))
    assert 0.4 < np.mean(mirrored) < 0.6
    assert 0.75 < min(lengths) < 0.87
    assert 1.13 < max(lengths) < 1.27
    assert 65 < max(np.abs(angles)) < 77
    assert np.abs(np.mean(angles)) < 8


def test_unreadable_pictures_are_left_out(labelled, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"broken")
    parts = split([*labelled, Labelled(broken, "a")], 0.0, 0)
    made = [LabelBatches(RECIPE, *parts.training).make(step) for step in range(12)]
    assert {len(batch.targets) for batch in made} == {11, 12}
    nothing = split([Labelled(broken, name) for name in "aabb"], 0.0, 0)
    with pytest.raises(BadInput, match="fewer than two pictures"):
        LabelBatches(RECIPE, *nothing.training).make(0)


def changed(before, network):
    return {name for name, value in get_weights(network.trunk).items() if (value != before[name]).any()}


def test_first_the_embedding_layer_learns_then_the_trunk(labelled):
    parts = split(labelled, 0.2, 0)
    objective = Labels(replace(RECIPE, frozen_blocks=1), parts, TINY, random_weights(TINY))
    network = objective.build(0)
    before = get_weights(network.trunk)
    batch = LabelBatches(RECIPE, *parts.training).make(0)
    assert objective.stretch(network, 0, lambda: None).end == 3
    network.train_on_batch(batch.images, batch.targets)
    assert changed(before, network) == {"projection/kernel", "projection/bias"}
    assert objective.stretch(network, 3, lambda: None).end == 6
    network.train_on_batch(batch.images, batch.targets)
    frozen = ("resnet/root_block/", "resnet/block1/")
    assert changed(before, network) == {name for name in before if not name.startswith(frozen)}


def test_from_scratch_all_learns_at_once(labelled):
    objective = Labels(RECIPE, split(labelled, 0.2, 0), TINY)
    network = objective.build(0)
    assert objective.stretch(network, 0, lambda: None).end == 3
    assert len(network.trainable_variables) == len(network.trunk.variables) + 1  # the centres


def test_arcface_has_its_margin_when_classes_have_begun_to_part(labelled):
    objective = Labels(RECIPE, split(labelled, 0.2, 0), TINY)
    network = objective.build(0)
    assert network.criterion.margin == 0
    before = criterion_of(network, RECIPE)(*(rows := (np.eye(3, 32, dtype=np.float32), np.arange(3, dtype=np.int32))))
    objective.stretch(network, 3, lambda: None)
    assert network.criterion.margin == RECIPE.angle
    assert float(before) == float(network.criterion(*rows)), "a validation judges by the margin all along"


@pytest.mark.graph
@pytest.mark.parametrize("loss", ["triplet", "supcon", "arcface"])
def test_every_loss_falls(labelled, loss):
    parts = split(labelled, 0.2, 0)
    objective = Labels(replace(RECIPE, loss=loss, steps=40, head_steps=0, falls=(), learning_rate=0.1), parts, TINY)
    network = objective.build(0)
    batch = LabelBatches(RECIPE, *parts.training).make(0)
    losses = [float(network.train_on_batch(batch.images, batch.targets)) for _ in range(25)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("step", [2, 3, 4])
def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(labelled, tmp_path, step):
    """Before, at and after the step from which on the trunk learns too."""
    parts = split(labelled, 0.2, 0)
    start = random_weights(TINY)

    def run(output, report=lambda row: None):
        return train(Labels(RECIPE, parts, TINY, start), output, validation=validation_on(parts, RECIPE), report=report)

    def stop(row):
        if row["step"] == step:
            raise KeyboardInterrupt

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "halves", stop)
    halves = run(tmp_path / "halves")
    once, twice = (load_weights(path, TINY.parameters()) for path in (whole, halves))
    for name in once:
        assert np.abs(once[name].astype(float) - twice[name]).max() < 2e-3, name
    logs = [read_log(tmp_path / name / "log.csv") for name in ("whole", "halves")]
    assert [row["step"] for row in logs[1]] == [1, 2, 3, 4, 5, 6]
    for name in ("loss", "validation_loss", "knn_accuracy"):
        first, second = ([row[name] for row in log if name in row] for log in logs)
        assert first == pytest.approx(second, abs=1e-3)


def test_a_run_stopped_between_two_stretches_goes_on(labelled, tmp_path, monkeypatch):
    """The network is ready for the trunk already, and has not taken a step with it."""
    parts = split(labelled, 0.2, 0)
    make = LabelBatches.make

    def interrupt(self, step):
        if step == 3:
            raise KeyboardInterrupt
        return make(self, step)

    monkeypatch.setattr(LabelBatches, "make", interrupt)
    objective = Labels(RECIPE, parts, TINY, random_weights(TINY))
    with pytest.raises(KeyboardInterrupt):
        train(objective, tmp_path)
    saved = Checkpoint.read(tmp_path / "checkpoint.npz")
    assert (saved.step, saved.ready_for) == (3, 3)
    monkeypatch.setattr(LabelBatches, "make", make)
    train(objective, tmp_path)
    assert read_log(tmp_path / "log.csv")[-1]["step"] == 6


def test_validation_finds_neighbours_by_the_embeddings_and_the_loss_of_the_network(labelled):
    """A network that knows every class but for one picture, which it takes for another; its criterion counts rows."""
    parts = split(labelled, 0.5, 0)  # five pictures of each of three classes
    held, labels = parts.held_out
    pictures = [squashed(path, 32) for path in held]
    rows_seen = []

    class Counts:
        @staticmethod
        def criterion(embeddings, truth):
            rows_seen.append(len(truth))
            return float(len(truth))

    def embed(images):
        numbers = [next(n for n, picture in enumerate(pictures) if (picture == image).all()) for image in images]
        return np.eye(3, dtype=np.float32)[[(labels[n] + (n == 0)) % 3 for n in numbers]]

    validation = validation_on(parts, replace(RECIPE, photos=4, input_size=32))
    figures = validation.judge(Counts(), embed)
    assert rows_seen == [4, 4, 4, 3]
    assert figures["validation_loss"] == pytest.approx(15 / 4)
    # Four of each class agree, so that only the one that was taken for another has other neighbours.
    assert figures["recall_at_1"] == pytest.approx(14 / 15)
    assert figures["knn_accuracy"] == pytest.approx(14 / 15)
    assert validation.lower_is_better


def test_nothing_held_out_is_nothing_judged(labelled):
    assert validation_on(split(labelled, 0.0, 0), RECIPE) is None


def test_pictures_are_squashed_as_the_product_does(paths):
    from neardup.images import load_image

    assert (squashed(paths[0], 40) == as_it_is(load_image(paths[0]), 40)).all()


def test_a_run_on_other_labels_is_another_run(labelled, tmp_path):
    start = random_weights(TINY)
    train(Labels(replace(RECIPE, steps=2), split(labelled, 0.2, 0), TINY, start), tmp_path)
    shutil.copytree(tmp_path, tmp_path / "copy")
    relabelled = [Labelled(each.path, each.label.upper()) for each in labelled]
    with pytest.raises(BadInput, match="other photos"):
        train(Labels(replace(RECIPE, steps=2), split(relabelled, 0.2, 0), TINY, start), tmp_path / "copy")
