"""What a person said of two images: kept in the index by content, so that it survives moves, renames and rebuilds."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from neardup.durable import replace_file
from neardup.errors import BadInput, IndexNotWritten
from neardup.index import catalog, store

if TYPE_CHECKING:
    from neardup.groups import DuplicateGroup

# "duplicate": always in one group; "not": never in one group; "later": seen, not decided, changes nothing.
Verdict = Literal["duplicate", "not", "later"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
# SHA-256 of two files, the smaller first.
Pair = tuple[bytes, bytes]

# A larger group told "not" would be millions of pairs, and is a reason to raise the threshold instead.
MAX_APART = 1000
MAX_FILE_BYTES = 1 << 28
_FORMAT = "neardup verdicts 1"


def pair_of(first: bytes, second: bytes) -> Pair:
    """The key of two contents, in whichever order they come; raises BadInput when they are the same one."""
    if len(first) != 32 or len(second) != 32:
        raise BadInput("a verdict is about two SHA-256 digests of 32 bytes each")
    if first == second:
        raise BadInput(f"{first.hex()[:12]}: byte copies have one content, of which there is nothing to decide")
    return (first, second) if first < second else (second, first)


def pairs_of_group(group: "DuplicateGroup", verdict: Verdict) -> list[Pair]:
    """The pairs that carry a verdict on a whole group.

    "not" takes each member apart from each other; for the others the keeper with every member is enough. Byte copies
    of each other have no pair. Raises BadInput for "not" on more than MAX_APART contents.
    """
    digests = list(dict.fromkeys(member.digest for member in group.members))
    if verdict != "not":
        return [pair_of(digests[0], digest) for digest in digests[1:]]
    if len(digests) > MAX_APART:
        raise BadInput(
            f"{len(digests)} images at once are not told apart, {MAX_APART} at most; raise --min-similarity instead"
        )
    return [pair_of(first, second) for first, second in combinations(digests, 2)]


def load_verdicts(folder: Path) -> dict[Pair, Verdict]:
    """Every verdict in the index in this folder; raises BadInput, DamagedIndex."""
    path = folder / store.CATALOG
    with closing(catalog.open_to_read(folder)) as connection, catalog.damage_named(path):
        return {
            pair_of(first, second): _checked(verdict, path)
            for first, second, verdict in connection.execute("SELECT first, second, verdict FROM verdicts")
        }


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
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadInput(f"{path}: larger than {MAX_FILE_BYTES} bytes; not a file of verdicts")
        document = json.loads(path.read_bytes())
        if document["format"] != _FORMAT:
            raise BadInput(f"{path}: format {document['format']!r:.40}, this neardup reads {_FORMAT!r}; update neardup")
        verdicts: dict[Pair, Verdict | None] = {
            pair_of(bytes.fromhex(entry["a"]), bytes.fromhex(entry["b"])): _checked(entry["verdict"], path)
            for entry in document["verdicts"]
        }
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give a file that 'neardup review --export' wrote") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(f"{path}: not a file of verdicts ({error!r:.80}); export it again") from error
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
