"""Results to stdout, as text, JSON or CSV; everything else to stderr. Only this package formats for a terminal.

A module for each result makes a Rendering of it; `emit` alone knows the formats.
"""

import csv
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from neardup.text import printable, table_text

Record = Mapping[str, Any]


class Aside(str):
    """A line that comes among those of a result, and is for stderr."""

    __slots__ = ()


@dataclass(frozen=True)
class Rendering:
    """A result in every format. Only what the format asks for is read, once: generators make it as it goes out."""

    records: Iterable[Record]  # JSON, an object a line
    fields: Sequence[str]  # the header of CSV
    rows: Iterable[Record | Aside]  # fields that a row lacks stay empty
    lines: Iterable[str]  # text; an Aside goes to stderr


def one_record(record: Record, lines: Iterable[str], *, row: Record | None = None) -> Rendering:
    """A result that is one JSON object, and one row with the same fields; row: those that differ in CSV."""
    return Rendering([record], tuple(record), [{**record, **(row or {})}], lines)


def emit(result: Rendering, format: str, file: TextIO | None = None) -> None:
    """Write a result in one of FORMATS, to stdout if no file is given."""
    out = sys.stdout if file is None else file
    _WRITERS[format](result, out)
    out.flush()


def note(text: str) -> None:
    """One line on stderr: a warning, a hint, what is going on."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def _write_text(result: Rendering, file: TextIO) -> None:
    for line in result.lines:
        if isinstance(line, Aside):
            note(line)
        else:
            file.write(printable(line) + "\n")


def _write_json(result: Rendering, file: TextIO) -> None:
    """In ASCII: surrogate escapes in paths survive the trip to the same file."""
    for record in result.records:
        file.write(json.dumps(record, ensure_ascii=True, default=_plain) + "\n")
        file.flush()  # an answer is there for a reader before the next is worked out


def _write_csv(result: Rendering, file: TextIO) -> None:
    writer = csv.DictWriter(file, result.fields, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in result.rows:
        if isinstance(row, Aside):
            note(row)
        else:
            writer.writerow({key: _cell(value) for key, value in row.items()})


_WRITERS = {"text": _write_text, "json": _write_json, "csv": _write_csv}
FORMATS = tuple(_WRITERS)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"not JSON: {type(value)}")


def _cell(value: object) -> object:
    return table_text(os.fspath(value)) if isinstance(value, str | Path) else value
