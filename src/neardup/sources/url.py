"""An image behind a URL."""

from dataclasses import dataclass

from neardup.errors import BadInput, UnreadableImage
from neardup.sources.fetch import LIMIT_BYTES, fetch_image


@dataclass(frozen=True)
class Download:
    """An image behind a URL, fetched when it is read."""

    name: str
    allow_private: bool
    label: str | None = None
    most_bytes: int = LIMIT_BYTES

    def read(self) -> bytes:
        try:
            return fetch_image(self.name, allow_private=self.allow_private, limit_bytes=self.most_bytes)
        except BadInput as error:
            raise UnreadableImage(str(error)) from error
