"""Images in object storage, s3://, gs:// or hdfs://, through pyarrow's file systems, which find keys and regions in the
environment as the storage's own tools do.

An index records an object under its URL as a path has it, with one slash for the two, `s3:/bucket/2019/a.jpg`; it is
the only kind of path there that is not absolute. Whatever acts on files leaves these alone.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from neardup.errors import BadInput, UnreadableImage
from neardup.images import MAX_FILE_BYTES, FileStat
from neardup.images.formats import IMAGE_EXTENSIONS, UNREAD_EXTENSIONS
from neardup.images.globs import Globs
from neardup.packages import load_package
from neardup.sources.source import StoredSource
from neardup.text import said

SCHEMES = ("s3", "gs", "hdfs")
# Of objects that no path can name: `a//b` and `a/./b` are two, and one path.
_UNNAMED = "objects with names that are no paths"


def is_objects(name: str) -> bool:
    return name.partition("://")[0] in SCHEMES and "://" in name


def is_object_path(path: Path) -> bool:
    """Whether a path of an index names an object, and no file here."""
    return not path.is_absolute() and path.parts[0] in [f"{scheme}:" for scheme in SCHEMES]


@dataclass(frozen=True)
class ObjectFile:
    """An object as it was listed; another process finds its storage by the URL."""

    url: str
    size_bytes: int
    mtime_ns: int
    label: str | None = None

    @property
    def path(self) -> Path:
        return Path(self.url)

    @property
    def name(self) -> str:
        return self.url

    @property
    def most_bytes(self) -> int:
        return self.size_bytes

    def stat(self) -> FileStat:
        return FileStat(self.size_bytes, self.mtime_ns)

    def read(self) -> bytes:
        """All bytes, of an object that is no larger than it was listed."""
        if self.size_bytes > MAX_FILE_BYTES:
            raise UnreadableImage(f"{self.size_bytes} bytes, more than the {MAX_FILE_BYTES} that are read")
        storage, place = _storage(self.url)
        try:
            with storage.open_input_stream(place) as stream:
                content = bytes(stream.read(self.size_bytes + 1))
        except FileNotFoundError as error:
            raise UnreadableImage("the object is gone") from error
        except OSError as error:
            raise UnreadableImage(f"cannot be read: {said(error)}") from error
        if len(content) != self.size_bytes:
            raise UnreadableImage("changed since it was listed")
        return content


class Objects(Iterable[StoredSource]):
    """The images at or below a URL, in the order of their names; to be gone through once.

    By their names alone: nothing is opened to see whether it is an image. Memory: the list of all objects below.
    """

    def __init__(self, url: str, *, globs: Globs | None = None, label_from_folder: bool = False) -> None:
        """Raises BadInput where nothing can be listed there, MissingPackage without pyarrow."""
        self._url = url.rstrip("/")
        self._globs, self._label_from_folder = globs, label_from_folder
        self._found = _list(self._url)
        self.passed_over: Counter[str] = Counter()  # looks like a picture and is not read, by ending

    @property
    def root(self) -> Path:
        return Path(self._url)

    def __iter__(self) -> Iterator[ObjectFile]:
        for url, size_bytes, mtime_ns in self._found:
            below = url[len(self._url) :].strip("/") or url.rpartition("/")[2]
            if self._is_wanted(below, url == self._url):
                if str(Path(url)) != url.replace("://", ":/", 1):
                    self.passed_over[_UNNAMED] += 1
                    continue
                label = url.rpartition("/")[0].rpartition("/")[2] if self._label_from_folder else None
                yield ObjectFile(url, size_bytes, mtime_ns, label)

    def _is_wanted(self, below: str, is_root: bool) -> bool:
        if any(part.startswith(".") for part in below.split("/")) or (self._globs and not self._globs.take(below)):
            return False
        ending = os.fsencode(below.rpartition(".")[2].lower()) if "." in below else b""
        if ending in UNREAD_EXTENSIONS:
            self.passed_over["." + os.fsdecode(ending)] += 1
        return is_root or ending in IMAGE_EXTENSIONS


def _list(url: str) -> list[tuple[str, int, int]]:
    """URL, bytes and time of modification in nanoseconds of every object at or below a URL, by the bytes of the URL."""
    load_package("pyarrow", url)
    from pyarrow import fs  # type: ignore[import-untyped, unused-ignore]

    storage, place = _storage(url)
    try:
        [found] = storage.get_file_info([place])
        infos = [found]
        if found.type == fs.FileType.Directory:
            infos = storage.get_file_info(fs.FileSelector(place, recursive=True))
        elif found.type != fs.FileType.File:
            raise BadInput(f"{url}: nothing there; check the name")
    except OSError as error:
        raise BadInput(f"{url}: cannot be listed ({said(error)}); check the name, the network and your keys") from error
    prefix = url[: len(url) - len(place)]
    files = [(prefix + i.path, int(i.size), int(i.mtime_ns or 0)) for i in infos if i.type == fs.FileType.File]
    return sorted(files, key=lambda file: os.fsencode(file[0]))


def _storage(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the place in it: of hdfs:// the host is the file system's."""
    scheme, _, place = url.partition("://")
    if scheme != "hdfs":
        return _file_system(scheme, ""), place
    host, _, place = place.partition("/")
    return _file_system(scheme, host), f"/{place}"


@cache
def _file_system(scheme: str, host: str) -> Any:
    """One for a process: each has connections of its own. Raises BadInput where it cannot be had."""
    from pyarrow import fs

    try:
        if scheme == "s3":
            return fs.S3FileSystem(**_endpoint())
        if scheme == "gs":
            return fs.GcsFileSystem()
        return fs.HadoopFileSystem.from_uri(f"hdfs://{host}")
    except (OSError, ValueError) as error:
        raise BadInput(f"{scheme}://{host}: cannot be reached ({said(error)}); check your keys and the host") from error


def _endpoint() -> dict[str, str]:
    """Another server than Amazon's, as its own tools are told of it; buckets are then folders, not hosts."""
    url = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    scheme, _, host = url.rpartition("://")
    return {"endpoint_override": host, "scheme": scheme or "https"} if host else {}
