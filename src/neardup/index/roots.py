"""The folders that an index was given, where the index itself lay, and what follows when either is elsewhere now.

An index that moved together with its photos goes on: paths below a recorded folder that is gone are taken for paths at
the same place relative to the index, where there is such a folder now. A folder that is gone or empty, and cannot be
found so, is a disk that is away until a person says otherwise: what is recorded below it stays.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from neardup.errors import DamagedIndex
from neardup.index.store import REBUILD

_MOST_ROOTS = 100_000
# From a folder that is gone to where its files are now; both without a slash at the end.
Move = tuple[bytes, bytes]


@dataclass(frozen=True)
class Root:
    """A folder that was indexed, or a volume that was met below one."""

    path: Path
    passed_over: Mapping[str, int]  # files that look like pictures and were not read, by kind
    images: int = 0  # in the index, below it

    @property
    def is_there(self) -> bool:
        return not is_away(os.fsencode(self.path))


@dataclass(frozen=True)
class Away:
    """A folder that is gone or empty, though images are recorded below it."""

    path: Path
    images: int


def range_below(root: bytes) -> tuple[bytes, bytes]:
    """What lies below '/a/b' sorts from '/a/b/' up to '/a/b0', the character after '/'."""
    below = root.rstrip(b"/")
    return below + b"/", below + b"0"


def is_at_or_below(path: bytes, root: bytes) -> bool:
    return path == root or path.startswith(range_below(root)[0])


def is_away(root: bytes) -> bool:
    """Whether a folder is missing, empty or out of reach, as that of a disk that is not there."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None
    except NotADirectoryError:
        return False
    except OSError:
        return True


def outermost(roots: Iterable[bytes]) -> list[bytes]:
    found: list[bytes] = []
    for root in sorted(roots):
        if not any(is_at_or_below(root, other) for other in found):
            found.append(root)
    return found


def read_roots(connection: sqlite3.Connection, path: Path) -> dict[bytes, dict[str, int]]:
    """Every recorded folder, and what was passed over in it; raises DamagedIndex.

    path: of the catalogue, for the message
    """
    rows = connection.execute("SELECT path, passed_over FROM roots LIMIT ?", (_MOST_ROOTS,)).fetchall()
    return {_checked(root, path): _kinds(kinds, path) for root, kinds in rows}


def _checked(root: object, path: Path) -> bytes:
    if not isinstance(root, bytes) or not root.startswith(b"/") or b"\0" in root:
        raise DamagedIndex(f"{path}: {root!r:.60} is not a folder's path; {REBUILD}")
    return root


def _kinds(text: object, path: Path) -> dict[str, int]:
    try:
        kinds = json.loads(str(text))
    except (ValueError, RecursionError):
        kinds = None
    if not isinstance(kinds, dict) or not all(type(n) is int and 0 <= n < 2**63 for n in kinds.values()):
        raise DamagedIndex(f"{path}: what was passed over is {text!r:.60}; {REBUILD}")
    return kinds


def record_roots(connection: sqlite3.Connection, roots: Iterable[Root], volumes: Iterable[Path]) -> None:
    """Keep what a run was given, with what it passed over there, and the volumes that it met below."""
    rows = ((os.fsencode(root.path), json.dumps(dict(root.passed_over))) for root in roots)
    connection.executemany("REPLACE INTO roots VALUES (?, ?)", rows)
    connection.executemany("INSERT OR IGNORE INTO roots VALUES (?, '{}')", ((os.fsencode(v),) for v in volumes))


def moves_of(connection: sqlite3.Connection, folder: Path, path: Path) -> list[Move]:
    """Where recorded paths are to be found, now that the index lies in this folder; none where it did not move."""
    row = connection.execute("SELECT path FROM home").fetchone()
    here = os.fsencode(os.path.realpath(folder))
    if row is None or _checked(row[0], path) == here:
        return []
    old, new = os.path.dirname(row[0]), os.path.dirname(here)  # noqa: PTH120 (bytes)
    roots = outermost(root for root in (*read_roots(connection, path), old) if is_away(root))
    old_base, new_base = _without_common_end(old, new)
    moves: list[Move] = []
    for root in roots:
        target = new_base + root[len(old_base) :]
        if is_at_or_below(root, old_base) and not is_away(target):
            moves.append((root, target))
    return moves


def _without_common_end(old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """Both paths without the names at their ends that they share: what lies below the one is sought below the other."""
    a, b = old.rstrip(b"/").split(b"/"), new.rstrip(b"/").split(b"/")
    while len(a) > 1 and len(b) > 1 and a[-1] == b[-1]:
        a.pop()
        b.pop()
    return b"/".join(a), b"/".join(b)


def moved(path: bytes, moves: Iterable[Move]) -> bytes:
    for old, new in moves:
        if is_at_or_below(path, old):
            return new + path[len(old) :]
    return path


def settle_home(connection: sqlite3.Connection, folder: Path, path: Path) -> None:
    """Record where the index lies, and where its images are now, if it has moved with them; in one transaction."""
    moves = moves_of(connection, folder, path)
    here = os.fsencode(os.path.realpath(folder))
    if connection.execute("SELECT path FROM home").fetchall() == [(here,)]:
        return
    connection.execute("BEGIN IMMEDIATE")
    for move in moves:
        for table in ("images", "failures", "roots"):
            _move_rows(connection, table, move)
    if moves:
        connection.execute(
            "INSERT OR IGNORE INTO dead SELECT id FROM contents"
            " WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.content = contents.id)"
        )
    connection.execute("DELETE FROM home")
    connection.execute("INSERT INTO home VALUES (?)", (here,))
    connection.execute("COMMIT")


def _move_rows(connection: sqlite3.Connection, table: str, move: Move) -> None:
    """What is recorded under both paths stays as it is recorded under the new one."""
    old, new = move
    which = "path = ? OR (path >= ? AND path < ?)"
    values = (old, *range_below(old))
    change = f"UPDATE OR IGNORE {table} SET path = CAST(? || substr(path, ?) AS BLOB) WHERE {which}"
    connection.execute(change, (new, len(old) + 1, *values))
    connection.execute(f"DELETE FROM {table} WHERE {which}", values)
