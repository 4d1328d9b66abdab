"""Two pictures to what they are to each other: three questions, each asked where the one before it was answered.

1. Same map? Keypoints, else the eight ways to lay one over the other whole (`align`).
2. Same pixels? Blocks under the map, blur made alike (`agreement`), and colours that tone explains (`colours`).
3. What does each show that the other lacks? Compact differences at a size where writing can be read (`differences`),
   and what lies beyond the other's edges (`coverage`).
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neardup.matching.agreement import NOTHING, Laid, lay
from neardup.matching.agreement import agreement as agree
from neardup.matching.align import HOPELESS, Aligned, align, lay_working, without_margins
from neardup.matching.bars import Bars, bars_over
from neardup.matching.colours import compare_colours
from neardup.matching.coverage import Beyond, beyond
from neardup.matching.detail import compare_detail
from neardup.matching.differences import Differences, differences
from neardup.matching.evidence import MORE, MORE_AROUND, Evidence, Side
from neardup.matching.flat import is_recoloured
from neardup.matching.maps import Map, Matrix, inverse, whole_maps, whole_views
from neardup.matching.noise import noisier
from neardup.matching.picture import Picture, to_grey

# Changes whenever the same two pictures may be judged otherwise: what an index keeps of earlier ones is passed over.
MATCHER = 16

# Logistic regression of "one picture" on the measures of a pair (log of keypoints, well, median, well apart,
# differing): scripts/calibrate_matching.py, on edited copies and on look-alikes.
_CONSTANT, _WEIGHTS = -13.9, (1.01, 7.12, 2.48, 4.25, -2.04)
# What it is worth that nothing differs at all, beyond the noise of bad compression: levels of 255.
_NOTHING_DIFFERS, _NOTHING, _NOISE = 2.5, 0.002, 11.0
# A usual difference that hides small ones, levels of 255, unless nearly all blocks agree well: two shots of one scene.
_BLINDING, _ALL_WELL = 11.0, 0.92
# Keypoints that count in it: more than these prove no more.
_MOST_KEYPOINTS = 250
# Confidence from which on two are one picture, and from which on they show one scene.
CONFIRMED, ONE_SCENE = 0.5, 0.02
# Without keypoints that agree, a symbol lies well on every other of its kind: then nearly nothing may differ.
_FEW_KEYPOINTS, _DIFFERS_AT_MOST, _WELL_AT_LEAST = 6, 0.012, 0.85
# Symbols of one set share an outline: of two pictures with so few keypoints one is no copy with writing on it if so
# much differs and not nearly all the rest agrees.
_SYMBOL_KEYPOINTS, _SYMBOL_DIFFERS, _SYMBOL_WELL = 100, 0.08, 0.9
# How much stronger the steps along the outline of a difference are in the picture that was written over.
_WRITTEN_OVER = 1.25
# Share of its area that one of the two shows of the other below which it is a frame, and from which on it is whole.
_FRAMES_BELOW, _WHOLE = 0.93, 0.95
# Blur, in pixels of the coarser picture, that makes the other one the sharper.
_BLURRED = 1.0
# Correlation of two frames that show the same.
_FRAMES_ALIKE = 0.9
# Pictures with nothing to see: levels of 255 within which two plain colours are one, and the edge they are compared at.
_SAME_COLOUR, _PLAIN_EDGE = 8.0, 16
# Percentile of the places that must have it: an edge may lie across some.
_NEARLY_ALL = 97


def judge(
    a: Picture, b: Picture, *, known: Matrix | None = None, by_keypoints: Sequence[Map] | None = None
) -> Evidence:
    """What the two are to each other; never `exact`, which is for files to say.

    known:        a map from the whole of A to the whole of B that is likely, as composed from those of other pairs
    by_keypoints: the maps that were found by keypoints already
    """
    if known is not None:
        known = to_working(b) @ known @ inverse(to_working(a))
    found = align(a, b, known, by_keypoints)
    evidence = _judge_first_frames(a, b, found)
    if a.frames.count == b.frames.count == 1 or evidence.matrix is None:
        return evidence
    with_frames = replace(evidence, frames_a=a.frames.count, frames_b=b.frames.count)
    if not evidence.is_confirmed or _show_same_frames(a, b, evidence):
        return with_frames
    return replace(with_frames, relation="edited", frames_differ=True)


def _judge_first_frames(a: Picture, b: Picture, found: Aligned | None) -> Evidence:
    if found is None or not found.agreement.blocks:
        return _judge_plain(a, b)
    if found.agreement.well < HOPELESS:
        return Evidence("other", 0.0)
    bars = _bars(a, b, found)
    found = _without_bars(a, b, found, bars)
    different = find_differences(a, b, found)
    confidence = _confidence(a, b, found, different)
    if confidence < ONE_SCENE:
        return Evidence("other", confidence)
    laid = lay(a.working, b.working, found.matrix)
    evidence = _measure(a, b, found, different, confidence, bars, laid)
    if confidence < CONFIRMED or is_recoloured(laid):
        return evidence
    confirmed = replace(evidence, relation="copy")
    is_copy = confirmed.b_shows_all_of_a or confirmed.a_shows_all_of_b
    is_set_into = confirmed.holds("a") or confirmed.holds("b")
    return confirmed if is_copy and not is_set_into else replace(evidence, relation="edited")


def _measure(
    a: Picture,
    b: Picture,
    found: Aligned,
    different: Differences,
    confidence: float,
    bars: tuple[Bars, Bars] | None,
    laid: Laid,
) -> Evidence:
    """laid: the working pictures, in colour"""
    beyond_a, beyond_b = beyond(a, b, inverse(found.matrix)), beyond(b, a, found.matrix)
    if bars:  # what they show lies beyond the other, too
        beyond_a, beyond_b = (
            replace(side, seam=max(side.seam, bar.edge), more=side.more + bar.more)
            for side, bar in zip((beyond_a, beyond_b), bars, strict=True)
        )
    laid = without_margins(laid, a, b, found.matrix)
    agreement = found.agreement
    whole = inverse(to_working(b)) @ found.matrix @ to_working(a)
    detail = compare_detail(a, b, whole)
    noise = noisier(lay(to_grey(a.working), to_grey(b.working), found.matrix))
    return Evidence(
        "similar",
        confidence,
        matrix=tuple((whole / whole[2, 2]).ravel().tolist()),
        inliers=found.inliers,
        matches=found.matches,
        agreeing=agreement.agreeing,
        well=agreement.well,
        median=agreement.median,
        differing=different.of_detail,
        everywhere=different.usual > _BLINDING and agreement.well < _ALL_WELL,
        more_a=beyond_a.more,
        more_b=beyond_b.more,
        seam_a=beyond_a.seam,
        seam_b=beyond_b.seam,
        framed=_framed(beyond_a, beyond_b),
        clean=_clean(different),
        sharper="a" if agreement.blur_a >= _BLURRED else "b" if agreement.blur_b >= _BLURRED else None,
        noisier=noise,
        enlarged=detail.enlarged,
        no_finer=detail.no_finer,
        # Noise is fine, too; and what one of them alone shows may be finer than the rest.
        blurred=detail.blurred if noise is None and max(beyond_a.more, beyond_b.more) < MORE else None,
        colours=compare_colours(laid) if laid.inside.any() else None,
    )


def _bars(a: Picture, b: Picture, found: Aligned) -> tuple[Bars, Bars] | None:
    """Those over A, and those over B; None where there are none."""
    if found.agreement.well >= _ALL_WELL:
        return None
    in_a, in_b = (lay_working(a, b, found.matrix, in_b=in_b) for in_b in (False, True))
    bars = bars_over(in_a.a, in_a.b, in_a.inside), bars_over(in_b.b, in_b.a, in_b.inside)
    return bars if bars[0].edge or bars[1].edge else None


def _without_bars(a: Picture, b: Picture, found: Aligned, bars: tuple[Bars, Bars] | None) -> Aligned:
    """How well the rest of the two agrees."""
    if not bars:
        return found
    in_b = bars[1].edge >= bars[0].edge
    apart = agree(lay_working(a, b, found.matrix, in_b=in_b), bars[in_b].mask)
    return replace(found, agreement=apart) if apart.blocks else found


def _show_same_frames(a: Picture, b: Picture, found: Evidence) -> bool:
    """Whether as many frames follow the first, and those that are looked at agree as it does."""
    if a.frames.count != b.frames.count or len(a.frames.later) != len(b.frames.later):
        return False
    matrix = np.array(found.matrix).reshape(3, 3)
    for first, second in zip(a.frames.later, b.frames.later, strict=True):
        to_a = np.diag([first.shape[1] / a.width, first.shape[0] / a.height, 1.0])
        to_b = np.diag([second.shape[1] / b.width, second.shape[0] / b.height, 1.0])
        laid = lay(to_grey(first), to_grey(second), to_b @ matrix @ inverse(to_a))
        if not laid.inside.any():
            continue
        levels = [side[laid.inside].astype(np.float32) for side in (laid.a, laid.b)]
        first_centred, second_centred = (side - side.mean() for side in levels)
        spread = float(np.sqrt((first_centred**2).mean() * (second_centred**2).mean()))
        alike = float((first_centred * second_centred).mean()) / spread if spread > 1 else 1.0
        if alike < _FRAMES_ALIKE:
            return False
    return True


def find_differences(a: Picture, b: Picture, found: Aligned) -> Differences:
    """Where, in the frame of the one with fewer pixels, each shows what the other lacks."""
    detail = to_detail(b) @ found.matrix @ inverse(to_detail(a))
    laid = without_margins(lay(a.detail_grey, b.detail_grey, detail), a, b, found.matrix)
    larger = laid.inside.shape[1] / (b if laid.in_b else a).grey.shape[1]
    blur_a, blur_b = found.agreement.blur_a * larger, found.agreement.blur_b * larger
    return differences(laid, blur_a=blur_a, blur_b=blur_b)


def _confidence(a: Picture, b: Picture, found: Aligned, different: Differences) -> float:
    """That the two are one picture, 0 to 1.

    Writing over a copy disagrees where the writing is, and nowhere else; two pictures of one scene disagree a little
    everywhere. So the agreement counts as it is, and apart from the compact differences.
    """
    agreement = found.agreement
    if found.inliers < _FEW_KEYPOINTS and (different.of_detail > _DIFFERS_AT_MOST or agreement.well < _WELL_AT_LEAST):
        return 0.0 if agreement.well < 0.5 else ONE_SCENE
    logit = _CONSTANT + float(np.dot(_WEIGHTS, measures(a, b, found, different)))
    if different.of_detail <= _NOTHING and different.usual <= _NOISE:
        logit += _NOTHING_DIFFERS
    if found.inliers < _FEW_KEYPOINTS:
        logit = max(logit, 1.0)  # whole over whole, and nothing differs
    elif (
        max(len(side.features.points) for side in (a, b)) < _SYMBOL_KEYPOINTS
        and different.of_detail > _SYMBOL_DIFFERS
        and agreement.well < _SYMBOL_WELL
    ):
        logit = min(logit, -0.1)  # one scene at the most
    return 1 / (1 + math.exp(-logit))


def measures(a: Picture, b: Picture, found: Aligned, different: Differences) -> tuple[float, ...]:
    """What the confidence is made of, in the order of the weights."""
    return (
        math.log1p(min(found.inliers, _MOST_KEYPOINTS)),
        found.agreement.well,
        max(found.agreement.median, 0.0),
        _well_apart(a, b, found, different),
        different.of_detail,
    )


def _well_apart(a: Picture, b: Picture, found: Aligned, different: Differences) -> float:
    """The share of blocks that agree well, pixels with compact differences left out."""
    import cv2

    if not different.share:
        return found.agreement.well
    laid = lay_working(a, b, found.matrix, in_b=different.in_b)
    height, width = laid.inside.shape
    mask = np.asarray(cv2.resize(different.mask.astype(np.uint8) * 255, (width, height), interpolation=cv2.INTER_AREA))
    around = cv2.dilate((mask > 60).astype(np.uint8), np.ones((3, 3), np.uint8))
    return agree(laid, np.asarray(around > 0)).well


def _framed(a: Beyond, b: Beyond) -> Side | None:
    for side, frame, whole in (("a", a, b), ("b", b, a)):
        if frame.shown < _FRAMES_BELOW and whole.shown >= _WHOLE and frame.more < MORE_AROUND:
            return side  # type: ignore[return-value]
    return None


def _clean(different: Differences) -> Side | None:
    if not different.share or 1 / _WRITTEN_OVER < different.clean < _WRITTEN_OVER:
        return None
    return "a" if different.clean < 1 else "b"


def _judge_plain(a: Picture, b: Picture) -> Evidence:
    """Pictures with too little to see for blocks: one where every place of both has the same colour, one laid over the
    other whole."""
    first, second = (_afar(side) for side in (a, b))
    size_a, size_b = (a.grey.shape[1], a.grey.shape[0]), (b.grey.shape[1], b.grey.shape[0])
    for view, way in zip(whole_views(first), whole_maps(size_a, size_b), strict=True):
        if np.percentile(np.abs(view - second), _NEARLY_ALL) > _SAME_COLOUR:
            continue
        found = Aligned(way.matrix, 0, 0, NOTHING)
        if find_differences(a, b, found).of_detail <= _DIFFERS_AT_MOST:
            whole = inverse(to_working(b)) @ way.matrix @ to_working(a)
            return Evidence("copy", 1.0, matrix=tuple((whole / whole[2, 2]).ravel().tolist()))
    return Evidence("other", 0.0)


def _afar(picture: Picture) -> NDArray[np.float32]:
    import cv2

    size = (_PLAIN_EDGE, _PLAIN_EDGE)
    return np.asarray(cv2.resize(picture.working, size, interpolation=cv2.INTER_AREA), np.float32)


def to_working(picture: Picture) -> Matrix:
    """From positions in the whole picture to those in the working one."""
    height, width = picture.grey.shape
    return np.diag([width / picture.width, height / picture.height, 1.0])


def to_detail(picture: Picture) -> Matrix:
    """From positions in the working picture to those in the detailed one."""
    height, width = picture.grey.shape
    return np.diag([picture.pixels.shape[1] / width, picture.pixels.shape[0] / height, 1.0])
