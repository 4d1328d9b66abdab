"""neardup beside its peers: images a second on the same JPEGs, and copies found on the same edited photos.

python scripts/compare_peers.py PHOTOS [--imagededup PYTHON] [--fastdup PYTHON]

PYTHON is that of an environment with the peer. Speed: from files to embeddings, neardup by engine, imagededup's pHash
and its CNN (MobileNetV3 small with random weights, which are as fast as trained ones), on JPEGs made from PHOTOS.
Quality, with --fastdup: the suite of `neardup evaluate` with fastdup's own network beside the default model.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from neardup.embedding import load_embedder
from neardup.evaluation.suite import evaluate
from neardup.images import find_images

LARGE, SMALL = 48, 1000
ENGINES = ("onnx", "openvino", "tensorflow")
# The torchvision of PyPI is built for CUDA. With a CPU build of torch its compiled operations, which are not needed
# here, are missing, and it imports only when nobody describes them.
IMAGEDEDUP = """
import json, sys, time, torch
torch.library.register_fake = lambda *a, **k: (lambda f: f)
from torchvision import models
small = models.mobilenet_v3_small
models.mobilenet_v3_small = lambda weights: small(weights=None)
from imagededup.methods import CNN, PHash
method = {"pHash": PHash, "CNN": CNN}[sys.argv[1]](verbose=False)
started = time.perf_counter()
encodings = method.encode_images(image_dir=sys.argv[2])
print(json.dumps([len(encodings), time.perf_counter() - started]))
"""
FASTDUP = """
import sys, fastdup, numpy as np
fastdup.run(input_dir=sys.argv[1], work_dir=sys.argv[2], run_mode=1)
names, rows = fastdup.load_binary_feature(sys.argv[2] + "/atrain_features.dat", 576)
np.savez(sys.argv[2] + "/rows.npz", names=np.array(names), rows=rows)
"""


def make_photos(photos: list[Path], folder: Path, count: int, size: tuple[int, int], quality: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, path in enumerate(photos[i] for i in rng.permutation(len(photos))[:count]):
        with Image.open(path) as photo:
            levels = np.asarray(photo.convert("RGB").resize(size, Image.Resampling.BICUBIC), np.int16)
        grain = rng.integers(-6, 7, levels.shape[:2], np.int16)[..., None]  # as a sensor's, or the files would be tiny
        Image.fromarray(np.clip(levels + grain, 0, 255).astype(np.uint8)).save(
            folder / f"{number}.jpg", quality=quality
        )


def run(*command: str | Path) -> list:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def time_neardup(engine: str, photos: Path, work: Path) -> float:
    """Images a second of a whole `neardup index`, with the loading of its model."""
    command = (sys.executable, "-m", "neardup", "index", photos, "--index", work / f"{photos.name}-{engine}")
    [result] = run(*command, "--engine", engine, "--format", "json")
    return result["indexed"] / result["seconds"]


def judge_fastdup(python: str, photos: list[Path], work: Path) -> None:
    """The suite twice: once to write its images for fastdup, once with what fastdup made of them."""
    images, results = work / "suite", work / "fastdup"
    images.mkdir()
    written = itertools.count()

    def write(batch: Sequence[np.ndarray]) -> np.ndarray:
        for image in batch:
            Image.fromarray(image).save(images / f"{next(written):06d}.png", compress_level=1)
        return np.ones((len(batch), 1), np.float32)

    embedder = load_embedder("default")
    default = evaluate(photos, embedder.embed, baselines={"writes": write}).model
    subprocess.run([python, "-c", FASTDUP, images, results], check=True, stdout=subprocess.DEVNULL)
    with np.load(results / "rows.npz") as file:
        rows = file["rows"][np.argsort(file["names"])]
    if len(rows) != next(written):
        raise SystemExit(f"fastdup left images out: it has {len(rows)} rows")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    batches = iter(range(len(rows)))
    fastdup = evaluate(photos, lambda batch: rows[[next(batches) for _ in batch]]).model
    print("\n| | uAP | recall@1 | recall at 1 % false alarms |\n|---|---|---|---|")
    for name, scores in (("neardup", default), ("fastdup", fastdup)):
        figures = scores.uap, scores.recall_at_1, scores.recall_at_1pct_false_alarms
        print(f"| {name} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")
    print("\n| recall@1 | neardup | fastdup |\n|---|---|---|")
    for name, scores in default.attacks.items():
        print(f"| {name} | {scores.recall_at_1:.3f} | {fastdup.attacks[name].recall_at_1:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--imagededup", metavar="PYTHON")
    parser.add_argument("--fastdup", metavar="PYTHON")
    options = parser.parse_args()
    found = list(find_images(options.photos))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        large, small = work / "large", work / "small"
        make_photos(found, large, LARGE, (4000, 3000), 90)
        make_photos(found, small, SMALL, (500, 375), 85)
        print("| | 12 megapixels, images/s | 500 pixels, images/s |\n|---|---|---|")
        for engine in ENGINES:
            speeds = [time_neardup(engine, photos, work) for photos in (large, small)]
            print(f"| neardup, {engine} | {speeds[0]:.1f} | {speeds[1]:.0f} |", flush=True)
        for method in ("pHash", "CNN") if options.imagededup else ():
            results = [run(options.imagededup, "-c", IMAGEDEDUP, method, photos)[-1] for photos in (large, small)]
            speeds = [images / seconds for images, seconds in results]
            print(f"| imagededup, {method} | {speeds[0]:.1f} | {speeds[1]:.0f} |", flush=True)
        if options.fastdup:
            judge_fastdup(options.fastdup, found, work)


if __name__ == "__main__":
    main()
