"""Every promise of an index folder, looked at; nothing is changed, and no lock is taken.

What this cannot find: a bit that flips inside a row of the catalogue and leaves another value that may be there, since
SQLite's pages carry no checksums.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput, DamagedIndex, NeardupError
from neardup.index import catalog, owner, sound, store
from neardup.index.catalog import Hashing, Model
from neardup.index.findings import REPAIR, Finding
from neardup.index.roots import read_roots
from neardup.index.segments import Examined, examine, settled
from neardup.index.store import CATALOG, SEGMENTS, SegmentRecord
from neardup.lsh import draw_hyperplanes

_MOST_SHOWN = 5  # complaints of SQLite
_TRIES = 3


@dataclass
class Seen:
    """How much there was to look at."""

    images: int = 0
    segments: int = 0
    size_bytes: int = 0


def find_damage(folder: Path) -> tuple[list[Finding], Seen]:
    """What is wrong with an index: its catalogue, its segments, and what they say of each other.

    Raises BadInput where there is no such folder, or it cannot be read.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no index there; make one with 'neardup index PATH --index {folder}'")
    for _ in range(_TRIES):
        seen, segments = Seen(), _listed(folder)
        found = list(_damage(folder, seen))
        # A writer may have merged segments meanwhile, and deleted the old ones.
        if not any(finding.path.is_relative_to(folder / SEGMENTS) for finding in found) or _listed(folder) == segments:
            break
    return found, seen


def _listed(folder: Path) -> list[int]:
    try:
        with closing(catalog.open_to_read(folder)) as connection, catalog.damage_named(folder / CATALOG):
            return [record.number for record in catalog.read_segments(connection, folder / CATALOG)]
    except DamagedIndex:
        return []


def _damage(folder: Path, seen: Seen) -> Iterator[Finding]:
    path = folder / CATALOG
    yield from _links(folder)
    try:
        connection = catalog.open_to_read(folder)
    except DamagedIndex as error:
        yield Finding(path, _reason(error, path), REPAIR)
        yield from _owner(folder)
        return
    with closing(connection):
        found = list(catalogue_damage(connection, path))
        yield from found
        if not found:
            yield from _stray_rows(connection, path)
            yield from _segments(connection, folder, seen)
    if path.exists():
        seen.size_bytes += path.stat().st_size
    yield from _owner(folder)


def _reason(error: DamagedIndex, path: Path) -> str:
    """An error's message without the file and the advice, which a finding has apart."""
    return str(error).removeprefix(f"{path}: ").removesuffix(f"; {store.REBUILD}")


def _links(folder: Path) -> Iterator[Finding]:
    for name in (CATALOG, SEGMENTS, store.LOCK):
        if (folder / name).is_symlink():
            yield Finding(folder / name, "is a link, which neardup never makes", "put back what belongs here", False)
    lock = folder / store.LOCK
    if os.path.lexists(lock) and not lock.is_file():
        yield Finding(lock, "is not a regular file", "remove it", False)
    for path in sorted(folder.glob(f"{catalog.DAMAGED}*")):
        if not path.name.endswith(("-wal", "-shm", "-journal")):
            told = "a damaged catalogue, kept since verdicts may be in it"
            yield Finding(path, told, "remove it when nothing is missed", False, False)


def catalogue_damage(connection: sqlite3.Connection, path: Path) -> Iterator[Finding]:
    """What is wrong with a catalogue that could be opened, whatever the segments are."""
    try:
        yield from (Finding(path, told, REPAIR) for told in _page_damage(connection))
        for table, count in sound.impossible_rows(connection):
            yield Finding(path, f"{table}: {count:,} rows that cannot be so", REPAIR)
        with catalog.damage_named(path):
            settings = catalog.read_settings(connection, path)
            records = catalog.read_segments(connection, path)
            catalog.read_dead(connection)
            read_roots(connection, path)
        if settings is None and records:
            yield Finding(path, "lists segments but no model", REPAIR)
    except DamagedIndex as error:
        yield Finding(path, _reason(error, path), REPAIR)
    except sqlite3.DatabaseError as error:
        yield Finding(path, str(error), REPAIR)


def _page_damage(connection: sqlite3.Connection) -> list[str]:
    found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MOST_SHOWN})")]
    # In several lines where it names a tree.
    return [] if found == ["ok"] else [" ".join(told.split())[:200] for told in found]


