"""Drawn photos in three folders, and a training of six steps."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from neardup.training.copies.objective import Copies
from neardup.training.recipe import CopyRecipe
from neardup.training.trainer import train
from tests.conftest import TINY, draw_photo

RECIPE = CopyRecipe(steps=6, size=32, photos=8, views=2, warmup_steps=2, learning_rate=3e-3, workers=0)


@pytest.fixture(autouse=True)
def eagerly(request: pytest.FixtureRequest) -> Iterator[None]:
    """Steps as they are computed, not traced first: of a run of six steps that takes nine tenths.

    A test marked `graph` traces them, as a run of any length does.
    """
    import tensorflow as tf

    tf.config.run_functions_eagerly(request.node.get_closest_marker("graph") is None)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("drawn")
    for number in range(30):
        target = folder / "abc"[number % 3]
        target.mkdir(exist_ok=True)
        draw_photo(number).save(target / f"{number}.jpg")
    return sorted(folder.rglob("*.jpg"))


@pytest.fixture(scope="session")
def small_flowers(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Sixteen pictures of two classes, in TFDS's own format on disk."""
    tfds = pytest.importorskip("tensorflow_datasets")
    classes = ["daisy", "tulips"]
    label = tfds.features.ClassLabel(names=classes)
    features = tfds.features.FeaturesDict({"image": tfds.features.Image(), "label": label})

    def jpeg(number: int) -> io.BytesIO:
        file = io.BytesIO()
        draw_photo(number).save(file, "JPEG", quality=90)
        return io.BytesIO(file.getvalue())

    records = [(n, {"image": jpeg(n), "label": classes[n % 2]}) for n in range(16)]
    return tfds.dataset_builders.store_as_tfds_dataset(
        name="small_flowers", version="1.0.0", features=features, data_dir=tmp_path_factory.mktemp("tfds"),
        split_datasets={"train": records}, disable_shuffling=True,
    )  # fmt: skip


def train_copies(paths: list[Path], output: Path, recipe: CopyRecipe = RECIPE, *, start=None, **options) -> Path:
    return train(Copies(recipe, paths, TINY, start), output, **options)
