"""Drawn photos in three folders, and a training of six steps."""

from pathlib import Path

import pytest
from tests.conftest import TINY, draw_photo

from neardup.training.copies.objective import Copies
from neardup.training.recipe import CopyRecipe
from neardup.training.trainer import train

RECIPE = CopyRecipe(steps=6, size=32, photos=8, views=2, warmup_steps=2, learning_rate=3e-3, workers=0)


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("drawn")
    for number in range(30):
        target = folder / "abc"[number % 3]
        target.mkdir(exist_ok=True)
        draw_photo(number).save(target / f"{number}.jpg")
    return sorted(folder.rglob("*.jpg"))


def train_copies(paths: list[Path], output: Path, recipe: CopyRecipe = RECIPE, *, start=None, **options) -> Path:
    return train(Copies(recipe, paths, TINY, start), output, **options)
