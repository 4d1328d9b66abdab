"""What is wrong in an index folder: a file, what of it, and what to do."""

from dataclasses import dataclass
from pathlib import Path

REPAIR = "'neardup repair' mends it"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was left."""

    path: Path  # the file, or the folder
    wrong: str  # in words
    advice: str  # what to do
    mends: bool = True  # whether `repair` does it
    is_damage: bool = True  # else nothing is broken, and it is only worth knowing
