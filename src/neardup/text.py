"""How a path, a size or a number is shown to a person; nothing in a name reaches a terminal raw."""

import json
import os
from pathlib import Path


def show_path(path: Path) -> str:
    """A path as a person types it: relative to the current folder where it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def printable(text: str) -> str:
    """Control characters and surrogates as backslash escapes, so that a file's name cannot redraw the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def said(error: BaseException) -> str:
    """What an error of Python or of a library says, in one short line; its kind where it has no text."""
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return "no JSON"
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def show_bytes(size_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def show_count(number: int, noun: str) -> str:
    """`1 image`, `3,618 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def plain(text: str) -> str:
    r"""Text for a table: bytes of a name that are no text as \xff, and a carriage return, which ends lines, as \r."""
    return os.fsencode(text).decode("utf-8", "backslashreplace").replace("\r", "\\r")


def table_text(text: str) -> str:
    """Text for a cell of CSV, which a terminal may show: plain, and printable but for line feeds, which are quoted."""
    return "\n".join(map(printable, plain(text).split("\n")))
