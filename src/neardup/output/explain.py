"""An explanation in words, and as JSON and CSV."""

from pathlib import Path
from typing import Any

from neardup.matching import Alignment, Box, Colours, Explanation
from neardup.output import write_csv, write_json, write_line
from neardup.text import printable, show_path

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
CHANGED = 0.005

_TURNS = {1: "turned a quarter clockwise", 2: "turned upside down", 3: "turned a quarter counter-clockwise"}


def write_explanation(found: Explanation, *, format: str) -> None:
    """Print it in one of neardup.output.FORMATS."""
    if format == "json":
        write_json(as_json(found))
    elif format == "csv":
        fields = _flat(as_json(found))
        write_csv(list(fields), [fields])
    else:
        for name, text in lines(found):
            write_line(f"{name + ':':<14}{text}" if name else f"{'':<14}{text}")


def as_json(found: Explanation) -> dict[str, Any]:
    """Angles in degrees clockwise, areas as shares of 0 to 1, boxes in pixels of the image they are in."""
    alignment, colours = found.alignment, found.colours
    return {
        "a": str(found.a),
        "b": str(found.b),
        "similarity": found.similarity,
        "duplicate": found.duplicate,
        "threshold": found.threshold,
        "tables": found.shared.tables,
        "of_tables": found.shared.of,
        "bits": found.shared.bits,
        "jaccard": found.shared.jaccard,
        "alignment": alignment
        and {
            "confidence": alignment.confidence,
            "mirrored": alignment.mirrored,
            "quarter_turns": alignment.quarter_turns,
            "rotation_degrees": alignment.rotation_degrees,
            "scale": alignment.scale,
            "aspect": alignment.aspect,
            "shear": alignment.shear,
            "perspective": alignment.perspective,
            "shown_of_a": alignment.shown_of_a,
            "shown_of_b": alignment.shown_of_b,
            "box_in_a": _corners(alignment.box_in_a),
            "box_in_b": _corners(alignment.box_in_b),
            "matches": alignment.matches,
            "inliers": alignment.inliers,
            "inlier_share": alignment.inlier_share,
            "agreement": alignment.agreement,
            "matrix": alignment.matrix.tolist(),
        },
        "colours": colours
        and {
            "brightness": colours.brightness,
            "contrast": colours.contrast,
            "saturation": colours.saturation,
            "grey": colours.grey,
            "changed": colours.changed,
        },
    }


def lines(found: Explanation) -> list[tuple[str, str]]:
    """Name and text of each line for a person."""
    alignment = found.alignment
    verdict = "duplicate" if found.duplicate else "not a duplicate"
    shared = found.shared
    result = [
        ("A", _image(found.a, found.size_a)),
        ("B", _image(found.b, found.size_b)),
        ("Similarity", f"{found.similarity:.3f}, {verdict} at {found.threshold:.3f}"),
        (
            "Tables",
            f"{shared.tables} of {shared.of} shared with {shared.bits} bits a bucket, jaccard {shared.jaccard:.3f}",
        ),
    ]
    if alignment is None:
        return [*result, ("Alignment", "no reliable alignment: too few details of A are found again in B")]
    steps = [*geometry_steps(alignment), *(colour_steps(found.colours) if found.colours else [])]
    result += [("From A to B" if number == 0 else "", step) for number, step in enumerate(steps or ["nothing visible"])]
    if alignment.matches:
        support = f"{alignment.inliers} of {alignment.matches} matched details agree ({alignment.inlier_share:.0%})"
    else:
        support = "too flat for details to match, so compared as a whole"
    return [*result, ("Confidence", f"{alignment.confidence}: {support}; pixels correlate {alignment.agreement:.2f}")]


def geometry_steps(alignment: Alignment) -> list[str]:
    """What was done to A's shape, in words; nothing where B is the same picture."""
    steps = []
    if alignment.mirrored and alignment.quarter_turns == 2:
        steps.append("mirrored top to bottom")
    else:
        if alignment.mirrored:
            steps.append("mirrored left to right")
        if alignment.quarter_turns:
            steps.append(_TURNS[alignment.quarter_turns])
    if abs(alignment.rotation_degrees) >= TURNED_DEGREES:
        way = "clockwise" if alignment.rotation_degrees > 0 else "counter-clockwise"
        steps.append(f"rotated {abs(alignment.rotation_degrees):.1f}° {way}")
    if alignment.shown_of_a < WHOLE:
        box = alignment.box_in_a
        steps.append(
            f"cropped to {alignment.shown_of_a:.0%} of A: {box.size[0]} x {box.size[1]} pixels from"
            f" ({box.left}, {box.top})"
        )
    if alignment.shown_of_b < WHOLE:
        box = alignment.box_in_b
        steps.append(
            f"placed in a larger picture, {alignment.shown_of_b:.0%} of B: {box.size[0]} x {box.size[1]} pixels at"
            f" ({box.left}, {box.top})"
        )
    if abs(alignment.scale - 1) >= RESIZED:
        steps.append(f"scaled to {alignment.scale:.0%}")
    if abs(alignment.aspect - 1) >= STRETCHED:
        direction = "wider" if alignment.aspect > 1 else "narrower"
        steps.append(f"stretched: {abs(alignment.aspect - 1):.0%} {direction} for its height")
    if alignment.perspective:
        steps.append("seen in perspective")
    elif abs(alignment.shear) >= SHEARED:
        steps.append(f"sheared by {alignment.shear:+.2f}")
    return steps


def colour_steps(colours: Colours) -> list[str]:
    """What was done to A's colours and content, in words."""
    steps = []
    if colours.grey:
        steps.append("turned grey" if colours.grey == "b" else "given colours: A is grey")
    elif colours.saturation is not None and abs(colours.saturation - 1) >= MORE_SATURATION:
        steps.append(f"{'stronger' if colours.saturation > 1 else 'weaker'} colours ({colours.saturation:.0%})")
    if abs(colours.brightness) >= BRIGHTER:
        steps.append(f"{'brighter' if colours.brightness > 0 else 'darker'} ({colours.brightness:+.0%} of white)")
    if abs(colours.contrast - 1) >= MORE_CONTRAST:
        steps.append(f"{'more' if colours.contrast > 1 else 'less'} contrast ({colours.contrast:.0%})")
    if colours.changed >= CHANGED:
        steps.append(f"other content on {colours.changed:.1%} of what both show")
    return steps


def _image(path: Path, size: tuple[int, int]) -> str:
    return f"{printable(show_path(path))} ({size[0]} x {size[1]})"


def _corners(box: Box) -> dict[str, int]:
    return {"left": box.left, "top": box.top, "right": box.right, "bottom": box.bottom}


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields under joined names; the matrix, which is no field, is left to JSON."""
    fields: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            fields |= _flat(inner, f"{prefix}{key}_")
        elif not isinstance(inner, list):
            fields[prefix + key] = inner
    return fields
