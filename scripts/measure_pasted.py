"""Photos pasted onto others: does `query` find and confirm them, and does `groups` after `index --parts`?

    python scripts/measure_pasted.py PHOTOS [--photos 2000] [--pasted 200] [--work DIR] [--seed 0]

PHOTOS are drawn by the seed: a gallery, and grounds that are not in it. So many photos of the gallery are pasted onto
grounds at a third and at about a tenth of the area (neardup.evaluation.attacks). Each of these pictures is asked for
in an index of the gallery; then all of them are indexed with the gallery, with their parts, and grouped.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from neardup.evaluation.attacks import attack
from neardup.groups import find_groups
from neardup.images import find_images, load_image
from neardup.index import Index
from neardup.jobs.index import index_images
from neardup.jobs.query import query_images

KINDS = ("paste_third", "paste_small")
CONFIRMED = ("exact", "copy", "edited")


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos_folder", type=lambda text: Path(os.path.abspath(text)), metavar="PHOTOS")
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--pasted", type=int, default=200)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="pasted-"))
    work.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(options.seed)
    paths = list(find_images(options.photos_folder))
    drawn = [paths[i] for i in rng.choice(len(paths), options.photos + options.pasted, replace=False)]
    gallery, grounds = drawn[: options.photos], drawn[options.photos :]
    folders = {kind: work / kind for kind in KINDS}
    truth: dict[Path, Path] = {}
    for kind, folder in folders.items():
        folder.mkdir(exist_ok=True)
        for number in range(options.pasted):
            photo, ground = load_image(gallery[number]), load_image(grounds[number])
            path = folder / f"{number:04d}.jpg"
            Image.fromarray(attack(kind, photo, ground, seed=(options.seed, number))).save(path, quality=92)
            truth[path] = gallery[number]

    index_images([], work / "plain", listed=gallery)
    for kind, folder in folders.items():
        started = time.perf_counter()
        asked = query_images([str(folder)], work / "plain")
        confirmed = first = count = 0
        for answer in asked.answers:
            count += 1
            source = truth[Path(answer.query)]
            relations = {match.path: match.relation for match in answer.matches}
            confirmed += relations.get(source) in CONFIRMED
            first += bool(answer.matches) and answer.matches[0].path == source
        seconds = (time.perf_counter() - started) / max(1, count)
        print(f"query {kind}: confirmed {confirmed / count:.3f}, first {first / count:.3f}, {seconds:.3f} s a query")

    for name, parts in (("without", False), ("with", True)):
        index = work / name
        report = index_images(list(folders.values()), index, listed=gallery, parts=parts)
        started = time.perf_counter()
        found: Counter[str] = Counter()
        for group in find_groups(Index.open(index)):
            members = {member.path for member in group.members}
            found.update(path.parent.name for path in members & truth.keys() if truth[path] in members)
        seconds = time.perf_counter() - started
        shares = ", ".join(f"{kind} {found[kind] / options.pasted:.3f}" for kind in KINDS)
        size = size_of(index) / max(1, report.images)
        cost = f"indexed in {report.seconds:.1f} s, {size:.0f} bytes an image, grouped in {seconds:.1f} s"
        print(f"groups {name} parts: {shares}; {cost}")


if __name__ == "__main__":
    main()