def _stray_rows(connection: sqlite3.Connection, path: Path) -> Iterator[Finding]:
    for table, condition, told in sound.STRAY:
        count = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0]
        if count:
            yield Finding(path, f"{table}: {count:,} rows {told}", REPAIR)
    unused = connection.execute(f"SELECT count(*) FROM ({sound.UNUSED})").fetchone()[0]
    if unused:
        yield Finding(path, f"contents: {unused:,} that no image has are not known to be dead", REPAIR)
    settings = catalog.read_settings(connection, path)
    if settings is not None and (wrong := wrong_parts(connection, settings[0].dim)):
        yield Finding(path, f"parts: {len(wrong):,} rows that are not {settings[0].dim} numbers each", REPAIR)


def wrong_parts(connection: sqlite3.Connection, dim: int) -> list[int]:
    """Contents whose parts are not like those of the others, or not finite."""
    sizes = "SELECT length(embeddings), count(*) FROM parts GROUP BY 1 ORDER BY 2 DESC, 1"
    usual = next((size for size, _ in connection.execute(sizes) if size and size % (2 * dim) == 0), None)
    wrong = []
    for content, blob in connection.execute("SELECT content, embeddings FROM parts"):
        if len(blob) != usual or not np.isfinite(np.frombuffer(blob, "<f2")).all():
            wrong.append(content)
    return wrong


def _segments(connection: sqlite3.Connection, folder: Path, seen: Seen) -> Iterator[Finding]:
    path = folder / CATALOG
    settings, records = catalog.read_settings(connection, path), catalog.read_segments(connection, path)
    seen.images = int(connection.execute("SELECT count(*) FROM images").fetchone()[0])
    yield from _unlisted(folder, {record.number for record in records})
    if settings is None:
        return
    planes = planes_of(*settings)
    placed = 0
    for listed in records:
        record = settled(folder, listed)
        if record != listed:
            yield Finding(path, f"segment {record.number}: has other contents than the catalogue says", REPAIR)
        known = contents_between(connection, record)
        placed += len(known)
        examined = examine(folder, record, settings[1], planes, known)
        yield from examined.findings
        yield from _disagreement(examined, known, path)
        if examined.lacks_digests and examined.is_whole:
            home = folder / SEGMENTS / str(record.number)
            yield Finding(home, "made before there were checksums", "'neardup repair' adds them", True, False)
        seen.segments += 1
        seen.size_bytes += sum(record.sizes)
    homeless = int(connection.execute("SELECT count(*) FROM contents").fetchone()[0]) - placed
    if homeless:
        yield Finding(path, f"contents: {homeless:,} that no segment holds", REPAIR)


def planes_of(model: Model, hashing: Hashing) -> NDArray[np.float32]:
    return draw_hyperplanes(tables=hashing.tables, bits=hashing.bits, dim=model.dim, seed=hashing.seed)


def contents_between(connection: sqlite3.Connection, record: SegmentRecord) -> NDArray[np.int64]:
    """What the catalogue has between a segment's first content and its last, ascending."""
    select = "SELECT id FROM contents WHERE id BETWEEN ? AND ? ORDER BY id"
    return np.fromiter((row[0] for row in connection.execute(select, (record.first, record.last))), np.int64)


def _disagreement(examined: Examined, known: NDArray[np.int64], path: Path) -> Iterator[Finding]:
    if examined.contents is None:
        return
    number = examined.record.number
    orphans = int(np.count_nonzero(~np.isin(examined.contents, known)))
    missing = int(np.count_nonzero(~np.isin(known, examined.contents)))
    if orphans:
        yield Finding(path, f"contents: {orphans:,} that segment {number} holds are not there", REPAIR)
    if missing:
        yield Finding(path, f"contents: {missing:,} between those of segment {number} are not in it", REPAIR)


def _unlisted(folder: Path, listed: set[int]) -> Iterator[Finding]:
    home = folder / SEGMENTS
    for path in sorted(home.iterdir()) if home.is_dir() else ():
        number = path.name.removesuffix(".tmp")
        if number.isascii() and number.isdigit() and path.suffix != ".tmp" and int(number) in listed:
            continue
        if store.is_left_over(path):
            yield Finding(
                path, "being written, or left by a run that was cut short", "the next run removes it", True, False
            )
        else:
            yield Finding(path, "is no part of this index", "move it away", False, False)


def _owner(folder: Path) -> Iterator[Finding]:
    path = folder / owner.FILE
    if owner.is_blank(folder) and not os.path.lexists(path):
        return
    try:
        found = owner.doubt(folder)
    except NeardupError as error:
        yield Finding(path, str(error), "see there", False, False)
        return
    if found is not None:
        told, is_damage = found
        yield Finding(path, told, "look at what is in it; 'neardup repair --trust' makes it yours", True, is_damage)
