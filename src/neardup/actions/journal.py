"""The journal of a plan: one file of JSON lines in the index folder, `actions/<number>.jsonl`.

    {"format": "neardup journal 2", "action": "move", "to": "/home/a/moved", "root": "/home/a/photos",
     "created": "2026-11-21T08:00:00+00:00", "steps": 3, "mac": ...}
    {"event": "begin", "step": 0, "path": ..., "size_bytes": ..., "mtime_ns": ..., "mode": ..., "digest": ...,
     "keeper": ..., "unit": 0, "place": ..., "mac": ...}
                                                    before a file is touched, with all that taking back needs
    {"event": "begin", "step": -1, "path": ..., "size_bytes": ..., "mtime_ns": ..., "mode": ..., "digest": ...,
     "keeper": ..., "written": ..., "mac": ...}     before its keeper's sidecar is given metadata of step 0
    {"event": "done", "step": 0, "mac": ...}        it is as was asked
    {"event": "dropped", "step": 0, "mac": ...}     it was not touched after all
    {"event": "end", "mac": ...}                    the plan has been gone through
    {"event": "undone", "step": 0, "mac": ...}      the file is back
    {"event": "lost", "step": 0, "mac": ...}        it cannot come back

Every line is on the disk before what follows it happens. A crash leaves at most the last line torn, which is then
ignored, and at most the last step begun without an end: what became of it shows in the files, not here.

What belongs to a picture is a step of its own, whose `unit` is the picture's step. Where a moved file lies follows from
`to`, `root`, its own path and `place` (places.Place, field by field), which also says what was made for it there.

A keeper's sidecar that is given metadata of step n is step -1 - n: `written` is the digest of what it becomes, `digest`
that of what it was, which lies in `<number>-<n>.xmp` beside this file, and nothing for a sidecar that is new.

A journal says which files to move and to remove, and an index folder may come from anywhere. So each line carries an
HMAC-SHA256 of itself and all lines before it, under a key of this user, this index (neardup.index.owner) and this
journal's name; what does not verify is not acted on. Format 1 had `target` where `unit` and `place` are, and no MACs:
its user may say that it is to be trusted, and then it is written anew.
"""

import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from neardup.actions.records import (
    Chain,
    Header,
    Record,
    read_header,
    read_header_1,
    read_record,
    read_record_1,
    sidecar_step,
    split_mac,
)
from neardup.durable import replace_file, sync_directory
from neardup.errors import DamagedIndex, IndexNotWritten, NotTrusted
from neardup.index.owner import Owner
from neardup.reading import open_regular, parse_json
from neardup.text import said

FOLDER = "actions"

_FORMAT, _FORMAT_1 = "neardup journal 2", "neardup journal 1"
# Two paths of 4,096 bytes, six characters each at worst, and the rest.
_LONGEST_LINE_BYTES = 1 << 16
_MOST_UNSIGNED_BYTES = 1 << 30
_LONGEST_NUMBER = 12  # digits
_TRUST = "look at it, and 'neardup undo --trust' takes it back all the same, or move it away"

Event = Literal["done", "dropped", "undone", "lost"]
State = Literal["begun", "done", "dropped", "undone", "lost"]
_BEFORE: dict[str, State] = {"done": "begun", "dropped": "begun", "undone": "done", "lost": "done"}


