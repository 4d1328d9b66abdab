"""What a person has decided about each group: marks on its images, verdicts kept in the index, a plan, undo.

A mark says what shall become of one image: "keep" (it stays, though it is a duplicate), "drop" (it goes), "not" (it is
no duplicate), "later". Marks other than "not" leave at least one image of every group in place. Each change of marks is
kept in the index as verdicts on pairs of contents (`neardup.index.notes`) before anything else notices it; which of the
duplicates go is kept in the plan, which `neardup dedup --plan FILE --apply` carries out.
"""

import shlex
import threading
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from neardup.actions import Action, Looks, Plan, complete, load_plan, plan_pictures, save_plan
from neardup.actions.savings import freed_bytes
from neardup.errors import BadInput, NeardupError
from neardup.groups import DuplicateGroup, Member, pairs_of_group
from neardup.groups.keep import KeepPolicy
from neardup.groups.ties import relation_to_keeper
from neardup.index.looks import Look, record_looks
from neardup.index.notes import Pair, Verdict, load_verdicts, pair_of, record_verdicts
from neardup.jobs.looks import remember_looks
from neardup.matching.evidence import Relation
from neardup.text import printable

Mark = Literal["keep", "drop", "not", "later"]
MARKS: tuple[Mark, ...] = ("keep", "drop", "not", "later")
Marks = tuple[Mark | None, ...]

# How long the end of a review may take for that; what is left the next 'neardup index' sees to.
_LONGEST_LOOK_S = 5.0
_VERDICTS: dict[Mark, Verdict] = {"keep": "duplicate", "drop": "duplicate", "not": "not", "later": "later"}
# Changes that can be taken back; each holds the marks of the groups it touched.
MOST_UNDOS = 1000


class Refused(NeardupError):
    """A mark that would leave no image of a group, or that means nothing."""


@dataclass(frozen=True)
class Totals:
    groups: int
    decided: int  # groups with a mark on every image that needs one
    drops: int
    drop_bytes: int  # what the disk gets back for these
    different: int  # images told to be no duplicates


@dataclass(frozen=True)
class _Change:
    marks: dict[int, Marks]  # what they were before
    verdicts: dict[Pair, Verdict | None]  # likewise


