"""What goes along with the pictures of a plan, and what stays behind: decided by what is there when it is made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from neardup.actions import files
from neardup.actions.belongings import Belonging, Belongings, extension
from neardup.images import modified_ns


@dataclass(frozen=True)
class Along:
    """A file that belongs to a picture which goes, and goes after it."""

    path: Path
    size_bytes: int
    mtime_ns: int
    digest: bytes  # SHA-256
    copy: Path | None = None  # of a RAW file or a film: a file with its bytes that stays with the picture's keeper


@dataclass(frozen=True)
class Unit:
    """Of one picture that goes: what goes along, and what is to be said of the files beside it and its keeper."""

    along: tuple[Along, ...]
    notes: tuple[str, ...]


def units(pairs: Sequence[tuple[Path, Path]], belongings: Belongings, digests: files.Digests) -> list[Unit]:
    """For each picture that goes, with its keeper, what goes along: a file with several owners after the last of them.

    A RAW file or a film goes only where the keeper has a copy of its own, byte for byte, that stays; a sidecar where
    everything that it belongs to goes.
    """
    return _Planning(pairs, belongings, digests).units()


class _Planning:
    def __init__(self, pairs: Sequence[tuple[Path, Path]], belongings: Belongings, digests: files.Digests) -> None:
        self._pairs, self._belongings, self._digests = pairs, belongings, digests
        self._last = {path: number for number, (path, _) in enumerate(pairs)}
        self._stays = {keeper for _, keeper in pairs}

    def units(self) -> list[Unit]:
        along: list[list[Along]] = [[] for _ in self._pairs]
        notes: list[list[str]] = [[] for _ in self._pairs]
        beside = [self._beside(path) for path, _ in self._pairs]
        # Partners first: sidecars may belong to one that goes, and to it alone.
        for number, files_beside in enumerate(beside):
            for file in (file for file in files_beside if file.is_partner):
                self._decide(file, number, along[number], notes[number])
        for number, files_beside in enumerate(beside):
            of_partners = [file for partner in along[number] for file in self._beside(partner.path)]
            for file in dict.fromkeys(files_beside + of_partners):
                if not file.is_partner:
                    self._decide(file, number, along[number], notes[number])
        for number, (path, keeper) in enumerate(self._pairs):
            own = {file.path for file in beside[number]} | {path}
            notes[number] += [f"its keeper has {name} beside it" for name in self._names_beside(keeper, own)]
        return [Unit(tuple(files), tuple(said)) for files, said in zip(along, notes, strict=True)]

    def _beside(self, path: Path) -> list[Belonging]:
        """But for what has a place of its own in the plan."""
        found = self._belongings.of(path)
        return [file for file in found if file.path not in self._last and file.path not in self._stays]

    def _names_beside(self, keeper: Path, but: set[Path]) -> Iterable[str]:
        return (file.path.name for file in self._belongings.of(keeper) if file.path not in but)

    def _decide(self, file: Belonging, number: int, along: list[Along], notes: list[str]) -> None:
        staying = [owner for owner in file.owners if owner not in self._last]
        if staying:
            notes.append(f"{file.path.name} stays with {staying[0].name}")
        elif number == max(self._last[owner] for owner in file.owners):
            copy = self._copy_of(file.path, self._pairs[number][1]) if file.is_partner else None
            found = None if file.is_partner and copy is None else self._described(file.path, copy)
            if found is None:
                notes.append(f"leaves {file.path.name} behind")
            else:
                along.append(found)
                self._last[file.path] = number

    def _copy_of(self, path: Path, keeper: Path) -> Path | None:
        for other in self._belongings.of(keeper):
            is_alike = other.is_partner and extension(other.path.name) == extension(path.name)
            if is_alike and other.path not in self._last and self._are_copies(path, other.path):
                return other.path
        return None

    def _are_copies(self, first: Path, second: Path) -> bool:
        """Whether two files, which are not one under two names, have the same bytes."""
        try:
            is_alike = first.lstat().st_size == second.lstat().st_size and not files.is_same_file(first, second)
            return is_alike and self._digests.of(first) == self._digests.of(second)
        except OSError:
            return False

    def _described(self, path: Path, copy: Path | None) -> Along | None:
        """None for what cannot be read."""
        try:
            found, digest = path.lstat(), self._digests.of(path)
        except OSError:
            return None
        return None if digest is None else Along(path, found.st_size, modified_ns(found), digest, copy)
