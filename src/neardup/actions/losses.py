"""What a copy has and its keeper has not: metadata, frames."""

import warnings
from functools import lru_cache
from pathlib import Path

from neardup.groups import Member

_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "HEIF", "AVIF", "BMP")
_DATE_TAKEN, _DATE, _MAKE, _MODEL, _EXIF, _GPS = 36867, 306, 271, 272, 0x8769, 0x8825


class Losses:
    """Compares files as they are now; a keeper's facts are read once for its group."""

    def __init__(self) -> None:
        self._facts = lru_cache(maxsize=2)(_facts)

    def of(self, member: Member, keeper: Member) -> tuple[str, ...]:
        """What would be lost, in words."""
        lost = []
        if member.width * member.height > keeper.width * keeper.height:
            margin = f" ({member.margin:.0%} of them margin)" if member.margin else ""
            lost.append(f"{member.width} x {member.height} pixels{margin} against {keeper.width} x {keeper.height}")
        if member.digest != keeper.digest:
            kept = self._facts(keeper.path)
            lost += [f"{name} {value}".rstrip() for name, value in _facts(member.path).items() if name not in kept]
        return tuple(lost)


def _facts(path: Path) -> dict[str, str]:
    """What a file says of its picture, by what it is called; nothing where it cannot be read."""
    from PIL import Image

    if path.suffix.lower() in (".heic", ".heif", ".hif"):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    Image.init()
    known = [name for name in _FORMATS if name in Image.OPEN]
    facts: dict[str, str] = {}
    try:
        with warnings.catch_warnings(), Image.open(path, formats=known) as image:
            warnings.simplefilter("ignore")
            exif = image.getexif()
            if date := exif.get_ifd(_EXIF).get(_DATE_TAKEN) or exif.get(_DATE):
                facts["date"] = _text(date)
            if exif.get_ifd(_GPS):
                facts["GPS position"] = ""
            if camera := " ".join(_text(exif[tag]) for tag in (_MAKE, _MODEL) if tag in exif):
                facts["camera"] = camera
            if "xmp" in image.info:
                facts["XMP (ratings, keywords)"] = ""
            if image.info.get("icc_profile"):
                facts["colour profile"] = ""
            # The second picture of an MPO file is a preview or a gain map, not a film.
            if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
                facts["frames"] = str(getattr(image, "n_frames", 1))
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                facts["transparency"] = ""
            if image.mode.startswith(("I", "F")):
                facts["more than 8 bits a channel"] = ""
    except Exception:  # decoders of odd files raise nearly everything, and this is only for the reader of a plan
        return facts
    return facts


def _text(value: object) -> str:
    return str(value).strip("\0 ")[:60]
