"""Whose index is this? `owner.json` in its folder says it, under the user's key (neardup.index.key).

    {"format": "neardup owner 1", "id": 32 hex digits, "device": ..., "inode": ..., "path": ..., "mac": 64 hex digits}

An index folder comes out of any archive, and the nearest one is used. Whoever wrote it chose the paths in it, and what
is said to be a copy of what; so it is read, and nothing is done to files by it, until its user says that it is theirs.
That is remembered here, for this folder alone: its path, or its device and inode (a folder may be renamed; devices are
numbered anew when the machine starts, and inodes of exFAT with each mount). The id stays when an index of this user's
is moved or copied.
"""

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neardup.durable import replace_file
from neardup.errors import IndexNotWritten, NotTrusted
from neardup.index import store
from neardup.index.key import user_key
from neardup.reading import open_regular, parse_json, read_all

FILE = "owner.json"

_FORMAT = "neardup owner 1"
_MOST_BYTES = 1 << 16
_FIELDS = {"format", "id", "device", "inode", "path", "mac"}
PLAN = "review-plan.json"
# What others could have laid there for a reader; what else a folder holds is not neardup's.
_TELLING = ("actions", PLAN)


@dataclass(frozen=True)
class Owner:
    """An index of this user."""

    id: str
    key: bytes

    def key_for(self, purpose: str) -> bytes:
        """A key for one purpose with this index alone, 32 bytes."""
        return hmac.digest(self.key, f"{self.id} {purpose}".encode(), hashlib.sha256)


def trust_index(folder: Path, *, trust: bool = False) -> None:
    """Make sure that this user made the index, or says so now.

    Raises NotTrusted, BadInput where there is no key or no index, IndexLocked, DamagedIndex, IndexNotWritten.
    """
    if folder.is_dir() and _is_here(_read(folder, user_key()), folder):
        return
    with store.write_lock(folder, None):
        claim(folder, trust=trust)


def claim(folder: Path, *, trust: bool = False) -> Owner:
    """The owner of an index: this user, or an error. A folder that holds no index yet becomes theirs.

    The caller holds the write lock. trust: take it for theirs, whoever made it
    Raises NotTrusted, BadInput where there is no key, IndexNotWritten.
    """
    key = user_key()
    known = _read(folder, key)
    here = _is_here(known, folder)
    if not here and not trust and not is_blank(folder):
        if known is None:
            raise NotTrusted(
                f"{folder}: not known to be an index of yours, nothing was done; look at what is in it, and give"
                " --trust once to act on it"
            )
        raise NotTrusted(
            f"{folder}: moved or copied since you used it in {known['path']}, nothing was done; see with 'neardup info'"
            " where its images lie, and give --trust once to act on those"
        )
    mark = _mark(folder, known["id"] if known else secrets.token_hex(16))
    if known is None or known | mark != known:
        try:
            replace_file(folder / FILE, json.dumps(mark | {"mac": _mac(mark, key)}).encode("ascii"))
        except OSError as error:
            raise IndexNotWritten(f"{folder / FILE}: {error.strerror}; check the disk") from error
    return Owner(mark["id"], key)


def known_owner(folder: Path) -> Owner | None:
    """This user as the owner of an index, wherever they used it; None where it is not known to be theirs. Nothing is
    changed. Raises BadInput where there is no key."""
    key = user_key()
    known = _read(folder, key)
    return None if known is None else Owner(known["id"], key)


def doubt(folder: Path) -> tuple[str, bool] | None:
    """What speaks against an index being this user's, and whether that is damage; None where nothing does.

    Raises BadInput where there is no key.
    """
    known = _read(folder, user_key())
    if _is_here(known, folder):
        return None
    if known is not None:
        return f"moved or copied since you used it in {known['path']}", False
    if os.path.lexists(folder / FILE) and _parsed(folder) is None:
        return "cannot be read", True
    return "not known to be an index of yours", False


def is_blank(folder: Path) -> bool:
    """Whether a folder holds nothing that neardup would read."""
    try:
        return not any(path.name.startswith("catalog.") or path.name in _TELLING for path in folder.iterdir())
    except OSError:
        return False


def _mark(folder: Path, identifier: str) -> dict[str, Any]:
    found = folder.stat()
    place = {"device": found.st_dev, "inode": found.st_ino, "path": os.path.realpath(folder)}
    return {"format": _FORMAT, "id": identifier} | place


def _read(folder: Path, key: bytes) -> dict[str, Any] | None:
    """What this user has written down of an index, wherever it was then; None for what another may have written."""
    mark = _parsed(folder)
    if mark is None or not hmac.compare_digest(mark["mac"].encode("utf-8", "replace"), _mac(mark, key).encode("ascii")):
        return None
    return mark


def _parsed(folder: Path) -> dict[str, Any] | None:
    try:
        with open_regular(folder / FILE, _MOST_BYTES, follow=False) as file:
            mark = parse_json(read_all(file.read, _MOST_BYTES))
    except (OSError, ValueError):
        return None
    if not isinstance(mark, dict) or mark.keys() != _FIELDS or not isinstance(mark["mac"], str):
        return None
    return mark if all(isinstance(value, str | int) for value in mark.values()) else None


def _mac(mark: dict[str, Any], key: bytes) -> str:
    content = json.dumps({name: mark[name] for name in sorted(_FIELDS - {"mac"})}).encode("ascii")
    return hmac.new(key, b"owner " + content, hashlib.sha256).hexdigest()


def _is_here(known: dict[str, Any] | None, folder: Path) -> bool:
    if known is None:
        return False
    mark = _mark(folder, known["id"])
    return known["path"] == mark["path"] or all(known[name] == mark[name] for name in ("device", "inode"))
