"""Which formats are decoded, and how a file of each is recognised by its name and by its first bytes.

EPS, PDF and WMF are left out (they are programs, and Pillow would start another process for them). JPEG XL and camera
RAW formats need a package more: pillow-jxl-plugin, rawpy.
"""

# As many first bytes as `format_of` looks at.
HEAD_BYTES = 64

# Lower case, without the dot.
IMAGE_EXTENSIONS = frozenset(
    b"jpg jpeg jpe jfif jif mpo png apng gif webp bmp dib tif tiff heic heif heics heifs hif avif avifs jp2 j2k j2c jpc"
    b" jpf jpx ppm pgm pbm pnm pfm tga ico cur icns psd pcx dcx dds qoi sgi xbm xpm fits flc fli pcd".split()
)

# Also the ending of other files (activity tracks, installer patches, video textures): the first bytes decide.
SHARED_EXTENSIONS = frozenset(b"bw fit im1 msp ras rgb rgba".split())

# What cameras write beside JPEG.
RAW_EXTENSIONS = frozenset(
    b"3fr ari arw bay cr2 cr3 crw dcr dng erf fff gpr iiq k25 kdc mdc mef mos mrw nef nrw orf pef ptx raf raw rw2 rwl"
    b" sr2 srf srw x3f".split()
)

JPEG_XL_EXTENSIONS = frozenset((b"jxl",))

# What looks like a picture to a person, and is not read, at least not without a package more: also drawings and films.
UNREAD_EXTENSIONS = RAW_EXTENSIONS | frozenset(
    b"svg svgz jxl mov mp4 m4v avi mkv webm mts m2ts mpg mpeg 3gp 3g2 wmv flv vob insv".split()
)

# Pillow's module for each format.
PLUGINS = {
    "AVIF": "AvifImagePlugin",
    "BMP": "BmpImagePlugin",
    "CUR": "CurImagePlugin",
    "DCX": "DcxImagePlugin",
    "DDS": "DdsImagePlugin",
    "DIB": "BmpImagePlugin",
    "FITS": "FitsImagePlugin",
    "FLI": "FliImagePlugin",
    "GIF": "GifImagePlugin",
    "ICNS": "IcnsImagePlugin",
    "ICO": "IcoImagePlugin",
    "JPEG": "JpegImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
    "MCIDAS": "McIdasImagePlugin",
    "MSP": "MspImagePlugin",
    "PCD": "PcdImagePlugin",
    "PCX": "PcxImagePlugin",
    "PNG": "PngImagePlugin",
    "PPM": "PpmImagePlugin",
    "PSD": "PsdImagePlugin",
    "QOI": "QoiImagePlugin",
    "SGI": "SgiImagePlugin",
    "SUN": "SunImagePlugin",
    "TGA": "TgaImagePlugin",
    "TIFF": "TiffImagePlugin",
    "WEBP": "WebPImagePlugin",
    "XBM": "XbmImagePlugin",
    "XPM": "XpmImagePlugin",
}

# Formats whose first bytes prove too little to tell a nameless file by; tried in this order when nothing else fits.
WEAK_FORMATS = ("XBM", "MCIDAS", "FLI", "PCD", "DIB", "TGA")

_PREFIXES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\xff\x0a", "JXL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"icns", "ICNS"),
    (b"8BPS\0\x01", "PSD"),
    (b"DDS \x7c\0\0\0", "DDS"),
    (b"qoif", "QOI"),
    (b"\x59\xa6\x6a\x95", "SUN"),
    (b"\xb1\x68\xde\x3a", "DCX"),
    (b"SIMPLE  =", "FITS"),
    (b"DanM", "MSP"),
    (b"LinS", "MSP"),
    (b"/* XPM */", "XPM"),
)
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def format_of(head: bytes) -> str | None:
    """Name of the format whose files begin so, None where the first bytes prove no format.

    head: the first HEAD_BYTES of a file, or all of a shorter one
    """
    for prefix, name in _PREFIXES:
        if head.startswith(prefix):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _iso_media_format(head)
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    if head[:3] in (b"\0\0\1", b"\0\0\2") and head[3:4] == b"\0" and head[4:6] != b"\0\0" and head[9:10] == b"\0":
        return "ICO" if head[2] == 1 else "CUR"
    # Netpbm: a letter, a digit, white space, and then numbers or a comment. PF and Pf hold floats.
    if head[:1] == b"P" and head[1:2] in b"123456fF" and head[2:3] in b" \t\r\n" and head[3:4] in b"0123456789# \t\r\n":
        return "PPM" if len(head) > 6 else None
    if head[:2] == b"\x01\xda" and head[2:3] in (b"\0", b"\1") and head[3:4] in (b"\1", b"\2"):
        return "SGI"
    if head[:1] == b"\n" and head[1:2] in b"\0\2\3\5" and head[2:3] in b"\0\1" and head[3:4] in b"\1\2\4\x08":
        return "PCX" if len(head) > 12 else None
    return None


def is_raw_name(path: bytes) -> bool:
    """Whether a file's name is that of a camera's RAW format."""
    return path.rpartition(b".")[2].lower() in RAW_EXTENSIONS


def _iso_media_format(head: bytes) -> str | None:
    """AVIF and HEIF share a container; the compatible brands decide where the major brand is the general one."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[start : start + 4] for start in (8, *range(16, end - 3, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIF" if head[8:12] in _HEIF_BRANDS else None
