"""Small pictures of what an index holds, for pages."""

import io
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neardup.images import ByteBudget, decode_image
from neardup.sources import read_stored

Format = Literal["JPEG", "WEBP"]


@dataclass(frozen=True)
class Thumbnail:
    content: bytes
    format: Format
    width: int  # pixels
    height: int
    is_reduced: bool  # the image has more pixels

    @property
    def uri(self) -> str:
        return f"data:image/{self.format.lower()};base64,{b64encode(self.content).decode('ascii')}"


def make_thumbnail(
    path: Path, *, edge: int, quality: int = 75, format: Format = "JPEG", budget: ByteBudget | None = None
) -> Thumbnail:
    """An upright picture whose longer side has `edge` pixels, or the image's own where it is smaller.

    budget: shared by threads that make thumbnails at the same time
    raises: UnreadableImage, whose message leaves the path to the caller
    """
    from PIL import Image

    # The size hint keeps both sides at `edge` or more: enough, since no side of the thumbnail is longer.
    decoded = decode_image(read_stored(path), size=max(1, edge // 2), budget=budget)
    image = Image.fromarray(decoded.pixels)
    image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, format, quality=quality)
    return Thumbnail(written.getvalue(), format, image.width, image.height, max(decoded.width, decoded.height) > edge)
