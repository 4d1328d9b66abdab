"""Drawn photos that differ from each other, and a tiny embedder that tells them apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def draw_photo(number: int, height: int = 60, width: int = 80) -> np.ndarray:
    """A coarse random pattern, enlarged smoothly: another one for each number."""
    cells = np.random.default_rng(number).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC))


def embed_thumbnails(photos: list[np.ndarray]) -> np.ndarray:
    """Rows of 8 x 8 grey levels around their mean: withstands what leaves everything in its place."""
    rows = np.stack(
        [np.ravel(np.asarray(Image.fromarray(photo).convert("L").resize((8, 8)), dtype=np.float32)) for photo in photos]
    )
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 drawn photos as PNG files, so that the pixels are the same everywhere."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(60):
        Image.fromarray(draw_photo(number)).save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="session")
def photos(photo_folder: Path) -> list[Path]:
    return sorted(photo_folder.iterdir())


@pytest.fixture(scope="session")
def thumbnails():
    return embed_thumbnails
