"""Quality against speed of a model's weights at several input sizes: a table, and a picture with --plot.

python scripts/compare_input_sizes.py MODEL_FOLDER PHOTOS [--sizes 128,144,160] [--plot FILE.png]

Quality is judged by ten attacks of the evaluation suite (100 originals in a gallery of 1,000, 300 negatives), speed by
embedding batches of 32 prepared images with the default engine on all cores.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from neardup.embedding import BATCH, load_embedder
from neardup.embedding.export import export_model
from neardup.embedding.model import read_model
from neardup.embedding.weights import load_weights
from neardup.evaluation.suite import QUICK_ATTACKS, evaluate
from neardup.images import find_images

TIMED_BATCHES = 12


def images_per_second(embedder, size: int) -> float:
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3)).astype(np.uint8)
    embedder.embed_prepared(pixels)
    seconds = []
    for _ in range(TIMED_BATCHES):
        started = time.perf_counter()
        embedder.embed_prepared(pixels)
        seconds.append(time.perf_counter() - started)
    return BATCH / float(np.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--sizes", default="112,128,144,160,176,192")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    model = read_model(options.model)
    weights = load_weights(model.file("weights.npz"), model.architecture.parameters())
    photos = list(find_images(options.photos))
    rows = []
    print("| input | images/s | uAP | recall@1 | recall at 1 % false alarms |\n|---|---|---|---|---|")
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            export_model(Path(folder), model.name, model.architecture, weights, size)
            embedder = load_embedder(folder)
            speed = images_per_second(embedder, size)
            found = evaluate(
                photos, embedder.embed, attacks=QUICK_ATTACKS, gallery=1000, queries=100, negatives=300
            ).as_json()
        rows.append((size, speed, found["uap"], found["recall_at_1"]))
        print(
            f"| {size} | {speed:.0f} | {found['uap']:.3f} | {found['recall_at_1']:.3f}"
            f" | {found['recall_at_1pct_false_alarms']:.3f} |",
            flush=True,
        )
    if options.plot:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axis = figure.add_subplot()
        for place, (label, colour) in enumerate((("uAP", "#c2571a"), ("recall@1", "#1a7f4b")), 2):
            axis.plot([row[1] for row in rows], [row[place] for row in rows], "o-", color=colour, label=label)
        for size, speed, _, recall in rows:
            axis.annotate(f"{size} px", (speed, recall), textcoords="offset points", xytext=(0, 8), ha="center")
        axis.set_xlabel("images per second, two cores")
        axis.set_ylabel("ten attacks, 1,000 photos")
        axis.margins(0.1)
        axis.legend()
        axis.spines[["top", "right"]].set_visible(False)
        figure.savefig(options.plot, dpi=110)


if __name__ == "__main__":
    main()
