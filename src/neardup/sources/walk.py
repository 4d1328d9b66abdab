"""The image files that were asked for, each once, whatever lies below what."""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from neardup.images.find import Finder, identity, is_file
from neardup.images.globs import Globs
from neardup.sources.source import ImageFile


class Walk:
    """A walk over roots, folders and files, and what it met; to be gone through once.

    No path comes twice, nor does a file that a link leads to as well: it comes under the path that has no link in it.
    A root that a walk over another would not offer, hidden or a link, is a root all the same.
    """

    def __init__(
        self,
        roots: Iterable[Path],
        *,
        leave_out: Path | None = None,
        globs: Globs | None = None,
        label_from_folder: bool = False,
    ) -> None:
        """Raises BadInput where a root cannot be looked into.

        leave_out: a folder that is none of theirs, the index's own
        globs:     which files are wanted; a root that is a file, or a file of a list, goes by its name
        """
        paths = sorted({Path(os.path.abspath(root)) for root in roots}, key=os.fsencode)
        self._is_file = {path: is_file(path) for path in paths}
        self._leave_out, self._globs, self._label_from_folder = leave_out, globs, label_from_folder
        self._finder = Finder(self._fail, globs)
        self.errors: list[tuple[Path, OSError]] = []  # folders and files that could not be looked at
        self.only_links: list[Path] = []  # roots that hold links, and no image
        self.folders: dict[Path, Mapping[str, int]] = {}  # roots gone through, and what was passed over in each

    @property
    def passed_over(self) -> Mapping[str, int]:
        """Files that look like pictures and are not read, by ending: {".cr2": 2, ".svg": 1}."""
        return self._finder.passed_over

    @property
    def volumes(self) -> list[Path]:
        """Folders below the roots that begin another volume: a disk that may be away another day."""
        return self._finder.volumes

    @property
    def set_aside(self) -> Sequence[Path]:
        """Folders that `dedup` moved duplicates to, which are left out where they are not roots themselves."""
        return [folder for folder in dict.fromkeys(self._finder.set_aside) if folder not in self._is_file]

    def __iter__(self) -> Iterator[ImageFile]:
        if self._leave_out is not None:
            self._finder.leave_out(self._leave_out)
        linked = {root for root in self._is_file if os.path.realpath(root) != str(root)}
        # Files that were named by links come last, those whose own path came before not at all.
        later = [root for root in self._is_file if root in linked and self._is_file[root]]
        behind = {_identity(root): root for root in reversed(later)}
        first = self._is_file.keys() - later
        for root in sorted(first, key=lambda root: (root in linked, os.fsencode(root))):
            for path in self._below(root):
                if behind:
                    behind.pop(_identity(path), None)
                yield self._source(path)
        for root in behind.values():
            yield from map(self._source, self._below(root))

    def listed(self, paths: Iterable[Path]) -> Iterator[ImageFile]:
        """Files of a list. What a walk would not offer is passed over; what is missing shows when it is read."""
        return map(self._source, filter(self._finder.offers, paths))

    def whole_roots(self) -> list[Path]:
        """The outermost roots that were looked at wholly: what was not offered below these is gone."""
        kept: set[Path] = set()
        for root in self._is_file:  # an outer one comes before those below it
            whole = not any(path.is_relative_to(root) for path, _ in self.errors)
            if whole and kept.isdisjoint(root.parents):
                kept.add(root)
        return sorted(kept)

    def _below(self, root: Path) -> Iterator[Path]:
        if self._is_file[root]:
            if self._globs is None or self._globs.take(root.name):
                yield root
            return
        folder, links, found = _identity(root), self._finder.links, False
        before = self._finder.passed_over.copy()
        for path in self._finder.images_below(root):
            found = True
            if path not in self._is_file:  # which comes by itself
                yield path
        self.folders[root] = self._finder.passed_over - before
        if not found and self._finder.links > links:
            self.only_links.append(root)
        if folder is None or _identity(root) != folder:  # a disk that was taken away
            self._fail(root, OSError(errno.ESTALE, "went away while it was looked at"))

    def _source(self, path: Path) -> ImageFile:
        return ImageFile(path, path.parent.name if self._label_from_folder else None)

    def _fail(self, path: Path, error: OSError) -> None:
        self.errors.append((path, error))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        return identity(path.stat())
    except OSError:
        return None
