"""An XMP sidecar beside a picture: found, read, and added to; what it holds already stays as it is."""

import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from xml.etree import ElementTree

from neardup.errors import BadInput, UnreadableImage
from neardup.images import read_file
from neardup.metadata import kinds
from neardup.metadata.compare import is_same
from neardup.metadata.facts import Facts, Metadata, clipped
from neardup.metadata.xmp import MAX_BYTES, NAMESPACES, RDF, add_xmp, parse, properties

for _prefix, _uri in NAMESPACES.items():  # else they are written as ns0, ns1, ...
    ElementTree.register_namespace(_prefix, _uri)
# XML 1.0 has no characters for these.
_ILLEGAL = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True)
class Carried:
    """What a discarded file says and its keeper does not, for the keeper's sidecar."""

    date: str | None = None  # 2019-05-04 12:33:10, or as much of it as is known
    position: str | None = None  # degrees north and east: "52.520000 13.405000"
    rating: int | None = None
    caption: str | None = None
    keywords: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) not in (None, ()) for field in fields(self))

    def words(self) -> list[str]:
        """For a plan."""
        shown = [
            self.date and f"date {self.date}",
            self.position and f"GPS position {', '.join(part[:-1] for part in self.position.split())}",
            self.rating and f"rating {self.rating}",
            self.caption and f'caption "{clipped(self.caption)}"',
            self.keywords and "keywords " + clipped(", ".join(self.keywords)),
        ]
        return [text for text in shown if text]

    def as_metadata(self) -> Metadata:
        """What a file says to which this was added."""
        facts = Facts()
        values = {
            kinds.DATE: self.date,
            kinds.PLACE: self.position,
            kinds.RATING: self.rating,
            kinds.CAPTION: self.caption,
        }
        for kind, value in values.items():
            if value is not None:
                facts.add(kind, str(value))
        for keyword in self.keywords:
            facts.add(kinds.KEYWORDS, keyword)
        return facts.metadata()


def carried(metadata: Metadata, keeper: Metadata) -> Carried:
    """What the keeper lacks; of a date, a position, a rating or a caption of its own nothing is replaced."""

    def lacking(kind: str) -> str | None:
        return None if keeper.values(kind) else next(iter(metadata.values(kind)), None)

    keywords = tuple(
        metadata.whole.get(value, value)
        for value in metadata.values(kinds.KEYWORDS)
        if not any(is_same(kinds.KEYWORDS, value, known) for known in keeper.values(kinds.KEYWORDS))
    )
    position, rating, caption = lacking(kinds.PLACE), lacking(kinds.RATING), lacking(kinds.CAPTION)
    return Carried(
        date=lacking(kinds.DATE),
        position=None if position is None or "nan" in position else position,
        rating=None if rating is None else int(rating),
        caption=None if caption is None else metadata.whole.get(caption, caption),
        keywords=keywords,
    )


def is_sidecar_name(name: str, picture: Path) -> bool:
    """Whether it is `IMG.jpg.xmp` or `IMG.xmp`, in whatever capitals."""
    return name.lower() in (f"{stem}.xmp".lower() for stem in (picture.name, picture.stem))


def new_sidecar(picture: Path) -> Path:
    """The name of one where there is none; raises BadInput where something else has that name."""
    path = picture.with_name(f"{picture.name}.xmp")
    if os.path.lexists(path):
        raise BadInput(f"{path}: is no regular file; move it away")
    return path


def read_sidecar(path: Path) -> Metadata:
    """What a sidecar says; never raises."""
    facts = Facts()
    try:
        add_xmp(facts, _content(path))
    except (UnreadableImage, ValueError):
        facts.unreadable.append(f"sidecar {path.name}")
    return facts.metadata()


def _content(path: Path) -> bytes:
    if path.lstat().st_size > MAX_BYTES:
        raise ValueError("larger than a sidecar is")
    return read_file(path)


def merged(content: bytes | None, carried: Carried) -> bytes:
    """A sidecar with what it lacks added to it; None: a new one. Raises ValueError for content that is no XMP.

    The content itself comes back where it lacks nothing.
    """
    root = _empty() if content is None else parse(content, keep_all=True)
    rdf = next(root.iter(f"{{{RDF}}}RDF"), None)
    if rdf is None:
        raise ValueError("XMP without RDF")
    adding = _Adding(rdf, properties(root))
    adding.add(carried)
    if content is not None and not adding.has_added:
        return content
    return bytes(ElementTree.tostring(root, "utf-8", xml_declaration=True))


def _empty() -> ElementTree.Element:
    root = ElementTree.Element(_name("x:xmpmeta"))
    ElementTree.SubElement(root, f"{{{RDF}}}RDF")
    return root


def _name(short: str) -> str:
    prefix, _, local = short.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


class _Adding:
    """Adds properties to the first description of an RDF, those that no description of it has."""

    def __init__(self, rdf: ElementTree.Element, known: dict[str, list[str]]) -> None:
        self._known = known
        self.has_added = False
        self._descriptions = rdf.findall(f"{{{RDF}}}Description")
        if not self._descriptions:
            self._descriptions = [ElementTree.SubElement(rdf, f"{{{RDF}}}Description", {f"{{{RDF}}}about": ""})]

    def add(self, carried: Carried) -> None:
        if carried.date is not None:
            self._set("exif:DateTimeOriginal", carried.date.replace(" ", "T"))
            self._set("photoshop:DateCreated", carried.date.replace(" ", "T"))
        if carried.position is not None:
            latitude, longitude = map(float, carried.position.split())
            self._set("exif:GPSLatitude", _coordinate(latitude, "NS"))
            self._set("exif:GPSLongitude", _coordinate(longitude, "EW"))
        if carried.rating is not None:
            self._set("xmp:Rating", str(carried.rating), but=("0",))
        if carried.caption is not None and not self._known.get("dc:description"):
            self._append("dc:description", "Alt", [carried.caption], {_LANGUAGE: "x-default"})
        known = self._known.get("dc:subject", [])
        self._append("dc:subject", "Bag", [word for word in carried.keywords if word not in known], {})

    def _set(self, short: str, text: str, but: tuple[str, ...] = ()) -> None:
        """but: values that stand for none"""
        if any(value not in but for value in self._known.get(short, [])):
            return
        self.has_added = True
        for description in self._descriptions:
            description.attrib.pop(_name(short), None)
        element = self._find(short)
        if element is None:
            element = ElementTree.SubElement(self._descriptions[0], _name(short))
        element.text = text

    def _append(self, short: str, kind: str, texts: list[str], attributes: dict[str, str]) -> None:
        """To the array of a property, whatever its kind where it is there."""
        if not texts:
            return
        self.has_added = True
        found = self._find(short)
        if found is None:
            found = ElementTree.SubElement(self._descriptions[0], _name(short))
        array = next((child for child in found if isinstance(child.tag, str)), None)
        if array is None:
            found.text, plain = None, (found.text or "").strip()
            array = ElementTree.SubElement(found, f"{{{RDF}}}{kind}")
            texts = [plain, *texts] if plain else texts
        for text in texts:
            ElementTree.SubElement(array, f"{{{RDF}}}li", attributes).text = _ILLEGAL.sub("", text)

    def _find(self, short: str) -> ElementTree.Element | None:
        found = (description.find(_name(short)) for description in self._descriptions)
        return next((element for element in found if element is not None), None)


def _coordinate(degrees: float, hemispheres: str) -> str:
    """52,31.200000N, as XMP writes it."""
    whole, minutes = divmod(round(abs(degrees) * 60, 6), 60)
    return f"{int(whole)},{minutes:.6f}{hemispheres[degrees < 0]}"
