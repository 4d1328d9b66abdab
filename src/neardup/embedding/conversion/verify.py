"""Whether a converted model still gives the reference's embeddings."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from neardup.embedding.engines import load_engine
from neardup.embedding.model import Model, OnnxNetwork
from neardup.embedding.preprocess import preprocess
from neardup.errors import BadInput, BadModel, EngineUnavailable, UnreadableImage

SAMPLES = 32
# Smallest cosine to the reference, by precision. FP16 loses 5e-6 where nothing is wrong, INT8 about 1e-3.
MINIMUM_SIMILARITY = {"f32": 0.99999, "f16": 0.999, "int8": 0.99}


def draw_samples(size: int, count: int = SAMPLES) -> NDArray[np.uint8]:
    """Pictures of shapes on gradients, with noise, white and black among them: (count, size, size, 3) uint8."""
    rng = np.random.default_rng(0)
    samples = np.empty((count, size, size, 3), np.uint8)
    for number in range(count):
        corners = Image.fromarray(rng.integers(0, 256, (3, 3, 3)).astype(np.uint8))
        picture = corners.resize((size, size), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(picture)
        for _ in range(number % 12):
            left, top = rng.integers(0, size, 2).tolist()
            box = (left, top, left + int(rng.integers(2, size // 2)), top + int(rng.integers(2, size // 2)))
            shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
            shape(box, fill=tuple(rng.integers(0, 256, 3).tolist()))
        samples[number] = np.asarray(picture)
    samples[0], samples[1] = 255, 0
    samples[2] = rng.integers(0, 256, samples[2].shape)
    return samples


def load_samples(photos: Path | None, size: int, count: int = SAMPLES) -> NDArray[np.uint8]:
    """Up to `count` photos of a folder, ready for the model; drawn ones without a folder.

    Raises BadInput where the folder has fewer than eight readable images.
    """
    if photos is None:
        return draw_samples(size, count)
    from neardup.images import find_images, load_image

    def readable() -> Iterable[NDArray[np.uint8]]:
        for path in find_images(photos):
            try:
                yield preprocess(load_image(path, size=size), size)
            except UnreadableImage:
                continue

    samples = list(islice(readable(), count))
    if len(samples) < 8:
        raise BadInput(f"{photos}: {len(samples)} readable images; give a folder with 8 or more")
    return np.stack(samples)


def reference_embeddings(model: Model, samples: NDArray[np.uint8]) -> tuple[str, NDArray[np.float32]]:
    """The engine that is the reference here, TensorFlow or else ONNX Runtime in f32, and its embeddings.

    Of a model that came as an ONNX graph, ONNX Runtime is.

    Raises BadModel where they do not tell the samples apart, for then agreeing with them would mean nothing.
    """
    try:
        engine = load_engine("onnx" if isinstance(model.network, OnnxNetwork) else "tensorflow", model)
    except EngineUnavailable:
        engine = load_engine("onnx", model)
    rows = np.concatenate([engine.run(part) for part in np.array_split(samples, max(1, len(samples) // 8))])
    centre = rows.mean(axis=0)
    if not np.isfinite(rows).all() or np.abs(rows - centre).max() < 1e-4:
        raise BadModel(f"model {model.name}: gives one embedding for {len(samples)} different images; train it first")
    return engine.name, rows
