"""Small files in groups, as the grouping would give them, and what must hold of them at any time."""

import hashlib
import os
from collections import Counter
from pathlib import Path

from neardup.groups import DuplicateGroup, Member


def put(path: Path, content: bytes, *, mtime_ns: int = 1_600_000_000_123_456_789, mode: int = 0o640) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def member_of(path: Path, *, similarity: float = 1.0, width: int = 4, height: int = 3) -> Member:
    found = path.stat()
    digest = hashlib.sha256(path.read_bytes()).digest()
    return Member(path, similarity, "exact", width, height, found.st_size, found.st_mtime_ns, digest, None)


def group_of(*paths: Path) -> DuplicateGroup:
    return DuplicateGroup(tuple(member_of(path) for path in paths))


def make_groups(folder: Path, groups: int, members: int, *, same_bytes: bool) -> list[DuplicateGroup]:
    """Files like /album0/3.jpg; the first of each group is its keeper."""
    return [
        group_of(
            *(
                put(
                    folder / f"album{number}" / f"{member}.jpg",
                    b"picture %d" % number + b"" if same_bytes else b"picture %d, version %d" % (number, member),
                    mtime_ns=1_500_000_000_000_000_000 + 1000 * number + member,
                )
                for member in range(members)
            )
        )
        for number in range(groups)
    ]


def contents_below(*folders: Path) -> Counter[bytes]:
    """How many regular files hold each content, temporary ones too."""
    found: Counter[bytes] = Counter()
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.suffix not in (".trashinfo", ".jsonl"):
                found[path.read_bytes()] += 1
    return found


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every file below, with all that undo promises to bring back."""
    result: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        found = path.lstat()
        if path.is_symlink():
            result[str(path)] = ("link", str(path.readlink()))
        elif path.is_file():
            result[str(path)] = (path.read_bytes(), found.st_mode, found.st_mtime_ns, found.st_nlink)
    return result
