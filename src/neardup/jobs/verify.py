"""Check every promise of an index folder, or mend what is broken."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from neardup.actions.check import action_damage
from neardup.index.findings import Finding
from neardup.index.repair import Repaired, repair_index
from neardup.index.verify import Seen, find_damage


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what is wrong with it."""

    findings: list[Finding]
    seen: Seen
    seconds: float

    @property
    def is_whole(self) -> bool:
        return not any(finding.is_damage for finding in self.findings)


def verify(index: Path) -> Verified:
    """Look at everything in an index folder, and change nothing. Raises BadInput where there is none."""
    started = time.monotonic()
    found, seen = find_damage(index)
    return Verified([*found, *action_damage(index)], seen, time.monotonic() - started)


def repair(index: Path, *, trust: bool = False, wait: Callable[[str], None] | None = None) -> Repaired:
    """Mend what can be mended of an index; raises what `repair_index` does."""
    actions = list(action_damage(index)) if index.is_dir() else []
    result = repair_index(index, trust=trust, wait=wait)
    result.found += actions
    result.left += action_damage(index)
    return result
