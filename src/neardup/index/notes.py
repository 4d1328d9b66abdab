"""What is known of contents, by their SHA-256, so that it survives moves, renames and rebuilds: what a person said of
two of them (verdicts), what comparing them has found (links), and what their pixels are (pixel digests)."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

from neardup.durable import replace_file
from neardup.errors import BadInput, DamagedIndex, IndexNotWritten
from neardup.index import catalog, store
from neardup.reading import read_json
from neardup.text import said

# "duplicate": always in one group; "not": never in one group; "later": seen, not decided, changes nothing.
Verdict = Literal["duplicate", "not", "later"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
# SHA-256 of two files, the smaller first.
Pair = tuple[bytes, bytes]

MAX_FILE_BYTES = 1 << 28
_FORMAT = "neardup verdicts 1"


def pair_of(first: bytes, second: bytes) -> Pair:
    """The key of two contents, in whichever order they come; raises BadInput when they are the same one."""
    if len(first) != 32 or len(second) != 32:
        raise BadInput("a verdict is about two SHA-256 digests of 32 bytes each")
    if first == second:
        raise BadInput(f"{first.hex()[:12]}: byte copies have one content, of which there is nothing to decide")
    return (first, second) if first < second else (second, first)


class Notes:
    """The notes of an index as they were when it was opened; any thread may ask."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock, path: Path) -> None:
        self._connection, self._lock, self._path = connection, lock, path

    def verdicts(self) -> dict[Pair, Verdict]:
        """Every verdict."""
        rows = self._all("SELECT first, second, verdict FROM verdicts", ())
        if not all(isinstance(digest, bytes) for first, second, _ in rows for digest in (first, second)):
            raise DamagedIndex(f"{self._path}: a verdict is not about two digests; {store.REBUILD}")
        return {pair_of(first, second): _checked(verdict, self._path) for first, second, verdict in rows}

    def pixels(self, digest: bytes) -> bytes | None:
        """The pixel digest of a content, empty where it has none; None where nobody has looked."""
        found = self._all("SELECT pixels FROM pixels WHERE digest = ?", (digest,))
        # SQLite keeps whatever type it is given; what is no digest is found again.
        is_one = found and isinstance(found[0][0], bytes) and len(found[0][0]) in (0, 32)
        return bytes(found[0][0]) if is_one else None

    def link(self, pair: Pair, matcher: int) -> str | None:
        """What this version of the matcher has found of a pair, as JSON that anyone may have written."""
        select = "SELECT found FROM links WHERE first = ? AND second = ? AND matcher = ?"
        found = self._all(select, (*pair, matcher))
        return str(found[0][0]) if found else None

    def _all(self, select: str, values: tuple[object, ...]) -> list[Any]:
        with self._lock, catalog.damage_named(self._path):
            return self._connection.execute(select, values).fetchall()


def load_verdicts(folder: Path) -> dict[Pair, Verdict]:
    """Every verdict in the index in this folder; raises BadInput, DamagedIndex."""
    with closing(catalog.open_to_read(folder)) as connection:
        return Notes(connection, threading.Lock(), folder / store.CATALOG).verdicts()


def record_doubts(folder: Path, paths: Iterable[Path]) -> None:
    """Files that hold other bytes than were indexed: the next `index` reads them, whatever their size and times say.

    Raises IndexLocked, BadInput, DamagedIndex, IndexNotWritten.
    """
    with writable_catalog(folder) as connection:
        _doubt(connection, paths)


def _doubt(connection: sqlite3.Connection, paths: Iterable[Path]) -> None:
    rows = ((catalog.IN_DOUBT, os.fsencode(path)) for path in paths)
    connection.executemany("UPDATE images SET ctime_ns = ? WHERE path = ?", rows)


def record_found(
    folder: Path,
    *,
    pixels: Mapping[bytes, bytes],
    links: Mapping[Pair, str],
    matcher: int,
    in_doubt: Iterable[Path] = (),
) -> None:
    """Keep what looking at pictures has found, `in_doubt` as `record_doubts` does.

    Raises IndexLocked, BadInput, DamagedIndex, IndexNotWritten.
    """
    with writable_catalog(folder) as connection:
        _doubt(connection, in_doubt)
        connection.executemany("REPLACE INTO pixels VALUES (?, ?)", pixels.items())
        rows = ((*pair, matcher, found) for pair, found in links.items())
        connection.executemany("REPLACE INTO links VALUES (?, ?, ?, ?)", rows)
        # What an earlier matcher found will never be asked for again.
        connection.execute("DELETE FROM links WHERE matcher < ?", (matcher,))


def record_verdicts(folder: Path, verdicts: Mapping[Pair, Verdict | None]) -> None:
    """Keep these in place of what was said of the same pairs; None forgets. All of them, or none on an error.

    Raises IndexLocked while another process writes to the index, BadInput, DamagedIndex, IndexNotWritten.
    """
    rows = [(*pair_of(*pair), verdict) for pair, verdict in verdicts.items()]
    for _, _, verdict in rows:
        if verdict is not None:
            _checked(verdict, folder)
    with writable_catalog(folder) as connection:
        connection.executemany("DELETE FROM verdicts WHERE first = ? AND second = ?", (row[:2] for row in rows))
        connection.executemany("INSERT INTO verdicts VALUES (?, ?, ?)", (row for row in rows if row[2] is not None))


def export_verdicts(folder: Path, path: Path) -> int:
    """Write the verdicts of an index to a JSON file; returns how many."""
    verdicts = sorted(load_verdicts(folder).items())
    entries = [{"a": first.hex(), "b": second.hex(), "verdict": verdict} for (first, second), verdict in verdicts]
    content = json.dumps({"format": _FORMAT, "verdicts": entries}, indent=1)
    try:
        replace_file(path, content.encode("ascii"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; choose another file") from error
    return len(entries)


def import_verdicts(folder: Path, path: Path) -> int:
    """Add the verdicts in a JSON file to an index, in place of what it holds of the same pairs; returns how many."""
    try:
        document = read_json(path, MAX_FILE_BYTES)
        if document["format"] != _FORMAT:
            raise BadInput(f"{path}: format {document['format']!r:.40}, this neardup reads {_FORMAT!r}; update neardup")
        verdicts: dict[Pair, Verdict | None] = {
            pair_of(bytes.fromhex(entry["a"]), bytes.fromhex(entry["b"])): _checked(entry["verdict"], path)
            for entry in document["verdicts"]
        }
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give a file that 'neardup review --export' wrote") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a file of verdicts ({said(error)}); export it again") from error
    record_verdicts(folder, verdicts)
    return len(verdicts)


@contextmanager
def writable_catalog(folder: Path) -> Iterator[sqlite3.Connection]:
    """The catalogue in one transaction, committed when the block ends without an error; under the writer's lock."""
    with store.write_lock(folder, None):
        try:
            with closing(catalog.open_to_write(folder, rebuild=False)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise IndexNotWritten(f"{folder}: {error}; nothing was recorded: check the disk, then try again") from error


def _checked(verdict: object, path: Path) -> Verdict:
    for known in VERDICTS:
        if verdict == known:
            return known
    raise BadInput(f"{path}: verdict {verdict!r:.40}; one of {', '.join(VERDICTS)}")
