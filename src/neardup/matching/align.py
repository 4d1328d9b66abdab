"""Same map, same pixels? The map between two pictures that most of their keypoints and their pixels agree with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neardup.matching.agreement import Agreement, Laid, agreement, lay
from neardup.matching.cuts import cut_maps, may_be_cut
from neardup.matching.maps import (
    FEWEST_INLIERS,
    Map,
    Matrix,
    find_maps,
    is_plausible,
    refine,
    supporters,
    whole_maps,
    whole_views,
)
from neardup.matching.picture import Glance, Picture

# From here on no other way to lay the two is tried.
_SURE_INLIERS, _SURE_WELL = 12, 0.7
# Share of blocks that agree well below which no finer map and no further look can make two pictures one.
HOPELESS = 0.25
# Correlation from afar of one picture laid over the other whole that is worth a second look.
WORTH = 0.75


@dataclass(frozen=True)
class Aligned:
    """matrix: (3, 3), from A's working pixels to B's"""

    matrix: Matrix
    inliers: int  # keypoints that agree with it; 0: found by laying one picture over the other whole
    matches: int
    agreement: Agreement


def align(
    a: Picture, b: Picture, known: Matrix | None = None, by_keypoints: Sequence[Map] | None = None
) -> Aligned | None:
    """The best map from A to B; None where there is none worth a name.

    known:        a map to start from, as composed from those of other pairs, in working pixels
    by_keypoints: what `worthy_maps` has found of the two
    """
    size_a = _size(a)
    if known is not None and not is_plausible(known, size_a):
        known = None
    if known is not None:
        maps: Sequence[Map] = [Map(known, 0, 0)]
    else:
        maps = by_keypoints if by_keypoints is not None else _by_keypoints(a.glance, b.glance)
    found = [_measured(a, b, each) for each in maps]
    best = max(found, key=_worth, default=None)
    if known is None and (best is None or best.inliers < _SURE_INLIERS or best.agreement.well < _SURE_WELL):
        found += [_measured(a, b, each) for each in _whole_ways(a, b)]
        best = max(found, key=_worth, default=None)
        if best is None or best.agreement.well < _SURE_WELL:
            found += [_measured(a, b, each) for each in cut_maps(a, b)]
            best = max(found, key=_worth, default=None)
    if best is None or best.agreement.well < HOPELESS:
        return best
    finer = refine(a.grey, b.grey, best.matrix)
    again = _measured(a, b, Map(finer, best.inliers, best.matches))
    best = again if _worth(again) > _worth(best) else best
    if best.inliers:
        return best
    inliers, matches = supporters(a.features, b.features, best.matrix, size_a)
    return replace(best, inliers=inliers, matches=matches)


def lay_working(a: Picture, b: Picture, matrix: Matrix, *, in_b: bool | None = None) -> Laid:
    """Both in grey, without the margins of either."""
    laid = lay(a.grey, b.grey, matrix, in_b=in_b)
    return without_margins(laid, a, b, matrix)


def without_margins(laid: Laid, a: Picture, b: Picture, matrix: Matrix) -> Laid:
    """What was laid together, without the flat margins of either.

    matrix: of working pictures; what was laid may be of another size
    """
    import cv2

    if not a.has_margin and not b.has_margin:
        return laid
    masks = lay(_mask(a), _mask(b), matrix, in_b=laid.in_b)
    shown = np.minimum(masks.a, masks.b)
    height, width = laid.inside.shape
    if shown.shape != (height, width):
        shown = np.asarray(cv2.resize(shown, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    return replace(laid, inside=np.asarray(laid.inside & (shown > 127)))


def _mask(picture: Picture) -> NDArray[np.uint8]:
    return picture.shows.astype(np.uint8) * 255


def _measured(a: Picture, b: Picture, guess: Map) -> Aligned:
    return Aligned(guess.matrix, guess.inliers, guess.matches, agreement(lay_working(a, b, guess.matrix)))


def _worth(each: Aligned) -> tuple[float, float]:
    return each.agreement.well + each.agreement.agreeing, each.agreement.median


def worthy_maps(a: Glance, b: Glance) -> list[Map] | None:
    """The maps between the two by keypoints; None where no map, of whatever kind, is worth a look at their pixels."""
    maps = _by_keypoints(a, b)
    if maps or (not a.has_details and not b.has_details):
        return maps
    if any(correlation >= WORTH for correlation in from_afar(a.afar, b.afar)):
        return maps
    return maps if may_be_cut(a, b) else None


def _by_keypoints(a: Glance, b: Glance) -> list[Map]:
    return [each for each in find_maps(a.features, b.features, a.size, b.size) if each.inliers >= FEWEST_INLIERS]


def _whole_ways(a: Picture, b: Picture) -> list[Map]:
    """The two ways to lay the whole of A over the whole of B that look best from afar."""
    ways = list(whole_maps(_size(a), _size(b)))
    correlations = from_afar(a.afar, b.afar)
    best = sorted(range(len(ways)), key=lambda way: -correlations[way])[:2]
    return [ways[way] for way in best if correlations[way] >= WORTH]


def from_afar(a: NDArray[np.float32], b: NDArray[np.float32]) -> list[float]:
    """Correlation of B with A in each of the ways of `whole_maps`."""
    views = np.stack([view.ravel() for view in whole_views(a)])
    found: list[float] = (views @ b.ravel() / b.size).tolist()
    return found


def _size(picture: Picture) -> tuple[int, int]:
    return picture.grey.shape[1], picture.grey.shape[0]
