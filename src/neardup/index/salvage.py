"""What can be read of a damaged catalogue, in a new one.

Every table is read from both ends up to the pages that cannot be; rows that cannot be so are left out. The old
catalogue stays beside the new one as catalog.damaged, so that nothing is lost that someone else could still read.
"""

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neardup.durable import sync_directory
from neardup.errors import DamagedIndex
from neardup.index import catalog, sound
from neardup.index.segments import examine, proves, settled
from neardup.index.store import CATALOG, DIGESTS_BYTES, FILES, SEGMENTS, SegmentRecord, segment_numbers
from neardup.index.verify import contents_between, planes_of
from neardup.reading import check_regular, digest_regular

_NEW = "catalog.new"
_ROWS_AT_A_TIME = 1024


@dataclass
class Salvaged:
    """What a new catalogue was made of."""

    aside: Path | None = None  # the old one
    unread: dict[str, int | None] = field(default_factory=dict)  # rows of a table; None: nobody knows how many


def salvage(folder: Path) -> Salvaged:
    """Put a new catalogue in the place of a damaged one. The caller holds the write lock.

    Segments that it says nothing of are listed again where all that they hold agrees with it. A crash in between leaves
    catalog.damaged and no catalogue, from which the next repair goes on.
    """
    path = folder / CATALOG
    was_there = path.exists()
    catalog.refuse_newer(path)
    if was_there:
        catalog.set_aside(folder)
    result = Salvaged(catalog.latest_aside(folder))
    new = folder / _NEW
    for file in (new, *catalog.companions(new)):
        file.unlink(missing_ok=True)
    with closing(catalog.create(new)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        if result.aside is not None:
            with suppress(sqlite3.Error, OSError), closing(_open_damaged(result.aside)) as damaged:
                for table in _tables(damaged):
                    result.unread.update(_copy(damaged, connection, table))
        _leave_out_impossible(connection, result)
        _settle_settings(connection, path)
        _settle_segments(connection, folder, is_current=was_there)
        connection.execute("COMMIT")
    with new.open("rb") as written:
        os.fsync(written.fileno())
    new.replace(path)
    sync_directory(folder)
    return result


def _open_damaged(path: Path) -> sqlite3.Connection:
    """Read only, so that nothing in it is followed, rolled back or merged for good."""
    check_regular(path)
    # A log that cannot be one would be waited for; `immutable` looks for none.
    modes = (
        ("mode=ro", "immutable=1") if all(map(_is_absent_or_regular, catalog.companions(path))) else ("immutable=1",)
    )
    for mode in modes:
        connection = catalog.connect(f"{path.absolute().as_uri()}?{mode}")
        try:
            connection.execute("PRAGMA cell_size_check = OFF")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        except sqlite3.Error as error:
            connection.close()
            last = error
    raise last


def _is_absent_or_regular(path: Path) -> bool:
    return not os.path.lexists(path) or (path.is_file() and not path.is_symlink())


def _tables(damaged: sqlite3.Connection) -> list[str]:
    """Ours that are there as tables: a view of their name would compute whatever its maker likes."""
    found = damaged.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0")
    names = {name for (name,) in found}
    return [name for name, sql in catalog.SCHEMA.items() if sql.startswith("CREATE TABLE") and name in names]


def _copy(damaged: sqlite3.Connection, new: sqlite3.Connection, table: str) -> dict[str, int | None]:
    """Copy the rows that can be read; returns how many of the table could not, where there are some."""
    wanted = [row[1] for row in new.execute(f"PRAGMA table_info({table})")]
    keys = [row[1] for row in sorted(new.execute(f"PRAGMA table_info({table})"), key=lambda row: row[5]) if row[5]]
    there = {row[1] for row in damaged.execute(f"PRAGMA table_info({table})")}
    columns = [name for name in wanted if name in there]
    if not set(keys) <= there:
        return {table: None}
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
    is_whole = True
    for order in ("ASC", "DESC"):
        by = ", ".join(f"{key} {order}" for key in keys)
        is_whole = _copy_run(damaged, new, f"SELECT {names} FROM {table} ORDER BY {by}", insert)
        if is_whole:
            return {}
    with suppress(sqlite3.Error):
        total = int(damaged.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        return {table: max(0, total - int(new.execute(f"SELECT count(*) FROM {table}").fetchone()[0]))}
    return {table: None}


def _copy_run(damaged: sqlite3.Connection, new: sqlite3.Connection, select: str, insert: str) -> bool:
    """Copy rows up to the first that cannot be read; returns whether there was none."""
    damaged.text_factory = lambda text: text.decode("utf-8", "replace")
    rows: list[Any] = []
    try:
        for row in damaged.execute(select):
            rows.append(row)
            if len(rows) >= _ROWS_AT_A_TIME:
                new.executemany(insert, rows)
                rows = []
    except sqlite3.DatabaseError:
        return False
    finally:
        new.executemany(insert, rows)
    return True


def _leave_out_impossible(connection: sqlite3.Connection, result: Salvaged) -> None:
    sound.teach(connection)
    turned = "typeof(first) = 'blob' AND typeof(second) = 'blob' AND first > second"
    connection.execute(f"UPDATE OR IGNORE verdicts SET first = second, second = first WHERE {turned}")
    for table, condition in sound.IMPOSSIBLE.items():
        removed = connection.execute(f"DELETE FROM {table} WHERE {condition}").rowcount
        before = result.unread.get(table, 0)
        if removed:
            result.unread[table] = None if before is None else before + removed


def _settle_settings(connection: sqlite3.Connection, path: Path) -> None:
    """Without the model that made them, embeddings are of no use."""
    with suppress(DamagedIndex):
        if catalog.read_settings(connection, path) is not None:
            return
    connection.execute("DELETE FROM meta")
    connection.execute("DELETE FROM segments")


def _settle_segments(connection: sqlite3.Connection, folder: Path, *, is_current: bool) -> None:
    """List what the files prove, and nothing that cannot be so; the number of the next segment is a new one.

    is_current: the catalogue was in use until now, and its numbers of contents mean what those of the files mean: then
                segments are listed, too, whose record could not be read, but which hold just what the catalogue has
    """
    settings = catalog.read_settings(connection, folder / CATALOG)
    listed = connection.execute("SELECT * FROM segments ORDER BY number DESC").fetchall()
    connection.execute("DELETE FROM segments")
    numbers = segment_numbers(folder)
    kept: list[SegmentRecord] = []
    if settings is not None:
        records = [found for row in listed if (found := _record(row, folder, is_current)) is not None]
        known = {record.number for record in records}
        if is_current:
            guessed = (_guess(folder, number) for number in numbers if number not in known)
            agreeing = (r for r in guessed if r is not None and _agrees(connection, folder, r, *settings))
            records += list(agreeing)
        for record in sorted(records, key=lambda record: record.number, reverse=True):
            if all(record.last < other.first or record.first > other.last for other in kept):
                kept.append(record)
    for record in kept:
        catalog.list_segment(connection, record)
    highest = max([*numbers, *(row[0] for row in listed if isinstance(row[0], int)), 0])
    connection.execute("DELETE FROM sqlite_sequence")
    connection.execute("INSERT INTO sqlite_sequence VALUES ('segments', ?)", (min(highest, 2**61),))


def _record(row: tuple[Any, ...], folder: Path, is_current: bool) -> SegmentRecord | None:
    """A segment as it is listed; rows, first and last by its contents, where they are those that were written."""
    *numbers, digests = row
    if not all(isinstance(value, int) and 0 <= value < 2**62 for value in numbers):
        return None
    if not isinstance(digests, bytes) or len(digests) not in (0, DIGESTS_BYTES):
        return None
    number, rows, first, last, *sizes = numbers
    record = SegmentRecord(number, rows, first, last, (sizes[0], sizes[1], sizes[2], sizes[3]), digests)
    if (proven := settled(folder, record)) != record:
        return proven
    is_current = is_current or proves(folder, record, *range(len(FILES)))
    return record if is_current and 1 <= rows < 1 << 32 and first <= last else None


def _guess(folder: Path, number: int) -> SegmentRecord | None:
    """What a record of this segment would say, by its files; None where they cannot be read."""
    home = folder / SEGMENTS / str(number)
    try:
        check_regular(home / FILES[1])
        contents = np.load(home / FILES[1], mmap_mode="r", allow_pickle=False)
        sizes = [(home / name).stat().st_size for name in FILES]
        digests = b"".join(bytes.fromhex(digest_regular(home / name)) for name in FILES)
    except (OSError, ValueError, EOFError):
        return None
    if contents.ndim != 1 or contents.dtype != np.dtype("<i8") or not len(contents):
        return None
    first, last = int(contents[0]), int(contents[-1])
    if not 0 < first <= last < 2**62:
        return None
    return SegmentRecord(number, len(contents), first, last, (sizes[0], sizes[1], sizes[2], sizes[3]), digests)


def _agrees(
    connection: sqlite3.Connection, folder: Path, record: SegmentRecord, model: catalog.Model, hashing: catalog.Hashing
) -> bool:
    known = contents_between(connection, record)
    examined = examine(folder, record, hashing, planes_of(model, hashing), known)
    return examined.is_whole and np.array_equal(examined.contents, known)  # type: ignore[arg-type]
