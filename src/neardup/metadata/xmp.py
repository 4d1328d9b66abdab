"""XMP (ISO 16684-1) by kind, from XML that anyone may have written."""

from collections.abc import Iterator
from contextlib import suppress
from xml.etree import ElementTree

from neardup.metadata import kinds
from neardup.metadata.exif import add_tag
from neardup.metadata.facts import Facts
from neardup.metadata.values import add_date, add_position, add_rating, degrees

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": RDF,
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "darktable": "http://darktable.sf.net/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "GContainer": "http://ns.google.com/photos/1.0/container/",
    "Item": "http://ns.google.com/photos/1.0/container/item/",
    "GDepth": "http://ns.google.com/photos/1.0/depthmap/",
    "GImage": "http://ns.google.com/photos/1.0/image/",
    "GAudio": "http://ns.google.com/photos/1.0/audio/",
    "HDRGainMap": "http://ns.apple.com/HDRGainMap/1.0/",
    "apdi": "http://ns.apple.com/pixeldatainfo/1.0/",
}
_PREFIXES = {uri: prefix for prefix, uri in NAMESPACES.items()} | {
    "http://ns.microsoft.com/photo/1.0": "MicrosoftPhoto"
}

MAX_BYTES = 8 << 20
_MOST_DEEP, _MOST_ELEMENTS = 64, 100_000

# In the order in which they count.
_DATES = ("exif:DateTimeOriginal", "photoshop:DateCreated", "exif:DateTimeDigitized", "xmp:CreateDate")
_TEXTS = {
    "dc:title": kinds.TITLE,
    "photoshop:Headline": kinds.TITLE,
    "dc:description": kinds.CAPTION,
    "dc:subject": kinds.KEYWORDS,
    "MicrosoftPhoto:LastKeywordXMP": kinds.KEYWORDS,
    "dc:creator": kinds.AUTHOR,
    "dc:rights": kinds.COPYRIGHT,
    "exif:UserComment": kinds.COMMENT,
}
_EMBEDDED = {
    "GDepth": kinds.DEPTH,
    "GImage": kinds.FURTHER,
    "GAudio": kinds.SOUND,
    "hdrgm": kinds.GAIN_MAP,
    "HDRGainMap": kinds.GAIN_MAP,
}
# Said above, or about this very file: its history, the program that wrote it, where its parts lie.
_PASSED_OVER = {
    *_DATES, *_TEXTS, "exif:GPSLatitude", "exif:GPSLongitude", "exif:GPSVersionID", "tiff:Make", "tiff:Model",
    "xmp:Rating", "MicrosoftPhoto:Rating", "xmp:ModifyDate", "xmp:MetadataDate", "xmp:CreatorTool", "dc:format",
    "photoshop:ColorMode", "photoshop:ICCProfile", "photoshop:LegacyIPTCDigest", "photoshop:SidecarForExtension",
}  # fmt: skip
_BOOKKEEPING = frozenset(("xmpMM", "xmpNote", "GCamera", "GContainer", "Item", "apdi"))


class _Bounded(ElementTree.TreeBuilder):
    """Refuses what XMP never has and bombs are made of: a DTD with its entities, great depth, very many elements."""

    def __init__(self, keep_all: bool) -> None:
        super().__init__(insert_comments=keep_all, insert_pis=keep_all)
        self._deep = self._elements = 0
        self.prefixes: dict[str, str] = {}  # by what they stand for

    def start(self, tag, attrs, /):  # type: ignore[no-untyped-def]
        self._deep += 1
        self._elements += 1
        if self._deep > _MOST_DEEP or self._elements > _MOST_ELEMENTS:
            raise ValueError("XMP that is too deep or too large")
        return super().start(tag, attrs)

    def end(self, tag, /):  # type: ignore[no-untyped-def]
        self._deep -= 1
        return super().end(tag)

    def start_ns(self, prefix: str | None, uri: str) -> None:
        self.prefixes.setdefault(uri, prefix or "")

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("XMP with a document type")


