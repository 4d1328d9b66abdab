"""Image files under a path, and one image file to upright RGB pixels, within limits.

find_images ─▶ Path ─ read_file ─▶ bytes ─ decode_image ─▶ Decoded (pixels, whole size, format)
"""

from neardup.images.budget import ByteBudget
from neardup.images.decode import DECODER, Decoded, decode_image, load_image
from neardup.images.files import MAX_FILE_BYTES, FileStat, modified_ns, read_file, stat_of
from neardup.images.find import OnError, find_images
from neardup.images.margin import flat_margin, margin_mask

__all__ = [
    "DECODER",
    "MAX_FILE_BYTES",
    "ByteBudget",
    "Decoded",
    "FileStat",
    "OnError",
    "decode_image",
    "find_images",
    "flat_margin",
    "load_image",
    "margin_mask",
    "modified_ns",
    "read_file",
    "stat_of",
]
