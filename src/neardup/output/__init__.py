"""Results to stdout, as text, JSON or CSV; everything else to stderr. Only this package formats for a terminal."""

import csv
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neardup.text import plain, printable

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


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"not JSON: {type(value)}")


def _escaped(value: object) -> object:
    return plain(os.fspath(value)) if isinstance(value, str | Path) else value
