"""Why an image is kept rather than another of its group, in words."""

from neardup.groups.keep import Reason
from neardup.groups.members import Member
from neardup.images.exif import CAMERA, DATE, PLACE, SIZE
from neardup.matching.evidence import DIFFERS, MORE, Evidence

_KINDS = {CAMERA: "camera", DATE: "date", PLACE: "place", SIZE: "its own size"}


def in_words(reason: Reason, keeper: Member, other: Member) -> str:
    """What the keeper has over the other: "shows more: the other is a crop"."""
    match reason:
        case "parts":
            return "one picture: the other was put together from several"
        case "damage":
            return f"whole: the other is damaged, {other.damaged or 'its data does not add up'}"
        case "protected":
            return "in a protected folder"
        case "origin":
            return _origin(other.evidence)
        case "detail":
            return _detail(keeper, other)
        case "metadata":
            has, lacks = (_kinds(member.camera) for member in (keeper, other))
            return f"has what its camera wrote: {has}; the other has {lacks or 'nothing of it'}"
        case "pixels":
            return f"more pixels: {_size(keeper)} against {_size(other)}"
        case "compression":
            return f"less compressed{_qualities(keeper, other)}"
        case "format":
            return "a format that loses less"
        case "oldest" | "newest":
            what = "taken" if keeper.taken_ms != other.taken_ms else "written"
            return f"{what} {'earlier' if reason == 'oldest' else 'later'}"
        case "largest":
            return "more bytes"
        case "path":
            return "a shorter path"
        case "path-order":
            return "the first path"


def _origin(found: Evidence | None) -> str:
    """found: of the keeper (a) and the other (b)"""
    if found is None or found.original != "a":
        return "the other was made from one like it"
    if found.frames_a != found.frames_b:
        return f"has all frames: {found.frames_a} against {found.frames_b}"
    if found.framed == "b":
        return "without the other's border"
    if found.holds("b"):
        return "without what was put around the other"
    if found.more_a >= MORE:
        return "shows more: the other is a crop"
    if found.saved_again == "b":
        return "the other was saved again from what it holds"
    if found.enlarged == "b":
        return "as much detail: the other was enlarged"
    if found.blurred == "b":
        return "sharper: the other was blurred"
    if found.sharpened == "b":
        return "as it was: the other was sharpened"
    if found.noisier == "b":
        return "without the other's noise"
    if found.differing >= DIFFERS and found.clean == "a":
        return "without what was written over the other"
    if found.colours is not None and found.colours.grey == "b":
        return "in colour"
    return "the other was made from it"


def _detail(keeper: Member, other: Member) -> str:
    found = other.evidence
    if found is not None and found.enlarged == "b":
        return "as much detail: the other was enlarged"
    if found is not None and found.blurred == "b":
        return "sharper: the other was blurred"
    if _size(keeper) == _size(other):
        return "more detail in as many pixels"
    return f"more detail: {_size(keeper)} against {_size(other)} pixels"


def _size(member: Member) -> str:
    return f"{member.width} x {member.height}"


def _kinds(camera: int) -> str:
    *first, last = [name for bit, name in _KINDS.items() if camera & bit] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _qualities(keeper: Member, other: Member) -> str:
    if not keeper.quality or not other.quality:
        return ""
    return f": JPEG quality {keeper.quality} against {other.quality}"
