"""Small pictures of what an index holds, for pages."""

import io
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from neardup.images import ByteBudget, decode_image
from neardup.sources import read_stored


@dataclass(frozen=True)
class Thumbnail:
    jpeg: bytes
    width: int  # pixels
    height: int

    @property
    def uri(self) -> str:
        return "data:image/jpeg;base64," + b64encode(self.jpeg).decode("ascii")


def make_thumbnail(path: Path, *, edge: int, quality: int = 75, budget: ByteBudget | None = None) -> Thumbnail:
    """An upright JPEG whose longer side has `edge` pixels, or the image's own where it is smaller.

    budget: shared by threads that make thumbnails at the same time
    raises: UnreadableImage, whose message leaves the path to the caller
    """
    from PIL import Image

    # The size hint keeps both sides at `edge` or more: enough, since no side of the thumbnail is longer.
    pixels = decode_image(read_stored(path), size=max(1, edge // 2), budget=budget).pixels
    image = Image.fromarray(pixels)
    image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=quality)
    return Thumbnail(written.getvalue(), image.width, image.height)
