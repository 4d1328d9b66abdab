"""How many pairs of an index pass each of its model's thresholds, and which: to look at, for only a person can tell.

    neardup index PHOTOS --index INDEX
    python scripts/count_pairs.py INDEX [--list PAIRS.csv] [--sheet PAIRS.png [--pairs 50]]

Every pair of images with different bytes is compared exactly; files with the same bytes count as one image.
Time grows with the square of the images: some 0.5 s for 3,600.

--list   the pairs that pass the lowest threshold, most similar first: similarity and both paths
--sheet  the first --pairs of them drawn side by side, with their numbers in that list
"""

import argparse
import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from neardup.embedding.model import find_model
from neardup.images import load_image
from neardup.index import Index

CHUNK = 1024
EDGE = 170  # of a picture on the sheet, in pixels
COLUMNS = 5


def pairs_above(rows: NDArray[np.float32], threshold: float) -> Iterator[tuple[float, int, int]]:
    """(similarity, i, j) with i < j."""
    for start in range(0, len(rows), CHUNK):
        similarities = rows[start : start + CHUNK] @ rows[start:].T
        found = np.argwhere(np.triu(similarities >= threshold, k=1))
        yield from ((float(similarities[i, j]), start + int(i), start + int(j)) for i, j in found)


def draw(pairs: list[tuple[float, Path, Path]], path: Path) -> None:
    lines = -(-len(pairs) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (2 * EDGE + 16), lines * (EDGE + 22)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (similarity, a, b) in enumerate(pairs):
        left, top = (number % COLUMNS) * (2 * EDGE + 16), (number // COLUMNS) * (EDGE + 22)
        pen.text((left, top + 1), f"{number + 1}: {similarity:.4f} {a.name[:18]} {b.name[:18]}", fill="black")
        for side, image in enumerate((a, b)):
            sheet.paste(Image.fromarray(load_image(image)).resize((EDGE, EDGE)), (left + side * EDGE, top + 14))
    sheet.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--list", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--pairs", type=int, default=50)
    options = parser.parse_args()
    index = Index.open(options.index)
    if index.model is None:
        parser.error(f"{options.index}: empty; index some images first")
    thresholds = find_model(index.model.name).thresholds
    if not thresholds:
        parser.error(f"model {index.model.name} has no thresholds; calibrate it with scripts/calibrate_model.py")
    first = {image.row: Path(os.fsdecode(image.path)) for image in reversed(list(index))}
    rows = np.concatenate([np.asarray(part, np.float32) for part in index.embeddings])[index.live_rows]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    paths = [first[row] for row in index.live_rows]
    pairs = sorted(pairs_above(rows, min(thresholds.values())), reverse=True)
    print(f"{len(rows):,} images, {len(rows) * (len(rows) - 1) // 2:,} pairs")
    for name, threshold in thresholds.items():
        print(f"{name:8} {threshold:.4f} {sum(similarity >= threshold for similarity, _, _ in pairs)} pairs")
    named = [(similarity, paths[i], paths[j]) for similarity, i, j in pairs]
    if options.list:
        with options.list.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            csv.writer(file).writerows((f"{similarity:.4f}", a, b) for similarity, a, b in named)
    if options.sheet:
        draw(named[: options.pairs], options.sheet)


if __name__ == "__main__":
    main()
