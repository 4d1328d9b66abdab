"""What was done to one picture to make another, in words."""

from collections.abc import Iterator

from neardup.matching.colours import Colours
from neardup.matching.evidence import DIFFERS, RECOLOURED, Evidence
from neardup.matching.geometry import Alignment, Size

# What resizing, rounding and the fit itself do to an unchanged picture.
WHOLE = 0.97
TURNED_DEGREES = 0.6
STRETCHED = 0.02
SHEARED = 0.02
RESIZED = 0.02
# Below these nobody sees a change of colours.
BRIGHTER = 0.03
MORE_CONTRAST = 0.10
MORE_SATURATION = 0.15

# The change where two files are exact copies.
SAME_FILE, SAME_PIXELS = "the same file", "the same pixels"

_TURNS = {1: "turned a quarter clockwise", 2: "turned upside down", 3: "turned a quarter counter-clockwise"}


def change(found: Evidence, size_a: Size, size_b: Size) -> str | None:
    """What was done to A to make B: "mirrored left to right, cropped to 80 %"; None where the two are not one picture.

    size_a, size_b: width and height of the whole pictures
    """
    if not found.is_confirmed:
        return None
    return ", ".join(steps(found, size_a, size_b)) or "encoded anew"


def steps(found: Evidence, size_a: Size, size_b: Size) -> list[str]:
    """Each step in words; none where B is the same picture."""
    alignment = found.alignment(size_a, size_b)
    result = list(_frame_steps(found))
    if alignment is not None:
        result += [*_turn_steps(alignment), *_cut_steps(alignment, found), *_size_steps(alignment)]
    if found.colours is not None:
        result += colour_steps(found.colours)
    if found.enlarged == "b":
        result.append("no more detail")
    if found.sharper == "a":
        result.append("blurred")
    if found.sharpened is not None:
        result.append("sharpened" if found.sharpened == "b" else "softened")
    if found.noisier is not None:
        result.append("noise added" if found.noisier == "b" else "noise removed")
    if found.differing >= DIFFERS:
        result.append(f"other content on {percent(found.differing)}")
    elif found.everywhere:
        result.append("different in small things everywhere")
    return result


def lost(found: Evidence, size_a: Size, size_b: Size) -> str | None:
    """What A shows that B does not, in words; None where it shows nothing else."""
    parts = []
    if found.frames_a > found.frames_b:
        parts.append(f"{found.frames_a} frames against {found.frames_b}")
    if found.more_than("a"):
        parts.append(f"what lies beyond the other's edges, {percent(found.more_a)} of it")
    if found.differing >= DIFFERS:
        what = "writing or other content" if found.clean != "a" else "what the other has written over"
        parts.append(f"{what} on {percent(found.differing)}")
    elif found.colours is not None and found.colours.other >= RECOLOURED:
        parts.append(f"other colours on {percent(found.colours.other)}")
    elif found.everywhere:
        parts.append("small things everywhere, as two shots of a burst do")
    return ", ".join(parts) or None


def percent(share: float) -> str:
    """`62 %`, `0.7 %`."""
    return f"{share:.0%}".replace("%", " %") if share >= 0.0995 else f"{100 * share:.1f} %"


def _frame_steps(found: Evidence) -> Iterator[str]:
    if found.frames_a != found.frames_b:
        yield (
            f"{found.frames_b} of {found.frames_a} frames"
            if found.frames_b < found.frames_a
            else (f"{found.frames_b} frames in place of {found.frames_a}")
        )


def _turn_steps(alignment: Alignment) -> Iterator[str]:
    if alignment.mirrored and alignment.quarter_turns == 2:
        yield "mirrored top to bottom"
    else:
        if alignment.mirrored:
            yield "mirrored left to right"
        if alignment.quarter_turns:
            yield _TURNS[alignment.quarter_turns]
    if abs(alignment.rotation_degrees) >= TURNED_DEGREES:
        way = "clockwise" if alignment.rotation_degrees > 0 else "counter-clockwise"
        yield f"rotated {abs(alignment.rotation_degrees):.1f}° {way}"


def _cut_steps(alignment: Alignment, found: Evidence) -> Iterator[str]:
    if alignment.shown_of_a < WHOLE:
        yield f"cropped to {percent(alignment.shown_of_a)}"
    if alignment.shown_of_b < WHOLE:
        if found.holds("b"):
            yield f"set into another picture, {percent(alignment.shown_of_b)} of it"
        elif found.more_than("b"):
            yield f"with more around it, {percent(1 - alignment.shown_of_b)}"
        else:
            yield f"framed, {percent(1 - alignment.shown_of_b)} margin"


def _size_steps(alignment: Alignment) -> Iterator[str]:
    if abs(alignment.scale - 1) >= RESIZED:
        yield f"scaled to {percent(alignment.scale)}"
    if abs(alignment.aspect - 1) >= STRETCHED:
        yield f"stretched {percent(abs(alignment.aspect - 1))} {'wider' if alignment.aspect > 1 else 'narrower'}"
    if alignment.perspective:
        yield "seen in perspective"
    elif abs(alignment.shear) >= SHEARED:
        yield f"sheared by {alignment.shear:+.2f}"


def colour_steps(colours: Colours) -> list[str]:
    """What was done to A's colours, in words."""
    result = []
    if colours.grey:
        result.append("turned grey" if colours.grey == "b" else "given colours")
    elif colours.other >= RECOLOURED:
        result.append(f"other colours on {percent(colours.other)}")
    elif colours.saturation is not None and abs(colours.saturation - 1) >= MORE_SATURATION:
        strength = "stronger" if colours.saturation > 1 else "weaker"
        result.append(f"{strength} colours ({percent(colours.saturation)})")
    if abs(colours.brightness) >= BRIGHTER:
        result.append(f"{'brighter' if colours.brightness > 0 else 'darker'} by {percent(abs(colours.brightness))}")
    if abs(colours.contrast - 1) >= MORE_CONTRAST:
        result.append(f"{'more' if colours.contrast > 1 else 'less'} contrast ({percent(colours.contrast)})")
    return result
