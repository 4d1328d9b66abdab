"""Carry out a plan: each file and its keeper are looked at again, written down, and only then is the file touched."""

import os
import stat
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from neardup.actions import files, places
from neardup.actions.along import Along
from neardup.actions.belongings import Belongings, owners_in
from neardup.actions.journal import Journal, journals
from neardup.actions.keepers import check_keepers
from neardup.actions.records import PERMISSIONS, Header, Record
from neardup.actions.report import Outcome, Report
from neardup.actions.sidecars import add_to_sidecar, is_written
from neardup.actions.steps import LINKS, Plan, Step
from neardup.errors import BadInput, MissingPackage, NeardupError
from neardup.images import modified_ns
from neardup.index import store
from neardup.index.notes import record_doubts
from neardup.index.owner import Owner, claim

# Since when a file must be as it was, and what to do where it is not.
_Basis = tuple[str, str]
_INDEXED: _Basis = ("it was indexed", "run 'neardup index' again")
_PLANNED: _Basis = ("the plan was made", "make it again")


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
    index at the next `neardup index`. What belongs to a picture follows it, file by file, once the picture is gone, and
    only where nothing that it also belongs to is left. A journal that this user did not write is passed over, with a
    warning.

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
        if plan.action == "trash":
            _find_send2trash()  # before anything is touched
        if plan.to is not None:
            try:
                places.check(plan.to)
            except OSError as error:
                raise BadInput(f"{plan.to}: {error.strerror}; choose another folder to move to") from error
        created = datetime.now(UTC).isoformat(timespec="seconds")
        count = sum(1 + len(step.along) for step in plan.steps)
        header = Header(plan.action, plan.to, created, count, plan.root if plan.to else None)
        run = _Run(plan, Journal.create(folder, owner, header), owner)
        outcomes = []
        for step in plan.steps:
            outcomes.append(run.act_on_unit(step))
            if on_progress:
                on_progress()
        run.journal.end()
        run.clear()
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
    def __init__(self, plan: Plan, journal: Journal, owner: Owner) -> None:
        self.plan = plan
        self.journal = journal
        self._known = files.KnownFiles()
        self._owner = owner
        self._files = 0  # of the plan, before the unit at work
        self._places = places.Places(plan.to, plan.root) if plan.to else None
        self._placed: dict[Path, places.Place] = {}  # of the unit at work
        self.changed: set[Path] = set()  # files with other bytes than were indexed
        self._perform = {"trash": _trash, "delete": _delete, "move": self._move}.get(plan.action, self._link)
        self._belongings = Belongings()
        self._owners = _owners(plan)

    def act_on_unit(self, step: Step) -> Outcome:
        """On a picture, and then on what belongs to it."""
        unit = self._files
        self._files += 1 + len(step.along)
        outcome = self._act(step, unit, unit, _INDEXED)
        if not step.along:
            return outcome
        is_ours = outcome.status == "done" or (step.path, step.digest) in self._went_before
        followed = (
            self._follow(step, file, number, unit, is_ours=is_ours) for number, file in enumerate(step.along, unit + 1)
        )
        return replace(outcome, along=tuple(followed))

    @cached_property
    def _went_before(self) -> set[tuple[Path, bytes]]:
        """What earlier runs took away, one of which may have been broken off between a picture and its sidecar."""
        return {
            (record.path, record.digest)
            for journal in journals(self.journal.path.parents[1], self._owner, pass_over=lambda line: None)
            for record in journal.records
            if journal.is_signed and journal.states[record.step] == "done"
        }

    def _follow(self, step: Step, file: Along, number: int, unit: int, *, is_ours: bool) -> Outcome:
        if not is_ours or os.path.lexists(step.path):
            return Outcome(file.path, "skipped", f"stays with {step.path.name}")
        owners = self._owners.get(file.path, ())
        if not {step.path, *(other.path for other in step.along)} & set(owners):
            return Outcome(file.path, "failed", f"does not belong to {step.path.name}; make the plan again")
        left = [owner for owner in owners if os.path.lexists(owner)]
        if left:
            return Outcome(file.path, "skipped", f"stays with {left[0].name}, which it belongs to as well")
        keeper, digest = (step.keeper, step.keeper_digest) if file.copy is None else (file.copy, file.digest)
        as_step = Step(file.path, file.size_bytes, file.mtime_ns, file.digest, 1.0, None, keeper, digest)
        return self._act(as_step, number, unit, _PLANNED)

    def _act(self, step: Step, number: int, unit: int, basis: _Basis) -> Outcome:
        try:
            if refusal := self._refusal(step, basis):
                return refusal
            mode = step.path.lstat().st_mode & PERMISSIONS
            place = self._place(step)
        except OSError as error:
            return Outcome(step.path, "failed", f"cannot be looked at ({error.strerror})")
        if step.carried is not None:
            try:
                add_to_sidecar(self.journal, number, step, self._belongings)
            except (OSError, BadInput) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                return Outcome(step.path, "failed", f"its keeper's sidecar cannot be added to ({reason})")
        record = Record(number, step.path, step.size_bytes, step.mtime_ns, mode, step.digest, step.keeper, unit, place)
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
        return Outcome(step.path, "done", target=record.target(self.journal.header) if self.plan.to else None)

    def clear(self) -> None:
        """Take away the folders that were made for nothing."""
        header = self.journal.header
        for record in reversed(self.journal.records):
            places.clear(record.made(header), record.target(header))

    def _refusal(self, step: Step, basis: _Basis) -> Outcome | None:
        """Why the file must not be touched now; the keeper is looked at last, immediately before."""
        since, advice = basis
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
            return Outcome(step.path, "failed", f"has changed since {since}; {advice}")
        if files.digest_of(step.path) != step.digest:
            if basis is _INDEXED:
                self.changed.add(step.path)
            return Outcome(step.path, "failed", f"has other bytes than when {since}; {advice}")
        if self.plan.action in LINKS and not step.is_same_bytes:
            return Outcome(step.path, "failed", "has other bytes than its keeper")
        if self._known.digest(step.keeper) != step.keeper_digest:
            if basis is _INDEXED:
                self.changed.add(step.keeper)
            return Outcome(step.path, "failed", f"its keeper {step.keeper} is gone or has changed; {advice}")
        return None

    def _place(self, step: Step) -> places.Place | None:
        """Where a moved file will lie, and what has to be made for that."""
        if self._places is None or self.plan.to is None:
            return None
        if step.path not in self._placed:
            self._placed = self._places.of_unit(step.path, (file.path for file in step.along))
        place = self._placed[step.path]
        folders, mark = places.to_make(self.plan.to, place.path(step.path, self.plan.to, self.plan.root))
        return replace(place, folders=folders, mark=mark)

    def _link(self, record: Record) -> None:
        files.put_link(self.plan.action, record.keeper, record.path, record.target(self.journal.header))
        self._known.changed_by_us(record.keeper)

    def _move(self, record: Record) -> None:
        places.make(record.made(self.journal.header))
        files.move_file(record.path, record.target(self.journal.header))


def _owners(plan: Plan) -> dict[Path, tuple[Path, ...]]:
    """Whose it is what goes along, as it was before anything went: that shows in the names beside it."""
    names: defaultdict[Path, set[str]] = defaultdict(set)
    for step in plan.steps:
        for path in (step.path, *(file.path for file in step.along)) if step.along else ():
            names[path.parent].add(path.name)
    return {
        folder / name: tuple(folder / owner for owner in owners)
        for folder, gone in names.items()
        for name, owners in owners_in(folder, gone).items()
    }


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
    if record.written is not None:
        return "done" if is_written(record) else "dropped"
    target = record.target(header)
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
        places.clear(record.made(header), target)
    return "dropped"
