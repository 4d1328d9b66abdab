"""What comparing two pictures has found: measured once, kept with an index, told in words from either side."""

from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np

from neardup.matching.colours import Colours
from neardup.matching.coverage import SEAM
from neardup.matching.geometry import Alignment, Size, describe
from neardup.matching.lazy import lazy
from neardup.matching.maps import inverse, is_plausible

Relation = Literal["exact", "copy", "edited", "similar", "other"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)
Side = Literal["a", "b"]
_OTHER: dict[Side | None, Side | None] = {"a": "b", "b": "a", None: None}

# Share of a picture with something to see that the other does not reach, from which on it shows more.
MORE = 0.02
# The same where the other is set into it: the clock of a phone's screen is something, too.
MORE_AROUND = 0.004
# Share of the details both should show that differ, from which on each shows something that the other lacks.
DIFFERS = 0.005
# Pixels of one of the two for one of the other, for what both show.
FINER = 1.6
# Share of the overlap in other colours.
RECOLOURED = 0.06
# Between whole pictures, of which one may be a single pixel; an index from elsewhere may hold anything.
_ANY = 1e6


@dataclass(frozen=True)
class Evidence:
    """relation: of the two, whichever is looked at first; a copy shows nothing that the other does not show."""

    relation: Relation
    confidence: float  # that they are one picture, 0 to 1
    matrix: tuple[float, ...] | None = None  # 9 numbers by rows, from pixels of the whole A to those of the whole B
    inliers: int = 0  # keypoints that agree with the map
    matches: int = 0  # of so many that have a counterpart; 0: found by comparing the pixels
    agreeing: float = 0.0  # share of blocks of the overlap that agree, and that agree well
    well: float = 0.0
    median: float = 0.0  # correlation in the median block
    differing: float = 0.0  # share of the details both should show in which they do not show the same
    more_a: float = 0.0  # share of A with something to see that B does not reach
    more_b: float = 0.0
    seam_a: float = 0.0  # B is set into A, from SEAM on
    seam_b: float = 0.0
    framed: Side | None = None  # which of the two has nothing to see around the whole of the other
    clean: Side | None = None  # which of the two was not written over
    sharper: Side | None = None  # which of the two has more real detail
    noisier: Side | None = None  # which of the two was spoiled by noise
    enlarged: Side | None = None  # which of the two has more pixels, and no more detail
    no_finer: Side | None = None  # which of the two has more pixels, and perhaps no more detail: not sure enough to say
    blurred: Side | None = None  # which of the two has as many pixels, and clearly less detail
    saved_again: Side | None = None  # which of the two was encoded from what the other, a JPEG, holds
    sharpened: Side | None = None  # which of two of one size was sharpened
    decayed: Side | None = None  # which of two files that were one has bytes that changed since
    closely: bool = False  # the last six were looked for in the whole pixels, too
    colours: Colours | None = None
    frames_a: int = 1
    frames_b: int = 1
    frames_differ: bool = False  # those after the first
    everywhere: bool = False  # they differ a little everywhere, as two shots of a burst do, which hides what is small

    @property
    def is_confirmed(self) -> bool:
        """The two are one picture."""
        return self.relation in ("exact", "copy", "edited")

    @lazy
    def b_shows_all_of_a(self) -> bool:
        """Whether B shows everything that A shows, but for losses of compression and size."""
        if self.relation == "exact":
            return True
        return self.is_confirmed and not self._differs and not self.more_than("a")

    @lazy
    def a_shows_all_of_b(self) -> bool:
        return self.reversed().b_shows_all_of_a

    @property
    def _differs(self) -> bool:
        return (
            self.frames_differ
            or self.everywhere
            or self.differing >= DIFFERS
            or (self.colours is not None and self.colours.other >= RECOLOURED)
        )

    def more_than(self, side: Side) -> bool:
        """Whether there is something to see in one side beyond the other's edges."""
        more, seam = (self.more_a, self.seam_a) if side == "a" else (self.more_b, self.seam_b)
        return more >= (MORE_AROUND if seam >= SEAM else MORE)

    def holds(self, side: Side) -> bool:
        """Whether the other is set into this one, among other things to see: a screen, a collage, a caption's bar."""
        return (self.seam_a if side == "a" else self.seam_b) >= SEAM and self.more_than(side)

    @lazy
    def original(self) -> Side | None:
        """Which of the two was there first, as far as the pictures tell: what shows more, and is neither framed nor
        spoiled by noise, enlarged, sharpened or written over. None where nothing speaks for either, or each for one."""
        if not self.is_confirmed or self.relation == "exact":
            return None
        if self.frames_a != self.frames_b:
            return "a" if self.frames_a > self.frames_b else "b"
        if self.decayed is not None:
            return _OTHER[self.decayed]
        votes, opposed = 0, self.more_a >= MORE and self.more_b >= MORE
        finer = self._finer
        for side, more, seam, sign in (("a", self.more_a, self.seam_a, 1), ("b", self.more_b, self.seam_b, -1)):
            if seam >= SEAM:
                votes -= sign  # the other is set into it
            elif more >= MORE:
                # The other is cut out of it, if it is no finer: a crop holds no more detail than its source.
                votes += sign if finer is None or finer == side or self.enlarged else -sign
        if self.framed is not None:
            votes += 1 if self.framed == "b" else -1
        # What blur took away looks like writing over what has it.
        written_over = _OTHER[self.clean] if self._differs and not self.sharper else None
        grey = self.colours.grey if self.colours is not None else None
        doubts = (self.noisier, self.enlarged, self.blurred, self.saved_again, self.sharpened, written_over, grey)
        for spoiled in doubts:
            if not votes and not opposed and spoiled:
                votes = 1 if spoiled == "b" else -1
        return None if not votes else "a" if votes > 0 else "b"

    @property
    def _finer(self) -> Side | None:
        """Which of the two has clearly more pixels for what both show."""
        if self.matrix is None:
            return None
        a, b, _, d, e, *_ = self.matrix
        scale = abs(a * e - b * d) ** 0.5  # where the map is no perspective; about, where it is
        return "b" if scale > FINER else "a" if scale < 1 / FINER else None

    def reversed(self) -> "Evidence":
        """Of B and A."""
        back = None
        if self.matrix is not None:
            inverted = inverse(np.array(self.matrix).reshape(3, 3))
            back = tuple((inverted / inverted[2, 2]).ravel().tolist())
        return replace(
            self,
            matrix=back,
            more_a=self.more_b,
            more_b=self.more_a,
            seam_a=self.seam_b,
            seam_b=self.seam_a,
            framed=_OTHER[self.framed],
            clean=_OTHER[self.clean],
            sharper=_OTHER[self.sharper],
            noisier=_OTHER[self.noisier],
            enlarged=_OTHER[self.enlarged],
            no_finer=_OTHER[self.no_finer],
            blurred=_OTHER[self.blurred],
            saved_again=_OTHER[self.saved_again],
            sharpened=_OTHER[self.sharpened],
            decayed=_OTHER[self.decayed],
            colours=self.colours and self.colours.reversed(),
            frames_a=self.frames_b,
            frames_b=self.frames_a,
        )

    def alignment(self, size_a: Size, size_b: Size) -> Alignment | None:
        """The map in a person's terms, None where there is none; sizes: width and height of the whole pictures."""
        matrix = None if self.matrix is None else np.array(self.matrix).reshape(3, 3)
        if matrix is None or not is_plausible(matrix, size_a, largest=_ANY, stretched=_ANY):
            return None
        return describe(matrix, size_a, size_b)

    def to_json(self) -> dict[str, Any]:
        """Without the fields that are as where nothing was found: most pairs have nothing to do with each other."""
        return {name: value for name, value in asdict(self).items() if value != _NOTHING.get(name, _NOTHING)}

    @classmethod
    def from_json(cls, value: Any) -> "Evidence":
        """What `to_json` made; raises ValueError for anything else, since an index may come from anywhere."""
        if not isinstance(value, dict) or not {"relation", "confidence"} <= value.keys() <= _NAMES:
            raise ValueError("fields")
        given = _NOTHING | value
        if given["relation"] not in RELATIONS or any(given[k] not in ("a", "b", None) for k in _SIDES):
            raise ValueError("relation")
        if given["matrix"] is not None:
            given["matrix"] = _numbers(given["matrix"], 9)
            matrix = np.array(given["matrix"]).reshape(3, 3)
            # The second: of the inverse, the number that it is divided by.
            if matrix[2, 2] != 1 or min(abs(np.linalg.det(part)) for part in (matrix, matrix[:2, :2])) < 1e-12:
                raise ValueError("matrix")
        if not all(isinstance(given[name], bool) for name in _TOLD):
            raise ValueError(", ".join(_TOLD))
        for name in _COUNTS:
            if type(given[name]) is not int or not 0 <= given[name] < 1 << 31:
                raise ValueError(name)
        [*shares] = _numbers([given[name] for name in _SHARES], len(_SHARES))
        if not 0 <= shares[0] <= 1:
            raise ValueError("confidence")
        given |= dict(zip(_SHARES, shares, strict=True))
        colours = given["colours"]
        if colours is not None:
            given["colours"] = _colours(colours)
        return cls(**given)


