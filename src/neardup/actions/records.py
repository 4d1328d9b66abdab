"""What a journal's lines say, checked field by field, and the MACs that tie each line to all those before it."""

import hashlib
import hmac
import re
import stat
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neardup.actions import files, places
from neardup.actions.plan import ACTIONS, LINKS, Action, absolute_path

# Permissions come back, not what lets a program run as another user.
PERMISSIONS = 0o777

_HEADER = {"format", "action", "created", "steps"}
_BEGIN = {"event", "step", "path", "size_bytes", "mtime_ns", "mode", "digest", "keeper"}
_MOST = 2**63 - 1
_TAIL = re.compile(rb', "mac": "([0-9a-f]{64})"\}\Z')


class Chain:
    """MACs of lines in order. A line that was changed, added, moved or left out breaks it, but for lines cut off at the
    end, which is what a crash leaves."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._last = b""

    def sign(self, body: bytes) -> bytes:
        """A JSON object with its MAC as the last field; `follow` it once it is written."""
        return body[:-1] + b', "mac": "' + self._next(body).hex().encode("ascii") + b'"}'

    def follow(self, line: bytes) -> bool:
        """Go on behind this line; False, and nothing is done, where it is not the one that was written here."""
        body, mac = split_mac(line)
        expected = self._next(body)
        if mac is None or not hmac.compare_digest(mac, expected):
            return False
        self._last = expected
        return True

    def _next(self, body: bytes) -> bytes:
        return hmac.digest(self._key, self._last + body, hashlib.sha256)


def split_mac(line: bytes) -> tuple[bytes, bytes | None]:
    """A line without its MAC, and the MAC; None where it has none."""
    found = _TAIL.search(line)
    if found is None:
        return line, None
    return line[: found.start()] + b"}", bytes.fromhex(found[1].decode("ascii"))


@dataclass(frozen=True)
class Header:
    """What is to be done with each file, and in which folder a moved one then lies, in its place below a root."""

    action: Action
    to: Path | None
    created: str
    steps: int
    root: Path | None = None

    def to_json(self) -> dict[str, Any]:
        to = None if self.to is None else str(self.to)
        fields = {"action": self.action, "to": to, "created": self.created, "steps": self.steps}
        return fields if self.root is None else fields | {"root": str(self.root)}


@dataclass(frozen=True)
class Record:
    """A file about to be touched, as it is at that moment."""

    step: int
    path: Path
    size_bytes: int
    mtime_ns: int
    mode: int  # permission bits
    digest: bytes
    keeper: Path
    number: int | None = None  # of a moved file: 1 for its own name, n for `name (n).jpg`
    stem: str | None = None  # of the picture that a moved file belongs to: where the number is set
    made: int = 0  # how many of the folders that a moved file goes to are made for it, from the innermost
    marked: bool = False  # whether the folder to move to is set aside from indexes for it

    def target(self, header: Header) -> Path:
        """Where a moved file goes, and for links the temporary name that takes the file's place in one rename.

        Never read from a journal: it follows from what is done.
        """
        if header.to is None or self.number is None:
            return files.temporary_beside(self.path)
        return places.place_of(self.path, self.number, self.stem, to=header.to, root=header.root)

    def to_json(self) -> dict[str, Any]:
        extra = {"stem": self.stem, "made": self.made, "marked": self.marked}
        return {
            "event": "begin",
            "step": self.step,
            "path": str(self.path),
            "size_bytes": self.size_bytes,
            "mtime_ns": self.mtime_ns,
            "mode": self.mode,
            "digest": self.digest.hex(),
            "keeper": str(self.keeper),
            "number": self.number,
        } | {name: value for name, value in extra.items() if value}


def read_header(entry: Mapping[str, Any]) -> Header:
    """The first line of a journal, format 2; raises ValueError."""
    _check_fields(entry, _HEADER | {"to"}, {"root"})
    action, to, root = entry["action"], entry["to"], entry.get("root")
    if action not in ACTIONS or action == "report" or (action == "move") != (to is not None):
        raise ValueError(f"action {action!r:.40}")
    return Header(
        action,
        None if to is None else absolute_path(to),
        str(entry["created"])[:40],
        _whole(entry, "steps"),
        None if root is None else absolute_path(root),
    )


def read_record(entry: Mapping[str, Any], header: Header) -> Record:
    """A begin line, format 2; raises ValueError."""
    _check_fields(entry, _BEGIN | {"number"}, {"stem", "made", "marked"})
    number = None if entry["number"] is None else _whole(entry, "number", 1)
    if (header.action == "move") != (number is not None):
        raise ValueError(f"number {number} with action {header.action}")
    stem, marked = entry.get("stem"), entry.get("marked", False)
    if not isinstance(stem, str | None) or not isinstance(marked, bool):
        raise ValueError(f"stem {stem!r:.40}, marked {marked!r:.40}")
    record = _record(entry, _whole(entry, "mode", most=PERMISSIONS), number)
    return replace(record, stem=stem, made=_whole(entry, "made") if "made" in entry else 0, marked=marked)


def read_header_1(entry: Mapping[str, Any], first: Mapping[str, Any] | None) -> Header:
    """The first line of a journal that an earlier neardup wrote, format 1; `first`: its first begin line."""
    _check_fields(entry, _HEADER)
    to = None
    if entry["action"] == "move" and first is not None:
        to = str(absolute_path(first.get("target")).parent)
    elif entry["action"] == "move":
        to = "/"  # nothing was moved
    return read_header(dict(entry) | {"to": to})


def read_record_1(entry: Mapping[str, Any], header: Header) -> Record:
    """A begin line, format 1, whose target must be the one that follows from the rest; raises ValueError."""
    _check_fields(entry, _BEGIN | {"target"})
    mode = _whole(entry, "mode", most=0o177777)
    if not stat.S_ISREG(mode):
        raise ValueError(f"mode {mode:o} is not a regular file's")
    target, number = entry["target"], None
    if header.action == "move":
        number = files.number_of(absolute_path(entry["path"]), absolute_path(target).name)
    record = _record(entry, mode & PERMISSIONS, number)
    has_target = header.action == "move" or header.action in LINKS
    if (target is not None) != has_target or (has_target and absolute_path(target) != record.target(header)):
        raise ValueError(f"target {target!r:.60} is not where a {header.action} puts {record.path.name!r:.60}")
    return record


def _record(entry: Mapping[str, Any], mode: int, number: int | None) -> Record:
    digest = bytes.fromhex(entry["digest"])
    if len(digest) != 32:
        raise ValueError("a SHA-256 has 32 bytes")
    return Record(
        _whole(entry, "step"),
        absolute_path(entry["path"]),
        _whole(entry, "size_bytes"),
        _whole(entry, "mtime_ns", -_MOST),
        mode,
        digest,
        absolute_path(entry["keeper"]),
        number,
    )


def _check_fields(entry: Mapping[str, Any], expected: set[str], optional: Set[str] = frozenset()) -> None:
    if entry.keys() - optional != expected:
        raise ValueError(f"a line has {', '.join(sorted(map(str, entry)))}"[:150])


def _whole(entry: Mapping[str, Any], name: str, least: int = 0, most: int = _MOST) -> int:
    value = entry[name]
    if type(value) is not int or not least <= value <= most:  # True is an int, too
        raise ValueError(f"{name} {value!r:.40}")
    return value
