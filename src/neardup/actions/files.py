"""The steps a plan is made of, each of which a crash leaves either not begun or recognisable; nothing is overwritten.

Every file is known by the SHA-256 of its bytes. Links are never followed: a path that has become one is another file.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from neardup.durable import sync_directory
from neardup.reading import open_regular

TEMPORARY = ".neardup-tmp"
ANOTHER_VOLUME = "is on another volume than its keeper, where no {} can be; use symlink, move or trash"

_LONGEST_NAME_BYTES = 255

_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Shares another file's storage until one of the two is written to: linux/fs.h.
_FICLONE = 0x40049409
# What a file system that has no hard links, or a kernel that forbids this one, answers.
_NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def digest_of(path: Path) -> bytes | None:
    """SHA-256 of a regular file; None where there is none. Raises OSError when one cannot be read."""
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL):
            return None
        raise
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return hashlib.file_digest(file, "sha256").digest()


def is_same_file(first: Path, second: Path) -> bool:
    """Whether two names, themselves no links, are of one file."""
    try:
        a, b = first.lstat(), second.lstat()
    except OSError:
        return False
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)


def is_same_entry(first: Path, second: Path) -> bool:
    """Whether two paths that exist are one name in one folder: through a link, a mount, or in capitals."""
    if not is_same_file(first, second):
        return False
    one_name = os.fsencode(first.name).lower() == os.fsencode(second.name).lower()
    return first.lstat().st_nlink == 1 or (one_name and first.parent.samefile(second.parent))


def temporary_beside(path: Path) -> Path:
    """A name in the same folder that no search for images offers; short where the file's own name is long."""
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{name}{TEMPORARY}")


def numbered(path: Path, number: int, stem_length: int | None = None) -> str:
    """A file's own name for 1, else `name (2).jpg`, its stem cut to what a file system takes.

    stem_length: how many characters of its name come before the number: `name (2).jpg.xmp`
    """
    if number == 1:
        return path.name
    length = len(path.stem) if stem_length is None else stem_length
    stem, ending = path.name[:length], f" ({number}){path.name[length:]}"
    while stem and len(os.fsencode(stem + ending)) > _LONGEST_NAME_BYTES:
        stem = stem[:-1]
    return stem + ending


def number_of(path: Path, name: str) -> int:
    """The number that gives a file this name; raises ValueError where there is none."""
    found = re.search(r" \(([1-9][0-9]{0,17})\)\Z", name.removesuffix(path.suffix))
    for number in (1, int(found[1]) if found else 1):
        if numbered(path, number) == name:
            return number
    raise ValueError(f"{name!r:.60} is not a name for {path.name!r:.60}")


def move_file(source: Path, target: Path) -> None:
    """Move a file to a name that is free; FileExistsError where it is not.

    In between the file may have both names, never none: as a hard link, or as a copy when they are on two file systems.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EXDEV:
            copy = temporary_beside(target)
            _copy(source, copy)
            shutil.copystat(source, copy)
            if digest_of(copy) != digest_of(source):
                copy.unlink()
                raise OSError(
                    errno.EIO, "the copy on the other file system has other bytes; check that disk"
                ) from error
            move_file(copy, target)
            sync_directory(target.parent)
        elif error.errno in _NO_LINKS:
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "a file has this name already", str(target)) from error
            source.rename(target)
            return
        else:
            raise
    source.unlink()


def _copy(source: Path, target: Path) -> None:
    """Write a copy that is on the disk when this returns."""
    target.unlink(missing_ok=True)
    with open_regular(source, follow=False) as original, target.open("xb") as copy:
        shutil.copyfileobj(original, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())


def put_link(kind: str, keeper: Path, path: Path, temporary: Path) -> None:
    """Let the keeper take a file's place, in one rename: as a hardlink, a symlink or a reflink."""
    temporary.unlink(missing_ok=True)
    try:
        if kind == "hardlink":
            os.link(keeper, temporary, follow_symlinks=False)
        elif kind == "symlink":
            temporary.symlink_to(_way_to(keeper, path))
        else:
            _clone(keeper, path, temporary)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if error.errno == errno.EXDEV:
            raise OSError(error.errno, ANOTHER_VOLUME.format(kind)) from error
        raise


def is_on_another_volume(first: Path, second: Path) -> bool:
    """Whether two files that are there are known to lie on two volumes."""
    try:
        return first.lstat().st_dev != second.lstat().st_dev
    except OSError:
        return False


def _way_to(keeper: Path, path: Path) -> Path:
    """What a symbolic link says: within a volume the way from its own folder, which holds when both are moved."""
    if is_on_another_volume(keeper, path):
        return keeper
    return Path(os.path.relpath(_resolved(keeper), os.path.realpath(path.parent)))


def leads_to(link: Path, keeper: Path) -> bool:
    """Whether a symbolic link says the way to a file, there or not; no other link is followed for it."""
    text = link.readlink()
    return text == keeper or os.path.normpath(_resolved(link).parent / text) == str(_resolved(keeper))


def _resolved(path: Path) -> Path:
    """With the links in its folder's name followed, not the one that it may be."""
    return Path(os.path.realpath(path.parent)) / path.name


def _clone(keeper: Path, path: Path, temporary: Path) -> None:
    with open_regular(keeper, follow=False) as original, temporary.open("xb") as clone:
        try:
            fcntl.ioctl(clone.fileno(), _FICLONE, original.fileno())
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                reason = "this file system has no reflinks (Btrfs and XFS do); use hardlink instead"
                raise OSError(error.errno, reason) from error
            raise
        os.fsync(clone.fileno())
    shutil.copystat(path, temporary)


def put_copy(
    source: Path, path: Path, temporary: Path, *, size_bytes: int, digest: bytes, mode: int, mtime_ns: int
) -> bool:
    """Put a file of its own in the place of a link, or of nothing; False when the source has other bytes."""
    if source.lstat().st_size != size_bytes:  # a larger one could fill the disk before its bytes are compared
        return False
    _copy(source, temporary)
    if digest_of(temporary) != digest:
        temporary.unlink()
        return False
    temporary.chmod(mode)
    os.utime(temporary, ns=(mtime_ns, mtime_ns))
    temporary.replace(path)
    sync_directory(path.parent)
    return True


class KnownFiles:
    """Digests of files that are asked for again and again, read anew whenever a file shows any change."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], bytes | None]] = {}

    def digest(self, path: Path) -> bytes | None:
        now = identity(path)
        known = self._known.get(path)
        if known is None or known[0] != now:
            # Groups come one after the other: only the keeper at work is worth remembering.
            known = (now, digest_of(path))
            self._known = {path: known}
        return known[1]

    def changed_by_us(self, path: Path) -> None:
        """A link to the file was made, which touches its change time and not its content."""
        if path in self._known:
            self._known[path] = (identity(path), self._known[path][1])


class Digests:
    """Digests of many files, each read once, and again when it shows any change."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], bytes | None]] = {}

    def of(self, path: Path) -> bytes | None:
        """As `digest_of`."""
        now = identity(path)
        known = self._known.get(path)
        if known is None or known[0] != now:
            known = self._known[path] = now, digest_of(path)
        return known[1]


def identity(path: Path) -> tuple[int, ...]:
    """What a file shows of a change without being read; nothing where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
