"""Duplicate groups of generated pictures, as the grouping would give them."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from neardup.groups import DuplicateGroup, Member


def save_photo(path: Path, *, seed: int, size: tuple[int, int] = (320, 240)) -> Path:
    """A picture of soft colours that no other seed gives."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    small.resize(size, Image.Resampling.BICUBIC).save(path, "JPEG", quality=90)
    return path


def member_of(path: Path, similarity: float = 1.0, relation: str | None = "exact", **changes: object) -> Member:
    found = path.stat()
    with Image.open(path) as image:
        width, height = image.size
    facts = {
        "width": width,
        "height": height,
        "size_bytes": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "digest": hashlib.sha256(path.read_bytes()).digest(),
        "label": None,
    }
    return Member(path, similarity, relation, **(facts | changes))  # type: ignore[arg-type]


def group_of(*members: Member) -> DuplicateGroup:
    return DuplicateGroup(tuple(members))


def near_group(folder: Path, *, seed: int, members: int = 2) -> DuplicateGroup:
    """A keeper, and smaller pictures of it that fall off in similarity."""
    keeper = save_photo(folder / f"photo{seed}.jpg", seed=seed)
    copies = [
        save_photo(folder / "copies" / f"photo{seed}_{n}.jpg", seed=seed, size=(200 - n, 150 - n))
        for n in range(1, members)
    ]
    return group_of(member_of(keeper), *(member_of(path, 0.99 - 0.01 * n, "copy") for n, path in enumerate(copies)))


def exact_group(folder: Path, *, seed: int, members: int = 2) -> DuplicateGroup:
    """Byte copies."""
    keeper = save_photo(folder / f"photo{seed}.jpg", seed=seed)
    copies = [folder / "copies" / f"photo{seed}_{n}.jpg" for n in range(1, members)]
    for copy in copies:
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(keeper.read_bytes())
    return group_of(*(member_of(path) for path in (keeper, *copies)))
