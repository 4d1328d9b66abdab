"""Dates, positions and ratings as they are compared, from what the blocks of a file write."""

import math
import re
from collections.abc import Sequence

from neardup.metadata import kinds
from neardup.metadata.facts import Facts

_DATE = re.compile(r"\s*(\d{4})[-:/]?(\d{2})?[-:/]?(\d{2})?(?:[T ]?(\d{2}):?(\d{2}):?(\d{2})?)?")
# MicrosoftPhoto's and EXIF's percent for stars.
_STARS = {1: 1, 25: 2, 50: 3, 75: 4, 99: 5}


def add_date(facts: Facts, text: object) -> None:
    """2019:05:04 12:33:10, 2019-05-04T12:33:10+02:00, 20190504: to the second, in the camera's own time."""
    found = _DATE.match(str(text))
    if found is None or found[1] == "0000":
        return
    year, month, day, hour, minute, second = found.groups()
    shown = "-".join(part for part in (year, month, day) if part)
    if hour and minute:
        shown += f" {hour}:{minute}" + (f":{second}" if second else "")
    facts.add_first(kinds.DATE, shown)


def add_position(facts: Facts, latitude: float, longitude: float) -> None:
    """Degrees, north and east positive."""
    if math.isfinite(latitude) and math.isfinite(longitude) and abs(latitude) <= 90 and abs(longitude) <= 180:
        facts.add_first(kinds.PLACE, f"{latitude:.6f} {longitude:.6f}", f"{latitude:.5f}, {longitude:.5f}")


def degrees(parts: Sequence[object], hemisphere: object) -> float:
    """Of degrees, minutes and seconds; NaN where they are none."""
    try:
        value = sum(float(part) / 60**power for power, part in enumerate(parts[:3]))  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return math.nan
    return -value if str(hemisphere).strip("\0 ").upper() in ("S", "W") else value


def add_rating(facts: Facts, number: object, *, percent: bool = False) -> None:
    """Stars from 1 to 5, or -1 for rejected; 0 is none."""
    try:
        stars = round(float(str(number)))
    except (ValueError, OverflowError):
        return
    stars = _STARS.get(stars, 0) if percent else stars
    if stars and -1 <= stars <= 5:
        facts.add_first(kinds.RATING, str(stars))


def same_position(first: str, second: str) -> bool:
    """Within some 20 m: blocks round in their own ways."""
    a, b = ([float(part) for part in text.split()] for text in (first, second))
    return all(abs(x - y) < 2e-4 for x, y in zip(a, b, strict=True))
