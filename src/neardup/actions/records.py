"""What a journal's lines say, checked field by field, and the MACs that tie each line to all those before it."""

import hashlib
import hmac
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neardup.actions import files
from neardup.actions.places import Place
from neardup.actions.plan_files import absolute_path
from neardup.actions.steps import ACTIONS, LINKS, Action
from neardup.metadata.sidecars import is_sidecar_name
from neardup.metadata.xmp import MAX_BYTES

# Permissions come back, not what lets a program run as another user.
PERMISSIONS = 0o777

_HEADER = {"format", "action", "created", "steps"}
_BEGIN = {"event", "step", "path", "size_bytes", "mtime_ns", "mode", "digest", "keeper"}
# A path of 4,096 bytes has no more.
_MOST_FOLDERS = 2048
_PLACE = {"number", "stem_length", "folders", "mark"}
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
    """What is to be done with each file, and below which folder a moved one then lies."""

    action: Action
    to: Path | None
    created: str
    steps: int  # files, those that go along with others, too
    root: Path | None = None  # files from below it keep their folders

    def to_json(self) -> dict[str, Any]:
        to, root = (None if path is None else str(path) for path in (self.to, self.root))
        return {"action": self.action, "to": to, "root": root, "created": self.created, "steps": self.steps}


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
    unit: int = 0  # the step of the picture that it belongs to; of a picture its own
    place: Place | None = None  # of a moved file
    written: bytes | None = (
        None  # of a sidecar of its keeper: SHA-256 of what it becomes; `digest` is empty for a new one
    )

    def target(self, header: Header) -> Path:
        """Where a moved file goes, and for links the temporary name that takes the file's place in one rename.

        Never read from a journal: it follows from what is done.
        """
        if header.to is None or self.place is None:
            return files.temporary_beside(self.path)
        return self.place.path(self.path, header.to, header.root)

    def made(self, header: Header) -> list[Path]:
        """The folders, and the mark, that were made for it, outermost first."""
        return [] if header.to is None or self.place is None else self.place.made(self.target(header), header.to)

    def to_json(self) -> dict[str, Any]:
        kind: dict[str, Any] = {"unit": self.unit, "place": None if self.place is None else asdict(self.place)}
        if self.written is not None:
            kind = {"written": self.written.hex()}
        return {
            "event": "begin",
            "step": self.step,
            "path": str(self.path),
            "size_bytes": self.size_bytes,
            "mtime_ns": self.mtime_ns,
            "mode": self.mode,
            "digest": self.digest.hex(),
            "keeper": str(self.keeper),
            **kind,
        }


def sidecar_step(step: int) -> int:
    """The number of the step that gives its keeper's sidecar metadata of a step; also the other way round."""
    return -1 - step


def read_header(entry: Mapping[str, Any]) -> Header:
    """The first line of a journal, format 2; raises ValueError."""
    _check_fields(entry, _HEADER | {"to", "root"})
    action, to, root = entry["action"], entry["to"], entry["root"]
    if action not in ACTIONS or action == "report" or (action == "move") != (to is not None):
        raise ValueError(f"action {action!r:.40}")
    if root is not None and to is None:
        raise ValueError(f"a root with action {action}")
    to, root = (None if path is None else absolute_path(path) for path in (to, root))
    return Header(action, to, str(entry["created"])[:40], _whole(entry, "steps"), root)


def read_record(entry: Mapping[str, Any], header: Header) -> Record:
    """A begin line, format 2; raises ValueError."""
    if "written" in entry:
        return _read_sidecar(entry, header)
    _check_fields(entry, _BEGIN | {"unit", "place"})
    place = None if entry["place"] is None else _read_place(entry["place"], absolute_path(entry["path"]))
    if (header.action == "move") != (place is not None):
        raise ValueError(f"a place with action {header.action}")
    unit = _whole(entry, "unit", most=_whole(entry, "step"))
    record = _record(entry, _whole(entry, "mode", most=PERMISSIONS), unit, place)
    if place is not None and place.folders > len(record.target(header).parents):
        raise ValueError(f"{place.folders} folders above {record.path.name!r:.60}")
    return record


