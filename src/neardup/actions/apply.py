"""Carry out a plan: each file and its keeper are looked at again, written down, and only then is the file touched."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from neardup.actions import files
from neardup.actions.journal import Journal, journals
from neardup.actions.keepers import check_keepers
from neardup.actions.plan import LINKS, Plan, Step
from neardup.actions.records import PERMISSIONS, Header, Record
from neardup.actions.report import Outcome, Report
from neardup.errors import BadInput, MissingPackage, NeardupError
from neardup.images import modified_ns
from neardup.index import store
from neardup.index.notes import record_doubts
from neardup.index.owner import Owner, claim


def apply_plan(
    folder: Path,
    plan: Plan,
    *,
    say: Callable[[str], None] = lambda line: None,
    on_progress: Callable[[], None] | None = None,
) -> Report:
    """Act on every file of a plan whose state is what the plan was made from; the index folder holds the journal.

    A file is touched only if its size, time and digest are those of the plan, its keeper is another regular file with
    the digest of the plan, and this is on the disk in the journal. So the last copy is never removed, the same plan
    may be applied again after a crash, and a file that changed in between is left alone. Files that are gone leave the
    index at the next `neardup index`. A journal that this user did not write is passed over, with a warning.

    say:         called with each warning
    on_progress: called after each file
    Raises IndexLocked, NotTrusted for an index that this user did not make (neardup.index.owner.trust_index), BadInput
    for a plan that removes a keeper, MissingPackage, DamagedIndex (`actions` is a link), IndexNotWritten (the journal
    cannot be written: nothing more is touched then).
    """
    if plan.action == "report":
        raise BadInput("the action 'report' changes nothing; choose another one to apply")
    with store.write_lock(folder, None):
        owner = claim(folder)
        check_keepers(plan)
        settle(folder, owner, say)
        if not plan.steps:
            return Report(plan.action, None, [])
        if plan.to is not None:
            try:
                plan.to.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BadInput(f"{plan.to}: {error.strerror}; choose another folder to move to") from error
        if plan.action == "trash":
            _find_send2trash()  # before anything is touched
        header = Header(plan.action, plan.to, datetime.now(UTC).isoformat(timespec="seconds"), len(plan.steps))
        run = _Run(plan, Journal.create(folder, owner, header))
        outcomes = []
        for number, step in enumerate(plan.steps):
            outcomes.append(run.act(number, step))
            if on_progress:
                on_progress()
        run.journal.end()
        journal: Path | None = run.journal.path
        if not run.journal.records:
            run.journal.path.unlink()
            journal = None
    _doubt(folder, run.changed)
    return Report(plan.action, journal, outcomes)


def _doubt(folder: Path, paths: set[Path]) -> None:
    """Have the next 'neardup index' read these, as is advised: size and time may well be those that it knows."""
    if paths and (folder / store.CATALOG).exists():
        with suppress(NeardupError):  # another process writes to the index: the next try finds them, too
            record_doubts(folder, paths)


class _Run:
    def __init__(self, plan: Plan, journal: Journal) -> None:
        self.plan = plan
        self.journal = journal
        self._known = files.KnownFiles()
        self._numbers: dict[str, int] = {}
        self.changed: set[Path] = set()  # files with other bytes than were indexed
        self._perform = {"trash": _trash, "delete": _delete, "move": self._move}.get(plan.action, self._link)

    def act(self, number: int, step: Step) -> Outcome:
        try:
            if refusal := self._refusal(step):
                return refusal
            mode = step.path.lstat().st_mode & PERMISSIONS
            name = self._number(step)
        except OSError as error:
            return Outcome(step.path, "failed", f"cannot be looked at ({error.strerror})")
        record = Record(number, step.path, step.size_bytes, step.mtime_ns, mode, step.digest, step.keeper, name)
        self.journal.begin(record)
        try:
            self._perform(record)
        except OSError as error:
            # Most often nothing has happened; if something has, the files show it. A link is put in place last of all.
            with suppress(OSError):  # then the next run settles it
                became = "dropped" if self.plan.action in LINKS else _what_became_of(self.journal.header, record)
                self.journal.note(became, number)
            return Outcome(step.path, "failed", error.strerror or str(error))
        self.journal.note("done", number)
        return Outcome(step.path, "done", target=record.target(self.plan.to) if self.plan.to else None)

    def _refusal(self, step: Step) -> Outcome | None:
        """Why the file must not be touched now; the keeper is looked at last, immediately before."""
        try:
            found = step.path.lstat()
        except FileNotFoundError:
            return Outcome(step.path, "skipped", "is gone already")
        if stat.S_ISLNK(found.st_mode):
            return Outcome(step.path, "skipped", "is a link already")
        if not stat.S_ISREG(found.st_mode):
            return Outcome(step.path, "failed", "is not a regular file any more")
        if files.is_same_file(step.path, step.keeper):
            return Outcome(step.path, "skipped", "is the same file as its keeper")
        if (found.st_size, modified_ns(found)) != (step.size_bytes, step.mtime_ns):
            return Outcome(step.path, "failed", "has changed since it was indexed; run 'neardup index' again")
        if files.digest_of(step.path) != step.digest:
            self.changed.add(step.path)
            return Outcome(step.path, "failed", "has other bytes than were indexed; run 'neardup index' again")
        if self.plan.action in LINKS and not step.is_same_bytes:
            return Outcome(step.path, "failed", "has other bytes than its keeper")
        if self._known.digest(step.keeper) != step.keeper_digest:
            self.changed.add(step.keeper)
            return Outcome(
                step.path, "failed", f"its keeper {step.keeper} is gone or has changed; run 'neardup index' again"
            )
        return None

    def _number(self, step: Step) -> int | None:
        """Which of the names that a moved file may take is free."""
        if self.plan.to is None:
            return None
        number = 1
        while os.path.lexists(self.plan.to / files.numbered(step.path, number)):
            # As files of one name come by the thousand, the search goes on where it ended.
            self._numbers[step.path.name] = number = self._numbers.get(step.path.name, 1) + 1
        return number

    def _link(self, record: Record) -> None:
        files.put_link(self.plan.action, record.keeper, record.path, record.target(None))
        self._known.changed_by_us(record.keeper)

    def _move(self, record: Record) -> None:
        files.move_file(record.path, record.target(self.plan.to))


def _delete(record: Record) -> None:
    record.path.unlink()


def _trash(record: Record) -> None:
    _find_send2trash()(os.fsencode(record.path))


def _find_send2trash() -> Callable[[bytes], None]:
    try:
        from send2trash import send2trash  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise MissingPackage("the action 'trash' needs the package send2trash: pip install send2trash") from error
    function: Callable[[bytes], None] = send2trash
    return function


def settle(folder: Path, owner: Owner, say: Callable[[str], None]) -> None:
    """End what a crash has left open, by what the files show; the caller holds the lock.

    A journal that is not this user's own is left as it is, and `say` is called with a line about it.
    """
    for journal in journals(folder, owner, pass_over=lambda line: say(f"Warning: {line}")):
        if journal.is_signed:
            settle_one(journal)
        elif "begun" in journal.states.values():
            say(f"Warning: {journal.path}: an earlier neardup was interrupted there; 'neardup undo --trust' ends it")


def settle_one(journal: Journal) -> None:
    """End what a crash has left open in one journal."""
    if journal.is_ended and "begun" not in journal.states.values():
        return
    for record in journal.records:
        if journal.states[record.step] == "begun":
            try:
                journal.note(_what_became_of(journal.header, record), record.step)
            except OSError as error:
                raise BadInput(
                    f"{record.path}: {error.strerror}, and a plan was interrupted there; make it readable first"
                ) from error
    journal.end()


def _what_became_of(header: Header, record: Record) -> Literal["done", "dropped"]:
    """Whether a step that was begun has happened; what it left half-made is cleared away."""
    target = record.target(header.to)
    if header.action in LINKS:
        with suppress(FileNotFoundError):
            target.unlink()
        # A reflink looks like what was there before, and taking back one that was never made does no harm.
        is_linked = record.path.is_symlink() or files.is_same_file(record.path, record.keeper)
        return "done" if is_linked or header.action == "reflink" else "dropped"
    if not os.path.lexists(record.path):
        return "done"
    if header.action == "move":
        temporary = files.temporary_beside(target)
        if os.path.lexists(temporary):  # not so where the path is longer than any that can be
            temporary.unlink()
        # Both names: the old one goes on to hold the file, if it does.
        both = files.digest_of(target) == record.digest == files.digest_of(record.path)
        if both and not files.is_same_entry(target, record.path):
            target.unlink()
    return "dropped"
