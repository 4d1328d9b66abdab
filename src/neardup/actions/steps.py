"""What a plan is made of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from neardup.actions.along import Along
from neardup.errors import BadInput
from neardup.matching.evidence import Relation
from neardup.metadata import Carried

Action = Literal["report", "trash", "move", "hardlink", "symlink", "reflink", "delete"]
ACTIONS: tuple[Action, ...] = get_args(Action)
# These put a link to the keeper in a file's place, which may not change what the file shows.
LINKS: tuple[Action, ...] = ("hardlink", "symlink", "reflink")


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
    notes: tuple[str, ...] = ()  # what stays behind, what its keeper has beside it, why it frees nothing
    change: str | None = None  # what was done to the keeper to make it, in words
    carried: Carried | None = None  # what the keeper's sidecar is given of this file's metadata
    along: tuple[Along, ...] = ()  # what belongs to it and goes after it
    freed_bytes: int = 0  # what the disk gets back for it and what goes along: a file with other names counts once
    why: str | None = None  # what the keeper has over it, in words

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
    """What to do with each file: `action`, into the folder `to` when that is "move".

    There files keep their place below the folder `root`; None: they lie side by side.
    """

    action: Action
    steps: tuple[Step, ...]
    kept: tuple[Kept, ...] = ()
    to: Path | None = None
    root: Path | None = None

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise BadInput(f"action {self.action!r}: one of {', '.join(ACTIONS)}")
        if (self.action == "move") != (self.to is not None):
            raise BadInput(f"action {self.action}: move, and no other action, needs a folder to move to (--to DIR)")

    @property
    def size_bytes(self) -> int:
        """Of all files that would be acted on."""
        return sum(step.size_bytes + sum(file.size_bytes for file in step.along) for step in self.steps)

    @property
    def freed_bytes(self) -> int:
        """What the disk gets back, once a trash is emptied, or what was moved is away."""
        return sum(step.freed_bytes for step in self.steps)
