"""Index photos and query them, as a user would; prints the commands, what they print, and where the pictures are.

python scripts/run_demo.py PHOTOS OUTPUT
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

NEARDUP = Path(sys.executable).with_name("neardup")


def run(*arguments: str | Path) -> None:
    shown = shlex.join(["neardup", *(os.path.relpath(a) if isinstance(a, Path) else a for a in arguments)])
    print(f"\n$ {shown}", flush=True)
    subprocess.run([NEARDUP, *map(str, arguments)], check=True)


def choose(photos: Path) -> list[Path]:
    """Three photos to ask for: edited ones of the samples, else three that lie far apart in the order of names."""
    from neardup.images import find_images

    samples = [photos / name for name in ("chelsea-faded.webp", "astronaut-captioned.jpg", "coffee-cropped.jpg")]
    if all(sample.exists() for sample in samples):
        return samples
    found = list(find_images(photos))
    return [found[len(found) * place // 6] for place in (1, 3, 5)] if len(found) >= 3 else found


def main(photos: Path, output: Path) -> None:
    index = output / "index"
    shutil.rmtree(index, ignore_errors=True)
    run("index", photos, "--index", index)
    run("info", "--index", index)

    pictures = []
    for photo in choose(photos):
        pictures.append(output / f"query-{photo.stem}.png")
        run("query", photo, "--index", index, "--top", "8", "--plot", pictures[-1])
    run("groups", "--index", index, "--output", output / "groups.html")
    print("\nThe pictures of what was found:")
    for picture in pictures:
        print(f"  {picture.resolve()}")
    print(f"All groups of near-duplicates, as a page to look at:\n  {(output / 'groups.html').resolve()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
