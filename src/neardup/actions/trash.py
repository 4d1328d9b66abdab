"""Find a file in the trash again: the freedesktop.org Trash specification 1.0, which Linux desktops share.

A trash folder holds `files/<name>` and `info/<name>.trashinfo`, which says the original path, percent-encoded, from
the trash's top folder in a trash on another volume than the home folder.
"""

import os
import platform
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote_to_bytes

from neardup.actions.files import digest_of

_LARGEST_INFO_BYTES = 1 << 16


def why_unsearched() -> str | None:
    """Why no trashed file can be found again here; None where one can."""
    if platform.system() == "Darwin":  # whose Finder alone knows where a trashed file was
        return "macOS keeps its trash in its own way; put the file back from there, in the Finder"
    return None


class Trash:
    """The trash folders that a file may have gone to, each listed once."""

    def __init__(self) -> None:
        self._listed = cache(_list)

    def find(self, path: Path, digest: bytes) -> Path | None:
        """The trashed file that was at this path and has this SHA-256; the latest of several."""
        # A desktop's own trash may have followed links in the folder's name.
        names = dict.fromkeys([str(path), str(Path(os.path.realpath(path.parent)) / path.name)])
        found = [entry for folder in _folders(path) for name in names for entry in self._listed(folder).get(name, [])]
        found.sort(key=_age, reverse=True)
        return next((entry for entry in found if digest_of(entry) == digest), None)


def info_of(trashed: Path) -> Path:
    return trashed.parents[1] / "info" / f"{trashed.name}.trashinfo"


def _folders(path: Path) -> Iterator[Path]:
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    yield Path(data) / "Trash"
    # Of the volume that the file is on, which a link in its folder's name may lead to.
    for folder in dict.fromkeys([path.parent, Path(os.path.realpath(path.parent))]):
        top = folder
        while not (top.exists() and top.is_mount()) and top != top.parent:
            top = top.parent
        if top.is_mount():
            yield top / ".Trash" / str(os.getuid())
            yield top / f".Trash-{os.getuid()}"


def _list(folder: Path) -> dict[str, list[Path]]:
    """Trashed files by the path that they had."""
    result: dict[str, list[Path]] = {}
    try:
        infos = sorted((folder / "info").glob("*.trashinfo"))
    except OSError:
        return result
    for info in infos:
        try:
            if not info.is_file() or info.stat().st_size > _LARGEST_INFO_BYTES:
                continue
            content = info.read_bytes()
        except OSError:
            continue
        original = next((line[5:] for line in content.splitlines() if line.startswith(b"Path=")), None)
        if original is None:
            continue
        top = folder.parents[1] if folder.parent.name == ".Trash" else folder.parent
        path = os.path.normpath(top / os.fsdecode(unquote_to_bytes(original)))
        result.setdefault(path, []).append(folder / "files" / info.stem)
    return result


def _age(entry: Path) -> float:
    try:
        return info_of(entry).stat().st_mtime
    except OSError:
        return 0.0
