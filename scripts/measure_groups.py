"""Groups against the truth: photos of yours and edited copies of them.

    python scripts/measure_groups.py PHOTOS [--copies 2000] [--work DIR] [--thresholds 0.6 0.7 ...] [--json FILE]

Every copy is a photo drawn by the seed and edited by one attack of neardup.evaluation.attacks, taking the attacks in
turn. Both are indexed together, and grouped by looking at the pictures; with --thresholds also by the embeddings alone.
A pair counts when a group holds it as keeper and member:

    recall     copies in one group with their photo, as a share of all copies
    precision  pairs of one photo's versions, as a share of all pairs that a copy takes part in; a photo that another
               was pasted on is one of the sources of what came of it
    wrong      such pairs of two photos' versions, unless both photos are in the group: then it is a pair of photos
    photos     pairs of two photos as they came: near-duplicates of the collection itself, or mistakes; they are listed
               (--list FILE), because only a person can tell
    discarded  files that `dedup` would remove, and how many of them show something that their keeper does not, by what
               was done to either

The same images are then written into a second index in shuffled order, in several commits, and must give the same
groups. The work folder is used again when it is there: delete it to start over. --parts indexes parts, too.
"""

import argparse
import csv
import json
import os
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from neardup.actions import make_plan
from neardup.evaluation.attacks import ATTACKS, attack
from neardup.groups import find_groups
from neardup.images import find_images, load_image
from neardup.index import Index
from neardup.jobs.index import index_images

# Attacks that mix in another photo, that show something the photo does not, and that leave out some of it.
MIXED = frozenset({"paste_third", "paste_small", "overlay"})
ADDS = MIXED | {
    "text", "watermark", "stickers", "caption", "screenshot", "chain_mirror_crop_text_scale_jpeg", "chain_social",
    "chain_screenshot_of_crop",
}  # fmt: skip
CUTS = frozenset({name for name in ATTACKS if "crop" in name} | {"zoom_150", "rotate_5", "rotate_20", "perspective"})


@dataclass(frozen=True)
class Copy:
    attack: str
    photo: Path
    other: Path | None  # the photo that was mixed in


@dataclass(frozen=True)
class Row:
    threshold: float | None  # None: by looking
    groups: int
    images: int
    precision: float
    wrong: int
    recall: float
    photo_pairs: int
    discarded: int
    discarded_wrongly: int
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
            writer.writerow((path, name, photos[photo], photos[other] if name in MIXED else ""))


def read_truth(path: Path) -> dict[Path, Copy]:
    with path.open(newline="") as file:
        return {
            Path(c): Copy(name, Path(photo), Path(other) if other else None)
            for c, name, photo, other in csv.reader(file)
        }


def sources(path: Path, truth: dict[Path, Copy]) -> set[Path]:
    copy = truth.get(path)
    return {path} if copy is None else {each for each in (copy.photo, copy.other) if each is not None}


def shows_more(member: Path, keeper: Path, truth: dict[Path, Copy]) -> bool:
    """Whether a discarded file shows what its keeper does not, by what was done to the two."""
    done, kept = truth.get(member), truth.get(keeper)
    if done is not None and done.attack in ADDS:
        return True
    return kept is not None and kept.attack in CUTS and (done is None or done.attack not in CUTS)


def measure(
    index: Index, truth: dict[Path, Copy], threshold: float | None
) -> tuple[Row, Counter[str], list[tuple[float, str, Path, Path]]]:
    started = time.perf_counter()
    groups = list(find_groups(index, min_similarity=threshold, on_totals=lambda totals: print(totals)))
    seconds = time.perf_counter() - started
    found: Counter[str] = Counter()
    wrong = pairs = 0
    photo_pairs = []
    for group in groups:
        paths = {member.path for member in group.members}
        found.update(truth[path].attack for path in paths if path in truth and truth[path].photo in paths)
        for member in group.members[1:]:
            a, b = group.keeper.path, member.path
            if a not in truth and b not in truth:
                photo_pairs.append((member.similarity, str(member.relation), a, b))
                continue
            pairs += 1
            mine = sources(a, truth) | sources(b, truth)
            if not sources(a, truth) & sources(b, truth) and not mine <= paths:
                wrong += 1
                print(f"  two sources: {a.name} {b.name} {member.relation} {member.similarity:.3f}")
    plan = make_plan(groups, "report")
    bad = [step for step in plan.steps if shows_more(step.path, step.keeper, truth)]
    for step in bad[:20]:
        print(f"  discarded: {step.path.name} for {step.keeper.name}: {step.relation}, {step.change}")
    row = Row(
        threshold,
        len(groups),
        sum(len(group.members) for group in groups),
        1 - wrong / max(1, pairs),
        wrong,
        found.total() / len(truth),
        len(photo_pairs),
        len(plan.steps),
        len(bad),
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
                margin=image.margin,
                label=image.label,
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
    parser.add_argument("--thresholds", type=float, nargs="*", default=[], help="Cosines to group by alone, too")
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", type=Path, help="CSV of the pairs of two photos, at the lowest threshold")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    folder = options.work / "index"
    if not (options.work / "copies.csv").exists():
        make_copies(list(find_images(options.photos)), options.work / "copies", options.copies, options.seed)
    paths = [options.photos, options.work / "copies"]
    report = index_images(paths, folder, model=options.model, parts=options.parts, say=print)
    truth = read_truth(options.work / "copies.csv")
    index = Index.open(folder)
    print(f"{index.images} images, {len(truth)} of them edited copies; indexed in {report.seconds:.1f} s")
    rows, per_attack = [], []
    for threshold in (None, *options.thresholds):
        row, found, photo_pairs = measure(index, truth, threshold)
        rows.append(row)
        per_attack.append(found)
        print(
            f"{'by looking' if threshold is None else f'at {threshold:.3f}'}  groups {row.groups}  images {row.images}"
            f"  precision {row.precision:.4f} ({row.wrong} wrong)  recall {row.recall:.4f}"
            f"  photo pairs {row.photo_pairs}"
            f"  discarded {row.discarded}, {row.discarded_wrongly} of them showing more  {row.seconds:.1f} s"
        )
        if options.list and threshold is None:
            with options.list.open("w", newline="") as file:
                csv.writer(file).writerows(photo_pairs)
    totals = Counter(copy.attack for copy in truth.values())
    print("recall by attack")
    for name in ATTACKS:
        print(f"  {name:36}" + " ".join(f"{found[name] / max(1, totals[name]):.2f}" for found in per_attack))
    again = shuffled(index, options.work / "shuffled", options.seed + 1)
    same = list(find_groups(again)) == list(find_groups(index))
    print(f"the same groups from a shuffled order: {same}")
    if options.json:
        options.json.write_text(json.dumps({"rows": [asdict(row) for row in rows], "same_when_shuffled": same}))


if __name__ == "__main__":
    main()
