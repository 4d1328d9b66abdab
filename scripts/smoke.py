"""The main job on one Python: a plain installation in a new environment, then index, query, groups and dedup on sample
photos, each held to what it must find.

python scripts/smoke.py PYTHON
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
CHECK = "import sys; from importlib.util import find_spec; print(sys.version.split()[0], find_spec('tensorflow'))"


def run(*command: str | Path) -> str:
    """What a command prints; its own words end this script where it fails."""
    ran = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {ran.returncode}")
    return ran.stdout


def install(python: str, folder: Path) -> Path:
    run(python, "-m", "venv", folder)
    pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check")
    run(*pip, REPOSITORY)
    run(*pip, "--no-deps", "scikit-image>=0.24")  # for the photographs in its wheel
    return folder / "bin"


def check(neardup: Path, photos: Path, index: Path) -> None:
    def results(command: str, *arguments: str | Path) -> list[dict[str, Any]]:
        printed = run(neardup, command, *arguments, "--index", index, "--format", "json")
        return [json.loads(line) for line in printed.splitlines()]

    [indexed] = results("index", photos)
    assert (indexed["indexed"], indexed["failed"], indexed["images"]) == (60, [], 60), indexed
    [again] = results("index", photos)
    assert (again["indexed"], again["unchanged"]) == (0, 60), again

    [answer] = results("query", photos / "chelsea-faded.webp", "--plot", index.with_name("query.png"))
    found = [Path(match["path"]).name for match in answer["matches"]]
    assert found[0] == "chelsea-faded.webp", found
    assert "chelsea.jpg" in found, found
    assert index.with_name("query.png").stat().st_size > 10_000

    groups = [{Path(image["path"]).name for image in group["images"]} for group in results("groups")]
    assert any({"astronaut.jpg", "astronaut-small.jpg"} <= group for group in groups), groups
    before = sorted(photos.iterdir())
    [plan] = results("dedup", "--action", "trash")
    assert plan["files"] > 0, plan
    assert sorted(photos.iterdir()) == before


def main(python: str) -> None:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="neardup-smoke-") as name:
        folder = Path(name)
        commands = install(python, folder / "environment")
        version, tensorflow = run(commands / "python", "-c", CHECK).split(maxsplit=1)
        assert tensorflow.strip() == "None", "a plain installation brought TensorFlow"
        photos = folder / "photos"
        run(commands / "python", REPOSITORY / "scripts" / "make_sample_photos.py", photos)
        os.chdir(folder)
        check(commands / "neardup", photos, folder / "index")
    seconds = time.perf_counter() - started
    print(f"Python {version}: a plain installation indexes, queries, groups and plans; {seconds:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1])
