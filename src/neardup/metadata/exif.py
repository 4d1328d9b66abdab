"""EXIF by kind (CIPA DC-008): Pillow reads the directories, here they get their meaning."""

import math
from collections.abc import Mapping
from typing import Any

from neardup.metadata import kinds
from neardup.metadata.facts import Facts
from neardup.metadata.values import add_date, add_position, add_rating, degrees

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_GPS_PARTS = (1, 2, 3, 4)  # latitude and longitude, each after its hemisphere
_PHOTOSHOP_LAYERS, _SAVED = 37724, 306
_EXPOSURES = """
    ExposureTime FNumber ExposureProgram SpectralSensitivity ISOSpeedRatings PhotographicSensitivity SensitivityType
    ShutterSpeedValue ApertureValue BrightnessValue ExposureBiasValue MaxApertureValue SubjectDistance MeteringMode
    LightSource Flash FocalLength SubjectArea FlashEnergy SubjectLocation ExposureIndex ExposureMode WhiteBalance
    DigitalZoomRatio FocalLengthIn35mmFilm SceneCaptureType GainControl Contrast Saturation Sharpness
    SubjectDistanceRange LensSpecification LensMake LensModel LensSerialNumber Lens LensInfo LensID
    StandardOutputSensitivity RecommendedExposureIndex ISOSpeed
"""
EXPOSURES = frozenset(_EXPOSURES.split())
# What says how this very file is stored, or when it was last written; thumbnails and orientation belong there, too.
_STRUCTURE = """
    ImageWidth ImageLength BitsPerSample Compression PhotometricInterpretation Orientation SamplesPerPixel
    PlanarConfiguration YCbCrCoefficients YCbCrSubSampling YCbCrPositioning ReferenceBlackWhite XResolution YResolution
    ResolutionUnit StripOffsets RowsPerStrip StripByteCounts JpegIFOffset JpegIFByteCount JPEGInterchangeFormat
    JPEGInterchangeFormatLength ExifOffset GPSInfo ExifVersion ComponentsConfiguration FlashPixVersion FlashpixVersion
    ColorSpace ExifImageWidth ExifImageHeight PixelXDimension PixelYDimension ExifInteroperabilityOffset
    CompressedBitsPerPixel Padding OffsetSchema NewSubfileType SubfileType FillOrder Predictor TileWidth TileLength
    TileOffsets TileByteCounts SubIFDs ExtraSamples SampleFormat ColorMap XMLPacket IPTCNAA InterColorProfile
    ImageResources PageNumber JPEGTables Threshholding MinSampleValue MaxSampleValue DateTime SubsecTime OffsetTime
    NativeDigest
"""
STRUCTURE = frozenset(_STRUCTURE.split())
_TEXTS = {
    "ImageDescription": kinds.CAPTION,
    "XPTitle": kinds.TITLE,
    "XPSubject": kinds.TITLE,
    "XPComment": kinds.COMMENT,
    "XPAuthor": kinds.AUTHOR,
    "Artist": kinds.AUTHOR,
    "Copyright": kinds.COPYRIGHT,
}
_DATES = ("DateTimeOriginal", "DateTimeDigitized")
_SAID = frozenset((*_TEXTS, *_DATES, "Make", "Model", "Rating", "RatingPercent", "XPKeywords", "UserComment"))


def add_exif(facts: Facts, exif: Any) -> None:
    """exif: Pillow's `Exif`, of any image"""
    from PIL.ExifTags import GPSTAGS

    tags = _named(exif)
    for name in _DATES:
        if name in tags:
            add_date(facts, _text(tags[name]))
    _add_gps(facts, exif.get_ifd(_GPS_IFD), GPSTAGS)
    facts.add(kinds.CAMERA, " ".join(_text(tags[name]) for name in ("Make", "Model") if name in tags))
    add_rating(facts, tags.get("Rating"))
    add_rating(facts, tags.get("RatingPercent"), percent=True)
    for name, kind in _TEXTS.items():
        if name in tags:
            facts.add(kind, _text(tags[name], wide=name.startswith("XP")))
    for keyword in _text(tags.get("XPKeywords", ""), wide=True).split(";"):
        facts.add(kinds.KEYWORDS, keyword)
    facts.add(kinds.COMMENT, _comment(tags.get("UserComment", "")))
    for name, value in tags.items():
        if name not in _SAID:
            add_tag(facts, name, value)


def add_saved_date(facts: Facts, exif: Any) -> None:
    """When the file was written, which stands for when the picture was taken where nothing else tells."""
    if _SAVED in exif:
        add_date(facts, _text(exif[_SAVED]))


def add_tag(facts: Facts, name: str, value: object) -> None:
    """A tag without a kind of its own, by its name."""
    if name in EXPOSURES:
        facts.add(kinds.EXPOSURE, "ISOSpeedRatings" if name == "PhotographicSensitivity" else name)
    elif name in ("MakerNote", "MakerNoteSafety"):
        facts.add(kinds.MAKER_NOTE, kinds.MAKER_NOTE, "")
    elif name == str(_PHOTOSHOP_LAYERS):
        facts.add(kinds.PHOTOSHOP, "layers")
    elif name not in STRUCTURE and value not in ("", b"", (), None):
        facts.add(kinds.OTHER_EXIF, name)


def _named(exif: Any) -> dict[str, Any]:
    """Tags of the picture by name; those of its thumbnail lie in a directory that is not asked for."""
    from PIL.ExifTags import TAGS

    pairs = [*exif.items(), *exif.get_ifd(_EXIF_IFD).items()]
    return {TAGS.get(tag, str(tag)): value for tag, value in pairs}


def _add_gps(facts: Facts, gps: Mapping[int, Any], names: Mapping[int, str]) -> None:
    if all(part in gps for part in _GPS_PARTS):
        add_position(facts, degrees(gps[2], gps[1]), degrees(gps[4], gps[3]))
    elif any(part in gps for part in _GPS_PARTS):
        facts.add(kinds.PLACE, f"{math.nan} {math.nan}", "")
    for tag in gps:
        if tag not in (0, *_GPS_PARTS):
            facts.add(kinds.OTHER_EXIF, names.get(tag, f"GPS {tag}"))


def _text(value: object, *, wide: bool = False) -> str:
    """wide: as Windows writes its tags, in UTF-16"""
    if isinstance(value, tuple) and all(isinstance(part, int) for part in value):
        value = bytes(part & 255 for part in value)
    if isinstance(value, bytes):
        value = value.decode("utf-16-le" if wide else "utf-8", "replace")
    return str(value).strip("\0 ")


def _comment(value: object) -> str:
    """EXIF's UserComment: eight bytes that name the characters, then the text."""
    if not isinstance(value, bytes):
        return _text(value)
    code, text = value[:8], value[8:]
    if code.startswith(b"UNICODE"):
        # The order of its bytes is that of the file for most cameras, and is not said: Latin letters tell it.
        order = "utf-16-be" if text[:1] == b"\0" else "utf-16-le"
        return text.decode(order, "replace").strip("\0 ")
    return text.decode("utf-8", "replace").strip("\0 ")
