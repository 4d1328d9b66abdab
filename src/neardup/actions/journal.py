"""The journal of a plan: one file of JSON lines in the index folder, `actions/<number>.jsonl`.

    {"format": "neardup journal 1", "action": "move", "created": "2026-11-21T08:00:00+00:00", "steps": 3}
    {"event": "begin", "step": 0, "path": ..., "size_bytes": ..., "mtime_ns": ..., "mode": ..., "digest": ...,
     "keeper": ..., "target": ...}      before a file is touched, with all that finishing or taking back needs;
                                        "made": [...] where folders are made for it, which taking back removes
    {"event": "done", "step": 0}        it is as was asked
    {"event": "dropped", "step": 0}     it was not touched after all
    {"event": "end"}                    the plan has been gone through
    {"event": "undone", "step": 0}      the file is back
    {"event": "lost", "step": 0}        it cannot come back

Every line is on the disk before what follows it happens. A crash leaves at most the last line torn, which is then
ignored, and at most the last step begun without an end: what became of it shows in the files, not here.
`target` is where a moved file goes, and for links the temporary name that takes the file's place in one rename.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from neardup.durable import sync_directory
from neardup.errors import DamagedIndex, IndexNotWritten
from neardup.text import said

FOLDER = "actions"
_FORMAT = "neardup journal 1"

Event = Literal["done", "dropped", "undone", "lost"]
State = Literal["begun", "done", "dropped", "undone", "lost"]


@dataclass(frozen=True)
class Record:
    """A file about to be touched, as it is at that moment."""

    step: int
    path: Path
    size_bytes: int
    mtime_ns: int
    mode: int
    digest: bytes
    keeper: Path
    target: Path | None
    made: tuple[Path, ...] = ()  # folders made for it, outermost first, and the mark that sets the first apart


@dataclass
class Journal:
    """One plan's journal, and what became of each step so far."""

    path: Path
    action: str
    records: list[Record] = field(default_factory=list)
    states: dict[int, State] = field(default_factory=dict)
    is_ended: bool = False

    @classmethod
    def create(cls, folder: Path, action: str, steps: int) -> "Journal":
        """Start the next journal of an index folder."""
        home = folder / FOLDER
        try:
            home.mkdir(exist_ok=True)
            sync_directory(folder)
            numbers = [int(path.stem) for path in home.glob("*.jsonl") if path.stem.isdigit()]
            journal = cls(home / f"{max(numbers, default=0) + 1:06d}.jsonl", action)
            with journal.path.open("xb"):
                pass
            sync_directory(home)
        except OSError as error:
            raise IndexNotWritten(f"{home}: {error.strerror}; nothing was touched: check the disk") from error
        created = datetime.now(UTC).isoformat(timespec="seconds")
        journal._append({"format": _FORMAT, "action": action, "created": created, "steps": steps})
        return journal

    def begin(self, record: Record) -> None:
        entry: dict[str, Any] = {
            "event": "begin",
            "step": record.step,
            "path": str(record.path),
            "size_bytes": record.size_bytes,
            "mtime_ns": record.mtime_ns,
            "mode": record.mode,
            "digest": record.digest.hex(),
            "keeper": str(record.keeper),
            "target": None if record.target is None else str(record.target),
        }
        if record.made:
            entry["made"] = [str(path) for path in record.made]
        self._append(entry)
        self.records.append(record)
        self.states[record.step] = "begun"

    def note(self, event: Event, step: int) -> None:
        self._append({"event": event, "step": step})
        self.states[step] = event

    def end(self) -> None:
        self._append({"event": "end"})
        self.is_ended = True

    def _append(self, entry: dict[str, Any]) -> None:
        try:
            with self.path.open("r+b") as file:
                _drop_torn_line(file)
                file.write(json.dumps(entry).encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise IndexNotWritten(
                f"{self.path}: {error.strerror}; stopped before the next file: check the disk"
            ) from error

    @classmethod
    def read(cls, path: Path) -> "Journal | None":
        """None for one that a crash left without its first line: nothing was touched then."""
        lines = path.read_bytes().split(b"\n")[:-1]
        if not lines:
            return None
        try:
            header, *entries = map(json.loads, lines)
            if header["format"] != _FORMAT:
                raise ValueError(f"format {header['format']!r:.40}")
            journal = cls(path, str(header["action"]))
            for entry in entries:
                journal._replay(entry)
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedIndex(f"{path}: not a journal ({said(error)}); move it away to go on without it") from error
        return journal

    def _replay(self, entry: dict[str, Any]) -> None:
        event = entry["event"]
        if event == "begin":
            target = entry["target"]
            digest = bytes.fromhex(entry["digest"])
            numbers = (int(entry["size_bytes"]), int(entry["mtime_ns"]), int(entry["mode"]))
            record = Record(
                int(entry["step"]),
                Path(entry["path"]),
                *numbers,
                digest,
                Path(entry["keeper"]),
                target and Path(target),
                tuple(map(Path, entry.get("made", ()))),
            )
            self.records.append(record)
            self.states[record.step] = "begun"
        elif event == "end":
            self.is_ended = True
        elif event in ("done", "dropped", "undone", "lost"):
            self.states[int(entry["step"])] = event
        else:
            raise ValueError(f"event {event!r:.40}")


def _drop_torn_line(file: BinaryIO) -> None:
    """Cut off what follows the last newline, and leave the file there to be written on."""
    end = file.seek(0, os.SEEK_END)
    if not end:
        return
    file.seek(end - 1)
    if file.read(1) == b"\n":
        return
    file.seek(max(0, end - (1 << 20)))
    tail = file.read()
    file.seek(end - len(tail) + tail.rfind(b"\n") + 1)
    file.truncate()


def journals(folder: Path) -> Iterator[Journal]:
    """The journals of an index folder, the latest first."""
    home = folder / FOLDER
    names = [path for path in home.glob("*.jsonl") if path.stem.isdigit()] if home.is_dir() else []
    for path in sorted(names, key=lambda path: int(path.stem), reverse=True):
        if (journal := Journal.read(path)) is not None:
            yield journal
