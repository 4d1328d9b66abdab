"""What contents looked like of which a person said something: so that it holds when only their metadata change.

A verdict is about two contents, by the SHA-256 of their files, and a tag or a rating that is written into a file makes
another content of it. That takes over what was said of the one that had its name, its size and its very pixels. No file
is read for this but those that a verdict is about, once, and those that have the name and size of one.
"""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from neardup.index import catalog
from neardup.index.notes import writable_catalog
from neardup.index.roots import moved, moves_of
from neardup.index.store import CATALOG

_SELECT_MISSING = (
    "SELECT contents.digest, min(images.path), width, height"
    " FROM (SELECT first AS digest FROM verdicts UNION SELECT second FROM verdicts) AS said"
    " CROSS JOIN contents ON contents.digest = said.digest CROSS JOIN images ON images.content = contents.id"
    " WHERE NOT EXISTS (SELECT 1 FROM looks WHERE looks.digest = said.digest) GROUP BY contents.digest"
)


@dataclass(frozen=True)
class Look:
    """What a content looked like."""

    digest: bytes  # SHA-256 of the file
    path: Path  # where it is or was: its name counts
    width: int  # pixels, upright
    height: int
    pixels: bytes = b""  # SHA-256 of them; empty where they could not be decoded, or are not known yet


def missing_looks(folder: Path) -> list[Look]:
    """Contents in the index that a verdict is about, and of which nobody has looked at the pixels.

    Raises BadInput, DamagedIndex.
    """
    path = folder / CATALOG
    with closing(catalog.open_to_read(folder)) as connection, catalog.damage_named(path):
        moves = moves_of(connection, folder, path)
        rows = connection.execute(_SELECT_MISSING).fetchall()
    return [Look(d, Path(os.fsdecode(moved(p, moves))), w, h) for d, p, w, h in rows if _is_sound(d, p)]


def _is_sound(digest: object, path: object) -> bool:
    return isinstance(digest, bytes) and len(digest) == 32 and isinstance(path, bytes) and b"\0" not in path


def record_looks(folder: Path, looks: Iterable[Look]) -> None:
    """Keep these; raises IndexLocked, BadInput, DamagedIndex, IndexNotWritten."""
    with writable_catalog(folder) as connection:
        for look in looks:
            keep_look(connection, look)


def keep_look(connection: sqlite3.Connection, look: Look) -> None:
    values = look.digest, os.fsencode(look.path.name), look.width, look.height, look.pixels
    connection.execute("REPLACE INTO looks VALUES (?, ?, ?, ?, ?)", values)


def likely_looks(connection: sqlite3.Connection, look: Look) -> dict[bytes, bytes]:
    """Pixel digests, by the digests of their files, of known contents with this one's name and size."""
    rows = connection.execute(
        "SELECT digest, pixels FROM looks WHERE name = ? AND width = ? AND height = ? AND length(pixels) = 32",
        (os.fsencode(look.path.name), look.width, look.height),
    ).fetchall()
    return dict(rows)


def take_over(connection: sqlite3.Connection, new: bytes, old: bytes) -> None:
    """What was said of a content is said of another with the same pixels; of the old one no more if it is gone."""
    connection.execute(
        "INSERT OR IGNORE INTO verdicts SELECT min(other, :new), max(other, :new), verdict FROM"
        " (SELECT CASE first WHEN :old THEN second ELSE first END AS other, verdict FROM verdicts"
        " WHERE first = :old OR second = :old) WHERE other <> :new",
        {"new": new, "old": old},
    )
    connection.execute(
        "DELETE FROM verdicts WHERE (first = :old OR second = :old) AND NOT EXISTS"
        " (SELECT 1 FROM images JOIN contents ON contents.id = images.content WHERE digest = :old)",
        {"old": old},
    )
