"""Pictures drawn from a seed, and a model small enough to run in a blink."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from neardup.embedding.architecture import Architecture
from neardup.embedding.model import Model

TINY = Architecture(units=(1, 1, 1, 1), width=0.125, groups=4, projection=32)
TINY_SIZE = 48


def random_weights(architecture: Architecture, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Weights with every gamma, beta and bias away from its start, so that a lost one shows."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in architecture.parameters().items():
        drawn = rng.standard_normal(shape).astype(np.float32)
        if name.endswith("gamma"):
            weights[name] = 1 + 0.2 * drawn
        elif name.endswith("kernel"):
            weights[name] = drawn / np.float32(np.sqrt(np.prod(shape[:-1])))
        else:
            weights[name] = 0.2 * drawn
    return weights


def draw_photo(seed: int, width: int = 120, height: int = 90) -> Image.Image:
    """A picture of coloured shapes on a gradient; every seed gives another."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 256, (2, 2, 3)).astype(np.uint8)
    image = Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(5, width // 2), rng.integers(5, height // 2)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + w, y + h), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def draw_scene(seed: int, width: int = 480, height: int = 360) -> Image.Image:
    """Overlapping coloured shapes with texture: plenty of details, none of which repeats."""
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(60, 200, (height // 12, width // 12, 3), np.uint8))
    image = noise.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(220):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(6, 60, 2)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + w, y + h), fill=tuple(rng.integers(0, 255, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(0.7))


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A key of our own: the user's is left alone. Not by NEARDUP_STATE, which tests take away with the others."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A BiT of five layers with random weights, in a folder of its own."""
    from neardup.embedding.export import export_model

    folder = tmp_path_factory.mktemp("models") / "tiny"
    thresholds = {"strict": 0.99, "default": 0.95, "loose": 0.9}
    return export_model(folder, "tiny", TINY, random_weights(TINY), TINY_SIZE, thresholds)


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., list[Path]]:
    """`photos(n, folder="photos")` writes n different pictures there and returns their paths."""

    def write(count: int, folder: str = "photos", first: int = 0) -> list[Path]:
        target = tmp_path / folder
        target.mkdir(parents=True, exist_ok=True)
        paths = [target / f"{number:03d}.jpg" for number in range(first, first + count)]
        for number, path in enumerate(paths, first):
            draw_photo(number).save(path, quality=90)
        return paths

    return write
