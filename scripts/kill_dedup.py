"""`neardup dedup --apply` killed at random moments, then taken back or applied again: is every file still there?

    python scripts/kill_dedup.py [--kills 100] [--groups 40] [--seed 0]

Small pictures in groups of five (two of them byte copies) are indexed once. Each round restores them, starts dedup with
one of the actions in turn, and kills it (SIGKILL) at a random moment after its journal has appeared. Then every content
must still be in some file (with delete: every keeper), by SHA-256. Rounds then end in turn with `neardup undo`, after
which all files are as before (content, time, permissions), or with a second --apply, after which every group has its
keeper and nothing else is left to do. Exits with 1 at the first file that is lost.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ACTIONS = ("trash", "move", "hardlink", "symlink", "delete")
# Each round's index is a copy of the first, which dedup takes for a stranger's; undo then needs no word any more.
APPLY = ("--apply", "--trust")


def neardup(home: Path, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "neardup", *map(str, arguments), "--index", str(home / "index")]


def environment(home: Path) -> dict[str, str]:
    user = {"HOME": str(home / "user"), "XDG_DATA_HOME": str(home / "user" / "data")}
    return os.environ | user | {"NEARDUP_STATE": str(home / "state")}


def make_photos(folder: Path, groups: int) -> None:
    """Of each picture: a PNG, a JPEG, the JPEG's copy, a smaller JPEG, a coarser one."""
    for number in range(groups):
        rng = np.random.default_rng(number)
        picture = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8)).resize(
            (160, 120), Image.Resampling.BICUBIC
        )
        home = folder / f"album{number:03d}"
        home.mkdir(parents=True)
        picture.save(home / "a.png")
        picture.save(home / "b.jpg", quality=95)
        shutil.copyfile(home / "b.jpg", home / "c.jpg")
        picture.resize((120, 90)).save(home / "d.jpg", quality=90)
        picture.save(home / "e.jpg", quality=60)


def restore(home: Path) -> None:
    for name in ("photos", "index", "user", "moved"):
        shutil.rmtree(home / name, ignore_errors=True)
    for name in ("photos", "index"):
        shutil.copytree(home / "saved" / name, home / name)
    (home / "user" / "data").mkdir(parents=True)


def states(folder: Path) -> dict[str, tuple[str, int, int]]:
    return {
        str(path): (digest(path), path.lstat().st_mode, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(home: Path) -> set[str]:
    places = (home / "photos", home / "moved", home / "user")
    return {digest(path) for place in places for path in place.rglob("*") if path.is_file() and not path.is_symlink()}


def kill_once(home: Path, command: Sequence[str], delay_s: float) -> bool:
    """Start, wait for the journal, wait on, kill; whether the process was still at work then."""
    process = subprocess.Popen(command, env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journals = home / "index" / "actions"
    while process.poll() is None and not any(journals.glob("*.jsonl")):
        time.sleep(0.001)
    time.sleep(delay_s)
    was_running = process.poll() is None
    process.kill()
    process.wait()
    return was_running


def run(home: Path, *arguments: object) -> dict[str, Any]:
    command = neardup(home, *arguments, "--format", "json")
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout else {"error": done.stderr.strip()}


def check(holds: bool, what: str, home: Path) -> None:
    if not holds:
        print(f"LOST: {what}; everything is in {home}")
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--groups", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)

    home = Path(tempfile.mkdtemp(prefix="kill_dedup"))
    make_photos(home / "photos", options.groups)
    subprocess.run(neardup(home, "index", home / "photos"), check=True, env=environment(home))
    for name in ("photos", "index"):
        shutil.copytree(home / name, home / "saved" / name)
    before = states(home / "photos")
    all_contents = {content for content, _, _ in before.values()}

    tally: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    keepers: dict[str, set[str]] = {}
    round_number = 0
    while tally["killed"] < options.kills:
        action = ACTIONS[round_number % len(ACTIONS)]
        round_number += 1
        arguments = ["dedup", "--min-similarity", 0.9, "--action", action]
        arguments += ["--to", home / "moved"] if action == "move" else []
        restore(home)
        if action not in seconds:  # how long the work itself takes, to choose moments within it
            keepers[action] = {step["keeper"] for step in run(home, *arguments)["steps"]}
            started = time.perf_counter()
            run(home, *arguments, *APPLY)
            seconds[action] = max(0.02, (time.perf_counter() - started) * 0.3)
            restore(home)
        delay_s = rng.uniform(0, seconds[action])
        was_running = kill_once(home, neardup(home, *arguments, *APPLY), delay_s)
        tally["killed"] += was_running
        tally["had ended"] += not was_running
        tally[f"killed in {action}"] += was_running
        print(f"{round_number}: {action}, killed after {delay_s:.3f} s" if was_running else f"{round_number}: too late")
        if not was_running:
            seconds[action] *= 0.8
        here = contents(home)
        check(all(digest(Path(k)) == before[k][0] for k in keepers[action]), f"a keeper ({action})", home)
        check(action == "delete" or all_contents <= here, f"a content after {action}", home)
        if round_number % 2 and action != "delete":
            undone = run(home, "undo")
            check(undone.get("failed", 0) == 0, f"undo of {action}: {undone}", home)
            check(states(home / "photos") == before, f"a file is not as it was after undo of {action}", home)
            tally["taken back"] += 1
        else:
            again = run(home, *arguments, *APPLY)
            check(all(step["status"] != "failed" for step in again["steps"]), f"second apply of {action}", home)
            check(not run(home, *arguments)["steps"], f"{action} left something to do", home)
            check(all(digest(Path(k)) == before[k][0] for k in keepers[action]), f"a keeper ({action}, again)", home)
            check(action == "delete" or all_contents <= contents(home), f"a content after a second {action}", home)
            check(not list(home.rglob("*.neardup-tmp")), f"{action} left a temporary file", home)
            tally["applied again"] += 1
    shutil.rmtree(home)
    print(", ".join(f"{name}: {count}" for name, count in sorted(tally.items())))
    print("No file lost, no group without its keeper.")


if __name__ == "__main__":
    main()
