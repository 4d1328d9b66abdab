"""Results to stdout, as text, JSON or CSV; everything else to stderr. Only this package formats for a terminal."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FORMATS = ("text", "json", "csv")


def write_line(text: str = "") -> None:
    """One line on stdout; a path that is no valid Unicode comes out as the bytes that it is."""
    sys.stdout.write(printable(text) + "\n")


def write_json(value: Mapping[str, Any]) -> None:
    """One JSON object on one line, in ASCII: surrogate escapes in paths survive the trip to the same file."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, default=_plain) + "\n")
    sys.stdout.flush()


def write_csv(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A header and a row for each mapping; fields that a row lacks stay empty."""
    writer = csv.DictWriter(sys.stdout, fields, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _escaped(value) for key, value in row.items()} for row in rows)


def note(text: str) -> None:
    """One line on stderr: a warning, a hint, what is going on."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def show_path(path: Path) -> str:
    """A path as a person types it: relative to the current folder where it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def printable(text: str) -> str:
    """Control characters and surrogates as backslash escapes, so that a file's name cannot redraw the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def show_bytes(size_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def show_count(number: int, noun: str) -> str:
    """`1 image`, `3,618 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"not JSON: {type(value)}")


def _escaped(value: object) -> object:
    return plain(os.fspath(value)) if isinstance(value, str | Path) else value


def plain(text: str) -> str:
    r"""Text for a table: bytes of a name that are no text as \xff, and a carriage return, which ends lines, as \r."""
    return os.fsencode(text).decode("utf-8", "backslashreplace").replace("\r", "\\r")
