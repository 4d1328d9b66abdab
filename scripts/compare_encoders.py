"""Quality against speed of a model's weights: input sizes, letterbox instead of squash, fewer dimensions.

python scripts/compare_encoders.py MODEL_FOLDER PHOTOS [--begins 0] [--sizes 128,144,160] [--plot FILE.png]

Quality is judged by ten attacks of the evaluation suite (100 originals in a gallery of 1,000, 300 negatives), speed by
embedding batches of 32 prepared images with the default engine on all cores. Fewer dimensions are the first principal
components of the photos' embeddings.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from neardup.embedding import BATCH, Embedder, load_embedder
from neardup.embedding.export import export_model
from neardup.embedding.model import Model, read_model
from neardup.embedding.weights import Weights, load_weights
from neardup.evaluation.suite import QUICK_ATTACKS, evaluate, load_photo
from neardup.images import find_images

TIMED_BATCHES = 12
DIMENSIONS = (128, 64)
PHOTOS_FOR_COMPONENTS = 2000

Photo = np.ndarray
Prepare = Callable[[Photo], Photo]


def images_per_second(embedder: Embedder, size: int) -> float:
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3)).astype(np.uint8)
    embedder.embed_prepared(pixels)
    seconds = []
    for _ in range(TIMED_BATCHES):
        started = time.perf_counter()
        embedder.embed_prepared(pixels)
        seconds.append(time.perf_counter() - started)
    return BATCH / float(np.median(seconds))


def letterbox(photo: Photo) -> Photo:
    """The photo on a grey square."""
    edge = max(photo.shape[:2])
    return np.asarray(ImageOps.pad(Image.fromarray(photo), (edge, edge), color=(128, 128, 128)))


def principal_components(model: Model, photos: list[Path]) -> np.ndarray:
    """Of the photos' embeddings, as columns, the largest first: (dim, dim) float32."""
    embedder = load_embedder(str(model.folder))
    chosen = np.random.default_rng(0).permutation(len(photos))[:PHOTOS_FOR_COMPONENTS]
    batches = np.array_split(chosen, -(-len(chosen) // BATCH))
    rows = [embedder.embed([load_photo(photos[i]) for i in batch]) for batch in batches]
    return np.linalg.eigh(np.cov(np.concatenate(rows), rowvar=False))[1][:, ::-1].astype(np.float32)


def reduced(model: Model, weights: Weights, components: np.ndarray) -> tuple[Model, Weights]:
    """The model with its projection turned to these columns, and cut to them."""
    turned = {name: weights[name].astype(np.float32) @ components for name in ("projection/kernel", "projection/bias")}
    return replace(model, network=replace(model.architecture, projection=components.shape[1])), {**weights, **turned}


def judge(
    label: str, model: Model, weights: Weights, size: int, photos: list[Path], prepare: Prepare | None = None
) -> tuple[float, float, float]:
    """Print a row of the table; returns images per second, uAP and recall@1."""
    with tempfile.TemporaryDirectory() as folder:
        export_model(Path(folder), model.name, model.architecture, weights, size)
        embedder = load_embedder(folder)
        speed = images_per_second(embedder, size)
        found = evaluate(
            photos,
            lambda images: embedder.embed([prepare(image) if prepare else image for image in images]),
            attacks=QUICK_ATTACKS, gallery=1000, queries=100, negatives=300,
        ).as_json()  # fmt: skip
    figures = f"{found['uap']:.3f} | {found['recall_at_1']:.3f} | {found['recall_at_1pct_false_alarms']:.3f}"
    print(f"| {label} | {speed:.0f} | {figures} |", flush=True)
    return speed, found["uap"], found["recall_at_1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--begins", default="", help="only photos whose names begin so")
    parser.add_argument("--sizes", default="112,128,144,160,176,192")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    model = read_model(options.model)
    weights = load_weights(model.file("weights.npz"), model.architecture.parameters())
    photos = [path for path in find_images(options.photos) if path.name.startswith(options.begins)]
    print("| input | images/s | uAP | recall@1 | recall at 1 % false alarms |\n|---|---|---|---|---|")
    sizes = list(map(int, options.sizes.split(",")))
    rows = [judge(f"{size}", model, weights, size, photos) for size in sizes]
    shipped = model.input_size
    judge(f"{shipped}, letterboxed", model, weights, shipped, photos, letterbox)
    components = principal_components(model, photos)
    for dim in DIMENSIONS:
        judge(f"{shipped}, {dim} dimensions", *reduced(model, weights, components[:, :dim]), shipped, photos)
    if options.plot:
        plot(sizes, rows, options.plot)


def plot(sizes: list[int], rows: list[tuple[float, float, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axis = figure.add_subplot()
    for place, label, colour in ((1, "uAP", "#c2571a"), (2, "recall@1", "#1a7f4b")):
        axis.plot([row[0] for row in rows], [row[place] for row in rows], "o-", color=colour, label=label)
    for size, (speed, _, recall) in zip(sizes, rows, strict=True):
        axis.annotate(f"{size}", (speed, recall), textcoords="offset points", xytext=(0, 8), ha="center")
    axis.set_xlabel("images per second, two cores (above the points: edge of the input in pixels)")
    axis.set_ylabel("ten attacks, 1,000 photos")
    axis.margins(0.1)
    axis.legend()
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
