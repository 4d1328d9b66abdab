"""The same folder grouped by neardup and by its peers: what is found, what is wrong, seconds and memory, in one table.

    python scripts/compare_groups.py PHOTOS [--same FILE.csv] [--apart FILE.csv] [--work DIR]
        [--immaculate PYTHON] [--imagededup PYTHON] [--fastdup PYTHON] [--only neardup] [--json FILE] [--list FILE.csv]

PYTHON is that of an environment with the peer: `immaculate[sscd]` (Python 3.12), imagededup, fastdup (its licence is
non-commercial). Each tool runs alone, in a process of its own and with its own defaults. The folder is made by the
seed: photos as they came, a copy of each by every attack of neardup.evaluation.attacks, and other photos; the grounds
that photos are pasted on are of photos that are not in it. A tool's groups, or its pairs joined, are judged so:

    recall     copies in one group with their photo, as a share of all copies
    right      pairs of a group that show one photo
    apart      pairs of two photos as they came, near-duplicates of the collection itself or mistakes: only a person can
               tell; and pairs of any versions of two photos that --apart lists. They count as neither
    wrong      all other pairs of a group: a copy beside another photo, or beside a copy of it
    precision  right / (right + wrong)
    named      the same of what the tool itself names, where that is pairs: before they are joined
    seconds    of the whole process, CPU s in all its threads and children, load that of the machine just before
    peak MiB   of the largest process

Folder and results are kept in the work folder: a tool that has a row there runs again only when --only names it, and
with --only nothing else runs. --list gives, tool by tool, the photos whose versions were named together: in how many
pairs, and whether the two photos as they came are one of them. Near-duplicates among PHOTOS (two paths a line, relative
to it) are listed by --same, where they are known before: the second of each pair is left out of the folder; and by
--apart, where they were found by looking at that list.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from neardup.evaluation.attacks import ATTACKS, attack
from neardup.evaluation.suite import draw, read_pairs, without_lookalikes
from neardup.images import find_images, load_image

Pairs: TypeAlias = set[tuple[Path, Path]]

PHOTO, OTHER = "photo", "other"  # kinds beside the attacks: as they came, with copies and without
LISTED = 1000  # a tool that chains puts every photo beside every other
# Each gets the folder, its method, a work folder and the file to write its answer to.
NEARDUP = """
import json, subprocess, sys, neardup
folder, _, work, answer = sys.argv[1:]
command = [sys.executable, "-m", "neardup"]
subprocess.run([*command, "index", folder, "--index", work], check=True)
found = subprocess.run([*command, "groups", "--index", work, "--format", "json"], check=True, stdout=subprocess.PIPE)
groups = [[image["path"] for image in json.loads(line)["images"]] for line in found.stdout.splitlines()]
json.dump({"version": neardup.__version__, "groups": groups}, open(answer, "w"))
"""
IMMACULATE = """
import json, sys
from importlib.metadata import version
from immaculate import find_duplicates
folder, method, _, answer = sys.argv[1:]
found = find_duplicates(folder, method)
groups = [[str(path) for path in group] for group in found.exact + found.near]
json.dump({"version": version("immaculate"), "groups": groups}, open(answer, "w"))
"""
IMAGEDEDUP = """
import json, sys
from importlib.metadata import version
import imagededup.methods
folder, method, _, answer = sys.argv[1:]
if __name__ == "__main__":
    found = getattr(imagededup.methods, method)(verbose=False).find_duplicates(image_dir=folder)
    pairs = [(name, other) for name, others in found.items() for other in others]
    json.dump({"version": version("imagededup"), "groups": pairs}, open(answer, "w"))
"""
FASTDUP = """
import json, sys, fastdup
folder, method, work, answer = sys.argv[1:]
run = fastdup.create(input_dir=folder, work_dir=work)
run.run()
if method == "components":
    found, _ = run.connected_components()
    groups = [list(names) for _, names in found.groupby("component_id")["filename"]]
else:
    found = run.similarity()
    groups = list(zip(found["filename_from"], found["filename_to"]))
