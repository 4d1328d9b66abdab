"""IPTC (IIM 4.2) by kind; Pillow takes the datasets out of a JPEG's APP13 or a TIFF's tag."""

from collections.abc import Mapping
from typing import Any

from neardup.metadata import kinds
from neardup.metadata.facts import Facts
from neardup.metadata.values import add_date

_APPLICATION = 2  # the record that describes the picture
_KINDS = {
    5: kinds.TITLE,
    25: kinds.KEYWORDS,
    80: kinds.AUTHOR,
    105: kinds.TITLE,
    116: kinds.COPYRIGHT,
    120: kinds.CAPTION,
}
_VERSION, _DATE, _TIME = 0, 55, 60
_NAMES = {
    10: "urgency", 15: "category", 20: "supplemental categories", 40: "instructions", 62: "digital creation date",
    63: "digital creation time", 65: "program", 70: "program version", 85: "author's position", 90: "city",
    92: "sublocation", 95: "state", 100: "country code", 101: "country", 103: "job", 110: "credit", 115: "source",
    118: "contact", 122: "caption writer",
}  # fmt: skip


def add_iptc(facts: Facts, datasets: Mapping[tuple[int, int], Any]) -> None:
    """datasets: as `PIL.IptcImagePlugin.getiptcinfo` gives them"""
    found = {number: value for (record, number), value in datasets.items() if record == _APPLICATION}
    if _DATE in found:
        add_date(facts, f"{_texts(found[_DATE])[0]} {_texts(found.get(_TIME, b''))[0][:6]}")
    for number, value in found.items():
        if number in _KINDS:
            for text in _texts(value):
                facts.add(_KINDS[number], text)
        elif number not in (_VERSION, _DATE, _TIME):
            facts.add(kinds.OTHER_IPTC, _NAMES.get(number, f"2:{number}"))


def _texts(value: bytes | list[bytes]) -> list[str]:
    return [_text(part) for part in (value if isinstance(value, list) else [value])]


def _text(content: bytes) -> str:
    """Programs of today write UTF-8, those of before the characters of their country."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")
