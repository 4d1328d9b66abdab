"""The secret of this user, by which what they wrote themselves is known again; it lies outside every index folder."""

import os
import secrets
from pathlib import Path

from neardup.durable import replacing
from neardup.errors import BadInput
from neardup.reading import open_regular, read_all

FILE = "key"
KEY_BYTES = 32

_PLACE = "set NEARDUP_STATE to a folder of your own"


def state_folder() -> Path:
    """Where what neardup must remember of its user is kept: $NEARDUP_STATE, else the platform's folder for state."""
    if folder := os.environ.get("NEARDUP_STATE"):
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_state_dir("neardup"))


def user_key() -> bytes:
    """The key, made when it is first asked for, once for all processes; raises BadInput where it cannot be kept."""
    path = state_folder() / FILE
    try:
        if not os.path.lexists(path):
            _make(path)
        return _read(path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; make it readable and writable, or {_PLACE}") from error


def _make(path: Path) -> None:
    from filelock import FileLock

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{FILE}.lock")):
        if os.path.lexists(path):  # another process was first
            return
        with replacing(path) as file:
            os.fchmod(file.fileno(), 0o600)  # before there is anything in it to read
            file.write(secrets.token_bytes(KEY_BYTES))


def _read(path: Path) -> bytes:
    with open_regular(path, follow=False) as file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.geteuid():
            raise BadInput(f"{path}: belongs to another user, as after sudo; remove it, or {_PLACE}")
        if found.st_mode & 0o077:
            raise BadInput(f"{path}: others may read it; 'chmod 600' it if none has, else remove it")
        key = read_all(file.read, KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise BadInput(f"{path}: holds no key of {KEY_BYTES} bytes; remove it, and a new one is made")
    return key