def _read_place(entry: Mapping[str, Any], path: Path) -> Place:
    _check_fields(entry, _PLACE)
    if type(entry["mark"]) is not bool or path.name in ("", ".."):
        raise ValueError(f"mark {entry['mark']!r:.40} of {path.name!r:.60}")
    number, length = _whole(entry, "number", 1), _whole(entry, "stem_length", 1, len(path.name))
    return Place(number, length, _whole(entry, "folders", most=_MOST_FOLDERS), entry["mark"])


def _read_sidecar(entry: Mapping[str, Any], header: Header) -> Record:
    """Of a sidecar that is given metadata, whose path must be one that its keeper's has."""
    _check_fields(entry, _BEGIN | {"written"})
    path, keeper = absolute_path(entry["path"]), absolute_path(entry["keeper"])
    if header.action in LINKS or path.parent != keeper.parent or not is_sidecar_name(path.name, keeper):
        raise ValueError(
            f"{path.name!r:.60} is no sidecar that a {header.action} gives metadata of {keeper.name!r:.60}"
        )
    is_new = entry["digest"] == ""
    return Record(
        _whole(entry, "step", -_MOST, -1),
        path,
        _whole(entry, "size_bytes", most=0 if is_new else MAX_BYTES),
        _whole(entry, "mtime_ns", -_MOST),
        _whole(entry, "mode", most=PERMISSIONS),
        b"" if is_new else _digest(entry["digest"]),
        keeper,
        written=_digest(entry["written"]),
    )


def read_header_1(entry: Mapping[str, Any], first: Mapping[str, Any] | None) -> Header:
    """The first line of a journal that an earlier neardup wrote, format 1; `first`: its first begin line."""
    _check_fields(entry, _HEADER)
    to = None
    if entry["action"] == "move" and first is not None:
        to = str(absolute_path(first.get("target")).parent)
    elif entry["action"] == "move":
        to = "/"  # nothing was moved
    return read_header(dict(entry) | {"to": to, "root": None})


def read_record_1(entry: Mapping[str, Any], header: Header) -> Record:
    """A begin line, format 1, whose target must be the one that follows from the rest; raises ValueError."""
    _check_fields(entry, _BEGIN | {"target"})
    mode = _whole(entry, "mode", most=0o177777)
    if not stat.S_ISREG(mode):
        raise ValueError(f"mode {mode:o} is not a regular file's")
    target, place = entry["target"], None
    if header.action == "move":
        path = absolute_path(entry["path"])
        place = Place(files.number_of(path, absolute_path(target).name), len(path.stem))
    record = _record(entry, mode & PERMISSIONS, _whole(entry, "step"), place)
    has_target = header.action == "move" or header.action in LINKS
    if (target is not None) != has_target or (has_target and absolute_path(target) != record.target(header)):
        raise ValueError(f"target {target!r:.60} is not where a {header.action} puts {record.path.name!r:.60}")
    return record


def _record(entry: Mapping[str, Any], mode: int, unit: int, place: Place | None) -> Record:
    return Record(
        _whole(entry, "step"),
        absolute_path(entry["path"]),
        _whole(entry, "size_bytes"),
        _whole(entry, "mtime_ns", -_MOST),
        mode,
        _digest(entry["digest"]),
        absolute_path(entry["keeper"]),
        unit,
        place,
    )


def _digest(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != 32:
        raise ValueError("a SHA-256 has 32 bytes")
    return digest


def _check_fields(entry: Mapping[str, Any], expected: set[str]) -> None:
    if entry.keys() != expected:
        raise ValueError(f"a line has {', '.join(sorted(map(str, entry)))}"[:150])


def _whole(entry: Mapping[str, Any], name: str, least: int = 0, most: int = _MOST) -> int:
    value = entry[name]
    if type(value) is not int or not least <= value <= most:  # True is an int, too
        raise ValueError(f"{name} {value!r:.40}")
    return value
