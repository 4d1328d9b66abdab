"""What only the whole pixels of two pictures tell, which looking reduces: an enlargement of what is large already, a
sharpened picture, and one that was encoded anew from what a JPEG holds.

A JPEG's coefficients are multiples of its steps. A picture that was saved from it, at a higher quality or without loss,
still has them near those multiples (Fan and de Queiroz, IEEE TIP 2003); the picture that a JPEG was made from does not.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neardup.images.decode import JpegGrid, decode_image, jpeg_grid, turned_back
from neardup.matching.agreement import blocks
from neardup.matching.detail import detail_of
from neardup.matching.evidence import Evidence, Side
from neardup.matching.geometry import Size
from neardup.matching.maps import scale_of
from neardup.matching.picture import DETAIL_EDGE, to_grey
from neardup.matching.sharpening import sharpened

# Pixels of one for one of the other from which on an enlargement is looked for.
_LARGER = 1.2
# Most pixels of both together that are decoded for this.
MOST_PIXELS = 80_000_000
_BLOCK = 8
_GOLDEN = np.float64(0.6180339887498949)
# By how much nearer one of two lies to the other's grid than that one to its own: 0.2 to 0.9 where it was saved from it
# at the same or a higher quality. The fewest coefficients, and of how many blocks at the most.
# Share of its bytes by which a file differs from what it was, and how much larger the steps between blocks are then,
# at pixels that differ by so many levels.
_CHANGED, _MISFIT, _OTHERWISE = 0.02, 1.05, 8
_ON_GRID, _FEWEST, _MOST_BLOCKS = 0.15, 200, 20_000


@dataclass(frozen=True)
class Whole:
    """A picture in all its pixels."""

    grey: NDArray[np.uint8]  # (h, w), upright
    grid: JpegGrid | None  # of a JPEG
    content: NDArray[np.uint8]  # the file's bytes


def load_whole(content: bytes) -> Whole:
    """Raises UnreadableImage."""
    return Whole(to_grey(decode_image(content).pixels), jpeg_grid(content), np.frombuffer(content, np.uint8))


def may_tell(found: Evidence, size_a: Size, size_b: Size) -> bool:
    """Whether the whole pixels may say more of which of the two was first."""
    if not found.is_confirmed or found.closely or found.matrix is None or found.original is not None:
        return False
    if (size_a[0] * size_a[1]) + (size_b[0] * size_b[1]) > MOST_PIXELS:
        return False
    return size_a == size_b or _was_reduced(found, size_a, size_b)


def look_closely(found: Evidence, a: Whole, b: Whole) -> Evidence:
    """The evidence with what the whole pixels tell."""
    size_a, size_b = (side.grey.shape[::-1] for side in (a, b))
    if size_a == size_b:
        return replace(
            found,
            closely=True,
            saved_again=_saved_again(a, b),
            sharpened=sharpened(a.grey, b.grey),
            decayed=_decayed(a, b),
        )
    scale = scale_of(np.array(found.matrix).reshape(3, 3), size_a)
    detail = detail_of(a.grey, b.grey, scale)
    return replace(found, closely=True, enlarged=detail.enlarged, no_finer=detail.no_finer)


def _was_reduced(found: Evidence, size_a: Size, size_b: Size) -> bool:
    """Whether one has clearly more pixels, and was looked at with fewer."""
    scale = scale_of(np.array(found.matrix).reshape(3, 3), size_a)
    return bool(scale) and max(scale, 1 / scale) >= _LARGER and max(*size_a, *size_b) > DETAIL_EDGE


def _saved_again(a: Whole, b: Whole) -> Side | None:
    """Which of two of one size lies on the grid of the other, clearly more so than that one on its own."""
    b_on_a, a_on_b = on_grid(b, a.grid), on_grid(a, b.grid)
    if abs(b_on_a - a_on_b) < _ON_GRID or max(b_on_a, a_on_b) < _ON_GRID:
        return None
    return "b" if b_on_a > a_on_b else "a"


def _decayed(a: Whole, b: Whole) -> Side | None:
    """Which of two JPEGs that were one file has bytes that changed since: what follows them is out of place, and blocks
    do not fit those beside them."""
    if a.grid is None or b.grid is None or len(a.content) != len(b.content):
        return None
    if np.count_nonzero(a.content != b.content) > _CHANGED * len(a.content):
        return None
    misfit_a, misfit_b = (_misfit(side.grey, a.grey, b.grey) for side in (a, b))
    if max(misfit_a, misfit_b) < _MISFIT * min(misfit_a, misfit_b):
        return None
    return "a" if misfit_a > misfit_b else "b"


def _misfit(grey: NDArray[np.uint8], a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Steps across the edges of blocks over those within them, 1 and a little more in a JPEG; where A and B differ."""
    across, within = 1.0, 1.0
    for side, first, second in ((grey, a, b), (grey.T, a.T, b.T)):
        rows = len(side) // _BLOCK * _BLOCK
        wide = side[:rows].astype(np.int16)
        step = np.abs(np.diff(wide, axis=0))
        differs = (np.abs(first[:rows].astype(np.int16) - second[:rows]) > _OTHERWISE)[1:]
        across += float(step[_BLOCK - 1 :: _BLOCK][differs[_BLOCK - 1 :: _BLOCK]].sum())
        within += float(step[_BLOCK // 2 - 1 :: _BLOCK][differs[_BLOCK // 2 - 1 :: _BLOCK]].sum())
    return across / within


def on_grid(picture: Whole, grid: JpegGrid | None) -> float:
    """How near the coefficients of a picture are to multiples of a JPEG's steps, 1 for on them; less the same beside
    its grid, since coefficients that fall steeply are not evenly spread either, and less what the picture's own steps
    make of them, of which every second may be near the other's. 0 without a grid."""
    if grid is None:
        return 0.0
    telling = grid.steps >= 2
    own = np.ones_like(grid.steps)
    if picture.grid is not None:  # whose own steps say nothing of those of another
        own = picture.grid.steps if picture.grid.is_turned == grid.is_turned else picture.grid.steps.T
        telling &= (4 * own.astype(int) <= 3 * grid.steps.astype(int)) & ((own == 1) | (grid.steps % own > 0))
    stored = turned_back(picture.grey, grid.orientation)
    on_it = _nearness(stored, grid.steps, telling)
    beside = _nearness(stored[_BLOCK // 2 :, _BLOCK // 2 :], grid.steps, telling)
    by_chance = _nearness(stored, grid.steps, telling, own)
    if on_it is None or beside is None or by_chance is None:
        return 0.0
    return on_it - max(beside, by_chance, 0.0)


def _nearness(
    grey: NDArray[np.uint8],
    steps: NDArray[np.uint8],
    telling: NDArray[np.bool_],
    own: NDArray[np.uint8] | None = None,
) -> float | None:
    """Mean cosine of the coefficients' phases within the steps, of those beyond half a step; None for too few.

    telling: (8, 8), at which frequencies
    own:     of coefficients that are spread evenly over a step, and are multiples of these
    """
    coefficients = _coefficients(grey)
    if own is not None:
        places = np.arange(coefficients.size).reshape(coefficients.shape)
        spread = (places * _GOLDEN) % 1 - 0.5  # as even as chance, and the same each time
        coefficients = np.asarray(own * np.round((coefficients + spread * steps) / own), np.float32)
    told = np.broadcast_to(telling, coefficients.shape) & (np.abs(coefficients) > steps / 2)
    told[:, 0, 0] = False
    if told.sum() < _FEWEST:
        return None
    return float(np.cos(2 * np.pi * (coefficients / steps)[told]).mean())


def _coefficients(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """DCT of 8 x 8 blocks, spread over the picture where there are very many: (blocks, 8, 8)."""
    cut = blocks(grey, _BLOCK)
    cut = cut[:: max(1, len(cut) // _MOST_BLOCKS)].reshape(-1, _BLOCK, _BLOCK) - 128
    return np.asarray(_DCT @ cut @ _DCT.T, np.float32)


def _dct() -> NDArray[np.float32]:
    """The orthonormal DCT-II as a matrix: (8, 8)."""
    places, waves = np.arange(_BLOCK), np.arange(_BLOCK)[:, None]
    rows = np.sqrt(2 / _BLOCK) * np.cos(np.pi * (2 * places + 1) * waves / (2 * _BLOCK))
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, np.float32)


_DCT = _dct()
