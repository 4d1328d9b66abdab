"""Plans as files of JSON, which anyone may have written."""

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from neardup.actions.along import Along
from neardup.actions.belongings import PARTNERS, extension
from neardup.actions.steps import Kept, Plan, Step
from neardup.durable import replace_file
from neardup.errors import BadInput
from neardup.matching.evidence import RELATIONS
from neardup.metadata import Carried
from neardup.reading import read_json
from neardup.text import said

MAX_PLAN_BYTES = 1 << 30
_FORMAT = "neardup plan 2"
_MOST = 2**63 - 1


def save_plan(plan: Plan, path: Path) -> None:
    """Write a plan as JSON, for `neardup dedup --plan FILE`; raises BadInput."""
    document: dict[str, Any] = {"format": _FORMAT, **asdict(plan)}
    try:
        replace_file(path, json.dumps(document, default=_plain).encode("ascii"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; choose another file") from error


def load_plan(path: Path) -> Plan:
    """Read a plan that `save_plan` wrote; raises BadInput with what is wrong in it."""
    try:
        document = read_json(path, MAX_PLAN_BYTES)
        if document.pop("format") != _FORMAT:
            raise BadInput(f"{path}: not a plan of this version ({_FORMAT}); make it again")
        _check_fields(document, Plan)
        return Plan(
            document["action"],
            tuple(_step(step) for step in document["steps"]),
            tuple(_kept(entry) for entry in document["kept"]),
            None if document["to"] is None else absolute_path(document["to"]),
            None if document["root"] is None else absolute_path(document["root"]),
        )
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give a plan that 'neardup review' wrote") from error
    except MemoryError as error:
        raise BadInput(f"{path}: not enough memory to read it; make a smaller plan") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}: not a plan ({said(error)}); make it again") from error


def _step(entry: dict[str, Any]) -> Step:
    _check_fields(entry, Step)
    digest, keeper_digest = bytes.fromhex(entry["digest"]), bytes.fromhex(entry["keeper_digest"])
    if len(digest) != 32 or len(keeper_digest) != 32:
        raise ValueError(f"step {entry['path']!r:.60}: a SHA-256 has 32 bytes")
    return Step(
        absolute_path(entry["path"]),
        _whole(entry, "size_bytes", 0),
        _whole(entry, "mtime_ns", -_MOST),
        digest,
        _similarity(entry["similarity"]),
        entry["relation"] if entry["relation"] in RELATIONS else None,
        absolute_path(entry["keeper"]),
        keeper_digest,
        tuple(map(_text, entry["lost"])),
        tuple(map(_text, entry["notes"])),
        None if entry["change"] is None else _text(entry["change"]),
        None if entry["carried"] is None else _carried(entry["carried"]),
        tuple(map(_along, entry["along"])),
        _whole(entry, "freed_bytes", 0),
        None if entry["why"] is None else _text(entry["why"]),
    )


def _along(entry: dict[str, Any]) -> Along:
    _check_fields(entry, Along)
    path, digest = absolute_path(entry["path"]), bytes.fromhex(entry["digest"])
    copy = None if entry["copy"] is None else absolute_path(entry["copy"])
    if len(digest) != 32:
        raise ValueError(f"{entry['path']!r:.60}: a SHA-256 has 32 bytes")
    if (extension(path.name) in PARTNERS) != (copy is not None):
        raise ValueError(f"{entry['path']!r:.60}: a RAW file or a film, and nothing else, goes where a copy stays")
    return Along(path, _whole(entry, "size_bytes", 0), _whole(entry, "mtime_ns", -_MOST), digest, copy)


def _carried(entry: dict[str, Any]) -> Carried:
    _check_fields(entry, Carried)
    date, position, caption = (
        None if entry[name] is None else _text(entry[name]) for name in ("date", "position", "caption")
    )
    if position is not None and not _is_position(position):
        raise ValueError(f"position {position!r:.60} is not two numbers")
    rating = None if entry["rating"] is None else _whole(entry, "rating", -_MOST)
    return Carried(date, position, rating, caption, tuple(map(_text, entry["keywords"])))


def _is_position(text: str) -> bool:
    degrees = [float(part) for part in text.split()]
    return len(degrees) == 2 and abs(degrees[0]) <= 90 and abs(degrees[1]) <= 180  # nor NaN


def _kept(entry: dict[str, Any]) -> Kept:
    _check_fields(entry, Kept)
    return Kept(absolute_path(entry["path"]), absolute_path(entry["keeper"]), _text(entry["reason"]))


def _check_fields(entry: dict[str, Any], kind: type[Plan | Step | Kept | Carried | Along]) -> None:
    if entry.keys() != {field.name for field in fields(kind)}:
        raise ValueError(f"a {kind.__name__.lower()} has {sorted(entry)}"[:150])


def _whole(entry: dict[str, Any], name: str, least: int) -> int:
    value = entry[name]
    if type(value) is not int or not least <= value <= _MOST:  # JSON has 1e400, and True is an int
        raise ValueError(f"{name} {value!r:.40} is no whole number of 63 bits")
    return value


def _similarity(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 2:  # nor NaN
        raise ValueError(f"similarity {value!r:.40}")
    return float(value)


def _text(value: object) -> str:
    """Text that can be shown: JSON may have halves of characters, which no encoding has."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no text")
    os.fsencode(value)
    return value


def absolute_path(text: object) -> Path:
    """A path out of a file that anyone may have written; raises ValueError where there can be no such file."""
    if not isinstance(text, str) or not Path(text).is_absolute() or "\0" in text:
        raise ValueError(f"path {text!r:.60} is not absolute")
    return Path(_text(text))


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"not JSON: {type(value)}")