@dataclass
class Journal:
    """One plan's journal, and what became of each step so far.

    is_signed: every line is one that this user wrote with this index
    """

    path: Path
    header: Header
    chain: Chain
    is_signed: bool = True
    records: list[Record] = field(default_factory=list)
    states: dict[int, State] = field(default_factory=dict)
    is_ended: bool = False
    _units: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def create(cls, folder: Path, owner: Owner, header: Header) -> "Journal":
        """Start the next journal of an index folder."""
        home = folder / FOLDER
        try:
            home.mkdir(exist_ok=True)
            sync_directory(folder)
            latest = max((int(path.stem) for path in journal_paths(folder)), default=0)
            if latest + 1 >= 10**_LONGEST_NUMBER:
                raise DamagedIndex(f"{home / str(latest)}.jsonl: no number is left after it; move it away")
            path = home / f"{latest + 1:06d}.jsonl"
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
            sync_directory(home)
        except OSError as error:
            raise IndexNotWritten(f"{home}: {error.strerror}; nothing was touched: check the disk") from error
        journal = cls(path, header, _chain(path, owner))
        journal._append({"format": _FORMAT} | header.to_json())
        return journal

    def begin(self, record: Record) -> None:
        self._append(record.to_json())
        self._add(record)

    def _add(self, record: Record) -> None:
        self.records.append(record)
        self.states[record.step] = "begun"
        if record.written is None:
            self._units.setdefault(record.unit, []).append(record.step)

    def note(self, event: Event, step: int) -> None:
        self._append({"event": event, "step": step})
        self.states[step] = event

    def end(self) -> None:
        self._append({"event": "end"})
        self.is_ended = True

    def saved(self, record: Record) -> Path:
        """Where what a sidecar was is kept."""
        return self.path.with_name(f"{self.path.stem}-{sidecar_step(record.step)}.xmp")

    def states_of_unit(self, picture: int) -> set[State]:
        """What became of a picture's step and of those that went along with it."""
        return {self.states[step] for step in self._units.get(picture, ())}

    @property
    def is_open(self) -> bool:
        """Whether there is something in it to end, or to take back."""
        return bool({"begun", "done"} & set(self.states.values()))

    def _append(self, entry: dict[str, Any]) -> None:
        line = self.chain.sign(_encoded(entry))
        try:
            # Found again by name, which a link may have taken.
            descriptor = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "r+b") as file:
                _drop_torn_line(file)
                file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise IndexNotWritten(
                f"{self.path}: {error.strerror}; stopped before the next file: check the disk"
            ) from error
        self.chain.follow(line)

    def adopt(self, owner: Owner) -> None:
        """Write it anew as this user's own, for whom it was not written before."""
        new = _chain(self.path, owner)
        lines = []
        for entry in self._entries():
            lines.append(new.sign(_encoded(entry)))
            new.follow(lines[-1])
        try:
            replace_file(self.path, b"\n".join([*lines, b""]))
        except OSError as error:
            raise IndexNotWritten(f"{self.path}: {error.strerror}; nothing was touched: check the disk") from error
        self.chain, self.is_signed = new, True

    def _entries(self) -> Iterator[dict[str, Any]]:
        yield {"format": _FORMAT} | self.header.to_json()
        for record in self.records:
            yield record.to_json()
            state = self.states[record.step]
            if state in ("undone", "lost"):
                yield {"event": "done", "step": record.step}
            if state != "begun":
                yield {"event": state, "step": record.step}
        if self.is_ended:
            yield {"event": "end"}

    @classmethod
    def read(cls, path: Path, owner: Owner, *, trust: bool = False) -> "Journal | None":
        """None for one that a crash left without its first line: nothing was touched then.

        trust: read one, too, that this user did not write with this index; it then is not signed, as is format 1
        Raises NotTrusted, DamagedIndex.
        """
        try:
            with io.BufferedReader(cast("io.FileIO", open_regular(path, follow=False))) as file:
                return cls._read(path, file, owner, trust)
        except OSError as error:
            raise DamagedIndex(f"{path}: {error.strerror}; move it away to go on without it") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedIndex(f"{path}: not a journal ({said(error)}); move it away to go on without it") from error

    @classmethod
    def _read(cls, path: Path, file: BinaryIO, owner: Owner, trust: bool) -> "Journal | None":
        lines = _lines(file)
        first = next(lines, None)
        if first is None:
            return None
        macs = _chain(path, owner)
        is_signed = macs.follow(first)
        entry = parse_json(split_mac(first)[0])
        version = entry.pop("format")
        if version not in (_FORMAT, _FORMAT_1):
            raise ValueError(f"format {version!r:.40}")
        if not is_signed and version == _FORMAT and not trust:
            raise NotTrusted(f"{path}: not written by you with this index; {_TRUST}")
        if not is_signed and os.fstat(file.fileno()).st_size > _MOST_UNSIGNED_BYTES:
            raise ValueError(f"larger than {_MOST_UNSIGNED_BYTES} bytes")
        entries = cls._checked(path, lines, macs if is_signed else None, trust)
        if version == _FORMAT_1:
            begun = next(entries, None)
            header = read_header_1({"format": version} | entry, begun and begun[0])
            entries = chain([begun] if begun else [], entries)
        else:
            header = read_header({"format": version} | entry)
        journal = cls(path, header, macs, is_signed)
        for found, was_signed in entries:
            journal._replay(found, read_record_1 if version == _FORMAT_1 else read_record)
            journal.is_signed &= was_signed
        return journal

    @staticmethod
    def _checked(
        path: Path, lines: Iterator[bytes], macs: Chain | None, trust: bool
    ) -> Iterator[tuple[dict[str, Any], bool]]:
        """Each line's fields, and whether this user wrote it."""
        for number, line in enumerate(lines, 2):
            is_signed = macs is not None and macs.follow(line)
            if macs is not None and not is_signed and not trust:
                raise NotTrusted(f"{path}: line {number} is not one that you wrote with this index; {_TRUST}")
            yield parse_json(split_mac(line)[0]), is_signed

    def _replay(self, entry: dict[str, Any], read: Callable[[dict[str, Any], Header], Record]) -> None:
        event = entry["event"]
        if event == "begin":
            record = read(entry, self.header)
            if not -self.header.steps <= record.step < self.header.steps or record.step in self.states:
                raise ValueError(f"step {record.step} of {self.header.steps}")
            self._add(record)
        elif event == "end" and entry.keys() == {"event"}:
            self.is_ended = True
        elif event in _BEFORE and entry.keys() == {"event", "step"} and self.states[entry["step"]] == _BEFORE[event]:
            self.states[entry["step"]] = event
        else:
            raise ValueError(f"event {event!r:.40}")


