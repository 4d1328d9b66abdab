"""Groups against the truth: photos of yours and edited copies of them, at several thresholds.

    python scripts/measure_groups.py PHOTOS [--copies 2000] [--work DIR] [--thresholds 0.6 0.7 ...] [--json FILE]

Every copy is a photo drawn by the seed and edited by one attack of neardup.evaluation.attacks, taking the attacks in
turn. Both are indexed together. A pair counts when a group holds it as keeper and member:

    recall     copies in one group with their photo, as a share of all copies
    precision  pairs of one photo's versions, as a share of all pairs that a copy takes part in
    photos     pairs of two photos as they came: near-duplicates of the collection itself, or mistakes; they are listed
               (--list FILE), because only a person can tell

The same images are then written into a second index in shuffled order, in several commits, and must give the same
groups. The work folder is used again when it is there: delete it to start over.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from neardup.embedding.model import find_model
from neardup.evaluation.attacks import ATTACKS, attack
from neardup.groups import DuplicateGroup, find_groups
from neardup.images import find_images, load_image
from neardup.index import Index


@dataclass(frozen=True)
class Row:
    threshold: float
    groups: int
    images: int
    precision: float
    recall: float
    photo_pairs: int
    seconds: float


def make_copies(photos: list[Path], folder: Path, copies: int, seed: int) -> None:
    """`<number>-<attack>.jpg` with a list of what each is of in copies.csv."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(photos), copies, replace=False)
    others = rng.choice(len(photos), copies)
    with (folder.parent / "copies.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        for number, (photo, other) in enumerate(zip(chosen, others, strict=True)):
            name = ATTACKS[number % len(ATTACKS)]
            edited = attack(name, load_image(photos[photo]), load_image(photos[other]), seed=(seed, number))
            path = folder / f"{number:05d}-{name}.jpg"
            Image.fromarray(edited).save(path, quality=92)
            writer.writerow((path, name, photos[photo]))


def read_truth(path: Path) -> dict[Path, tuple[str, Path]]:
    with path.open(newline="") as file:
        return {Path(copy): (name, Path(photo)) for copy, name, photo in csv.reader(file)}


def pairs_of(groups: list[DuplicateGroup]) -> Iterator[tuple[Path, Path, float]]:
    for group in groups:
        for member in group.members[1:]:
            yield group.keeper.path, member.path, member.similarity


def measure(
    index: Index, truth: dict[Path, tuple[str, Path]], threshold: float
) -> tuple[Row, Counter[str], list[tuple[float, Path, Path]]]:
    started = time.perf_counter()
    groups = list(find_groups(index, min_similarity=threshold))
    seconds = time.perf_counter() - started
    found: Counter[str] = Counter()
    false = 0
    photo_pairs = []
    for group in groups:
        paths = {member.path for member in group.members}
        found.update(truth[path][0] for path in paths if path in truth and truth[path][1] in paths)
    for a, b, similarity in pairs_of(groups):
        if a not in truth and b not in truth:
            photo_pairs.append((similarity, a, b))
        else:
            false += truth.get(a, ("", a))[1] != truth.get(b, ("", b))[1]
    copy_pairs = sum(len(group.members) - 1 for group in groups) - len(photo_pairs)
    row = Row(
        threshold,
        len(groups),
        sum(len(group.members) for group in groups),
        1 - false / max(1, copy_pairs),
        found.total() / len(truth),
        len(photo_pairs),
        round(seconds, 2),
    )
    return row, found, sorted(photo_pairs, reverse=True)


def shuffled(index: Index, folder: Path, seed: int) -> Index:
    """The same images, added in another order."""
    images = list(index)
    embeddings = np.concatenate([np.asarray(part) for part in index.embeddings])
    order = np.random.default_rng(seed).permutation(len(images))
    assert index.model is not None
    with Index.write(folder, index.model, rebuild=True) as writer:
        for count, position in enumerate(order.tolist(), 1):
            image = images[position]
            writer.add(
                image.path,
                size_bytes=image.size_bytes,
                mtime_ns=image.mtime_ns,
                digest=image.digest,
                width=image.width,
                height=image.height,
                embedding=embeddings[image.row].astype(np.float32),
            )
            if count % 3000 == 0:
                writer.commit()
    return Index.open(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=lambda text: Path(os.path.abspath(text)))
    parser.add_argument("--copies", type=int, default=2000)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "measure_groups")
    parser.add_argument("--model", default="default")
    parser.add_argument("--thresholds", type=float, nargs="+", help="[default: those of the model]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", type=Path, help="CSV of the pairs of two photos, at the lowest threshold")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    thresholds = options.thresholds or sorted(find_model(options.model).thresholds.values())

    folder = options.work / "index"
    if not (options.work / "copies.csv").exists():
        make_copies(list(find_images(options.photos)), options.work / "copies", options.copies, options.seed)
    command = [sys.executable, "-m", "neardup", "index", options.photos, options.work / "copies", "--index", folder]
    subprocess.run([*command, "--model", options.model], check=True)
    truth = read_truth(options.work / "copies.csv")
    index = Index.open(folder)
    print(f"{index.images} images, {len(truth)} of them edited copies")
    rows = []
    per_attack = {}
    for threshold in thresholds:
        row, found, photo_pairs = measure(index, truth, threshold)
        rows.append(row)
        per_attack[threshold] = found
        print(
            f"{threshold:.3f}  groups {row.groups:6}  images {row.images:6}  precision {row.precision:.4f}"
            f"  recall {row.recall:.4f}  photo pairs {row.photo_pairs:6}  {row.seconds:.1f} s"
        )
        if options.list and threshold == min(thresholds):
            with options.list.open("w", newline="") as file:
                csv.writer(file).writerows(photo_pairs)
    totals = Counter(name for name, _ in truth.values())
    print("recall by attack at " + " ".join(f"{threshold:.2f}" for threshold in thresholds))
    for name in ATTACKS:
        print(f"  {name:36}" + " ".join(f"{per_attack[t][name] / max(1, totals[name]):.2f}" for t in thresholds))
    middle = thresholds[len(thresholds) // 2]
    again = shuffled(index, options.work / "shuffled", options.seed + 1)
    same = list(find_groups(again, min_similarity=middle)) == list(find_groups(index, min_similarity=middle))
    print(f"the same groups at {middle} from a shuffled order: {same}")
    if options.json:
        options.json.write_text(json.dumps({"rows": [asdict(row) for row in rows], "same_when_shuffled": same}))


if __name__ == "__main__":
    main()
