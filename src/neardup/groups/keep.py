"""Which image of a group stays: an order of all images, the one to keep first."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput
from neardup.groups.images import UNKNOWN
from neardup.images.formats import RAW_EXTENSIONS

Criterion = Literal[
    "origin", "detail", "metadata", "pixels", "compression", "format", "oldest", "newest", "largest", "path",
    "path-order",
]  # fmt: skip
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
# What a policy leaves open is decided by these, and all of it by `best`.
BEST: tuple[Criterion, ...] = ("origin", "detail", "metadata", "pixels", "compression", "format", "oldest", "path")
# Why one image comes before another: a criterion, or one of those that come before every policy.
Reason = Criterion | Literal["parts", "damage", "protected"]

# RAW files come first, then formats that lose nothing, then those that do; a GIF has 256 colours.
_LOSSLESS = frozenset(b"png apng tif tiff bmp dib ppm pgm pbm pnm qoi tga psd fits fit".split())
_PALETTE = frozenset(b"gif ico cur xbm xpm".split())
# How many bytes of JPEG about as good a picture takes for one of theirs; in halves, to stay with whole numbers.
_EFFICIENCY = dict.fromkeys(b"heic heif hif heics heifs avif avifs".split(), 4) | {b"webp": 3}


# Pixels of one picture for one of another from which on it has more detail than what was lost or won on the way: less
# than that cannot be told from an enlargement, and comes after what the camera wrote.
_DETAIL = 1.5
# Bits a pixel of JPEG at which half of what can be kept is: the scale on which formats without a quality are put.
_HALF_KEPT = 0.22
_LOSSLESS_QUALITY = 101.0
# Qualities of JPEG that nobody can tell apart.
A_STEP = 4.0
# How many bits are set in each byte.
_KINDS_HELD = np.array([bits.bit_count() for bits in range(256)], np.int8)


@dataclass(frozen=True)
class KeepPolicy:
    """Which image of a group is kept.

    order: one of these, or several with commas between them; what they leave open is decided as in best
           best         origin, detail, metadata, pixels, compression, format, oldest, path, one after the other
           origin       what others were made from: the source of a crop, the picture without bars or writing
           detail       most detail: pixels, those of a flat margin left out, and an enlargement has those of its source
           metadata     what a camera wrote: make or model, capture date, place, the more of them the better
           pixels       most pixels, those of a flat margin left out
           compression  the least compressed: lossless, then by the JPEG's quality; for other formats it is told from
                        the bytes, where one of HEIC or AVIF counts as two of JPEG and one of WebP as 1.5
           format       RAW, then formats that lose nothing, then lossy ones, then GIF
           oldest       the earliest capture date, or modification time where none is known; newest: the latest
           largest      most bytes
           path         the shortest path; path-order: the first one, by its bytes
    under: protected folders: images below come first, and nothing below is ever touched

    A file that is damaged comes after every whole one, whatever the policy.
    """

    order: str = "best"
    under: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        known = ("best", *CRITERIA)
        for name in self._names:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                meant = f"; did you mean {near[0]!r}?" if near else ""
                raise BadInput(f"keep {name!r}: one of {', '.join(known)}, or several with commas between them{meant}")

    @property
    def _names(self) -> list[str]:
        return [name.strip() for name in self.order.split(",")]

    @cached_property
    def criteria(self) -> tuple[Criterion, ...]:
        """Each once, in the order in which they decide."""
        named: list[Criterion] = []
        for name in (*self._names, "best"):
            named += BEST if name == "best" else (name,)  # type: ignore[arg-type]
        return tuple(dict.fromkeys(named))

    @property
    def asks_for_origin(self) -> bool:
        """Whether pictures are to give way to what they were made from."""
        return not {"best", "origin", "detail"}.isdisjoint(self._names)

    def is_protected(self, path: Path) -> bool:
        """Whether a file lies below a protected folder, by its name or by what folders it is really in."""
        return bool(self.under) and self._is_below(os.fsencode(path.parent))

    @cached_property
    def _is_below(self) -> Callable[[bytes], bool]:
        """Whether a folder is a protected one or below, asked once for each."""
        names = tuple(prefixes(self.under))
        protected = {_identity(folder) for folder in self.under} - {None}

        @cache
        def is_below(folder: bytes) -> bool:
            if (folder + b"/").startswith(names):
                return True
            # By what it is, too: one folder may have several names, by a mount or in capitals.
            place = Path(os.path.realpath(os.fsdecode(folder)))
            return any(_identity(parent) in protected for parent in (place, *place.parents))

        return is_below


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def prefixes(folders: Sequence[Path]) -> list[bytes]:
    """With what the paths of files below these folders begin, links in the folders' own names followed or not."""
    names = {place for folder in folders for place in (os.path.abspath(folder), os.path.realpath(folder))}
    return sorted(os.fsencode(name).rstrip(b"/") + b"/" for name in names)