def _chain(path: Path, owner: Owner) -> Chain:
    return Chain(owner.key_for(f"journal {path.name}"))


def _encoded(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry).encode("ascii")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Whole lines without their ends; raises ValueError for one that is longer than any that is written."""
    while line := file.readline(_LONGEST_LINE_BYTES + 1):
        if len(line) > _LONGEST_LINE_BYTES:
            raise ValueError(f"a line of more than {_LONGEST_LINE_BYTES} bytes")
        if line.endswith(b"\n"):  # else a crash cut it short
            yield line[:-1]


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


def journal_paths(folder: Path) -> list[Path]:
    """The journals' files, the latest first. Raises DamagedIndex where a link leads elsewhere."""
    home = folder / FOLDER
    if home.is_symlink() or (home.exists() and not home.is_dir()):
        raise DamagedIndex(f"{home}: not a folder of this index but a link or a file; move it away")
    if not home.exists():
        return []
    names = [path for path in home.glob("*.jsonl") if path.stem.isascii() and path.stem.isdigit()]
    return sorted((p for p in names if len(p.stem) <= _LONGEST_NUMBER), key=lambda p: int(p.stem), reverse=True)


def journals(
    folder: Path, owner: Owner, *, trust: bool = False, pass_over: Callable[[str], None] | None = None
) -> Iterator[Journal]:
    """The journals of an index folder, the latest first.

    trust:     those, too, that this user did not write with this index
    pass_over: called with a line about each that cannot be read or trusted; None: raise NotTrusted or DamagedIndex
    """
    for path in journal_paths(folder):
        try:
            journal = Journal.read(path, owner, trust=trust)
        except (NotTrusted, DamagedIndex) as error:
            if pass_over is None:
                raise
            pass_over(f"{error}; passed over")
            continue
        if journal is not None:
            yield journal
