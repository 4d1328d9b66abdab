"""Measure the main job on a folder of photos, by the commands that a user would type, and print a line for each.

python scripts/measure_index.py PHOTOS [--hostile FOLDER] [--kills 50] [--only NAME]

Parts: index (speed and memory, again, changed files), query (cold, beside `import tensorflow`), copies (found first),
kills (SIGKILL at random moments), hostile (odd and broken files). Nothing is written under PHOTOS.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image

from neardup.index import Index

NEARDUP = [sys.executable, "-m", "neardup"]


def resident_bytes(pid: int) -> int:
    """Of a process and everything below it."""
    total = 0
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total = int(line.split()[1]) * 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(resident_bytes(int(child)) for child in (task / "children").read_text().split())
    except OSError:
        pass
    return total


def run(*arguments: str | Path) -> tuple[list[dict], float, int]:
    """Run a command with --format json: what it printed, seconds, peak resident bytes of all its processes."""
    started = time.perf_counter()
    process = subprocess.Popen([*NEARDUP, *map(str, arguments), "--format", "json"], stdout=subprocess.PIPE)
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, resident_bytes(process.pid))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output = process.communicate()[0]
    watcher.join()
    if process.returncode:
        sys.exit(f"{arguments}: exit code {process.returncode}")
    return [json.loads(line) for line in output.splitlines()], time.perf_counter() - started, peak


def say(text: str) -> None:
    print(text, flush=True)


def images(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.jpg"))


def measure_index(photos: Path, work: Path) -> None:
    folder = shutil.copytree(photos, work / "photos")
    index = work / "index"
    [report], seconds, peak = run("index", folder, "--label-from-folder", "--index", index)
    say(
        f"index: {report['indexed']} images in {report['seconds']:.1f} s, {report['images_per_second']:.0f} images/s;"
        f" whole process {seconds:.1f} s, peak {peak / 1e6:.0f} MB"
    )
    [report], seconds, _ = run("index", folder, "--label-from-folder", "--index", index)
    say(f"again: {report['unchanged']} unchanged, whole process {seconds:.2f} s")
    paths = images(folder)
    for number in range(5):
        paths[number].write_bytes(paths[number + 100].read_bytes() + b"\0")
        paths[200 + number].unlink()
    for number in range(10):
        with Image.open(paths[300 + number]) as photo:
            photo.save(folder / f"added{number}.png")
    [report], seconds, _ = run("index", folder, "--label-from-folder", "--index", index)
    say(
        f"10 added, 5 changed, 5 deleted: indexed {report['indexed']}, removed {report['removed']},"
        f" unchanged {report['unchanged']}, in {seconds:.2f} s"
    )


def measure_query(photos: Path, work: Path) -> None:
    index = work / "query-index"
    run("index", photos, "--label-from-folder", "--index", index)
    path = images(photos)[1000]
    ours, theirs = [], []
    for _ in range(10):
        ours.append(run("query", path, "--top", "4", "--index", index)[1])
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, stderr=subprocess.DEVNULL)
        theirs.append(time.perf_counter() - started)
    mine, tensorflow = statistics.median(ours), statistics.median(theirs)
    say(
        f"cold query: median of 10 {mine:.2f} s ({min(ours):.2f} to {max(ours):.2f}), whole process;"
        f" 'import tensorflow' alone {tensorflow:.2f} s, {tensorflow / mine:.1f} times as long"
    )
    listed = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "neardup", "query", path, "--index", index],
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    heavy = [name for name in ("tensorflow", "keras", "matplotlib") if f" {name}\n" in listed]
    say(f"imported by it of tensorflow, keras, matplotlib: {heavy or 'none'}")


def measure_copies(photos: Path, work: Path) -> None:
    index, copies = work / "query-index", work / "copies"
    copies.mkdir()
    if not index.exists():
        run("index", photos, "--label-from-folder", "--index", index)
    chosen = random.Random(0).sample(images(photos), 200)
    for number, path in enumerate(chosen):
        with Image.open(path) as photo:
            photo.resize((photo.width // 2, photo.height // 2)).save(copies / f"{number:03}.jpg", quality=30)
    answers, _, _ = run("query", copies, "--top", "1", "--index", index)
    # The collection holds byte copies: finding one of them is as right.
    found = [Path(answer["matches"][0]["path"]).read_bytes() for answer in answers]
    first = sum(content == path.read_bytes() for content, path in zip(found, chosen, strict=True))
    say(f"copies at half size and JPEG quality 30: {first} of {len(chosen)} found first")


def measure_kills(photos: Path, work: Path, kills: int) -> None:
    index = work / "killed-index"
    wanted = len(images(photos))
    rng = random.Random(0)
    committed: set[Path] = set()
    finished = 0
    grown: list[int] = []  # images that a killed run had committed beyond the last
    for _ in range(kills):
        process = subprocess.Popen([*NEARDUP, "index", str(photos), "--index", str(index)], stdout=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(0.2, 20))
            finished += 1
            shutil.rmtree(index)
            committed = set()
            continue
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if not index.exists():
            continue
        with Index.open(index) as opened:
            now = {image.path for image in opened}
        if committed - now:
            sys.exit(f"lost {len(committed - now)} committed images")
        if len(now) > len(committed):
            grown.append(len(now) - len(committed))
        committed = now
    [report], _, _ = run("index", photos, "--index", index)
    with Index.open(index) as opened:
        held = len({image.path for image in opened})
    say(
        f"kills: {kills} runs, {kills - finished} killed and {finished} done before; the index opened every time and"
        f" lost nothing; {len(grown)} of the killed runs had committed more images, {sum(grown)} in all; the last run"
        f" found {report['unchanged']} done, and holds {held} of {wanted}"
    )


def measure_hostile(photos: Path, work: Path, hostile: Path) -> None:
    folder = work / "hostile"
    shutil.copytree(hostile, folder / "files")
    for path in images(photos)[:20]:
        shutil.copy(path, folder)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "loop").symlink_to(folder)
    good = images(photos)[30]
    shutil.copy(good, folder / 'a "name" with\na newline.jpg')
    [report], seconds, peak = run("index", folder, "--index", work / "hostile-index")
    with Index.open(work / "hostile-index") as opened:
        held = {image.path for image in opened}
    kept = sum(path.parent == folder for path in held)
    say(
        f"hostile: exit code 0 in {seconds:.1f} s, peak {peak / 1e6:.0f} MB; {report['indexed']} indexed (of them the"
        f" {kept} good ones), {len(report['failed'])} listed as unreadable"
    )
    for failure in report["failed"]:
        say(f"    {Path(failure['path']).name}: {failure['error']}")
    scenes: dict[str, list[Path]] = {}
    for path in sorted((folder / "files" / "exif_orientation").iterdir()):
        scenes.setdefault(path.stem.rpartition("_")[0], []).append(path)
    for scene, paths in scenes.items():
        lowest = min(
            run("compare", a, b, "--min-similarity", "0.98")[0][0]["similarity"]
            for number, a in enumerate(paths)
            for b in paths[number + 1 :]
        )
        say(f"    EXIF orientations of {scene}: {len(paths)} files, lowest similarity of two {lowest:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--hostile", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--only", action="append")
    options = parser.parse_args()
    photos = options.photos.resolve()
    parts = options.only or ["index", "query", "copies", "kills", "hostile"]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if "index" in parts:
            measure_index(photos, work)
        if "query" in parts:
            measure_query(photos, work)
        if "copies" in parts:
            measure_copies(photos, work)
        if "kills" in parts:
            measure_kills(photos, work, options.kills)
        if "hostile" in parts and options.hostile:
            measure_hostile(photos, work, options.hostile.resolve())


if __name__ == "__main__":
    main()
