"""How sure judging is: the weights of its confidence, and whether it keeps what it promises.

    python scripts/calibrate_matching.py fit PHOTOS [--photos 60] [--seed 0]
    python scripts/calibrate_matching.py check PHOTOS [--photos 60] [--seed 0] [--same FILE.csv]

Pairs: photos attacked in every way of neardup.evaluation.attacks, each with its own photo (one picture) and with the
other photos that the embedding takes for the most similar to it (not one picture). `fit` prints the weights of a
logistic regression on the measures of those pairs for which keypoints or the pixels give a map; `check`, to be run on
other photos, says of the pairs given each confidence how many were one picture.
"""

import argparse
import csv
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neardup.embedding import load_embedder
from neardup.evaluation.attacks import ATTACKS, attack
from neardup.images import find_images, load_image
from neardup.matching.align import align
from neardup.matching.judge import find_differences, judge, measures
from neardup.matching.picture import Picture, picture_of

NEIGHBOURS = 3
BINS = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1.0)


@dataclass(frozen=True)
class Pair:
    attack: str
    a: Picture
    b: Picture
    is_one: bool


def draw_pairs(root: Path, photos: int, seed: int, same: set[frozenset[str]]) -> list[Pair]:
    paths = list(find_images(root))
    rng = np.random.default_rng(seed)
    gallery = [paths[i] for i in rng.choice(len(paths), min(len(paths), 20 * photos), replace=False)]
    embedder = load_embedder()
    rows = embedder.embed([load_image(path, size=embedder.model.input_size) for path in gallery])
    pairs = []
    for number in range(photos):
        photo = load_image(gallery[number])
        source = picture_of(photo)
        for name in ATTACKS:
            other = load_image(gallery[(number + 1) % len(gallery)])
            edited = attack(name, photo, other, seed=(seed, number))
            pairs.append(Pair(name, source, picture_of(edited), is_one=True))
            [query] = embedder.embed([edited])
            near = [i for i in np.argsort(-(rows @ query)) if i not in (number, (number + 1) % len(gallery))]
            for i in near[:NEIGHBOURS]:
                if frozenset((gallery[i].name, gallery[number].name)) not in same:
                    pairs.append(Pair(name, picture_of(load_image(gallery[i])), picture_of(edited), is_one=False))
    return pairs


def fit(pairs: list[Pair]) -> None:
    values, truth = [], []
    for pair in pairs:
        found = align(pair.a, pair.b)
        if found is not None and found.agreement.blocks:
            values.append([1.0, *measures(pair.a, pair.b, found, find_differences(pair.a, pair.b, found))])
            truth.append(float(pair.is_one))
    x, y = np.array(values), np.array(truth)
    weight = np.where(y > 0, 1.0, y.sum() / max(1.0, len(y) - y.sum()))
    ridge = np.diag([0.0] + [0.5] * (x.shape[1] - 1))
    theta = np.zeros(x.shape[1])
    for _ in range(100):  # Newton's method
        p = 1 / (1 + np.exp(-x @ theta))
        gradient = x.T @ (weight * (y - p)) - ridge @ theta
        theta += np.linalg.solve(x.T @ (x * (weight * p * (1 - p))[:, None]) + ridge, gradient)
    names = ("constant", "log keypoints", "well", "median", "well apart", "differing")
    print(f"{int(y.sum())} pairs of one picture, {int(len(y) - y.sum())} of two")
    print(", ".join(f"{name} {value:.2f}" for name, value in zip(names, theta, strict=True)))


def check(pairs: list[Pair]) -> None:
    judged = [(judge(pair.a, pair.b), pair) for pair in pairs]
    print("confidence        pairs   of one picture   mean confidence")
    for low, high in itertools.pairwise(BINS):
        here = [(v, p) for v, p in judged if low <= v.confidence < high or (high == 1.0 and v.confidence == 1.0)]
        if here:
            share = sum(p.is_one for _, p in here) / len(here)
            mean = math.fsum(v.confidence for v, _ in here) / len(here)
            print(f"{low:.2f} to {high:.2f}  {len(here):9}   {share:14.3f}   {mean:15.3f}")
    for is_one in (True, False):
        part = [(v, p) for v, p in judged if p.is_one is is_one]
        confirmed = sum(v.is_confirmed for v, _ in part)
        print(f"{'one picture' if is_one else 'two pictures'}: {len(part)} pairs, {confirmed} confirmed")
    for v, p in judged:
        if v.is_confirmed and not p.is_one:
            print(f"  wrongly: {p.attack} {v.relation} {v.confidence:.2f}, {v.inliers} keypoints")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("fit", "check"))
    parser.add_argument("photos_folder", type=Path, metavar="PHOTOS")
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--same", type=Path, help="Pairs of one scene, two paths a line: left out")
    options = parser.parse_args()
    same: set[frozenset[str]] = set()
    if options.same:
        with options.same.open(newline="") as file:
            same = {frozenset(Path(name).name for name in row) for row in csv.reader(file)}
    pairs = draw_pairs(options.photos_folder, options.photos, options.seed, same)
    (fit if options.what == "fit" else check)(pairs)


if __name__ == "__main__":
    main()
