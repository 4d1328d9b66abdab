"""Which image of a group stays: an order of all images, the one to keep first."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from neardup.errors import BadInput

Order = Literal["best", "largest", "oldest", "newest", "path-order"]
ORDERS: tuple[Order, ...] = get_args(Order)

# What a camera wrote, then formats that lose nothing, then those that do; a GIF has 256 colours.
RAW_EXTENSIONS = frozenset(
    b"3fr ari arw bay cr2 cr3 crw dcr dng erf fff gpr iiq k25 kdc mdc mef mos mrw nef nrw orf pef ptx raf raw rw2 rwl"
    b" sr2 srf srw x3f".split()
)
_LOSSLESS = frozenset(b"png apng tif tiff bmp dib ppm pgm pbm pnm qoi tga psd fits fit".split())
_PALETTE = frozenset(b"gif ico cur xbm xpm".split())
# How many bytes of JPEG about as good a picture takes for one of theirs; in halves, to stay with whole numbers.
_EFFICIENCY = dict.fromkeys(b"heic heif hif heics heifs avif avifs".split(), 4) | {b"webp": 3}


@dataclass(frozen=True)
class KeepPolicy:
    """Which image of a group is kept.

    order: best        what others were made from: the source of a crop, the picture without bars or writing; then most
                       pixels, those of a flat margin left out; then RAW, then formats that lose nothing, then
                       lossy ones, then GIF; then the least compressed: most bytes, where a byte of HEIC or AVIF counts
                       as two of JPEG and one of WebP as 1.5, so that neither a smaller copy in an efficient format nor
                       a larger one made from it wins by size alone; then the older file, the shorter path, the path
           largest     most bytes
           oldest      the earliest modification time; newest: the latest
           path-order  the first path, by its bytes
           What a policy leaves open is decided as in best.
    under: protected folders: images below come first, and nothing below is ever touched
    """

    order: Order = "best"
    under: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise BadInput(f"keep {self.order!r}: one of {', '.join(ORDERS)}")

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


def keep_order(
    policy: KeepPolicy,
    *,
    paths: Sequence[bytes],
    widths: NDArray[np.integer],
    heights: NDArray[np.integer],
    margins: NDArray[np.floating],
    sizes: NDArray[np.int64],
    times: NDArray[np.int64],
    containers: NDArray[np.bool_] | None = None,
    derived: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Images by falling worth: (n,) int64 positions; no two are equal, since paths differ.

    sizes: bytes; times: nanoseconds since 1970; widths and heights: pixels; margins: shares of the area; (n,) each
    containers: what others were pasted into, which is never kept for them, whatever the policy
    derived:    what was made from another: cropped, framed, written over
    """
    n = len(paths)
    by_path = np.empty(n, np.int64)
    by_path[sorted(range(n), key=paths.__getitem__)] = np.arange(n)
    endings = [extension(path) for path in paths]
    ranks = np.fromiter((_format_rank(ending) for ending in endings), np.int8, n)
    worth = sizes * np.fromiter((_EFFICIENCY.get(ending, 2) for ending in endings), np.int64, n)
    lengths = np.fromiter(map(len, paths), np.int64, n)
    pixels = _picture_pixels(widths.astype(np.int64) * heights, margins)
    none = np.zeros(n, bool)
    is_derived = none if derived is None else derived
    first: dict[Order, tuple[NDArray[np.generic], ...]] = {
        "best": (is_derived,),
        "largest": (-sizes,),
        "oldest": (times,),
        "newest": (-times,),
        "path-order": (by_path,),
    }
    protected = np.zeros(n, bool)
    if policy.under:
        protected = np.fromiter((policy.is_protected(Path(os.fsdecode(path))) for path in paths), bool, n)
    keys = (
        none if containers is None else containers,
        ~protected,
        *first[policy.order],
        -pixels,
        -ranks,
        -worth,
        times,
        lengths,
        by_path,
    )
    return np.lexsort(keys[::-1])


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
