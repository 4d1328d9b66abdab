"""What became of each step of a plan."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Outcome:
    """One file. done: it is as was asked, skipped: nothing needs to be done, failed: it could not be done."""

    path: Path
    status: Status
    reason: str | None = None  # of skipped and failed
    target: Path | None = None  # where a moved file is
    along: tuple["Outcome", ...] = ()  # of the files that belong to it


@dataclass(frozen=True)
class Report:
    action: str
    journal: Path | None  # None where there was nothing to write down
    outcomes: list[Outcome]

    def count(self, status: Status) -> int:
        """Of pictures; of all files after an undo."""
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def along(self) -> list[Outcome]:
        """Of the files that belong to them."""
        return [each for outcome in self.outcomes for each in outcome.along]
