"""How often the keeper is the original, in a library that make_library.py wrote, by the kind of rival.

    python scripts/measure_library.py OUT [--keep best] [--rebuild] [--json FILE]

Indexes OUT/library into OUT/index and finds the groups. A group of the truth counts for each kind of rival in it: it is
right where the keeper of its files is the original. Rivals that are in no group with their original are counted apart:
nothing is planned for those.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from neardup.groups import KeepPolicy, find_groups
from neardup.groups.members import DuplicateGroup
from neardup.index import Index
from neardup.jobs.index import index_images


def keepers_of(groups: list[DuplicateGroup]) -> dict[str, DuplicateGroup]:
    """The group of each path."""
    return {str(member.path): group for group in groups for member in group.members}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--keep", default="best")
    parser.add_argument("--rebuild", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    root = options.out.absolute() / "library"
    report = index_images([root], options.out / "index", rebuild=options.rebuild, say=print)
    print(f"{report.images} images, {report.indexed} indexed in {report.seconds:.1f} s, {len(report.failed)} failed")
    started = time.perf_counter()
    groups = list(find_groups(Index.open(options.out / "index"), keep=KeepPolicy(options.keep)))
    print(f"{len(groups)} groups in {time.perf_counter() - started:.1f} s")

    group_of = keepers_of(groups)
    truth = json.loads((options.out / "truth.json").read_text())["groups"]
    seen: Counter[str] = Counter()
    right: Counter[str] = Counter()
    apart: Counter[str] = Counter()
    whole = good = 0
    for entry in truth:
        original = str(root / entry["original"])
        group = group_of.get(original)
        paths = {str(member.path): member for member in group.members} if group else {}
        together = [rival for rival in entry["rivals"] if str(root / rival["path"]) in paths]
        for rival in entry["rivals"]:
            apart[rival["kind"]] += rival not in together
        if group is None or not together:
            continue
        kept = str(group.keeper.path) == original
        whole, good = whole + 1, good + kept
        for rival in together:
            seen[rival["kind"]] += 1
            right[rival["kind"]] += kept
        if not kept:
            lost = paths[original]
            kind = next((r["kind"] for r in together if str(root / r["path"]) == str(group.keeper.path)), "another's")
            others = ", ".join(rival["kind"] for rival in together)
            print(f"  kept: {kind} of {entry['original']} (group: {others}); {lost.change}; {getattr(lost, 'why', '')}")
    print(f"\n{'kind of rival':24}groups  keeper is the original  apart")
    for kind in sorted(seen | apart):
        share = right[kind] / max(1, seen[kind])
        print(f"{kind:24}{seen[kind]:6}  {share:22.2f}  {apart[kind]:5}")
    print(f"{'all':24}{whole:6}  {good / max(1, whole):22.3f}  {apart.total():5}")
    if options.json:
        counts = {kind: [right[kind], seen[kind], apart[kind]] for kind in sorted(seen | apart)}
        options.json.write_text(json.dumps({"groups": whole, "right": good, "kinds": counts}))


if __name__ == "__main__":
    main()
