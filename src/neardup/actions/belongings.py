"""Which files of a folder belong to which picture, by their names.

Sidecars describe a picture: ratings, edits, what Google or Apple knew of it. Partners are pictures and films of their
own that were taken with it: the camera's RAW file, the film of a live photo. A name is looked at without its case.

    IMG_9.jpg.xmp           all of a picture's name                  Lightroom, darktable, RawTherapee, PhotoPrism
    IMG_9_01.jpg.xmp        a second version of IMG_9.jpg            darktable
    IMG_9.xmp               its stem: of every file of that stem     Adobe, digiKam, Apple (IMG_O9.AAE: of an edit)
    IMG_9.jpg.supplemental-metad.json, IMG_9.jpg(1).json             Google Takeout, which cuts names at 46 characters
                                                                     and sets the number of IMG_9(1).jpg in either place
"""

import os
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from neardup.images.formats import IMAGE_EXTENSIONS, RAW_EXTENSIONS, SHARED_EXTENSIONS

SIDECARS = frozenset(["xmp", "json", "aae", "pp3", "yml", "thm", "wav"])
_FILMS = frozenset(["mp", "mov", "mp4", "m4v", "avi", "mts", "m2ts", "mpg", "mpeg", "3gp"])
PARTNERS = _FILMS | {ending.decode() for ending in RAW_EXTENSIONS}
_PICTURES = frozenset(ending.decode() for ending in IMAGE_EXTENSIONS | SHARED_EXTENSIONS) | {""}

