"""Metadata of a file that goes, into the sidecar of the one that stays: written down first, and taken back by undo."""

import hashlib
import stat

from neardup.actions import files
from neardup.actions.journal import Journal, Record
from neardup.actions.plan import Step
from neardup.durable import replace_file
from neardup.errors import BadInput, UnreadableImage
from neardup.images import modified_ns, read_file
from neardup.metadata import find_sidecar, merged
from neardup.metadata.sidecars import new_sidecar


def sidecar_step(step: int) -> int:
    """The number in the journal of the sidecar that a step adds to; also the other way round."""
    return -1 - step


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
    saved = None
    if old is not None:
        saved = journal.path.with_name(f"{journal.path.stem}-{number}.xmp")
        replace_file(saved, old)
    mode, mtime_ns = (found.st_mode, modified_ns(found)) if found else (0, 0)
    digest = hashlib.sha256(old).digest() if old is not None else b""
    written = hashlib.sha256(content).digest()
    size = len(old or b"")
    journal.begin(Record(sidecar_step(number), path, size, mtime_ns, mode, digest, step.keeper, saved, written))
    replace_file(path, content)
    if found:
        path.chmod(stat.S_IMODE(mode))
    journal.note("done", sidecar_step(number))


def is_written(record: Record) -> bool:
    """Whether a sidecar that was begun has its new content."""
    return files.digest_of(record.path) == record.written


def restore_sidecar(record: Record) -> str | None:
    """Put a sidecar back as it was; why it cannot be, where it is another one by now. Raises OSError."""
    digest = files.digest_of(record.path)
    if digest == (record.digest or None):
        return None  # a crash came after it was put back
    if digest not in (record.written, None):
        return "has changed since metadata was added to it"
    if record.target is None:
        record.path.unlink(missing_ok=True)
        return None
    is_back = files.put_copy(
        record.target,
        record.path,
        files.temporary_beside(record.path),
        digest=record.digest,
        mode=record.mode,
        mtime_ns=record.mtime_ns,
    )
    return None if is_back else f"{record.target}, which holds what it was, has changed"
