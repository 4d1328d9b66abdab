"""What a row of the catalogue cannot be, table by table: SQLite keeps whatever type it is given."""

import sqlite3
from collections.abc import Iterator

# In SQL, so that a million rows are looked at in a second. NULL, as of a comparison with NULL, counts as sound.
IMPOSSIBLE = {
    "contents": (
        "typeof(digest) <> 'blob' OR length(digest) <> 32 OR id < 1"
        " OR typeof(width) <> 'integer' OR width NOT BETWEEN 1 AND 2147483647"
        " OR typeof(height) <> 'integer' OR height NOT BETWEEN 1 AND 2147483647"
        " OR typeof(margin) <> 'real' OR NOT (margin >= 0 AND margin < 1)"
        " OR typeof(taken_ms) NOT IN ('integer', 'null') OR abs(taken_ms) >= 253402300800000"
        " OR typeof(camera) <> 'integer' OR camera NOT BETWEEN 0 AND 255"
        " OR typeof(quality) NOT IN ('integer', 'null') OR quality NOT BETWEEN 1 AND 100"
        " OR typeof(damaged) NOT IN ('text', 'null') OR length(damaged) > 200 OR NOT is_text(CAST(damaged AS BLOB))"
    ),
    "images": (
        "typeof(path) <> 'blob' OR length(path) = 0 OR instr(path, x'00') > 0"
        " OR typeof(size_bytes) <> 'integer' OR size_bytes < 0 OR typeof(mtime_ns) <> 'integer'"
        " OR typeof(content) <> 'integer' OR typeof(label) NOT IN ('blob', 'null')"
        " OR typeof(ctime_ns) <> 'integer' OR typeof(inode) <> 'integer' OR inode < 0"
    ),
    "dead": "0",
    "failures": (
        "typeof(path) <> 'blob' OR length(path) = 0 OR instr(path, x'00') > 0"
        " OR typeof(size_bytes) <> 'integer' OR size_bytes < 0 OR typeof(mtime_ns) <> 'integer'"
        " OR typeof(decoder) <> 'text' OR NOT is_text(CAST(decoder AS BLOB)) OR typeof(error) <> 'blob'"
        " OR typeof(ctime_ns) <> 'integer'"
    ),
    "verdicts": (
        "typeof(first) <> 'blob' OR length(first) <> 32 OR typeof(second) <> 'blob' OR length(second) <> 32"
        " OR first >= second OR typeof(verdict) <> 'text' OR verdict NOT IN ('duplicate', 'not', 'later')"
    ),
    "pixels": (
        "typeof(digest) <> 'blob' OR length(digest) <> 32 OR typeof(pixels) <> 'blob' OR length(pixels) NOT IN (0, 32)"
    ),
    "links": (
        "typeof(first) <> 'blob' OR length(first) <> 32 OR typeof(second) <> 'blob' OR length(second) <> 32"
        " OR typeof(matcher) <> 'integer' OR typeof(found) <> 'text'"
        " OR NOT is_text(CAST(found AS BLOB))"  # as JSON it may hold NaN, which SQLite's does not know
    ),
    "parts": "typeof(embeddings) <> 'blob' OR length(embeddings) = 0",
    "looks": (
        "typeof(digest) <> 'blob' OR length(digest) <> 32 OR typeof(name) <> 'blob' OR typeof(width) <> 'integer'"
        " OR typeof(height) <> 'integer' OR typeof(pixels) <> 'blob' OR length(pixels) NOT IN (0, 32)"
    ),
    "roots": (
        "typeof(path) <> 'blob' OR substr(path, 1, 1) <> x'2f' OR instr(path, x'00') > 0"
        " OR typeof(passed_over) <> 'text' OR NOT is_text(CAST(passed_over AS BLOB)) OR NOT json_valid(passed_over)"
        " OR json_type(passed_over) <> 'object' OR EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(passed_over)"
        " THEN passed_over ELSE '{}' END) WHERE type <> 'integer' OR value < 0)"
    ),
    "home": "typeof(path) <> 'blob' OR substr(path, 1, 1) <> x'2f' OR instr(path, x'00') > 0",
}
# What images and contents must be to each other, and what a row that is not so is called.
STRAY = (
    ("images", "content NOT IN (SELECT id FROM contents)", "of a content that is not there"),
    ("dead", "content NOT IN (SELECT id FROM contents)", "of a content that is not there"),
    ("dead", "content IN (SELECT content FROM images)", "of a content that an image has"),
    ("parts", "content NOT IN (SELECT id FROM contents)", "of a content that is not there"),
)
UNUSED = (
    "SELECT id FROM contents WHERE id NOT IN (SELECT content FROM dead)"
    " AND NOT EXISTS (SELECT 1 FROM images WHERE images.content = contents.id)"
)


def teach(connection: sqlite3.Connection) -> None:
    """Give a connection what IMPOSSIBLE asks for."""
    connection.create_function("is_text", 1, _is_text, deterministic=True)


def _is_text(value: bytes | None) -> bool:
    try:
        return value is None or bool(value.decode() or True)
    except UnicodeDecodeError:
        return False


def impossible_rows(connection: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """Tables that have rows that cannot be so, and how many. Raises sqlite3.Error."""
    teach(connection)
    for table, condition in IMPOSSIBLE.items():
        count = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0]
        if count:
            yield table, count