json.dump({"version": fastdup.__version__, "groups": groups}, open(answer, "w"))
"""
# Starts a command and measures it. A process apart, because a child's peak memory begins with that of its parent.
MEASURE = """
import json, os, subprocess, sys, time
started = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, usage = os.wait4(child.pid, 0)
seconds = time.perf_counter() - started
print(json.dumps([status, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))  # KiB on Linux
"""


@dataclass(frozen=True)
class Tool:
    family: str
    label: str
    runner: str
    method: str = ""

    @property
    def file(self) -> str:
        return f"{self.family}-{self.method}" if self.method else self.family


TOOLS = (
    Tool("neardup", "neardup", NEARDUP),
    Tool("immaculate", "immaculate, PDQ", IMMACULATE, "pdq"),
    Tool("immaculate", "immaculate, SSCD distilled", IMMACULATE, "sscd_distilled"),
    Tool("immaculate", "immaculate, SSCD ResNet-50", IMMACULATE, "sscd"),
    Tool("imagededup", "imagededup, pHash", IMAGEDEDUP, "PHash"),
    Tool("imagededup", "imagededup, dHash", IMAGEDEDUP, "DHash"),
    Tool("imagededup", "imagededup, wHash", IMAGEDEDUP, "WHash"),
    Tool("imagededup", "imagededup, CNN", IMAGEDEDUP, "CNN"),
    Tool("fastdup", "fastdup, components", FASTDUP, "components"),
    Tool("fastdup", "fastdup, pairs", FASTDUP, "pairs"),
)


@dataclass(frozen=True)
class Picture:
    name: str  # of the file
    photo: str  # what it shows: a path relative to PHOTOS
    kind: str  # PHOTO, OTHER or an attack


@dataclass(frozen=True)
class Run:
    """What a tool answered, as it is kept in the work folder; reason is empty where it could run."""

    version: str
    groups: list[list[str]]  # names of files; pairs are groups of two
    seconds: float
    cpu_seconds: float
    peak_mib: float
    load: float
    reason: str


@dataclass(frozen=True)
class Score:
    recall: float
    right: int
    wrong: int
    apart: int
    precision: float
    by_kind: dict[str, float]


def make_folder(photos: Path, folder: Path, count: int, distractors: int, seed: int, same: Pairs) -> None:
    """`<number>.jpg`, numbered in an order that tells nothing, and what each shows in truth.csv beside the folder."""
    wanted = 2 * count + distractors
    drawn, _, _ = without_lookalikes(draw(find_images(photos), seed, same=same), wanted)
    if len(drawn) < wanted:
        raise SystemExit(f"{photos}: {wanted} different photos are needed, {len(drawn)} are there")
    originals, others, grounds = drawn[:count], drawn[count : count + distractors], drawn[-count:]
    order = iter(np.random.default_rng(seed).permutation(count * (1 + len(ATTACKS)) + distractors).tolist())
    folder.mkdir(parents=True)
    truth = []

    def name_of(photo: Path, kind: str, suffix: str) -> Path:
        truth.append((f"{next(order):05d}{suffix}", str(photo.relative_to(photos)), kind))
        return folder / truth[-1][0]

    for photo in originals + others:
        kind = PHOTO if len(truth) < count else OTHER
        shutil.copyfile(photo, name_of(photo, kind, photo.suffix))
    for number, (photo, ground) in enumerate(zip(originals, grounds, strict=True)):
        pixels, other = load_image(photo), load_image(ground)
        for kind in ATTACKS:
            edited = attack(kind, pixels, other, seed=(seed, number))
            Image.fromarray(edited).save(name_of(photo, kind, ".jpg"), quality=92)
    with (folder.parent / "truth.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(sorted(truth))


def read_truth(path: Path) -> list[Picture]:
    with path.open(newline="", encoding="utf-8") as file:
        return [Picture(*row) for row in csv.reader(file)]


def run_tool(tool: Tool, python: str, folder: Path, work: Path) -> Run:
    for path in folder.iterdir():
        path.read_bytes()  # so that every tool finds the files in memory
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        answer = Path(scratch) / "answer.json"
        command = [python, "-c", tool.runner, folder, tool.method, Path(scratch) / "work", answer]
        load = os.getloadavg()[0]
        done = subprocess.run([sys.executable, "-c", MEASURE, *map(str, command)], capture_output=True)
        (work / f"{tool.file}.log").write_bytes(done.stderr)
        status, seconds, cpu_seconds, peak_mib = json.loads(done.stdout)
        figures = seconds, cpu_seconds, peak_mib, load
        if status or not answer.exists():
            lines = done.stderr.decode(errors="replace").split("\n")
            return Run("", [], *figures, reason=next((line for line in reversed(lines) if line.strip()), "no answer"))
        found = json.loads(answer.read_text())
    groups = [[Path(name).name for name in group] for group in found["groups"]]
    return Run(found["version"], groups, *figures, reason="")


def joined(groups: Collection[frozenset[str]]) -> set[frozenset[str]]:
    """Groups that share a member made one."""
    whole: dict[str, frozenset[str]] = {}
    for group in groups:
        parts = {whole.get(name, frozenset([name])) for name in group}
        if len(parts) > 1:
            union = frozenset[str]().union(*parts)
            whole.update(dict.fromkeys(union, union))
    return set(whole.values())


def pairs_among(count: int) -> int:
    return count * (count - 1) // 2


def score(
    groups: Collection[frozenset[str]], pictures: dict[str, Picture], one_scene: Collection[tuple[str, str]]
) -> Score:
    right = apart = every = 0
    found: Counter[str] = Counter()
    for group in groups:
        members = [pictures[name] for name in group]
        versions = Counter(member.photo for member in members)
        as_they_came = {member.photo for member in members if member.kind in (PHOTO, OTHER)}
        right += sum(map(pairs_among, versions.values()))
        apart += pairs_among(len(as_they_came))
        apart += sum(versions[a] * versions[b] - ({a, b} <= as_they_came) for a, b in one_scene)
        every += pairs_among(len(members))
        found.update(m.kind for m in members if m.kind in ATTACKS and m.photo in as_they_came)
    copies = Counter(picture.kind for picture in pictures.values() if picture.kind in ATTACKS)
    wrong = every - right - apart
    by_kind = {kind: found[kind] / copies[kind] for kind in ATTACKS if kind in copies}
    return Score(found.total() / copies.total(), right, wrong, apart, right / max(1, right + wrong), by_kind)


def write_list(path: Path, named: dict[Tool, set[frozenset[str]]], pictures: dict[str, Picture]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("tool", "photo", "other", "pairs", "as_they_came"))
        for tool, groups in named.items():
            together: Counter[tuple[str, str]] = Counter()
            as_they_came = set()
            for group in groups:
                members = [pictures[name] for name in group]
                versions = Counter(member.photo for member in members)
                for pair in combinations(sorted(versions), 2):
                    together[pair] += versions[pair[0]] * versions[pair[1]]
                as_they_came |= set(combinations(sorted(m.photo for m in members if m.kind in (PHOTO, OTHER)), 2))
            for pair, count in sorted(together.items(), key=lambda item: (item[0] not in as_they_came, -item[1]))[
                :LISTED
            ]:
                writer.writerow((tool.label, *pair, count, pair in as_they_came))


def write_tables(runs: dict[Tool, Run], scores: dict[Tool, Score], named: dict[Tool, Score]) -> None:
    print("| | recall | right | wrong | precision | named | apart | seconds | CPU s | peak MiB | load |")
    print("|---" * 11 + "|")
    for tool, run in runs.items():
        if run.reason:
            print(f"| {tool.label} | could not run: {run.reason} |" + " |" * 9)
            continue
        s = scores[tool]
        print(
            f"| {tool.label} ({run.version}) | {s.recall:.3f} | {s.right:,} | {s.wrong:,} | {s.precision:.4f} "
            f"| {named[tool].precision:.4f} | {s.apart:,} "
            f"| {run.seconds:.1f} | {run.cpu_seconds:.1f} | {run.peak_mib:.0f} | {run.load:.1f} |"
        )
    print("\n| recall | " + " | ".join(tool.label for tool in scores) + " |\n|---|" + "---|" * len(scores))
    for kind in ATTACKS:
        print(f"| {kind} | " + " | ".join(f"{s.by_kind[kind]:.2f}" for s in scores.values()) + " |")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=lambda text: Path(text).resolve())
    parser.add_argument("--same", type=Path, metavar="FILE")
    parser.add_argument("--apart", type=Path, metavar="FILE")
    parser.add_argument(
        "--work", type=lambda text: Path(os.path.abspath(text)), default=Path(tempfile.gettempdir()) / "compare_groups"
    )
    parser.add_argument("--photos", type=int, default=150, dest="count")
    parser.add_argument("--distractors", type=int, default=1499)
    parser.add_argument("--seed", type=int, default=0)
    for family in ("immaculate", "imagededup", "fastdup"):
        parser.add_argument(f"--{family}", metavar="PYTHON")
    parser.add_argument("--only", nargs="+", choices=sorted({tool.family for tool in TOOLS}), default=[])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--list", type=Path, metavar="FILE")
    return parser.parse_args()


def as_json(tool: Tool, run: Run, scores: dict[Tool, Score], named: dict[Tool, Score]) -> dict[str, object]:
    row = {"tool": tool.label, **asdict(run), "groups": len(run.groups)}
    return row | asdict(scores[tool]) | {"named_precision": named[tool].precision} if tool in scores else row


def take_folder(options: argparse.Namespace) -> dict[str, Picture]:
    """Made, unless the work folder has it: its pictures by the names of their files."""
    work, count = options.work, options.count
    same = read_pairs(options.same, options.photos) if options.same else set()
    left_out = {second for _, second in same}
    names = [str(path.relative_to(options.photos)) for path in find_images(options.photos) if path not in left_out]
    recipe = {"count": count, "distractors": options.distractors, "seed": options.seed}
    recipe["digest"] = hashlib.sha256("\n".join([*names, *ATTACKS]).encode()).hexdigest()
    if not (work / "recipe.json").exists():
        make_folder(options.photos, work / "folder", count, options.distractors, options.seed, same)
        (work / "recipe.json").write_text(json.dumps(recipe))
    if json.loads((work / "recipe.json").read_text()) != recipe:
        raise SystemExit(f"{work} holds a folder made otherwise: delete it, or name another --work")
    return {picture.name: picture for picture in read_truth(work / "truth.csv")}


def take_runs(options: argparse.Namespace) -> dict[Tool, Run]:
    runs = {}
    for tool in TOOLS:
        kept = options.work / f"{tool.file}.json"
        python = sys.executable if tool.family == "neardup" else getattr(options, tool.family)
        if python and (tool.family in options.only if options.only else not kept.exists()):
            print(f"{tool.label} ...", file=sys.stderr, flush=True)
            kept.write_text(json.dumps(asdict(run_tool(tool, python, options.work / "folder", options.work))))
        if kept.exists():
            runs[tool] = Run(**json.loads(kept.read_text()))
    return runs


def main() -> None:
    options = parsed()
    pictures, runs = take_folder(options), take_runs(options)
    apart = read_pairs(options.apart, options.photos) if options.apart else set()
    one_scene = [(str(a.relative_to(options.photos)), str(b.relative_to(options.photos))) for a, b in apart]
    found = {tool: set(map(frozenset, run.groups)) for tool, run in runs.items() if not run.reason}
    named = {tool: score(groups, pictures, one_scene) for tool, groups in found.items()}
    scores = {tool: score(joined(groups), pictures, one_scene) for tool, groups in found.items()}
    copies = sum(picture.kind in ATTACKS for picture in pictures.values())
    print(f"{len(pictures):,} images, {copies:,} of them copies of {options.count} photos; {os.cpu_count()} cores\n")
    write_tables(runs, scores, named)
    if options.json:
        rows = [as_json(tool, run, scores, named) for tool, run in runs.items()]
        options.json.write_text(json.dumps({"images": len(pictures), "copies": copies, "rows": rows}, indent=1))
    if options.list:
        write_list(options.list, found, pictures)


if __name__ == "__main__":
    main()
