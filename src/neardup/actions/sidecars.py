"""Metadata of a file that goes, into the sidecar of the one that stays: written down first, and taken back by undo."""

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from neardup.actions import files
from neardup.actions.belongings import Belongings
from neardup.actions.journal import Journal
from neardup.actions.records import PERMISSIONS, Record, sidecar_step
from neardup.actions.steps import Step
from neardup.durable import replace_file
from neardup.errors import BadInput, UnreadableImage
from neardup.images import modified_ns, read_file
from neardup.metadata import merged
from neardup.metadata.sidecars import is_sidecar_name, new_sidecar
from neardup.metadata.xmp import MAX_BYTES


def add_to_sidecar(journal: Journal, number: int, step: Step, belongings: Belongings) -> None:
    """Give the keeper's sidecar what the step carries, before its file is touched. Raises BadInput, OSError."""
    assert step.carried is not None
    path = own_sidecar(step.keeper, belongings) or new_sidecar(step.keeper)
    found, old = _content(path)
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


def own_sidecar(picture: Path, belongings: Belongings) -> Path | None:
    """The XMP sidecar of a picture that no other file shares: what is added to it is said of the picture alone."""
    for name in (f"{picture.name}.xmp", f"{picture.name}.XMP"):  # may be new: no list of the folder is asked for it
        with suppress(OSError):
            if stat.S_ISREG(picture.with_name(name).lstat().st_mode):
                return picture.with_name(name)
    found = [file for file in belongings.of(picture) if file.owners == (picture,)]
    return next((file.path for file in found if is_sidecar_name(file.path.name, picture)), None)


def _content(path: Path) -> tuple[os.stat_result | None, bytes | None]:
    """Of a sidecar, if there is one. Raises BadInput, OSError."""
    try:
        found = path.lstat()
        if found.st_size > MAX_BYTES:
            raise BadInput(f"{path}: larger than a sidecar is")
        return found, read_file(path)
    except FileNotFoundError:
        return None, None
    except UnreadableImage as error:
        raise BadInput(f"{path}: {error}") from error


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
