"""Metadata of a file that goes, into the sidecar of the one that stays: written down first, and taken back by undo."""

import hashlib
import os
from pathlib import Path

from neardup.actions import files
from neardup.actions.journal import Journal
from neardup.actions.plan import Step
from neardup.actions.records import PERMISSIONS, Record, sidecar_step
from neardup.durable import replace_file
from neardup.errors import BadInput, UnreadableImage
from neardup.images import modified_ns, read_file
from neardup.metadata import find_sidecar, merged
from neardup.metadata.sidecars import new_sidecar


def add_to_sidecar(journal: Journal, number: int, step: Step) -> None:
    """Give the keeper's sidecar what the step carries, before its file is touched. Raises BadInput, OSError."""
    assert step.carried is not None
    path = find_sidecar(step.keeper) or new_sidecar(step.keeper)
    try:
        found = path.lstat()
        old = read_file(path)
    except FileNotFoundError:
        found, old = None, None
    except UnreadableImage as error:
        raise BadInput(f"{path}: {error}") from error
    try:
        content = merged(old, step.carried)
    except ValueError as error:
        raise BadInput(f"{path}: {error}; mend it, or move it away") from error
    if content == old:
        return
    mode, mtime_ns = (found.st_mode & PERMISSIONS, modified_ns(found)) if found else (0, 0)
    digest = hashlib.sha256(old).digest() if old is not None else b""
    written = hashlib.sha256(content).digest()
    size = len(old or b"")
    record = Record(sidecar_step(number), path, size, mtime_ns, mode, digest, step.keeper, written=written)
    if old is not None:
        replace_file(journal.saved(record), old)
    journal.begin(record)
    replace_file(path, content)
    if found:
        path.chmod(mode)
    journal.note("done", record.step)


def is_written(record: Record) -> bool:
    """Whether a sidecar that was begun has its new content."""
    return files.digest_of(record.path) == record.written


def restore_sidecar(record: Record, saved: Path) -> str | None:
    """Put a sidecar back as it was; why it cannot be, where it is another one by now. Raises OSError.

    saved: the file that holds what it was
    """
    digest = files.digest_of(record.path)
    if digest == (record.digest or None) and (digest or not os.path.lexists(record.path)):
        return None  # a crash came after it was put back
    if digest not in (record.written, None) or (digest is None and os.path.lexists(record.path)):
        return "has changed since metadata was added to it"
    if not record.digest:
        record.path.unlink(missing_ok=True)
        return None
    is_back = os.path.lexists(saved) and files.put_copy(
        saved, record.path, files.temporary_beside(record.path),
        size_bytes=record.size_bytes, digest=record.digest, mode=record.mode, mtime_ns=record.mtime_ns,
    )  # fmt: skip
    return None if is_back else f"{saved}, which held what it was, is gone or has changed"
