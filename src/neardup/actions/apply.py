"""Carry out a plan: each file and its keeper are looked at again, written down, and only then is the file touched."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from neardup.actions import files, places
from neardup.actions.along import Along
from neardup.actions.belongings import Belongings
from neardup.actions.journal import Journal, Record, journals
from neardup.actions.plan import LINKS, Plan, Step
from neardup.actions.report import Outcome, Report
from neardup.errors import BadInput, MissingPackage
from neardup.images import modified_ns
from neardup.index import store

_WHEN_INDEXED = "it was indexed; run 'neardup index' again"
_WHEN_PLANNED = "the plan was made; make it again"


def apply_plan(folder: Path, plan: Plan, *, on_progress: Callable[[], None] | None = None) -> Report:
    """Act on every file of a plan whose state is what the plan was made from; the index folder holds the journal.

    A file is touched only if its size, time and digest are those of the plan, its keeper is another regular file with
    the digest of the plan, and this is on the disk in the journal. So the last copy is never removed, the same plan
    may be applied again after a crash, and a file that changed in between is left alone. Files that are gone leave the
    index at the next `neardup index`. What belongs to a picture follows it, file by file, once the picture is gone, and
    only where nothing that it also belongs to is left.

    on_progress: called after each file
    Raises IndexLocked, BadInput for a plan that removes a keeper, MissingPackage, DamagedIndex (a journal that cannot
    be read), IndexNotWritten (the journal cannot be written: nothing more is touched then).
    """
    if plan.action == "report":
        raise BadInput("the action 'report' changes nothing; choose another one to apply")
    _refuse_to_remove_what_stays(plan)
    with store.write_lock(folder, None):
        settle(folder)
        if not plan.steps:
            return Report(plan.action, None, [])
        if plan.action == "trash":
            _find_send2trash()  # before anything is touched
        if plan.to is not None:
            try:
                places.check(plan.to)
            except OSError as error:
                raise BadInput(f"{plan.to}: {error.strerror}; choose another folder to move to") from error
        run = _Run(plan, Journal.create(folder, plan.action, sum(1 + len(step.along) for step in plan.steps)))
        outcomes = []
        for step in plan.steps:
            outcomes.append(run.act_on_unit(step))
            if on_progress:
                on_progress()
        run.journal.end()
        run.clear()
        if not run.journal.records:
            run.journal.path.unlink()
            return Report(plan.action, None, outcomes)
    return Report(plan.action, run.journal.path, outcomes)


def _refuse_to_remove_what_stays(plan: Plan) -> None:
    copies = {file.copy for step in plan.steps for file in step.along}
    stays = copies.union(step.keeper for step in plan.steps)
    for step in plan.steps:
        for path in (step.path, *(file.path for file in step.along)):
            if path in stays:
                raise BadInput(f"{path}: the plan removes it, and keeps it for another file; make the plan again")


class _Run:
    def __init__(self, plan: Plan, journal: Journal) -> None:
        self.plan = plan
        self.journal = journal
        self._known = files.KnownFiles()
        self._places = places.Places(plan.to, plan.root) if plan.to else None
        self._placed: dict[Path, Path] = {}  # of the unit at work
        self._perform = {"trash": _trash, "delete": _delete, "move": _move}.get(plan.action, self._link)
        self._belongings = Belongings()
        # As they are before anything goes: whose a file is shows in the names beside it.
        self._owners = {
            beside.path: beside.owners
            for step in plan.steps
            for owner in (step.path, *(file.path for file in step.along))
            if step.along
            for beside in self._belongings.of(owner)
        }

    def act_on_unit(self, step: Step) -> Outcome:
        """On a picture, and then on what belongs to it."""
        outcome = self._act(step, _WHEN_INDEXED)
        if not step.along:
            return outcome
        is_ours = outcome.status == "done" or (step.path, step.digest) in self._went_before
        return replace(outcome, along=tuple(self._follow(step, file, is_ours=is_ours) for file in step.along))

    @cached_property
    def _went_before(self) -> set[tuple[Path, bytes]]:
        """What earlier runs took away, one of which may have been broken off between a picture and its sidecar."""
        return {
            (record.path, record.digest)
            for journal in journals(self.journal.path.parents[1])
            for record in journal.records
            if journal.states[record.step] == "done"
        }

    def _follow(self, step: Step, file: Along, *, is_ours: bool) -> Outcome:
        if not is_ours or os.path.lexists(step.path):
            return Outcome(file.path, "skipped", f"stays with {step.path.name}")
        left = [owner for owner in self._owners.get(file.path, ()) if os.path.lexists(owner)]
        if left:
            return Outcome(file.path, "skipped", f"stays with {left[0].name}, which it belongs to as well")
        keeper, digest = (step.keeper, step.keeper_digest) if file.copy is None else (file.copy, file.digest)
        as_step = Step(file.path, file.size_bytes, file.mtime_ns, file.digest, 1.0, None, keeper, digest)
        return self._act(as_step, _WHEN_PLANNED)

    def _act(self, step: Step, when: str) -> Outcome:
        try:
            if refusal := self._refusal(step, when):
                return refusal
            mode = step.path.lstat().st_mode
            target = self._target(step)
        except OSError as error:
            return Outcome(step.path, "failed", f"cannot be looked at ({error.strerror})")
        number = len(self.journal.records)
        record = Record(number, step.path, step.size_bytes, step.mtime_ns, mode, step.digest, step.keeper, target)
        if self.plan.to is not None and target is not None:
            record = replace(record, made=places.to_make(self.plan.to, target.parent))
        self.journal.begin(record)
        try:
            self._perform(record)
        except OSError as error:
            # Most often nothing has happened; if something has, the files show it. A link is put in place last of all.
            with suppress(OSError):  # then the next run settles it
                became = "dropped" if self.plan.action in LINKS else _what_became_of(self.plan.action, record)
                self.journal.note(became, number)
            return Outcome(step.path, "failed", error.strerror or str(error))
        self.journal.note("done", number)
        return Outcome(step.path, "done", target=target if self.plan.action == "move" else None)

    def clear(self) -> None:
        """Take away the folders that were made for nothing."""
        for record in reversed(self.journal.records):
            if record.made and record.target is not None:
                places.clear(record.made, record.target)

    def _refusal(self, step: Step, when: str) -> Outcome | None:
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
            return Outcome(step.path, "failed", f"has changed since {when}")
        if files.digest_of(step.path) != step.digest:
            return Outcome(step.path, "failed", f"has other bytes than when {when}")
        if self.plan.action in LINKS and not step.is_same_bytes:
            return Outcome(step.path, "failed", "has other bytes than its keeper")
        if self._known.digest(step.keeper) != step.keeper_digest:
            return Outcome(step.path, "failed", f"its keeper {step.keeper} is gone or has changed")
        return None

    def _target(self, step: Step) -> Path | None:
        if self.plan.action in LINKS:
            return files.temporary_beside(step.path)
        if self._places is None:
            return None
        if step.path not in self._placed:
            self._placed = self._places.of_unit(step.path, (file.path for file in step.along))
        return self._placed[step.path]

    def _link(self, record: Record) -> None:
        assert record.target is not None
        files.put_link(self.plan.action, record.keeper, record.path, record.target)
        self._known.changed_by_us(record.keeper)


def _move(record: Record) -> None:
    assert record.target is not None
    places.make(record.made)
    files.move_file(record.path, record.target)


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


def settle(folder: Path) -> None:
    """End what a crash has left open, by what the files show; the caller holds the lock."""
    for journal in journals(folder):
        if journal.is_ended and "begun" not in journal.states.values():
            continue
        for record in journal.records:
            if journal.states[record.step] == "begun":
                try:
                    journal.note(_what_became_of(journal.action, record), record.step)
                except OSError as error:
                    raise BadInput(
                        f"{record.path}: {error.strerror}, and a plan was interrupted there; make it readable first"
                    ) from error
        journal.end()


def _what_became_of(action: str, record: Record) -> Literal["done", "dropped"]:
    """Whether a step that was begun has happened; what it left half-made is cleared away."""
    if action in LINKS:
        assert record.target is not None
        with suppress(FileNotFoundError):
            record.target.unlink()
        # A reflink looks like what was there before, and taking back one that was never made does no harm.
        is_linked = record.path.is_symlink() or files.is_same_file(record.path, record.keeper) or action == "reflink"
        return "done" if is_linked else "dropped"
    if not os.path.lexists(record.path):
        return "done"
    if record.target is not None:
        with suppress(FileNotFoundError):
            files.temporary_beside(record.target).unlink()
        # Both names: the old one goes on to hold the file, if it does.
        both = files.digest_of(record.target) == record.digest == files.digest_of(record.path)
        if both and not files.is_same_entry(record.target, record.path):
            record.target.unlink()
        places.clear(record.made, record.target)
    return "dropped"
