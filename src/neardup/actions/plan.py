"""Which files to remove or replace, and what would be lost: decided here, done in apply.py."""

import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from neardup.actions.along import Unit, units
from neardup.actions.belongings import Belongings
from neardup.actions.files import ANOTHER_VOLUME, Digests, is_on_another_volume, is_same_file
from neardup.actions.losses import Losses, Pair, lost_pixels
from neardup.actions.savings import freed_bytes
from neardup.actions.steps import LINKS, Action, Kept, Plan, Step
from neardup.groups import DuplicateGroup, Member
from neardup.groups.keep import KeepPolicy
from neardup.images import modified_ns
from neardup.images.formats import is_raw_name
from neardup.matching.words import SAME_FILE
from neardup.sources import is_record
from neardup.sources.objects import is_object_path

_CLOSED = "its keeper is in a protected folder, where nothing is carried to"
# Pixels of a damaged file for one of the whole one that is kept for it, above which a person is to decide.
_CLEARLY_MORE = 1.5
_PROTECTED = "is in a protected folder"


class Looks:
    """What plans that are made one after the other need look at only once: folders, and files that have not changed."""

    def __init__(self) -> None:
        self.belongings, self.digests = Belongings(), Digests()
        self.losses = Losses(self.belongings)


def make_plan(
    groups: Iterable[DuplicateGroup],
    action: Action,
    *,
    to: Path | None = None,
    root: Path | None = None,
    keep: KeepPolicy | None = None,
    edited: bool = False,
    merge_metadata: bool = False,
) -> Plan:
    """Act on every member of each group but its keeper; with a link action, on the byte copies of each member.

    Only what its keeper shows whole is acted on: exact and copy, what a person said is a duplicate, and what was
    grouped without a look at the pictures, since that was asked for. `edited` adds those that show something else.
    `merge_metadata` gives the XMP sidecar of a keeper what it lacks of those that go: date, GPS, rating, caption,
    keywords; not in protected folders, and not with links, which lose nothing.

    Left as they are: records of data sets, and what would go for one; files below `keep.under`; files that are gone,
    changed, links, or the very file that their keeper is under another name; what is in the folder to move to; the
    whole group where the keeper is gone or changed; and with a link action files of which the group has no byte copy.
    Files are looked at (their stat, their metadata), and not changed. Raises BadInput.

    root: below it files keep their place when they are moved; None: they come to lie side by side
    """
    plan = plan_pictures(groups, action, to=to, root=root, keep=keep, edited=edited)
    return complete(plan, Looks(), merge_into=_open_keepers(keep or KeepPolicy()) if merge_metadata else None)


def plan_pictures(
    groups: Iterable[DuplicateGroup],
    action: Action,
    *,
    to: Path | None = None,
    root: Path | None = None,
    keep: KeepPolicy | None = None,
    edited: bool = False,
) -> Plan:
    """As `make_plan`, of the pictures alone: several such plans are put together, and made complete."""
    policy = keep or KeepPolicy()
    steps: list[Step] = []
    kept: list[Kept] = []
    to = to.absolute() if to else None
    moved = KeepPolicy(under=() if to is None else (to,))
    for keeper, *others in _parts(groups, action, policy, kept):
        lost_keeper = _difference(keeper)
        for member in others:
            reason = _of_data_set(member, keeper) or (
                lost_keeper and f"its keeper {lost_keeper}; run 'neardup index' again"
            )
            reason = reason or _reason_to_keep(member, keeper, policy) or _shows_more(member, keeper, edited)
            if reason := reason or _out_of_reach(member.path, keeper.path, action, moved):
                kept.append(Kept(member.path, keeper.path, reason))
                continue
            lost = lost_pixels(member, keeper)
            steps.append(
                Step(
                    member.path,
                    member.size_bytes,
                    member.mtime_ns,
                    member.digest,
                    member.similarity,
                    member.relation,
                    keeper.path,
                    keeper.digest,
                    lost if member.shows_more is None else (member.shows_more, *lost),
                    change=member.change,
                    why=member.why,
                )
            )
    return Plan(action, tuple(steps), tuple(kept), to, root.absolute() if root else None)


def complete(plan: Plan, looks: Looks, *, merge_into: Callable[[Path], bool] | None = None) -> Plan:
    """The plan with what goes along with its pictures, what these say and their keepers do not, and what all frees.

    In the place of a picture that becomes a link there is a picture still, and what belongs to it stays.

    merge_into: of a keeper, whether its sidecar may be given metadata; None: nothing is to be carried
    """
    found = [Unit((), ())] * len(plan.steps)
    if plan.action in LINKS:
        merge_into = None
    else:
        found = units([(step.path, step.keeper) for step in plan.steps], looks.belongings, looks.digests)
    pairs = [Pair(step.path, step.keeper, step.is_same_bytes) for step in plan.steps]
    going = {file.path for unit in found for file in unit.along}
    losses = looks.losses.of_pairs(pairs, going, merge=merge_into or (lambda keeper: False))
    steps = tuple(
        replace(
            step,
            lost=(*step.lost, *loss.lost),
            notes=(*unit.notes, *loss.notes, *([_CLOSED] if merge_into and not merge_into(step.keeper) else [])),
            carried=loss.carried,
            along=unit.along,
        )
        for step, unit, loss in zip(plan.steps, found, losses, strict=True)
    )
    freed = iter(freed_bytes(path for step in steps for path in (step.path, *(file.path for file in step.along))))
    return replace(plan, steps=tuple(_with_savings(step, freed) for step in steps))


