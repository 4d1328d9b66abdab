"""Mend what can be mended of an index, and count what was lost.

Nothing that can be read is lost: a damaged catalogue is read into a new one and kept (salvage.py), wrong signatures are
computed anew from their embeddings, and missing content numbers are the catalogue's. What is left over costs: a row
that cannot be trusted leaves the index with its images, and the next `neardup index` embeds them anew.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.errors import DamagedIndex, IndexNotWritten
from neardup.index import catalog, owner, sound, store
from neardup.index.findings import Finding
from neardup.index.salvage import salvage
from neardup.index.segments import Examined, examine, settled
from neardup.index.store import CATALOG, Segment, SegmentRecord
from neardup.index.verify import catalogue_damage, contents_between, find_damage, planes_of, wrong_parts
from neardup.lsh import HashTables, signatures


@dataclass
class Repaired:
    """What a repair did."""

    found: list[Finding]  # before
    left: list[Finding]  # after
    images: int = 0  # in the index, after
    lost_images: int = 0  # that left it, and come back with the next `neardup index`
    lost_contents: int = 0  # whose embeddings could not be trusted, or were gone
    unread: dict[str, int | None] = field(default_factory=dict)  # rows of a damaged catalogue; None: unknown how many
    kept: Path | None = None  # that catalogue

    def is_mended(self, finding: Finding) -> bool:
        return finding not in self.left


def repair_index(folder: Path, *, trust: bool = False, wait: Callable[[str], None] | None = None) -> Repaired:
    """Mend an index under its writer's lock; a crash in between leaves what the next repair goes on from.

    Raises NotTrusted, IndexLocked, BadInput, DamagedIndex for what needs a person, IndexNotWritten.
    """
    found, _ = find_damage(folder)
    with store.write_lock(folder, wait):
        owner.claim(folder, trust=trust)
        try:
            result = Repaired(found, [])
            if not _is_sound(folder):
                made = salvage(folder)
                result.unread, result.kept = made.unread, made.aside
            _mend(folder, result)
        except (sqlite3.Error, OSError) as error:
            raise IndexNotWritten(f"{folder}: {error}; check the disk and its free space, then run again") from error
    result.left, seen = find_damage(folder)
    result.images = seen.images
    return result


def _is_sound(folder: Path) -> bool:
    path = folder / CATALOG
    try:
        with closing(catalog.open_to_read(folder)) as connection:
            return not any(catalogue_damage(connection, path))
    except DamagedIndex:
        return False


def _mend(folder: Path, result: Repaired) -> None:
    """Everything but the catalogue's own pages, in one transaction."""
    path = folder / CATALOG
    with closing(catalog.open_to_write(folder, rebuild=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        settings = catalog.read_settings(connection, path)
        held: list[NDArray[np.int64]] = []
        if settings is not None:
            planes = planes_of(*settings)
            for listed in catalog.read_segments(connection, path):
                record = settled(folder, listed)
                if record != listed:
                    connection.execute("DELETE FROM segments WHERE number = ?", (record.number,))
                    catalog.list_segment(connection, record)
                known = contents_between(connection, record)
                examined = examine(folder, record, settings[1], planes, known)
                held.append(_mend_segment(connection, folder, examined, known, planes))
        _forget_all_but(connection, held, result)
        _mend_rows(connection, None if settings is None else settings[0].dim)
        connection.execute("COMMIT")
        numbers = {number for (number,) in connection.execute("SELECT number FROM segments")}
    store.remove_unlisted(folder, numbers)


def _mend_segment(
    connection: sqlite3.Connection,
    folder: Path,
    examined: Examined,
    known: NDArray[np.int64],
    planes: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Write a segment anew where something is wrong with it; returns the contents that it holds."""
    record, contents = examined.record, examined.contents
    if contents is None:
        keep = np.zeros(record.rows, bool)
        contents = np.zeros(record.rows, np.int64)
    else:
        keep = examined.trusted & np.isin(contents, known)
    if examined.is_whole and keep.all():
        if examined.lacks_digests:
            values = examined.digests, record.number
            connection.execute("UPDATE segments SET digests = ? WHERE number = ?", values)
        return contents
    connection.execute("DELETE FROM segments WHERE number = ?", (record.number,))
    if keep.any():
        catalog.list_segment(connection, _rewrite(connection, folder, examined.embeddings, contents, keep, planes))
    return contents[keep]


def _rewrite(
    connection: sqlite3.Connection,
    folder: Path,
    embeddings: NDArray[np.float16],
    contents: NDArray[np.int64],
    keep: NDArray[np.bool_],
    planes: NDArray[np.float32],
) -> SegmentRecord:
    hashes = np.zeros((len(keep), len(planes)), np.uint64)
    with np.errstate(invalid="ignore", over="ignore"):  # rows that are not kept may be anything
        hashes[: len(embeddings)] = signatures(embeddings, planes)
    tables = HashTables.build(hashes, bits=planes.shape[1])
    numbers = [seq for (seq,) in connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'segments'")]
    number = 1 + max([0, *numbers, *store.segment_numbers(folder)])
    return store.write_segment(folder, number, [(Segment(embeddings, contents, tables), keep)])


def _forget_all_but(connection: sqlite3.Connection, held: Sequence[NDArray[np.int64]], result: Repaired) -> None:
    """Contents that no segment holds leave with their images."""
    run = connection.execute
    ids = np.fromiter((row[0] for row in run("SELECT id FROM contents ORDER BY id")), np.int64)
    gone = np.setdiff1d(ids, np.concatenate([*held, np.empty(0, np.int64)]), assume_unique=True)
    for (content,) in _rows(gone):
        run("DELETE FROM contents WHERE id = ?", (content,))
    result.lost_contents = len(gone)
    result.lost_images = run("DELETE FROM images WHERE content NOT IN (SELECT id FROM contents)").rowcount


def _rows(values: NDArray[np.int64]) -> Iterator[tuple[int]]:
    return ((value,) for value in values.tolist())


def _mend_rows(connection: sqlite3.Connection, dim: int | None) -> None:
    for table, condition, _ in sound.STRAY:
        connection.execute(f"DELETE FROM {table} WHERE {condition}")
    connection.execute(f"INSERT INTO dead {sound.UNUSED}")
    wrong = [] if dim is None else wrong_parts(connection, dim)
    connection.executemany("DELETE FROM parts WHERE content = ?", ((content,) for content in wrong))