_GOOGLES = "supplemental-metadata"
_CUT = range(45, 52)  # characters that a name cut by Google has
# So many names that begin alike with a cut one leave open whose it is.
_MOST_ALIKE = 16
# What Google adds to the name of an edited picture, which has no file of its own then.
_EDITED = (
    "-edited", "-effects", "-smile", "-mix", "-bearbeitet", "-bewerkt", "-editat", "-edytowane", "-ha editado",
    "-modificato", "-modifié", "-編集済み",
)  # fmt: skip
_NUMBERED = re.compile(r"(.*)\((\d{1,6})\)(\.[^.]*)?\Z", re.DOTALL)
_VERSION = re.compile(r"(.*)_\d{2,4}(\.[^.]+)\Z", re.DOTALL)
_APPLE_EDIT = re.compile(r"(.*_)o(\d+)\Z", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Belonging:
    """A file beside a picture, and all that it belongs to: it is not of one of these alone."""

    path: Path
    is_partner: bool
    owners: tuple[Path, ...]


def owners_in(folder: Path, gone: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """Of each sidecar and partner in a folder, whose it is; gone: names of files that may have been there before."""
    return owners_among(sorted({*_regular_files(folder), *gone}))


class Belongings:
    """What belongs to pictures, folder by folder; each folder is listed once, and again when it has changed."""

    def __init__(self) -> None:
        self._folders: dict[Path, tuple[int, _Folder]] = {}

    def of(self, picture: Path) -> list[Belonging]:
        """What belongs to a picture, by name."""
        folder = self._folder(picture.parent)
        return [
            Belonging(
                picture.with_name(name),
                extension(name) in PARTNERS,
                tuple(map(picture.with_name, folder.owners[name])),
            )
            for name in folder.belongings.get(picture.name, ())
        ]

    def _folder(self, path: Path) -> "_Folder":
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return _Folder({})
        known = self._folders.get(path)
        if known is None or known[0] != changed:
            known = self._folders[path] = changed, _Folder(owners_in(path))
        return known[1]


class _Folder:
    def __init__(self, owners: dict[str, tuple[str, ...]]) -> None:
        self.owners = owners
        self.belongings: dict[str, list[str]] = {}
        for name, whose in owners.items():
            for owner in whose:
                self.belongings.setdefault(owner, []).append(name)


def _regular_files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError:
        return []


def owners_among(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Of each sidecar and partner among the names in a folder, whose it is; those that are nobody's are left out.

    A partner has pictures as owners; a sidecar whatever has its name: pictures, partners, and other files of its stem,
    since `chart.json` may be the data of `chart.csv` and `chart.png` alike. Time grows with the number of names.
    """
    names = list(names)
    hosts = _Hosts([name for name in names if extension(name) not in SIDECARS])
    found = {}
    for name in names:
        ending = extension(name)
        if ending in SIDECARS:
            found[name] = hosts.of_sidecar(name[: -len(ending) - 1], ending)
        elif ending in PARTNERS:
            found[name] = hosts.of_partner(name)
    return {name: tuple(owners) for name, owners in found.items() if owners}


def extension(name: str) -> str:
    """In lower case, without the dot; a name that begins with its only dot has none."""
    return name.rpartition(".")[2].lower() if "." in name[1:] else ""


@dataclass
class _Hosts:
    """Files that sidecars and partners may belong to, by what their names begin with."""

    names: list[str]
    by_name: dict[str, list[str]] = field(default_factory=dict)
    by_stem: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.names:
            lower = name.lower()
            self.by_name.setdefault(lower, []).append(name)
            stem = lower.rpartition(".")[0] if "." in lower[1:] else lower
            self.by_stem.setdefault(stem, []).append(name)
            if stem.endswith(".mp"):  # PXL_1.MP.jpg, a motion photo
                self.by_stem.setdefault(stem[:-3], []).append(name)

    def of_partner(self, name: str) -> list[str]:
        stem = name.lower().rpartition(".")[0]
        alike = self.by_name.get(stem) or self.by_stem.get(stem, [])
        return [owner for owner in alike if owner != name and extension(owner) in _PICTURES]

    def of_sidecar(self, base: str, ending: str) -> list[str]:
        """base: its name without the ending"""
        found = self._googles(base) if ending == "json" else self._named(base)
        if not found and ending == "xmp" and (version := _VERSION.match(base)):
            found = self._named(version[1] + version[2])
        if not found and ending == "aae" and (edit := _APPLE_EDIT.match(base)):
            found = self._stemmed(edit[1] + edit[2]) + self._stemmed(f"{edit[1]}e{edit[2]}")
        return found or self._stemmed(base)

    def _named(self, name: str) -> list[str]:
        """The file of this name; where there is none, those that have it in other capitals."""
        same = self.by_name.get(name.lower(), [])
        return [name] if name in same else same

    def _stemmed(self, stem: str) -> list[str]:
        return self.by_stem.get(stem.lower(), [])

    def _googles(self, base: str) -> list[str]:
        """The picture that a JSON file is of, and its edited version."""
        readings = [(base, "")]
        if (numbered := _NUMBERED.match(base)) and numbered[3] is None:
            readings.append((numbered[1], numbered[2]))
        for name, number in readings:
            for whole in _uncut(name):
                if found := [owner for same in _and_edited(whole, number) for owner in self._named(same)]:
                    return found
        for name, number in readings:
            if len(name) in _CUT and (found := self._beginning_with(name.lower(), number)):
                return found
        return []

    def _beginning_with(self, start: str, number: str) -> list[str]:
        names = self._by_number.get(number, [])
        first = bisect_left(names, (start, ""))
        alike = [name for lower, name in names[first : first + _MOST_ALIKE + 1] if lower.startswith(start)]
        return alike if len(alike) <= _MOST_ALIKE else []

    @cached_property
    def _by_number(self) -> dict[str, list[tuple[str, str]]]:
        """Names as they would be without their number, with those that they are, in order; by the number."""
        found: dict[str, list[tuple[str, str]]] = {"": [(name.lower(), name) for name in self.names]}
        for name in self.names:
            if numbered := _NUMBERED.match(name):
                found.setdefault(numbered[2], []).append((numbered[1].lower() + (numbered[3] or "").lower(), name))
        for names in found.values():
            names.sort()
        return found


def _uncut(base: str) -> Iterator[str]:
    """What names of pictures a JSON file's name may hold whole, with more or less of Google's own words after it."""
    yield base
    name, _, words = base.rpartition(".")
    if name and _GOOGLES.startswith(words.lower()):
        yield name


def _and_edited(name: str, number: str) -> Iterator[str]:
    """A picture's name with its number, and those of its edited versions."""
    stem, dot, ending = name.rpartition(".") if "." in name else (name, "", "")
    tail = (f"({number})" if number else "") + dot + ending
    own = _NUMBERED.match(name) if not number else None
    yield stem + tail
    for edited in _EDITED:
        yield stem + edited + tail
        if own:  # IMG_1-edited(1).jpg, of IMG_1(1).jpg
            yield f"{own[1]}{edited}({own[2]}){own[3] or ''}"