def parse(packet: bytes | str, *, keep_all: bool = False) -> ElementTree.Element:
    """The root of an XMP packet; raises ValueError for what is none.

    keep_all: with comments, and with prefixes that are written again as they are; for what is to be written

    The standard library's parser fetches nothing from outside, and entities take a DTD, which is refused as soon as it
    begins, in whatever encoding: what defusedxml would add, and limits on depth and number, which it has not.
    """
    content = packet.encode() if isinstance(packet, str) else bytes(packet)
    if len(content) > MAX_BYTES:
        raise ValueError(f"XMP of {len(content)} bytes")
    target = _Bounded(keep_all)
    parser = ElementTree.XMLParser(target=target)
    try:
        parser.feed(content.strip(b"\0 \r\n\t"))
        root = parser.close()
    except ElementTree.ParseError as error:
        raise ValueError("XMP that is no XML") from error
    if not isinstance(root, ElementTree.Element):
        raise ValueError("XMP without an element")
    if keep_all:
        _register(target.prefixes)
    return root


def _register(prefixes: dict[str, str]) -> None:
    """Let ElementTree write these, but for those that it has for something else."""
    taken = set(NAMESPACES)
    for uri, prefix in prefixes.items():
        if prefix and uri not in _PREFIXES and prefix not in taken:
            with suppress(ValueError):  # ns0, ns1, ...: it makes those itself
                ElementTree.register_namespace(prefix, uri)


def properties(root: ElementTree.Element) -> dict[str, list[str]]:
    """Values of each property by its name, `dc:subject`; an empty list where it holds a structure."""
    found: dict[str, list[str]] = {}
    for description in (node for rdf in root.iter(f"{{{RDF}}}RDF") for node in rdf.findall(f"{{{RDF}}}Description")):
        for name, value in description.attrib.items():
            if not name.startswith((f"{{{RDF}}}", "{http://www.w3.org/XML")) and name.startswith("{"):
                found.setdefault(_short(name), []).append(value)
        for child in description:
            if not isinstance(child.tag, str):  # a comment
                continue
            found.setdefault(_short(child.tag), []).extend(_texts(child))
    return found


def add_xmp(facts: Facts, packet: bytes | str) -> None:
    """Raises ValueError for XMP that is refused."""
    found = properties(parse(packet))
    for name in _DATES:
        for text in found.get(name, []):
            add_date(facts, text)
    for latitude in found.get("exif:GPSLatitude", []):
        for longitude in found.get("exif:GPSLongitude", []):
            add_position(facts, _coordinate(latitude), _coordinate(longitude))
    facts.add(kinds.CAMERA, " ".join(text for name in ("tiff:Make", "tiff:Model") for text in found.get(name, [])))
    for name, percent in (("xmp:Rating", False), ("MicrosoftPhoto:Rating", True)):
        for text in found.get(name, []):
            add_rating(facts, text, percent=percent)
    for name, kind in _TEXTS.items():
        for text in found.get(name, []):
            facts.add(kind, text)
    for name, values in found.items():
        _add_property(facts, name, values)


def _add_property(facts: Facts, name: str, values: list[str]) -> None:
    prefix, _, local = name.partition(":")
    if prefix in _EMBEDDED:
        facts.add(_EMBEDDED[prefix], prefix, "")
    elif prefix in ("exif", "exifEX", "aux", "tiff") and name not in _PASSED_OVER:
        add_tag(facts, local, " ".join(values) or "there")
    elif name not in _PASSED_OVER and prefix not in _BOOKKEEPING:
        facts.add(kinds.OTHER_XMP, name)


def _texts(element: ElementTree.Element) -> Iterator[str]:
    """Of an element its text, or that of the items of its array."""
    items = list(element.iter(f"{{{RDF}}}li"))
    for node in items or [element]:
        if text := (node.text or "").strip():
            yield text


def _short(name: str) -> str:
    uri, _, local = name[1:].rpartition("}")
    prefix = _PREFIXES.get(uri)
    return f"{prefix}:{local}" if prefix else local


def _coordinate(text: str) -> float:
    """52,31.2N or 52,31,12N; also plain degrees."""
    return degrees(text.rstrip("NSEWnsew").split(","), text[-1:])