# No measure of two pictures is larger.
_MOST = 1e9
_NAMES = {field.name for field in fields(Evidence)}
_NOTHING: dict[str, Any] = {field.name: field.default for field in fields(Evidence) if field.default is not MISSING}
_SIDES = (
    "framed", "clean", "sharper", "noisier", "enlarged", "no_finer", "blurred", "saved_again", "sharpened", "decayed",
)  # fmt: skip
_TOLD = ("frames_differ", "everywhere", "closely")
_COUNTS = ("inliers", "matches", "frames_a", "frames_b")
_SHARES = (
    "confidence", "agreeing", "well", "median", "differing", "more_a", "more_b", "seam_a", "seam_b",
)  # fmt: skip


def _numbers(values: Any, count: int) -> tuple[float, ...]:
    if not isinstance(values, list | tuple) or len(values) != count:
        raise ValueError("numbers")
    # Compared as they are: JSON has integers that no float holds. Not a number is not between the two.
    if not all(type(value) in (int, float) and -_MOST <= value <= _MOST for value in values):
        raise ValueError("numbers")
    return tuple(map(float, values))


def _colours(value: Any) -> Colours:
    if not isinstance(value, dict) or value.keys() != {field.name for field in fields(Colours)}:
        raise ValueError("colours")
    if value["grey"] not in ("a", "b", None):
        raise ValueError("grey")
    brightness, contrast, other = _numbers([value[name] for name in ("brightness", "contrast", "other")], 3)
    saturation = None if value["saturation"] is None else _numbers([value["saturation"]], 1)[0]
    return Colours(brightness, contrast, saturation, value["grey"], other)