class Review:
    """Decisions on groups; safe to use from several threads."""

    def __init__(
        self,
        folder: Path,
        groups: Iterable[DuplicateGroup],
        *,
        plan_path: Path,
        action: Action = "trash",
        to: Path | None = None,
        root: Path | None = None,
        keep: KeepPolicy | None = None,
    ) -> None:
        """folder: the index, which keeps the verdicts. plan_path: where the plan is, from an earlier review perhaps.
        root: below it files keep their place when they are moved to `to`. Raises BadInput, DamagedIndex."""
        self.folder = folder
        self.plan_path = plan_path
        self.groups: Sequence[DuplicateGroup] = tuple(groups)
        self._action: Action = action
        self._to, self._root = to, root.absolute() if root else None
        self._keep = keep
        self._looks = Looks()
        self._lock = threading.RLock()
        self._saving = threading.Lock()
        self._timer: threading.Timer | None = None
        # What was decided about is looked at meanwhile, so that decisions hold when a tag is written into a file.
        self._looking = ThreadPoolExecutor(1, "look")
        self._looked: Future[None] | None = None
        self._changed = False
        self._undo: list[_Change] = []
        self._verdicts: dict[Pair, Verdict] = load_verdicts(folder)
        self._plans: dict[int, tuple[Marks, Plan]] = {}
        self._freed: dict[int, tuple[Marks, int]] = {}
        dropped = self._planned_before()
        self._marks = [self._marks_before(group, dropped) for group in self.groups]

    @property
    def command(self) -> str:
        """What carries out the plan, for a shell."""
        words = ["neardup", "dedup", "--index", str(self.folder.absolute()), "--plan", str(self.plan_path), "--apply"]
        return shlex.join(words)

    def _planned_before(self) -> set[tuple[Path, bytes]]:
        if not self.plan_path.exists():
            return set()
        try:
            return {(step.path, step.digest) for step in load_plan(self.plan_path).steps}
        except BadInput as error:
            raise BadInput(f"{error}; or remove that file, or choose another one with --plan") from error

    def _marks_before(self, group: DuplicateGroup, dropped: set[tuple[Path, bytes]]) -> Marks:
        """As the verdicts and the plan of an earlier review have it."""
        marks: list[Mark | None] = []
        for member in group.members:
            verdict = None
            if member.digest != group.keeper.digest:
                verdict = self._verdicts.get(pair_of(group.keeper.digest, member.digest))
            if (member.path, member.digest) in dropped and verdict != "not":
                marks.append("drop")
            else:
                marks.append({"duplicate": "keep", "later": "later", "not": "not", None: None}[verdict])
        if staying(marks) is None:
            marks[0] = None
        return tuple(marks)

    def marks(self, group: int) -> Marks:
        return self._marks[group]

    def is_decided(self, group: int) -> bool:
        """Whether every image but the one that stays has a mark."""
        marks = self._marks[group]
        stays = staying(marks)
        return all(mark is not None for number, mark in enumerate(marks) if number != (stays or 0))

    @property
    def is_saved(self) -> bool:
        """Whether the plan on disk is that of the marks."""
        return not self._changed

    @property
    def undos(self) -> int:
        return len(self._undo)

    def totals(self) -> Totals:
        with self._lock:
            return Totals(
                groups=len(self.groups),
                decided=sum(self.is_decided(number) for number in range(len(self.groups))),
                drops=sum(marks.count("drop") for marks in self._marks),
                drop_bytes=sum(self._freed_by(number) for number in range(len(self.groups))),
                different=sum(marks.count("not") for marks in self._marks),
            )

    def _freed_by(self, number: int) -> int:
        """What the disk gets back for the dropped images of a group; asked of it once, unless the marks change."""
        marks = self._marks[number]
        if "drop" not in marks:
            return 0
        known = self._freed.get(number)
        if known is None or known[0] != marks:
            members = zip(self.groups[number].members, marks, strict=True)
            freed = freed_bytes([member.path for member, mark in members if mark == "drop"])
            known = self._freed[number] = marks, sum(each or 0 for each in freed)
        return known[1]

    def mark(self, group: int, member: int, mark: Mark | None) -> None:
        """Mark one image; None takes its mark away. "not" and "later" on the keeper are about the whole group.

        Raises Refused, IndexLocked while another process writes to the index, IndexNotWritten.
        """
        with self._lock:
            if member == 0 and mark in ("not", "later"):
                self.mark_all(group, mark)
                return
            marks = list(self._marks[group])
            members = self.groups[group].members
            if "not" in (mark, marks[member]):  # a verdict is on contents: byte copies share it
                for number, other in enumerate(members):
                    if number and other.digest == members[member].digest:
                        marks[number] = "keep" if mark == "drop" else mark
            marks[member] = mark
            if mark == "not" and members[member].digest == members[0].digest:
                raise Refused("Byte copies of one image: there is nothing to tell apart")
            stays = staying(marks)
            if stays is None:
                raise Refused("One image of a group stays: keep another one first")
            if marks[0] == "drop" and marks[stays] is None:
                marks[stays] = "keep"
            self._change({group: tuple(marks)})

    def mark_all(self, group: int, mark: Mark | None) -> None:
        """Mark every image of a group. "drop" spares the one that stays; "not" takes each apart from each other."""
        with self._lock:
            members = self.groups[group].members
            marks: list[Mark | None] = [mark] * len(members)
            if mark == "not":
                if not pairs_of_group(self.groups[group], "not"):
                    raise Refused("Byte copies of one image: there is nothing to tell apart")
                marks = [None if member.digest == members[0].digest else "not" for member in members]
            elif mark != "keep":
                stays = staying(self._marks[group]) or 0
                marks[stays] = self._marks[group][stays] if mark == "drop" and stays else None
            self._change({group: tuple(marks)}, apart=[group] if mark == "not" else [])

    def keep_only(self, group: int, member: int) -> None:
        """Keep one image and drop the others, but for those told to be no duplicates."""
        with self._lock:
            members = self.groups[group].members
            marks: list[Mark | None] = [
                "not" if mark == "not" and other.digest != members[member].digest else "drop"
                for other, mark in zip(members, self._marks[group], strict=True)
            ]
            marks[member] = "keep"
            self._change({group: tuple(marks)})

    def find(self, part: str) -> list[int]:
        """Groups with an image whose path, as it is shown, holds this text in upper or lower case."""
        return [
            number
            for number, group in enumerate(self.groups)
            if any(_is_within(member.path, part) for member in group.members)
        ]

    def accept(self, relations: Collection[Relation], within: str = "") -> list[int]:
        """Drop every image without a mark that has one of these relations to the image that its group keeps.

        within: only images whose path holds this text
        returns: the groups changed
        """
        with self._lock:
            changes: dict[int, Marks] = {}
            for number, (group, marks) in enumerate(zip(self.groups, self._marks, strict=True)):
                if marks[0] not in (None, "keep"):
                    continue
                accepted = marks[:1] + tuple(
                    "drop"
                    if mark is None and member.relation in relations and _is_within(member.path, within)
                    else mark
                    for member, mark in zip(group.members[1:], marks[1:], strict=True)
                )
                if accepted != marks:
                    changes[number] = accepted
            if changes:
                self._change(changes)
            return list(changes)

    def undo(self) -> list[int]:
        """Take the last change back; returns the groups it touched, none where there is nothing to take back."""
        with self._lock:
            if not self._undo:
                return []
            change = self._undo[-1]
            self._record(change.verdicts)
            self._undo.pop()
            for group, marks in change.marks.items():
                self._marks[group] = marks
            self._save_soon()
            return list(change.marks)

    def _change(self, changes: dict[int, Marks], apart: Sequence[int] = ()) -> None:
        verdicts: dict[Pair, Verdict | None] = {}
        for group, marks in changes.items():
            keeper, *others = self.groups[group].members
            for member, mark, before in zip(others, marks[1:], self._marks[group][1:], strict=True):
                if mark != before and member.digest != keeper.digest:
                    verdicts[pair_of(keeper.digest, member.digest)] = _VERDICTS[mark] if mark else None
            for member, mark, before in zip(others, marks[1:], self._marks[group][1:], strict=True):
                if before == "not" and mark != "not":
                    verdicts |= dict.fromkeys(self._told_apart(member, others))
        for group in apart:
            verdicts |= dict.fromkeys(pairs_of_group(self.groups[group], "not"), "not")
        undo = _Change(
            {group: self._marks[group] for group in changes}, {pair: self._verdicts.get(pair) for pair in verdicts}
        )
        self._record(verdicts)
        self._undo = [*self._undo[-MOST_UNDOS + 1 :], undo]
        for group, marks in changes.items():
            self._marks[group] = marks
        self._save_soon()

    def _told_apart(self, member: Member, others: Sequence[Member]) -> list[Pair]:
        """Pairs with other images of its group that telling the whole group apart has made."""
        pairs = [pair_of(member.digest, other.digest) for other in others if other.digest != member.digest]
        return [pair for pair in pairs if self._verdicts.get(pair) == "not"]

    def _record(self, verdicts: dict[Pair, Verdict | None]) -> None:
        if not verdicts:
            return
        record_verdicts(self.folder, verdicts)
        if self._looked is None or self._looked.done():
            self._looked = self._looking.submit(self._remember_looks)
        for pair, verdict in verdicts.items():
            if verdict is None:
                self._verdicts.pop(pair, None)
            else:
                self._verdicts[pair] = verdict

    def _remember_looks(self) -> None:
        def record(folder: Path, looks: Sequence[Look]) -> None:
            with self._lock:  # one of this process's threads writes to the index at a time
                record_looks(folder, looks)

        with suppress(NeardupError):  # the next 'neardup index' sees to it
            remember_looks(self.folder, longest_s=_LONGEST_LOOK_S, record=record)

    def _save_soon(self) -> None:
        """A plan is written a second after a change, so that many changes cost one."""
        self._changed = True
        if self._timer is None:
            self._timer = threading.Timer(1.0, self._save_later)
            self._timer.daemon = True
            self._timer.start()

    def _save_later(self) -> None:
        try:
            self.save()
        except BadInput:
            return  # nobody is listening here: `save` at the end, or the button, tries again and says so

    def save(self) -> Plan:
        """Write the plan of what is marked to be dropped; returns it. Raises BadInput."""
        with self._saving:
            with self._lock:
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
                marks, changed, self._changed = list(self._marks), self._changed, False
            plan = self._plan(marks)
            try:
                save_plan(plan, self.plan_path)
            except BaseException:
                with self._lock:
                    self._changed |= changed  # it is still to be written
                raise
            return plan

    def close(self) -> None:
        """Write what has not been written yet; a review without any change leaves the plan of an earlier one alone."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            looked = self._looked
        if self._changed:
            self.save()
        self._looking.shutdown(cancel_futures=True)
        if looked is not None:  # what was decided since the last look began
            self._remember_looks()

    def _plan(self, all_marks: Sequence[Marks]) -> Plan:
        parts = []
        for number, marks in enumerate(all_marks):
            if "drop" not in marks:
                continue
            known = self._plans.get(number)
            if known is None or known[0] != marks:
                # Looking at the files of a group takes a while: once, unless its marks change.
                group = without_dropped(self.groups[number], marks)
                known = self._plans[number] = (
                    marks,
                    plan_pictures([group], self._action, to=self._to, root=self._root, keep=self._keep),
                )
            parts.append(known[1])
        steps = tuple(step for part in parts for step in part.steps)
        kept = tuple(kept for part in parts for kept in part.kept)
        to = self._to.absolute() if self._to else None
        return complete(Plan(self._action, steps, kept, to, self._root), self._looks)


def staying(marks: Sequence[Mark | None]) -> int | None:
    """The image that the dropped ones of a group are duplicates of; None where none would stay."""
    if marks[0] in (None, "keep", "later"):
        return 0
    if marks[0] == "not":
        return 0 if "drop" not in marks else None
    for wanted in ("keep", None, "later"):
        if wanted in marks:
            return list(marks).index(wanted)
    return None


def without_dropped(group: DuplicateGroup, marks: Sequence[Mark | None]) -> DuplicateGroup:
    """The image that stays, and those to drop: a person said so. Similarities go on being those to the group's own
    keeper."""
    stays = staying(marks)
    if stays is None:
        raise ValueError("nothing would stay")
    keeper = group.members[stays]
    dropped = [
        replace(_related(member, keeper, group.keeper), told=True)
        for member, mark in zip(group.members, marks, strict=True)
        if mark == "drop"
    ]
    return DuplicateGroup((keeper, *dropped))


def _is_within(path: Path, part: str) -> bool:
    return part.lower() in printable(str(path)).lower()


def _related(member: Member, keeper: Member, old: Member) -> Member:
    """A member with its relation to another keeper, in a group where only relations to the old one are known."""
    if keeper is old:
        return member
    is_exact = member.digest == keeper.digest or (member.relation == "exact" and keeper.relation == "exact")
    similarity = keeper.similarity if member is old else member.similarity
    relation: Relation | None = "exact" if is_exact else None
    if not is_exact and member is old and keeper.evidence is not None:
        relation = relation_to_keeper(keeper.evidence.reversed())
    # What it shows that another keeper does not is not known; a person has looked.
    return replace(
        member, relation=relation, similarity=similarity, change=None, shows_more=None, why=None, evidence=None
    )
