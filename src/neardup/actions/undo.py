"""Take the last applied plan back, file by file, the last one first; nothing that is there now is overwritten."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from neardup.actions import files, places
from neardup.actions.apply import settle, settle_one
from neardup.actions.elsewhere import Elsewhere
from neardup.actions.journal import Journal, journals
from neardup.actions.records import PERMISSIONS, Header, Record, sidecar_step
from neardup.actions.report import Outcome, Report
from neardup.actions.sidecars import restore_sidecar
from neardup.actions.steps import LINKS
from neardup.actions.trash import Trash, info_of, why_unsearched
from neardup.errors import BadInput, NotTrusted
from neardup.index import store
from neardup.index.owner import Owner, claim

# undone: the file is back; lost: it never will be; blocked: something is in the way, and undo may be tried again.
_Result = tuple[Literal["undone", "lost", "blocked"], str | None]
_UNDONE: _Result = ("undone", None)


def undo_last(folder: Path, *, trust: bool = False, on_progress: Callable[[], None] | None = None) -> Report:
    """Take back the last plan that was applied with this index and has not been taken back, if only in part.

    A moved or trashed file comes back as it was, and of the folders made for it those that are empty go. In the place
    of a link comes a file with the bytes of its keeper, and with the time and permissions it had; its owner, extended
    attributes and other hard links do not come back. A file that was deleted does not come back either. A sidecar that
    was given metadata is as it was once the files that the metadata is from are back. After that the plan applied
    before it is the last one.

    trust: take back what a journal says that this user did not write with this index, or an earlier neardup wrote; the
           index is then taken for this user's from now on
    Raises BadInput when there is nothing to take back, NotTrusted, IndexLocked, DamagedIndex, IndexNotWritten.
    """
    with store.write_lock(folder, None):
        owner = claim(folder, trust=trust)
        settle(folder, owner, lambda line: None)  # what cannot be trusted is said when its turn comes
        journal = _last_applied(folder, owner, trust)
        header, trash, elsewhere = journal.header, Trash(), Elsewhere(folder)
        outcomes = []
        for record in reversed(journal.records):
            if journal.states[record.step] == "done":
                outcomes.append(_take_back(journal, elsewhere.now(header.action, record), trash))
                if on_progress:
                    on_progress()
        for record in reversed(journal.records):
            places.clear(record.made(header), record.target(header))
    return Report(header.action, journal.path, outcomes)


def _last_applied(folder: Path, owner: Owner, trust: bool) -> Journal:
    for journal in journals(folder, owner, trust=trust):
        if journal.is_open and not journal.is_signed:
            if not trust:
                raise NotTrusted(
                    f"{journal.path}: an earlier neardup wrote it, and anyone could have; look at it, and 'neardup undo"
                    " --trust' takes it back, or move it away"
                )
            journal.adopt(owner)
            settle_one(journal)
        if "done" in journal.states.values():
            return journal
    raise BadInput(f"{folder}: no plan is applied that could be taken back")


def _take_back(journal: Journal, record: Record, trash: Trash) -> Outcome:
    try:
        if record.written is not None:
            result, reason = _restore_sidecar(journal, record)
        else:
            result, reason = _restore(journal.header, record, trash)
    except OSError as error:
        result, reason = "blocked", error.strerror or str(error)
    if result != "blocked":
        journal.note(result, record.step)
    return Outcome(record.path, "done" if result == "undone" else "failed", reason)


def _restore_sidecar(journal: Journal, record: Record) -> _Result:
    """Once the picture and its sidecars are back from which it has metadata: else nothing would have that any more."""
    became = journal.states_of_unit(sidecar_step(record.step))
    if became & {"done", "lost"}:
        return "lost" if "lost" in became else "blocked", "goes on to hold the metadata of a file that is not back"
    reason = restore_sidecar(record, journal.saved(record))
    return ("blocked", reason) if reason else _UNDONE


def _restore(header: Header, record: Record, trash: Trash) -> _Result:
    if header.action == "delete":
        return "lost", "was deleted, which cannot be taken back"
    if header.action in LINKS:
        return _restore_link(record)
    if header.action == "trash":
        trashed = trash.find(record.path, record.digest)
        if trashed is None and not record.path.parent.is_dir():  # its disk may come back, and its trash with it
            return "blocked", f"{record.path.parent} is not there"
        if trashed is None and not os.path.lexists(record.path) and (reason := why_unsearched()):
            return "blocked", reason
        result = _move_back(record, trashed, "the trash")
        if trashed is not None and result[0] == "undone":
            info_of(trashed).unlink(missing_ok=True)
        return result
    target = record.target(header)
    if not target.parent.is_dir():
        return "blocked", f"{target.parent} is not there"
    if os.path.lexists(target) and files.digest_of(target) != record.digest:
        return "blocked", f"{target} has changed since it was moved"
    return _move_back(record, target if os.path.lexists(target) else None, str(target.parent))


def _move_back(record: Record, source: Path | None, place: str) -> _Result:
    """Bring a file back from where it is; source: None when it is not there any more."""
    files.temporary_beside(record.path).unlink(missing_ok=True)
    if os.path.lexists(record.path):
        if files.digest_of(record.path) != record.digest:
            return "blocked", "another file has its name now"
        if source is not None and files.is_same_entry(source, record.path):
            return "blocked", f"its folder has become the one that it is in, {source.parent}"
        # A crash came between the two halves of bringing it back.
        if source is not None:
            source.unlink()
        return _UNDONE
    if source is None:
        return "lost", f"is not in {place} any more"
    record.path.parent.mkdir(parents=True, exist_ok=True)
    files.move_file(source, record.path)
    return _UNDONE


def _restore_link(record: Record) -> _Result:
    source = record.path
    if record.path.is_symlink():
        if not files.leads_to(record.path, record.keeper):
            return "blocked", "another link has its name now"
        source = record.keeper
    elif not os.path.lexists(record.path):
        source = record.keeper
    elif files.digest_of(record.path) != record.digest:
        return "blocked", "another file has its name now, or its keeper was changed through it"
    if not source.exists():
        if not source.parent.is_dir():
            return "blocked", f"{source.parent} is not there"
        return "lost", f"its keeper {record.keeper} is gone"
    record.path.parent.mkdir(parents=True, exist_ok=True)
    found = record.path.lstat() if source is record.path else None
    # An ordinary file already, as a crash in the middle of an undo leaves it.
    if found and found.st_nlink == 1 and (_permissions(found), found.st_mtime_ns) == (record.mode, record.mtime_ns):
        return _UNDONE
    is_back = files.put_copy(
        source, record.path, files.temporary_beside(record.path),
        size_bytes=record.size_bytes, digest=record.digest, mode=record.mode, mtime_ns=record.mtime_ns,
    )  # fmt: skip
    return _UNDONE if is_back else ("lost", f"its keeper {record.keeper} has changed")


def _permissions(found: os.stat_result) -> int:
    return found.st_mode & PERMISSIONS