@dataclass(frozen=True)
class Candidates:
    """Images of which some are kept: (n,) each."""

    paths: Sequence[bytes]
    widths: NDArray[np.integer]  # pixels
    heights: NDArray[np.integer]
    margins: NDArray[np.floating]  # shares of the area
    sizes: NDArray[np.int64]  # bytes
    times: NDArray[np.int64]  # of modification, nanoseconds since 1970
    taken: NDArray[np.int64]  # milliseconds since 1970, UNKNOWN where nothing says so
    camera: NDArray[np.uint8]  # bits of what a camera wrote
    quality: NDArray[np.int16]  # of JPEGs, 1 to 100, else 0
    damaged: NDArray[np.bool_]
    containers: NDArray[np.bool_]  # what others were pasted into, which is never kept for them, whatever the policy
    derived: NDArray[np.bool_]  # what was made from another: cropped, framed, written over
    coarse: NDArray[np.bool_]  # what has less detail than its pixels could hold: enlarged, blurred
    finest: NDArray[np.int64]  # pixels beyond which a picture may have no more detail
    components: NDArray[np.int64]  # images of one number were linked with each other


@dataclass(frozen=True)
class Ranking:
    """order: (n,) positions of the images, those to keep first; no two are equal, since paths differ."""

    order: NDArray[np.int64]
    keys: tuple[tuple[Reason, NDArray[np.generic]], ...]  # (n,) each, the lower the better; those before decide first

    def reason(self, first: int, second: int) -> Reason | None:
        """What the first of two images has over the second; None where the second comes before it."""
        for reason, key in self.keys:
            if key[first] != key[second]:
                return reason if key[first] < key[second] else None
        return None


def rank(policy: KeepPolicy, images: Candidates) -> Ranking:
    """Images by falling worth."""
    n = len(images.paths)
    protected = np.zeros(n, bool)
    if policy.under:
        protected = np.fromiter((policy.is_protected(Path(os.fsdecode(path))) for path in images.paths), bool, n)
    keys: list[tuple[Reason, NDArray[np.generic]]] = [
        ("parts", images.containers), ("damage", images.damaged), ("protected", ~protected),
    ]  # fmt: skip
    for criterion in policy.criteria:
        keys += [(criterion, key) for key in _keys(criterion, images)]
    # What is open now differs in its path alone.
    keys += [("largest", -images.sizes), ("path-order", _by_path(images.paths))]
    return Ranking(np.lexsort([key for _, key in keys[::-1]]), tuple(keys))


