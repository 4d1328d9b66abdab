"""What a file says, by kind: the same caption is one fact, whether EXIF, IPTC or XMP holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from neardup.metadata import kinds

_LONGEST_SHOWN = 60
_CARRIED_TEXTS = (kinds.CAPTION, kinds.KEYWORDS)
# Characters of one value; longer ones are compared by their digests.
_LONGEST_COMPARED = 1 << 12


@dataclass(frozen=True)
class Metadata:
    """What one file says."""

    said: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by kind: as compared -> as shown
    frames: int = 1
    frame_name: str = "frames"  # or pages, layers
    bits: int = 8  # a channel
    unreadable: tuple[str, ...] = ()  # parts that cannot be read
    whole: Mapping[str, str] = field(default_factory=dict)  # long texts, and of several lines, by what is compared

    @property
    def date(self) -> str | None:
        """When the picture was taken: 2019-05-04 12:33:10, or as much of it as is known."""
        return next(iter(self.said.get(kinds.DATE, {}).values()), None)

    def values(self, kind: str) -> tuple[str, ...]:
        """As they are compared."""
        return tuple(self.said.get(kind, ()))

    def joined(self, other: "Metadata") -> "Metadata":
        """With what another file says of the same picture: its sidecar."""
        said = {kind: {**other.said.get(kind, {}), **self.said.get(kind, {})} for kind in {*self.said, *other.said}}
        for kind in (kinds.DATE, kinds.PLACE, kinds.RATING):  # one of each: the picture's own goes first
            if kind in self.said:
                said[kind] = dict(self.said[kind])
        unreadable = self.unreadable + other.unreadable
        return Metadata(said, self.frames, self.frame_name, self.bits, unreadable, {**other.whole, **self.whole})


class Facts:
    """Collects what a file says while it is read."""

    def __init__(self) -> None:
        self.said: dict[str, dict[str, str]] = {}
        self.frames = 1
        self.frame_name = "frames"
        self.bits = 8
        self.unreadable: list[str] = []
        self.whole: dict[str, str] = {}

    def add(self, kind: str, value: str, shown: str | None = None) -> None:
        """value: as it is compared, an empty one is none; shown: where a person reads it otherwise"""
        line = one_line(value)
        if not line:
            return
        is_long = len(line) > _LONGEST_COMPARED
        key = sha256(line.encode("utf-8", "replace")).hexdigest() if is_long else line
        self.said.setdefault(kind, {}).setdefault(key, clipped(line if shown is None else shown))
        if kind in _CARRIED_TEXTS and key != value:
            self.whole[key] = value.strip("\0 \r\n\t")

    def add_first(self, kind: str, value: str, shown: str | None = None) -> None:
        """Of kinds of which a picture has one: what was found before goes first."""
        if kind not in self.said:
            self.add(kind, value, shown)

    def metadata(self) -> Metadata:
        return Metadata(self.said, self.frames, self.frame_name, self.bits, tuple(self.unreadable), self.whole)


def one_line(text: str) -> str:
    return " ".join(text.replace("\0", " ").split())


def clipped(text: str) -> str:
    """For a plan: one short line."""
    text = one_line(text)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
