"""An explanation in words, and as JSON and CSV."""

from pathlib import Path
from typing import Any

from neardup.jobs.explain import Explanation
from neardup.matching.geometry import Box
from neardup.matching.words import steps
from neardup.output import Rendering
from neardup.text import printable, show_path


def render_explanation(found: Explanation) -> Rendering:
    record = as_json(found)
    row = _flat(record)
    shown = (f"{name + ':' if name else '':<14}{text}" for name, text in lines(found))
    return Rendering([record], tuple(row), [row], shown)


def as_json(found: Explanation) -> dict[str, Any]:
    """Angles in degrees clockwise, areas as shares of 0 to 1, boxes in pixels of the image they are in."""
    compared, evidence = found.comparison, found.comparison.evidence
    alignment, colours = compared.alignment, evidence.colours
    return compared.as_json() | {
        "tables": found.shared.tables,
        "of_tables": found.shared.of,
        "bits": found.shared.bits,
        "jaccard": found.shared.jaccard,
        "confidence": evidence.confidence,
        "steps": steps(evidence, compared.size_a, compared.size_b) if alignment else [],
        "differing": evidence.differing,
        "more_in_a": evidence.more_a,
        "more_in_b": evidence.more_b,
        "original": evidence.original,
        "alignment": alignment
        and {
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
            "matches": evidence.matches,
            "inliers": evidence.inliers,
            "agreement": evidence.median,
            "matrix": alignment.matrix.tolist(),
        },
        "colours": colours
        and {
            "brightness": colours.brightness,
            "contrast": colours.contrast,
            "saturation": colours.saturation,
            "grey": colours.grey,
            "other": colours.other,
        },
    }


def lines(found: Explanation) -> list[tuple[str, str]]:
    """Name and text of each line for a person."""
    compared, shared = found.comparison, found.shared
    evidence = compared.evidence
    verdict = "duplicate" if compared.duplicate else "not a duplicate"
    result = [
        ("A", _image(compared.a, compared.size_a)),
        ("B", _image(compared.b, compared.size_b)),
        ("Relation", f"{compared.relation}: {verdict}"),
        ("Similarity", f"{compared.similarity:.3f} (threshold {compared.threshold:.3f})"),
        (
            "Tables",
            f"{shared.tables} of {shared.of} shared with {shared.bits} bits a bucket, jaccard {shared.jaccard:.3f}",
        ),
    ]
    if compared.alignment is None:
        return [*result, ("Alignment", "none: too few details of A are found again in B")]
    told = steps(evidence, compared.size_a, compared.size_b) or ["nothing visible"]
    result += [("From A to B" if number == 0 else "", step) for number, step in enumerate(told)]
    if evidence.original is not None:
        result.append(("Original", f"{evidence.original.upper()}, by what each shows"))
    if evidence.inliers:
        support = f"{evidence.inliers} of {evidence.matches} matched details agree"
    else:
        support = "found by laying one over the other whole"
    agree = f"{evidence.well:.0%} of blocks agree well, the median correlates {evidence.median:.2f}"
    return [*result, ("Confidence", f"{evidence.confidence:.3f}: {support}; {agree}")]


def _image(path: str, size: tuple[int, int]) -> str:
    return f"{printable(show_path(Path(path)))} ({size[0]} x {size[1]})"


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
