"""What a copy has and its keeper has not: metadata, frames, and files beside it that belong to it."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from neardup.groups import Member
from neardup.groups.keep import RAW_EXTENSIONS
from neardup.metadata import Carried, Metadata, carried, find_sidecar, losses, read_metadata, read_sidecar

# Of one stem with a photo: the film of a live photo, edits, ratings, the camera's RAW file.
_PARTNERS = frozenset({"mov", "mp4", "xmp", "aae", "thm", "wav", "json"}) | {e.decode() for e in RAW_EXTENSIONS}
_NOTHING = Metadata()


@dataclass(frozen=True)
class Loss:
    """What goes with a file, in words, and what of it its keeper's sidecar is given."""

    lost: tuple[str, ...]
    notes: tuple[str, ...]  # on files beside the two
    carried: Carried | None = None


class Losses:
    """Compares files as they are now; each is read once, its keeper once for its group. Safe in several threads."""

    def __init__(self) -> None:
        self._own = lru_cache(maxsize=64)(read_metadata)
        self._beside = lru_cache(maxsize=64)(_beside)
        self._names = lru_cache(maxsize=16)(_names)
        # What the sidecar of the keeper at work is given by files before this one.
        self._given: tuple[Path, Metadata] | None = None

    def of(self, member: Member, keeper: Member, *, merge: bool = False, beside: bool = True) -> Loss:
        """What would be lost of a member.

        merge:  give its keeper's sidecar what that can take: it is not lost then
        beside: whether its sidecar goes, too
        """
        metadata = self._of_member(member, keeper, beside)
        notes = [f"leaves {name} behind" for name in self._partners(member.path)]
        notes += [f"its keeper has {name} beside it" for name in self._partners(keeper.path)]
        lost = _lost_pixels(member, keeper)
        if metadata is _NOTHING:
            return Loss(lost, tuple(notes))
        kept = self.said(keeper.path)
        given = self._give(metadata, kept, keeper.path) if merge else None
        if merge and self._given:
            kept = kept.joined(self._given[1])
        if merge and self._beside(keeper.path).unreadable:
            notes.append("its keeper's sidecar cannot be read, and is left as it is")
        return Loss((*lost, *losses(metadata, kept)), tuple(notes), given)

    def said(self, path: Path) -> Metadata:
        """What a picture says, with its sidecar."""
        return self._own(path).joined(self._beside(path))

    def date(self, member: Member) -> str | None:
        """When the picture was taken; None where nothing says it."""
        return self.said(member.path).date

    def _of_member(self, member: Member, keeper: Member, beside: bool) -> Metadata:
        """What might be lost: of the same bytes what the sidecar adds, which most have not."""
        if member.digest != keeper.digest:
            return self.said(member.path) if beside else self._own(member.path)
        return self._beside(member.path) if beside else _NOTHING

    def _give(self, metadata: Metadata, kept: Metadata, keeper: Path) -> Carried | None:
        if self._given is None or self._given[0] != keeper:
            self._given = keeper, _NOTHING
        if self._beside(keeper).unreadable:
            return None
        before = self._given[1]
        given = carried(metadata, kept.joined(before))
        self._given = keeper, before.joined(given.as_metadata())
        return given or None

    def _partners(self, path: Path) -> list[str]:
        """Names of the files beside an image that belong to it: IMG_1.MOV and IMG_1.JPG.xmp to IMG_1.JPG."""
        stems = {path.stem.lower(), path.name.lower()}
        return [
            name
            for name in self._names(path.parent)
            if name != path.name
            and name.rpartition(".")[0].lower() in stems
            and name.rpartition(".")[2].lower() in _PARTNERS
        ]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix[1:].lower() in _PARTNERS)
    except OSError:
        return []


def _lost_pixels(member: Member, keeper: Member) -> tuple[str, ...]:
    if member.width * member.height <= keeper.width * keeper.height:
        return ()
    margin = f" ({member.margin:.0%} of them margin)" if member.margin else ""
    return (f"{member.width} x {member.height} pixels{margin} against {keeper.width} x {keeper.height}",)


def _beside(path: Path) -> Metadata:
    """What the sidecar of a picture says."""
    sidecar = find_sidecar(path)
    return _NOTHING if sidecar is None else read_sidecar(sidecar)
