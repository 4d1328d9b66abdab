"""Whether two files show the same picture, pixel for pixel: a copy written anew, or with other metadata."""

import hashlib
import io
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from neardup.errors import NeardupError, UnreadableImage
from neardup.images import decode_image, read_file
from neardup.index import catalog, store
from neardup.index.notes import writable_catalog

# Decoded whole, without loss to 8 bits. HEIC and AVIF are left out: what they hold beside the pixels (depth, further
# bits, gain maps) is not seen here, and a copy called exact may be removed without a look.
_FORMATS = frozenset({"JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "GIF", "QOI", "TGA"})
_MODES = frozenset({"1", "L", "P", "RGB", "CMYK", "YCbCr"})


def pixel_digest(content: bytes) -> bytes | None:
    """SHA-256 of what an image file shows: upright pixels and the colour profile they are meant in.

    None where equal pixels would not prove equal pictures: several frames, more than 8 bits a channel, transparency,
    formats that are not decoded exactly. Raises UnreadableImage.
    """
    from PIL import Image

    decoded = decode_image(content)  # within the limits on size and memory, and with Pillow's formats loaded
    if decoded.format not in _FORMATS:
        return None
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as image:
            warnings.simplefilter("ignore")
            profile = image.info.get("icc_profile") or b""
            if image.mode not in _MODES or "transparency" in image.info or _has_frames(image):
                return None
    except Exception as error:  # as in decode_image: decoders of odd files raise nearly everything
        raise UnreadableImage(f"cannot be compared: {error}") from error
    result = hashlib.sha256(repr((decoded.pixels.shape, len(profile))).encode() + profile)
    result.update(decoded.pixels.tobytes())
    return result.digest()


def _has_frames(image: Any) -> bool:
    """Whether there is a second frame; counting them all takes a while where there are many."""
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


class PixelDigests:
    """`pixel_digest` by content, remembered in the index's catalogue: each content is decoded once in its life.

    What is new is written when the block ends, if no other process is writing to the index then; otherwise it will be
    found anew another time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection = catalog.open_to_read(folder)
        self._new: dict[bytes, bytes] = {}
        self._unreadable: set[Path] = set()

    def __enter__(self) -> "PixelDigests":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        if self._new:
            with suppress(NeardupError), writable_catalog(self._folder) as connection:
                connection.executemany("REPLACE INTO pixels VALUES (?, ?)", self._new.items())

    def of(self, path: Path, digest: bytes) -> bytes | None:
        """Of the content with this SHA-256, read from the path; None where it is not there or cannot be compared."""
        if digest in self._new:
            return self._new[digest] or None
        with catalog.damage_named(self._folder / store.CATALOG):
            known = self._connection.execute("SELECT pixels FROM pixels WHERE digest = ?", (digest,)).fetchone()
        if known is not None:
            return bytes(known[0]) or None
        if path in self._unreadable:
            return None
        try:
            content = read_file(path)
            if hashlib.sha256(content).digest() != digest:
                raise UnreadableImage("changed since it was indexed")  # the next 'neardup index' sees to it
            found = pixel_digest(content)
        except UnreadableImage:
            self._unreadable.add(path)
            return None
        self._new[digest] = found or b""
        return found