def _with_savings(step: Step, freed: Iterator[int | None]) -> Step:
    own, *along = (next(freed) for _ in (step, *step.along))
    notes = step.notes if own is not None else (*step.notes, "frees nothing, as its file has another name that stays")
    return replace(step, freed_bytes=sum(each or 0 for each in (own, *along)), notes=notes)


def _open_keepers(policy: KeepPolicy) -> Callable[[Path], bool]:
    return lambda keeper: not policy.is_protected(keeper)


def freed_by_default(group: DuplicateGroup, keep: KeepPolicy) -> int:
    """What the disk gets back for the pictures that a plan takes away of a group where nothing else is asked for."""
    keeper, *others = group.members
    if _difference(keeper):
        return 0
    freed = freed_bytes(
        m.path
        for m in others
        if _shows_more(m, keeper, edited=False) is None and _reason_to_keep(m, keeper, keep) is None
    )
    return sum(each or 0 for each in freed)


def _parts(
    groups: Iterable[DuplicateGroup], action: Action, policy: KeepPolicy, kept: list[Kept]
) -> Iterator[list[Member]]:
    """Members of which the first stays for the others: whole groups, or for links the copies of each content."""
    for group in groups:
        if action not in LINKS:
            yield list(group.members)
            continue
        copies: dict[bytes, list[Member]] = {}
        for member in group.members:
            copies.setdefault(member.digest, []).append(member)
        for members in copies.values():
            members.sort(key=lambda member: not policy.is_protected(member.path))
            yield [
                replace(
                    member, similarity=1.0, relation="exact", change=SAME_FILE, shows_more=None, why=None, evidence=None
                )
                for member in members
            ]
            if len(members) == 1 and members[0] is not group.keeper:
                reason = f"has bytes of its own, which a {action} would lose; use trash or move"
                kept.append(Kept(members[0].path, group.keeper.path, reason))


def _reason_to_keep(member: Member, keeper: Member, policy: KeepPolicy) -> str | None:
    if policy.is_protected(member.path):
        return _PROTECTED
    if is_same_file(member.path, keeper.path):
        return "is the same file as its keeper under another name"
    if member.digest != keeper.digest and not member.told and any(map(_is_raw, (member, keeper))):
        return "is a RAW file or has one for a keeper: only byte copies of those are let go"
    if difference := _difference(member):
        return difference
    return None


def _out_of_reach(path: Path, keeper: Path, action: Action, moved: KeepPolicy) -> str | None:
    """Why this action can do nothing for a file; moved: of the folder to move to."""
    if moved.is_protected(path):
        return "is in the folder to move to already"
    if action == "hardlink" and is_on_another_volume(path, keeper):
        return ANOTHER_VOLUME.format(action)
    return None


def _is_raw(member: Member) -> bool:
    return is_raw_name(bytes(member.path))


def _of_data_set(member: Member, keeper: Member) -> str | None:
    """Why nothing is done where one of the two is no file."""
    if is_record(member.path):
        return "is a record of a data set, not a file: nothing can be removed there"
    if is_record(keeper.path):
        return "its keeper is a record of a data set, not a file that would stay; --keep-under its folder keeps others"
    return None


def _shows_more(member: Member, keeper: Member, edited: bool) -> str | None:
    """Why a member may not go for what it shows; None where it may."""
    if member.damaged and not keeper.damaged and not member.told and _has_more_pixels(member, keeper):
        return f"is damaged ({member.damaged}), and has more pixels than what is whole: compare the two by eye"
    if member.relation in ("exact", "copy", None) or member.told or (edited and member.relation == "edited"):
        return None
    if member.relation == "edited":
        return f"shows {member.shows_more or 'something else'}; --edited plans it, too"
    return "shows another picture of the same scene"


def _has_more_pixels(member: Member, keeper: Member) -> bool:
    return member.width * member.height > _CLEARLY_MORE * keeper.width * keeper.height


def _difference(member: Member) -> str | None:
    """How a file is no longer what was indexed, by its stat alone; None when nothing shows."""
    if is_object_path(member.path):
        return "is in object storage, where nothing is changed"
    try:
        found = member.path.lstat()
    except OSError as error:
        return "is gone" if isinstance(error, FileNotFoundError) else f"cannot be looked at ({error.strerror})"
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if (found.st_size, modified_ns(found)) != (member.size_bytes, member.mtime_ns):
        return "has changed since it was indexed"
    return None


def protect(plan: Plan, policy: KeepPolicy) -> Plan:
    """The plan without what it would do to files below the protected folders of a policy, and to their sidecars."""
    steps: list[Step] = []
    kept = list(plan.kept)
    for step in plan.steps:
        if policy.is_protected(step.path):
            kept.append(Kept(step.path, step.keeper, _PROTECTED))
        elif step.carried and policy.is_protected(step.keeper):
            lost, notes = (*step.lost, *step.carried.words()), (*step.notes, _CLOSED)
            steps.append(replace(step, carried=None, lost=lost, notes=notes))
        else:
            steps.append(step)
    return replace(plan, steps=tuple(steps), kept=tuple(kept))