def _keys(criterion: Criterion, images: Candidates) -> tuple[NDArray[np.generic], ...]:
    """(n,) each, the lower the better, of which the first decides first."""
    match criterion:
        case "origin":
            return (images.derived,)
        case "detail":
            return images.coarse, _steps_below_the_most(np.minimum(_pixels_of(images), images.finest), images)
        case "metadata":
            return (-_KINDS_HELD[images.camera],)
        case "pixels":
            return (-_pixels_of(images),)
        case "compression":
            return (_less_kept(images),)
        case "format":
            return (-_format_ranks(images.paths),)
        case "oldest":
            return _when(images)
        case "newest":
            return tuple(-key for key in _when(images))
        case "largest":
            return (-images.sizes,)
        case "path":
            return (np.fromiter(map(len, images.paths), np.int64, len(images.paths)),)
        case "path-order":
            return (_by_path(images.paths),)


def _pixels_of(images: Candidates) -> NDArray[np.int64]:
    return _picture_pixels(images.widths.astype(np.int64) * images.heights, images.margins)


def _steps_below_the_most(pixels: NDArray[np.int64], images: Candidates) -> NDArray[np.int64]:
    """How many times a picture has clearly fewer pixels than the one of its component that has most of them."""
    _, component = np.unique(images.components, return_inverse=True)
    most = np.ones(len(pixels), np.int64)
    np.maximum.at(most, component[~images.coarse], pixels[~images.coarse])
    ratios = np.maximum(most[component] / np.maximum(pixels, 1), 1)
    return np.asarray(np.floor(np.log(ratios) / np.log(_DETAIL)), np.int64)


def _when(images: Candidates) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """When a picture was taken, and when its file was written."""
    return np.where(images.taken == UNKNOWN, images.times // 1_000_000, images.taken), images.times


def _by_path(paths: Sequence[bytes]) -> NDArray[np.int64]:
    by_path = np.empty(len(paths), np.int64)
    by_path[sorted(range(len(paths)), key=paths.__getitem__)] = np.arange(len(paths))
    return by_path


def _format_ranks(paths: Sequence[bytes]) -> NDArray[np.int8]:
    return np.fromiter((_format_rank(extension(path)) for path in paths), np.int8, len(paths))


def _less_kept(images: Candidates) -> NDArray[np.float64]:
    """How far below the best of its component a quality is; of JPEGs in steps, since a table tells no more."""
    qualities = _qualities(images)
    _, component = np.unique(images.components, return_inverse=True)
    best = np.zeros(len(qualities))
    np.maximum.at(best, component, qualities)
    below = best[component] - qualities
    told = (images.quality > 0) & (qualities == images.quality)
    return np.where(told, np.floor(below / A_STEP) * A_STEP, below)


def _qualities(images: Candidates) -> NDArray[np.float64]:
    """As that of a JPEG; where a file does not say it, by its bytes."""
    endings = [extension(path) for path in images.paths]
    efficiency = np.fromiter((_EFFICIENCY.get(ending, 2) for ending in endings), np.float64, len(endings)) / 2
    bits = 8 * efficiency * images.sizes / np.maximum(images.widths.astype(np.int64) * images.heights, 1)
    told = np.where(images.quality > 0, images.quality, 100 * bits / (bits + _HALF_KEPT))
    ranks = _format_ranks(images.paths)
    return np.where(ranks >= 2, _LOSSLESS_QUALITY, np.where(ranks == 0, 0.0, told))


def _picture_pixels(pixels: NDArray[np.int64], margins: NDArray[np.floating]) -> NDArray[np.int64]:
    """Pixels of picture, without those of a flat margin (`neardup.images.flat_margin`): (n,) int64.

    A margin is measured to some 2 % of the area. What has one counts for 5 % less than it shows, so that a picture set
    into a border is never worth more than the same picture without.
    """
    return np.where(margins > 0, 0.95 * (1 - margins) * pixels, pixels).astype(np.int64)


def extension(path: bytes) -> bytes:
    """Lower case, without the dot."""
    name = path.rpartition(b"/")[2]
    return name.rpartition(b".")[2].lower() if b"." in name[1:] else b""


def _format_rank(ending: bytes) -> int:
    return 3 if ending in RAW_EXTENSIONS else 2 if ending in _LOSSLESS else 0 if ending in _PALETTE else 1
