"""The catalogue: a row per image, and the list of segments; committing it commits the index.

SQLite, because it is in Python's standard library and its transactions survive a crash, a full disk and Ctrl-C,
because readers keep their snapshot while a writer commits, and because 500,000 paths are looked up without loading.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput, DamagedIndex
from neardup.index.roots import settle_home
from neardup.index.store import CATALOG, DIGESTS_BYTES, REBUILD, SEGMENTS, SegmentRecord
from neardup.lsh.hyperplanes import LARGEST_DIM
from neardup.reading import UnfitFile, check_regular
from neardup.scratch import temporary_folder

DAMAGED = "catalog.damaged"

APPLICATION_ID = 0x6E647570  # "ndup"
FORMAT_VERSION = 5

# Names that come from the file system are BLOBs (os.fsencode), so that those that are not UTF-8 survive.
# A reader refuses any table, index, trigger or view that is not exactly one of these.
SCHEMA = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID",
    # Distinct files by content; an id is also the value in contents.npy, and rises with every content added.
    "contents": (
        "CREATE TABLE contents (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE,"  # SHA-256 of the file
        " width INTEGER NOT NULL, height INTEGER NOT NULL,"  # pixels, upright
        " margin REAL NOT NULL DEFAULT 0,"  # share of the area that is a flat margin
        # When it was taken, milliseconds since 1970; bits of what a camera wrote (neardup.images.exif); of a JPEG its
        # quality, 1 to 100; in words what is wrong with a file that could be decoded. NULL: not known, or nothing.
        " taken_ms INTEGER, camera INTEGER NOT NULL DEFAULT 0, quality INTEGER, damaged TEXT)"
    ),
    "images": (
        "CREATE TABLE images (path BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,"
        " content INTEGER NOT NULL, label BLOB,"
        # When the file's entry changed last, and its number: 0 where nobody knows. See IN_DOUBT.
        " ctime_ns INTEGER NOT NULL DEFAULT 0, inode INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID"
    ),
    "images_by_content": "CREATE INDEX images_by_content ON images (content)",
    "images_by_inode": "CREATE INDEX images_by_inode ON images (inode)",
    # Contents that no image has any more; their rows leave the segments when those are next rewritten.
    "dead": "CREATE TABLE dead (content INTEGER PRIMARY KEY)",
    # Files that could not be decoded, and by which decoder: tried again when the file or the decoder changes.
    "failures": (
        "CREATE TABLE failures (path BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,"
        " decoder TEXT NOT NULL, error BLOB NOT NULL, ctime_ns INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID"
    ),
    # Row count, lowest and highest content id, file sizes in bytes; AUTOINCREMENT never gives a number twice.
    "segments": (
        "CREATE TABLE segments (number INTEGER PRIMARY KEY AUTOINCREMENT, rows INTEGER NOT NULL,"
        " first INTEGER NOT NULL, last INTEGER NOT NULL, embeddings_bytes INTEGER NOT NULL,"
        " contents_bytes INTEGER NOT NULL, signatures_bytes INTEGER NOT NULL, rows_bytes INTEGER NOT NULL,"
        # SHA-256 of the four files, one after the other; empty in an index made before format 5, until it is repaired.
        " digests BLOB NOT NULL DEFAULT x'')"
    ),
    # What a person said of two contents, by the SHA-256 of their files, first < second: the one thing here that cannot
    # be computed again, so a rebuild keeps it, and it does not matter whether the contents are in the index.
    "verdicts": (
        "CREATE TABLE verdicts (first BLOB NOT NULL, second BLOB NOT NULL, verdict TEXT NOT NULL,"
        " PRIMARY KEY (first, second)) WITHOUT ROWID"
    ),
    # SHA-256 of the decoded pixels by that of the file, empty where they cannot be compared; filled as it is needed.
    "pixels": "CREATE TABLE pixels (digest BLOB PRIMARY KEY, pixels BLOB NOT NULL) WITHOUT ROWID",
    # What comparing two contents has found, or one with itself, in the order that they had then, as JSON
    # (neardup.matching.Evidence); by which matcher.
    "links": (
        "CREATE TABLE links (first BLOB NOT NULL, second BLOB NOT NULL, matcher INTEGER NOT NULL, found TEXT NOT NULL,"
        " PRIMARY KEY (first, second)) WITHOUT ROWID"
    ),
    # Embeddings of parts of a content, where they were asked for: (parts, dim) float16, little-endian.
    "parts": "CREATE TABLE parts (content INTEGER PRIMARY KEY, embeddings BLOB NOT NULL)",
    # What contents looked like of which a person said something, by the SHA-256 of their files, and their names: so
    # that what was said holds when a tag is written into a file. A rebuild keeps it.
    "looks": (
        "CREATE TABLE looks (digest BLOB PRIMARY KEY, name BLOB NOT NULL, width INTEGER NOT NULL,"
        " height INTEGER NOT NULL, pixels BLOB NOT NULL) WITHOUT ROWID"  # empty where they could not be decoded
    ),
    "looks_by_name": "CREATE INDEX looks_by_name ON looks (name)",
    # Folders that `index` was given, and volumes that it met below them; what was passed over there, by kind, as JSON.
    "roots": "CREATE TABLE roots (path BLOB PRIMARY KEY, passed_over TEXT NOT NULL) WITHOUT ROWID",
    # Where this folder lay when it was last written to: one row.
    "home": "CREATE TABLE home (path BLOB PRIMARY KEY) WITHOUT ROWID",
}
# In place of a ctime: the bytes were found to be others than were indexed, whatever size and times say.
IN_DOUBT = -1
# From a format version to the next: statements that leave exactly the next version's SCHEMA. Writers run them on the
# file, readers on a copy in memory.
UPGRADES: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE contents ADD COLUMN margin REAL NOT NULL DEFAULT 0",),
    2: (SCHEMA["links"], SCHEMA["parts"]),
    3: (
        "ALTER TABLE images ADD COLUMN ctime_ns INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE images ADD COLUMN inode INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE failures ADD COLUMN ctime_ns INTEGER NOT NULL DEFAULT 0",
        *(SCHEMA[name] for name in ("images_by_inode", "looks", "looks_by_name", "roots", "home")),
        "ALTER TABLE contents ADD COLUMN taken_ms INTEGER",
        "ALTER TABLE contents ADD COLUMN camera INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE contents ADD COLUMN quality INTEGER",
        "ALTER TABLE contents ADD COLUMN damaged TEXT",
    ),
    4: ("ALTER TABLE segments ADD COLUMN digests BLOB NOT NULL DEFAULT x''",),
}

# A rollback journal ends in this where it belongs to a transaction over several files, and names one of them.
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")

_MADE_BY_SQLITE = {"sqlite_sequence": "CREATE TABLE sqlite_sequence(name,seq)"}
# A longer value in a damaged catalogue is an error before it is an allocation.
_LONGEST_VALUE_BYTES = 1 << 20


# A million images take some 300 MB.
_LARGEST_COPY_BYTES = 2 << 30


# Errors that say nothing about what the catalogue holds.
_TROUBLE_AROUND_IT = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}


# Precisions whose embeddings of one photo are at a cosine of 0.9995 or more to each other, whatever the engine: an
# index may hold all of them. int8 comes to 0.99.
AGREEING = frozenset({"f32", "f16", "bf16"})


@dataclass(frozen=True)
class Model:
    """What made the embeddings of an index: its first ones, where later ones came from what agrees with it."""

    name: str
    digest: str  # SHA-256 of the weights: the same digest, the same embeddings up to rounding
    engine: str
    precision: str
    decoder: str
    dim: int

    def differences(self, precision: str, decoder: str) -> list[str]:
        """What is done otherwise now and shows in the similarities, in words."""
        changed = []
        if precision != self.precision and not {precision, self.precision} <= AGREEING:
            changed.append(f"precision {self.precision} is now {precision}")
        if decoder != self.decoder:
            changed.append(f"decoder {self.decoder} is now {decoder}")
        return changed


@dataclass(frozen=True)
class Hashing:
    """How signatures are made: `neardup.lsh.draw_hyperplanes` with these and the model's dim."""

    tables: int
    bits: int  # stored; a bucket takes as many of the high ones as the number of rows calls for
    seed: int

    @property
    def shown(self) -> str:
        return f"{self.tables} tables of {self.bits} bits, seed {self.seed}"


