"""An image that can be read, and one that can be found again."""

import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from neardup.images import FileStat, read_file, stat_of


class Source(Protocol):
    """An image that can be read, once at least: a file, a download, what comes on a stream."""

    @property
    def name(self) -> str:
        """What a person calls it: a path, a URL."""
        ...

    @property
    def label(self) -> str | None: ...

    @property
    def most_bytes(self) -> int:
        """As many as `read` may return, which is room to be made beforehand; 0 where nothing can be read."""
        ...

    def read(self) -> bytes:
        """Raises UnreadableImage, in one line without the name."""
        ...


class StoredSource(Source, Protocol):
    """An image that can be found again: under its path an index records it, and by its stat sees it change."""

    @property
    def path(self) -> Path: ...

    def stat(self) -> FileStat:
        """Raises OSError or ValueError."""
        ...


@dataclass(frozen=True)
class ImageFile:
    path: Path
    label: str | None = None

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def most_bytes(self) -> int:
        try:
            return self.stat().size_bytes
        except (OSError, ValueError):  # which reading will meet again, and tell
            return 0

    def stat(self) -> FileStat:
        found = self.path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise OSError("not a regular file")
        return stat_of(found)

    def read(self) -> bytes:
        return read_file(self.path)


@dataclass(frozen=True)
class Kept:
    """A source that is read once: its bytes stay as long as this does."""

    source: Source

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def label(self) -> str | None:
        return self.source.label

    @property
    def most_bytes(self) -> int:
        return self.source.most_bytes

    def read(self) -> bytes:
        return self._content

    @cached_property
    def _content(self) -> bytes:
        return self.source.read()
