"""Which files to remove or replace, and what would be lost: decided here, done in apply.py."""

import json
import stat
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from neardup.actions.files import is_same_file
from neardup.actions.losses import Losses
from neardup.durable import replace_file
from neardup.errors import BadInput
from neardup.groups import DuplicateGroup, Member
from neardup.groups.keep import KeepPolicy
from neardup.images import modified_ns
from neardup.matching.evidence import RELATIONS, Relation
from neardup.matching.words import SAME_FILE
from neardup.sources.objects import is_object_path
from neardup.text import said

Action = Literal["report", "trash", "move", "hardlink", "symlink", "reflink", "delete"]
ACTIONS: tuple[Action, ...] = get_args(Action)
# These put a link to the keeper in a file's place, which may not change what the file shows.
LINKS: tuple[Action, ...] = ("hardlink", "symlink", "reflink")

MAX_PLAN_BYTES = 1 << 30
_FORMAT = "neardup plan 1"
_PROTECTED = "is in a protected folder"


@dataclass(frozen=True)
class Step:
    """One file to act on, and the file that stays for it, both as the index knows them."""

    path: Path
    size_bytes: int
    mtime_ns: int
    digest: bytes  # SHA-256 of the file
    similarity: float
    relation: Relation | None  # to its keeper; None: nobody looked at the two
    keeper: Path
    keeper_digest: bytes
    lost: tuple[str, ...] = ()  # what this file has and its keeper has not, in words
    notes: tuple[str, ...] = ()  # files beside it or its keeper that belong to them
    change: str | None = None  # what was done to the keeper to make it, in words

    @property
    def is_same_bytes(self) -> bool:
        return self.digest == self.keeper_digest


@dataclass(frozen=True)
class Kept:
    """A member that is left as it is although another image is kept for it, and why."""

    path: Path
    keeper: Path
    reason: str


@dataclass(frozen=True)
class Plan:
    """What to do with each file: `action`, into the folder `to` when that is "move"."""

    action: Action
    steps: tuple[Step, ...]
    kept: tuple[Kept, ...] = ()
    to: Path | None = None

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise BadInput(f"action {self.action!r}: one of {', '.join(ACTIONS)}")
        if (self.action == "move") != (self.to is not None):
            raise BadInput(f"action {self.action}: move, and no other action, needs a folder to move to (--to DIR)")

    @property
    def size_bytes(self) -> int:
        """Of all files that would be acted on."""
        return sum(step.size_bytes for step in self.steps)


def make_plan(
    groups: Iterable[DuplicateGroup],
    action: Action,
    *,
    to: Path | None = None,
    keep: KeepPolicy | None = None,
    edited: bool = False,
) -> Plan:
    """Act on every member of each group but its keeper; with a link action, on the byte copies of each member.

    Only what its keeper shows whole is acted on: exact and copy, what a person said is a duplicate, and what was
    grouped without a look at the pictures, since that was asked for. `edited` adds those that show something else.

    Left as they are: files below `keep.under`; files that are gone, changed, links, or the very file that their keeper
    is under another name; the whole group where the keeper is gone or changed; and with a link action files of which
    the group has no byte copy. Files are looked at (their stat, their metadata), and not changed. Raises BadInput.
    """
    policy = keep or KeepPolicy()
    losses = Losses()
    steps: list[Step] = []
    kept: list[Kept] = []
    for keeper, *others in _parts(groups, action, policy, kept):
        lost_keeper = _difference(keeper)
        for member in others:
            reason = lost_keeper and f"its keeper {lost_keeper}; run 'neardup index' again"
            reason = reason or _reason_to_keep(member, keeper, policy) or _shows_more(member, edited)
            if reason:
                kept.append(Kept(member.path, keeper.path, reason))
                continue
            lost, notes = losses.of(member, keeper)
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
                    notes,
                    member.change,
                )
            )
    return Plan(action, tuple(steps), tuple(kept), to.absolute() if to else None)


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
                replace(member, similarity=1.0, relation="exact", change=SAME_FILE, shows_more=None, evidence=None)
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
    if difference := _difference(member):
        return difference
    return None


def _shows_more(member: Member, edited: bool) -> str | None:
    """Why a member may not go for what it shows; None where it may."""
    if member.relation in ("exact", "copy", None) or member.told or (edited and member.relation == "edited"):
        return None
    if member.relation == "edited":
        return f"shows {member.shows_more or 'something else'}; --edited plans it, too"
    return "shows another picture of the same scene"


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
    """The plan without what it would do to files below the protected folders of a policy."""
    steps: list[Step] = []
    kept = list(plan.kept)
    for step in plan.steps:
        if policy.is_protected(step.path):
            kept.append(Kept(step.path, step.keeper, _PROTECTED))
        else:
            steps.append(step)
    return replace(plan, steps=tuple(steps), kept=tuple(kept))


def save_plan(plan: Plan, path: Path) -> None:
    """Write a plan as JSON, for `neardup dedup --plan FILE`; raises BadInput."""
    document: dict[str, Any] = {"format": _FORMAT, **asdict(plan)}
    try:
        replace_file(path, json.dumps(document, default=_plain).encode("ascii"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; choose another file") from error


def load_plan(path: Path) -> Plan:
    """Read a plan that `save_plan` wrote; raises BadInput with what is wrong in it."""
    try:
        if path.stat().st_size > MAX_PLAN_BYTES:
            raise BadInput(f"{path}: larger than {MAX_PLAN_BYTES} bytes; not a plan")
        document = json.loads(path.read_bytes())
        if document.pop("format") != _FORMAT:
            raise BadInput(f"{path}: not a plan of this version ({_FORMAT}); make it again")
        return Plan(
            document["action"],
            tuple(_step(step) for step in document["steps"]),
            tuple(Kept(_path(k["path"]), _path(k["keeper"]), str(k["reason"])) for k in document["kept"]),
            None if document["to"] is None else _path(document["to"]),
        )
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give a plan that 'neardup review' wrote") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path}: not a plan ({said(error)}); make it again") from error


def _step(entry: dict[str, Any]) -> Step:
    if entry.keys() != {field.name for field in fields(Step)}:
        raise ValueError(f"a step has {sorted(entry)}")
    digest, keeper_digest = bytes.fromhex(entry["digest"]), bytes.fromhex(entry["keeper_digest"])
    if len(digest) != 32 or len(keeper_digest) != 32:
        raise ValueError(f"step {entry['path']!r:.60}: a SHA-256 has 32 bytes")
    return Step(
        _path(entry["path"]),
        int(entry["size_bytes"]),
        int(entry["mtime_ns"]),
        digest,
        float(entry["similarity"]),
        entry["relation"] if entry["relation"] in RELATIONS else None,
        _path(entry["keeper"]),
        keeper_digest,
        tuple(map(str, entry["lost"])),
        tuple(map(str, entry["notes"])),
        None if entry["change"] is None else str(entry["change"]),
    )


def _path(text: object) -> Path:
    if not isinstance(text, str) or not Path(text).is_absolute() or "\0" in text:
        raise ValueError(f"path {text!r:.60} is not absolute")
    return Path(text)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"not JSON: {type(value)}")
