"""What a copy has and its keeper has not: pixels, and what the two say, with the sidecars that belong to each alone."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from neardup.actions import files
from neardup.actions.along import units
from neardup.actions.belongings import Belongings, extension
from neardup.groups import Member
from neardup.metadata import Carried, Metadata, carried, losses, read_metadata, read_sidecar

_NOTHING = Metadata()
_UNREAD = "its keeper's sidecar cannot be read, and is left as it is"
# A group's files are asked for again and again while it is reviewed; what one of them says takes a kilobyte.
_REMEMBERED = 1 << 14


@dataclass(frozen=True)
class Loss:
    """What goes with a file, in words, and what of it its keeper's sidecar is given."""

    lost: tuple[str, ...]
    notes: tuple[str, ...] = ()  # on files beside the two
    carried: Carried | None = None


@dataclass(frozen=True)
class Pair:
    """A picture that goes, and the one that stays for it."""

    path: Path
    keeper: Path
    is_same_bytes: bool


class Losses:
    """Compares files as they are now; each is read once, and again when it shows a change. Safe in several threads."""

    def __init__(self, belongings: Belongings) -> None:
        self._belongings = belongings
        self._own = lru_cache(_REMEMBERED)(lambda path, identity: read_metadata(path))
        self._sidecar = lru_cache(_REMEMBERED)(lambda path, identity: read_sidecar(path))

    def of_pairs(
        self, pairs: Iterable[Pair], going: Collection[Path], *, merge: Callable[[Path], bool] = lambda keeper: False
    ) -> list[Loss]:
        """What would be lost, beside pixels, when pictures go in this order.

        going: the sidecars that go along with them; one that stays says what it says
        merge: of a keeper, whether its sidecar is given what that can take: it is not lost then
        """
        given: dict[Path, Metadata] = {}
        return [self._of(pair, going, given if merge(pair.keeper) else None) for pair in pairs]

    def _of(self, pair: Pair, going: Collection[Path], given: dict[Path, Metadata] | None) -> Loss:
        """given: what sidecars of keepers are given by files before this one, and now by this one"""
        metadata = self._beside(pair.path, going)
        if not pair.is_same_bytes:  # else most have nothing to lose
            metadata = self._read(pair.path).joined(metadata)
        if metadata is _NOTHING:
            return Loss(())
        kept = self.said(pair.keeper)
        if given is None:
            return Loss(losses(metadata, kept))
        if self._beside(pair.keeper).unreadable:
            return Loss(losses(metadata, kept), (_UNREAD,))
        before = given.get(pair.keeper, _NOTHING)
        now = carried(metadata, kept.joined(before))
        given[pair.keeper] = before.joined(now.as_metadata())
        return Loss(losses(metadata, kept.joined(given[pair.keeper])), (), now or None)

    def of_group(self, members: Sequence[Member], keeper: Member, digests: files.Digests, most: int) -> list[Loss]:
        """What would be lost, and what goes along or stays, if a group's keeper alone stayed.

        most: of so many of the first members; of the keeper nothing
        """
        others = [member for member in members if member is not keeper]
        found = units([(member.path, keeper.path) for member in others], self._belongings, digests)
        going = {file.path for unit in found for file in unit.along}
        shown = dict(zip(map(id, others), found, strict=True))
        told = []
        for member in members[:most]:
            if member is keeper:
                told.append(Loss(()))
                continue
            unit = shown[id(member)]
            [loss] = self.of_pairs([Pair(member.path, keeper.path, member.digest == keeper.digest)], going)
            along = [f"takes {', '.join(file.path.name for file in unit.along)} along"] if unit.along else []
            told.append(replace(loss, lost=(*lost_pixels(member, keeper), *loss.lost), notes=(*along, *unit.notes)))
        return told

    def said(self, path: Path) -> Metadata:
        """What a picture says, with its sidecars."""
        return self._read(path).joined(self._beside(path))

    def date(self, member: Member) -> str | None:
        """When the picture was taken; None where nothing says it."""
        return self.said(member.path).date

    def _read(self, path: Path) -> Metadata:
        return self._own(path, files.identity(path))

    def _beside(self, path: Path, only: Collection[Path] | None = None) -> Metadata:
        """What the XMP sidecars of a picture say; only: those of them that are among these."""
        said = _NOTHING
        for file in self._belongings.of(path):
            if extension(file.path.name) == "xmp" and (only is None or file.path in only):
                said = said.joined(self._sidecar(file.path, files.identity(file.path)))
        return said


def lost_pixels(member: Member, keeper: Member) -> tuple[str, ...]:
    """What is lost of a picture's size, in words."""
    is_enlarged = member.evidence is not None and member.evidence.enlarged == "b"  # more pixels, and no more in them
    if is_enlarged or member.width * member.height <= keeper.width * keeper.height:
        return ()
    margin = f" ({member.margin:.0%} of them margin)" if member.margin else ""
    return (f"{member.width} x {member.height} pixels{margin} against {keeper.width} x {keeper.height}",)