def decode_name(name: object) -> str | None:
    """A name or text as the catalogue holds it."""
    if name is None:
        return None
    if not isinstance(name, bytes):
        raise DamagedIndex(f"the catalogue holds {name!r:.40} where a name belongs; {REBUILD}")
    return os.fsdecode(name)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn SQLite's complaints about a catalogue into one line."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _TROUBLE_AROUND_IT:
            raise BadInput(f"{path}: {error}; check the disk, its free space and the file's permissions") from error
        raise DamagedIndex(f"{path}: {error}; {REBUILD}") from error
    except UnicodeDecodeError as error:  # SQLite's complaint quotes what it complains of
        raise DamagedIndex(f"{path}: holds a name that is no text; {REBUILD}") from error


def open_to_read(folder: Path) -> sqlite3.Connection:
    """A snapshot of the last commit, which later commits do not change; an empty one when there was no commit.

    raises: BadInput, DamagedIndex
    """
    path = folder / CATALOG
    _check_files(path)
    if not path.exists():
        if any(entry.name.isdigit() for entry in _entries(folder / SEGMENTS)):
            raise DamagedIndex(f"{path}: missing, though segments/ holds embeddings; restore it, or {REBUILD}")
        return _empty()
    with damage_named(path):
        connection = _snapshot(folder)
        try:
            if _is_blank(connection):  # a crash came before the first commit
                connection.close()
                return _empty()
            _check(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_files(path: Path) -> None:
    """Refuse what SQLite would open beside the catalogue, and wait for for ever, or follow to elsewhere."""
    for file in (path, *companions(path)):
        try:
            if file != path and file.is_symlink():
                raise DamagedIndex(f"{file}: is a link, which neardup never makes; {REBUILD}")
            check_regular(file)
        except UnfitFile as error:
            raise DamagedIndex(f"{file}: {error.strerror}; {REBUILD}") from error
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BadInput(f"{file}: {error.strerror}; check its permissions and the disk") from error


def companions(path: Path) -> list[Path]:
    """Where SQLite keeps what belongs to a catalogue."""
    return [path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal")]


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _snapshot(folder: Path) -> sqlite3.Connection:
    """A connection inside a read transaction, or to a copy in memory where a transaction would not do.

    In WAL mode a reader never blocks a writer, and the transaction pins what it sees, at the price of a log that
    cannot be shortened while the reader lives. In the other modes a reader blocks the commit: there it copies the
    catalogue and lets go. WAL needs a -shm file, which a reader cannot make on a read-only medium or a full disk:
    there immutable=1 reads without it, which is safe because no one can be writing, and only for as long as a copy
    takes.
    """
    path = folder / CATALOG
    try:
        connection = connect(f"{path.absolute().as_uri()}?mode=ro")
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            is_wal = connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            if is_wal and _version(connection) >= FORMAT_VERSION:
                return connection
            return _copy_to_memory(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.OperationalError as error:
        code = error.sqlite_errorcode & 0xFF
        full = code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
        read_only = code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) and not os.access(folder, os.W_OK)
        half_written = error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK
        if not full and not read_only and not half_written:
            raise
    logs = [log for log in companions(path) if not log.name.endswith("-shm") and log.is_file() and log.stat().st_size]
    if not logs:
        return _copy_to_memory(connect(f"{path.absolute().as_uri()}?immutable=1"))
    # A writer died, and nobody has merged or rolled back its log since: that needs a place to write.
    with temporary_folder() as temporary:
        for source in (path, *logs):
            _check_journal(source)
            _check_size(source, source.stat().st_size)
            shutil.copyfile(source, temporary / source.name)
        return _copy_to_memory(connect((temporary / CATALOG).as_uri()))


def _check_size(path: Path, size_bytes: int) -> None:
    """Before a copy: a sparse file costs whoever made it nothing."""
    if size_bytes > _LARGEST_COPY_BYTES:
        raise DamagedIndex(f"{path}: {size_bytes:,} bytes are more than a copy is made of; {REBUILD}")


def _check_journal(path: Path) -> None:
    """Refuse a journal that names another file: SQLite would delete that one when it rolls back."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(_SUPER_JOURNAL)))
        if path.name.endswith("-journal") and file.read() == _SUPER_JOURNAL:
            raise DamagedIndex(f"{path}: not a journal that neardup writes; {REBUILD}")


def connect(uri: str) -> sqlite3.Connection:
    # One Index may serve several threads; the sqlite3 module's own lock keeps them apart.
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=60)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
    return connection


def _copy_to_memory(source: sqlite3.Connection) -> sqlite3.Connection:
    memory = connect("file::memory:")
    with closing(source):
        pages, page_bytes = (source.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        _check_size(Path(CATALOG), pages * page_bytes)
        source.backup(memory)
    if not _is_blank(memory):
        _upgrade(memory)
    return memory


def _empty() -> sqlite3.Connection:
    connection = connect("file::memory:")
    _create(connection)
    return connection


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA.values():
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    connection.execute("COMMIT")


def _upgrade(connection: sqlite3.Connection) -> None:
    found = _version(connection)
    for version in range(found, FORMAT_VERSION) if found >= 1 else ():
        connection.execute("BEGIN IMMEDIATE")
        for statement in UPGRADES[version]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _is_blank(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,) and _version(connection) == 0


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Only our tables: a trigger or a view in a catalogue from elsewhere would run with the user's rights."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if application != APPLICATION_ID:
        raise DamagedIndex(f"{path}: application_id {application:#x} is not a neardup catalogue's; {REBUILD}")
    version = _version(connection)
    if version > FORMAT_VERSION:
        raise DamagedIndex(
            f"{path}: format {version} is newer than this neardup can read ({FORMAT_VERSION});"
            f" update neardup, or {REBUILD}"
        )
    if version < 1:
        raise DamagedIndex(f"{path}: format {version} does not exist; {REBUILD}")
    expected = SCHEMA | _MADE_BY_SQLITE
    found: dict[str, list[str]] = {}
    for name, sql in connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"):
        found.setdefault(name, []).append(sql)  # a trigger may have the name of a table
    for name in sorted(expected.keys() | found.keys(), key=str):
        if name not in found:
            raise DamagedIndex(f"{path}: table {name} is missing; {REBUILD}")
        for sql in found[name]:
            if expected.get(name) != sql:
                raise DamagedIndex(f"{path}: {name} is not part of format {version}: {sql!r:.80}; {REBUILD}")


def open_to_write(folder: Path, *, rebuild: bool) -> sqlite3.Connection:
    """The catalogue, made or upgraded if need be; with `rebuild` one that cannot be read is set aside.

    The caller holds the write lock. raises: DamagedIndex, BadInput, sqlite3.Error when it cannot be written
    """
    path = folder / CATALOG
    if path.exists() and not os.access(path, os.W_OK):  # SQLite would say so only when it writes
        raise BadInput(f"{path}: read only; make it writable, or give another folder by --index")
    try:
        # Before a read-write connection touches it: opening may already replay a log.
        with closing(open_to_read(folder)) as connection, damage_named(path):
            # Only a rebuild can be told to give up damaged pages, so only then is it worth reading all of them.
            if rebuild and connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise DamagedIndex(f"{path}: damaged")
    except DamagedIndex:
        if not rebuild:
            raise
        set_aside(folder)
    _make_companions_writable(path)
    connection = connect(path.absolute().as_uri())
    try:
        _choose_journal(connection)
        # In full: with NORMAL a power cut could undo the commit that unlisted a segment, but not its deletion.
        connection.execute("PRAGMA synchronous = FULL")
        if _is_blank(connection):
            _create(connection)
        _upgrade(connection)
        _check(connection, path)
        settle_home(connection, folder, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_companions_writable(path: Path) -> None:
    """SQLite gives them the catalogue's permissions: those made while it was read only would keep it so."""
    for file in companions(path):
        with suppress(OSError):
            if path.stat().st_mode & ~file.lstat().st_mode & 0o222:
                file.chmod(path.stat().st_mode & 0o666)  # no link: those were refused


def set_aside(folder: Path) -> None:
    """Make room for a new catalogue; the old one is kept as catalog.damaged, since verdicts are in it."""
    path = folder / CATALOG
    aside = folder / DAMAGED
    while os.path.lexists(aside):  # verdicts may be in that one, too
        aside = folder / f"{DAMAGED}.{int(aside.suffix[1:]) + 1 if aside.suffix[1:].isdigit() else 2}"
    # A log left behind would be taken for the new catalogue's; and what was committed last may be in it alone.
    for old, new in zip((path, *companions(path)), (aside, *companions(aside)), strict=True):
        if os.path.lexists(old):
            old.replace(new)


def latest_aside(folder: Path) -> Path | None:
    """The catalogue that was set aside last."""
    numbers = {int(p.suffix[1:]): p for p in folder.glob(f"{DAMAGED}.*") if p.suffix[1:].isdigit()}
    first = folder / DAMAGED
    return numbers[max(numbers)] if numbers else first if first.exists() else None


def create(path: Path) -> sqlite3.Connection:
    """A new catalogue in a file of its own."""
    connection = connect(path.absolute().as_uri())
    _create(connection)
    return connection


def refuse_newer(path: Path) -> None:
    """Raise DamagedIndex for a catalogue of a later neardup: it has tables that would be lost."""
    with suppress(sqlite3.Error), closing(connect(f"{path.absolute().as_uri()}?mode=ro")) as connection:
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL")}
        if _version(connection) > FORMAT_VERSION and found - SCHEMA.keys() - _MADE_BY_SQLITE.keys():
            raise DamagedIndex(f"{path}: made by a later neardup; update this one")


def _choose_journal(connection: sqlite3.Connection) -> None:
    # WAL needs shared memory, which some network and container file systems lack; SQLite then says so, or stays in
    # the mode it was in. Its rollback journal keeps every promise but one: a commit waits for a reader that is opening.
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()


def read_settings(connection: sqlite3.Connection, path: Path) -> tuple[Model, Hashing] | None:
    """What the index is of; None before the first commit. Every value is checked: sizes of arrays follow from them."""
    meta: dict[str, Any] = dict(connection.execute("SELECT key, value FROM meta"))
    if not meta:
        return None
    expected = {field.name: field.type for kind in (Model, Hashing) for field in fields(kind)}
    limits = {"dim": (1, LARGEST_DIM), "tables": (1, 64), "bits": (1, 32), "seed": (0, 2**63 - 1)}
    if meta.keys() != expected.keys():
        raise DamagedIndex(f"{path}: meta has {sorted(map(str, meta))}, expected {sorted(expected)}; {REBUILD}")
    for key, kind in expected.items():
        low, high = limits.get(key, (0, 0))
        if not isinstance(meta[key], kind) or (kind is int and not low <= meta[key] <= high):  # type: ignore[arg-type]
            raise DamagedIndex(f"{path}: meta has {key} = {meta[key]!r:.40}; {REBUILD}")
    return Model(**{f.name: meta[f.name] for f in fields(Model)}), Hashing(
        **{f.name: meta[f.name] for f in fields(Hashing)}
    )


def write_settings(connection: sqlite3.Connection, model: Model, hashing: Hashing) -> None:
    """Raises BadInput for a model whose embeddings are longer than what can be read again."""
    if model.dim > LARGEST_DIM:
        raise BadInput(f"model {model.name}: gives {model.dim:,} numbers, an index holds up to {LARGEST_DIM:,}")
    try:
        model.name.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"model {model.name}: its path is not valid UTF-8; move it to one that is") from error
    connection.execute("DELETE FROM meta")
    connection.executemany("INSERT INTO meta VALUES (?, ?)", (asdict(model) | asdict(hashing)).items())


def read_segments(connection: sqlite3.Connection, path: Path) -> list[SegmentRecord]:
    """By rising content id, which is also the order of rows."""
    records: list[SegmentRecord] = []
    for row in connection.execute(
        "SELECT number, rows, first, last, embeddings_bytes, contents_bytes, signatures_bytes, rows_bytes, digests"
        " FROM segments ORDER BY first"
    ):
        *numbers, digests = row
        if not all(isinstance(value, int) and value >= 0 for value in numbers) or not 1 <= row[1] < 1 << 32:
            raise DamagedIndex(f"{path}: segment {row!r:.80} is impossible; {REBUILD}")
        if row[2] > row[3] or (records and row[2] <= records[-1].last):
            raise DamagedIndex(f"{path}: segment {row[0]} overlaps another; {REBUILD}")
        if not isinstance(digests, bytes) or len(digests) not in (0, DIGESTS_BYTES):
            raise DamagedIndex(f"{path}: segment {row[0]} has checksums that cannot be so; {REBUILD}")
        records.append(SegmentRecord(row[0], row[1], row[2], row[3], row[4:8], digests))
    return records


def list_segment(connection: sqlite3.Connection, record: SegmentRecord) -> None:
    """Make a segment that is written part of the next commit."""
    values = (record.number, record.rows, record.first, record.last, *record.sizes, record.digests)
    connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)


def read_dead(connection: sqlite3.Connection) -> NDArray[np.int64]:
    """Content ids that no image has any more, ascending."""
    return np.fromiter((row[0] for row in connection.execute("SELECT content FROM dead ORDER BY content")), np.int64)
