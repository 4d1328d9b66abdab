"""Released models from where they are published: resumed where a connection was cut, checked against the digest that
the server itself states (of a zip, against its own checksums where none is stated), and held to the digest of the first
download from then on.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import stat
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any

from neardup.durable import replace_file
from neardup.embedding.importing import import_model
from neardup.embedding.model import Model, user_models
from neardup.errors import BadInput, DownloadFailed
from neardup.packages import require_packages
from neardup.reading import open_regular, read_json
from neardup.scratch import temporary_folder
from neardup.text import said

_BUCKET = "https://storage.googleapis.com/bit_models"
# Big Transfer's own bucket, Apache-2.0; files of about 273 MB with the classifier's head, which is left out.
RELEASES = {
    "bit-m-r50x1": f"{_BUCKET}/BiT-M-R50x1.npz",
    "bit-m-r50x1-ilsvrc2012": f"{_BUCKET}/BiT-M-R50x1-ILSVRC2012.npz",
    # What https://keras.io/examples/vision/near_dup_search/ fetches: flower_model_bit_0.96875, a zip of a SavedModel.
    "flower-bit": "https://git.io/JuMq0",
}
ZIPPED = frozenset({"flower-bit"})
PINS = "pins.json"
LARGEST_BYTES = 4 << 30
LARGEST_RECORD_BYTES = 1 << 20
MOST_MEMBERS = 10_000
ATTEMPTS = 5
TIMEOUT_SECONDS = 60
_BLOCK_BYTES = 1 << 20

Progress = Callable[[int, int], None]  # bytes here, bytes altogether


def download_model(
    name: str, on_progress: Progress = lambda done, total: None, say: Callable[[str], None] = lambda line: None
) -> Model:
    """Fetch a released model and import it under its name; raises BadInput, MissingPackage, DownloadFailed.

    say: as `import_model`
    """
    if name not in RELEASES:
        raise BadInput(f"no model named {name!r} to download; there are {', '.join(RELEASES)}")
    zipped = name in ZIPPED
    require_packages(f"importing {name}", "tensorflow" if zipped else "onnx")  # before 273 MB are fetched
    target = user_models() / name
    if target.exists():
        raise BadInput(f"{target}: is here already; 'neardup models verify {name}' checks it")
    fetched = user_models() / ".downloads" / f"{name}.{'zip' if zipped else 'npz'}"
    fetch(RELEASES[name], fetched, user_models() / PINS, on_progress, has_checksums=zipped)
    if zipped:
        with temporary_folder("neardup-model-") as scratch:
            model = import_model(unpack_saved_model(fetched, scratch), target, say=say)
    else:
        model = import_model(fetched, target)
    fetched.unlink()
    return model


def fetch(
    url: str,
    target: Path,
    pins: Path,
    on_progress: Progress = lambda done, total: None,
    *,
    has_checksums: bool = False,
) -> None:
    """Download a file, whole and checked, or raise DownloadFailed.

    What has arrived lies in `target`.part meanwhile and is gone on with, by this call or a later one, if the server
    still has the same file. The digest is the server's own (of Google's storage x-goog-hash, MD5 or CRC32C; of others
    Content-MD5); the file's SHA-256 is written to `pins`, and another content under the same address is refused from
    then on.
    has_checksums: of what is in it, which its reader checks; the server need state none then
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for attempt in range(ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        try:
            stated = _fetch_rest(url, part, on_progress, has_checksums)
            break
        except urllib.error.HTTPError as error:
            raise DownloadFailed(f"{url}: the server answered {error.code} {error.reason}") from error
        except _CutOff as error:
            gained = part.stat().st_size > before if part.exists() else False
            if attempt + 1 == ATTEMPTS or not gained:
                raise DownloadFailed(f"{url}: {error}; run the same command again to go on from there") from error
    _check(url, part, stated, pins)
    part.replace(target)
    _about(part).unlink(missing_ok=True)


def unpack_saved_model(archive: Path, folder: Path) -> Path:
    """Unpack a zip into an empty folder, and find the SavedModel in it.

    Raises DownloadFailed for a zip that is damaged (then it is taken away), too large, or holds no SavedModel or a name
    that leads elsewhere.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            size_bytes = sum(member.file_size for member in members)
            if len(members) > MOST_MEMBERS or size_bytes > LARGEST_BYTES:
                raise DownloadFailed(f"{archive}: {len(members):,} files of {size_bytes:,} bytes are too much")
            for member in members:
                parts = PurePosixPath(member.filename).parts
                if member.filename.startswith("/") or ".." in parts or stat.S_ISLNK(member.external_attr >> 16):
                    raise DownloadFailed(f"{archive}: {member.filename!r:.80} in it leads elsewhere; it stays packed")
            for member in members:
                opened.extract(member, folder)  # checks its CRC-32
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError, ValueError) as error:
        archive.unlink(missing_ok=True)
        raise DownloadFailed(f"{archive}: not a sound zip ({said(error)}); run the same command again") from error
    except OSError as error:
        raise DownloadFailed(f"{folder}: {error.strerror}; make room and run the same command again") from error
    found = sorted(path.parent for path in folder.rglob("saved_model.pb"))
    if len(found) != 1:
        raise DownloadFailed(f"{archive}: holds {len(found)} SavedModels, not one")
    return found[0]


class _CutOff(Exception):
    """The connection ended too soon, or could not be made."""


@dataclass(frozen=True)
class _Stated:
    """What a server says about a file."""

    size_bytes: int
    etag: str
    digests: dict[str, str]  # md5 and crc32c in base64, as x-goog-hash has them


def _fetch_rest(url: str, part: Path, on_progress: Progress, has_checksums: bool) -> _Stated:
    known = _read_about(part)
    start = part.stat().st_size if part.exists() and known else 0
    if known and start >= known.size_bytes:
        return known
    headers = {"User-Agent": "neardup", "Accept-Encoding": "identity"}
    if known and start:
        headers |= {"Range": f"bytes={start}-", "If-Range": known.etag}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS) as response:
            resumed = response.status == 206
            if (
                resumed
                and known
                and response.headers.get("Content-Range")
                != (f"bytes {start}-{known.size_bytes - 1}/{known.size_bytes}")
            ):
                part.unlink()
                raise _CutOff("the server sent another part than was asked for")
            stated = known if resumed and known else _read_stated(url, response.headers, has_checksums)
            start = start if resumed else 0
            _check_space(part.parent, stated.size_bytes - start)
            if not resumed:
                _write_about(part, stated)
            _receive(response, part, start, stated.size_bytes, on_progress)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # what is here is longer than what there is: begin anew
            raise
        part.unlink(missing_ok=True)
        raise _CutOff("the file has changed on the server") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise _CutOff(f"not reached, or cut off ({getattr(error, 'reason', None) or error})") from error
    return stated


def _read_stated(url: str, headers: Any, has_checksums: bool) -> _Stated:
    """Size, version and digests from a response's headers; raises DownloadFailed where one is missing."""
    digests = dict(re.findall(r"(md5|crc32c)=([A-Za-z0-9+/]+=*)", ",".join(headers.get_all("x-goog-hash") or [])))
    if "md5" not in digests and (md5 := headers.get("Content-MD5")):  # as GitHub's releases may have it
        digests["md5"] = md5.strip()
    size = headers.get("Content-Length", "")
    if not size.isdigit() or not (digests or has_checksums):
        raise DownloadFailed(f"{url}: the server states no {'digest' if size.isdigit() else 'size'} to check against")
    if int(size) > LARGEST_BYTES:
        raise DownloadFailed(f"{url}: {int(size):,} bytes are too many for weights of BiT")
    return _Stated(int(size), headers.get("ETag", ""), digests)


def _check_space(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise DownloadFailed(
            f"{folder}: {free:,} bytes free, {needed_bytes:,} needed; make room, or set NEARDUP_MODELS"
        )


def _receive(response: Any, part: Path, start: int, size_bytes: int, on_progress: Progress) -> None:
    done = start
    with _opened(part, "r+b" if start else "wb") as file:
        file.seek(start)
        while True:
            block = response.read(min(_BLOCK_BYTES, size_bytes - done + 1))
            if not block:
                break
            done += len(block)
            if done > size_bytes:
                raise DownloadFailed(
                    f"{response.url}: the server sent more than the {size_bytes:,} bytes that it stated"
                )
            try:
                rest = memoryview(block)
                while rest:  # a disk that is nearly full takes a part
                    rest = rest[file.write(rest) :]
            except OSError as error:
                raise DownloadFailed(f"{part}: {error.strerror}; make room and run the same command again") from error
            on_progress(done, size_bytes)
    if done < size_bytes:
        raise _CutOff(f"cut off after {done:,} of {size_bytes:,} bytes")


def _opened(part: Path, mode: str) -> Any:
    def without_links(path: str, flags: int) -> int:
        return os.open(path, flags | os.O_NOFOLLOW, 0o666)

    try:
        return open(part, mode, buffering=0, opener=without_links)
    except OSError as error:
        raise DownloadFailed(f"{part}: {error.strerror}; make it writable, or set NEARDUP_MODELS") from error


def _check(url: str, part: Path, stated: _Stated, pins: Path) -> None:
    """Compare with what the server states, and with the pin; a file that fails is taken away."""
    kind = "crc32c" if "crc32c" in stated.digests and "md5" not in stated.digests else "md5"
    sha256, checksum = hashlib.sha256(), _new_checksum(kind)
    with open_regular(part) as file:
        while block := file.read(_BLOCK_BYTES):
            sha256.update(block)
            checksum.update(block)
    found = base64.b64encode(checksum.digest()).decode()
    pinned = _read_pins(pins)
    wrong = None
    if part.stat().st_size != stated.size_bytes or found != stated.digests.get(kind, found):
        wanted = stated.digests.get(kind, f"one of {stated.size_bytes:,} bytes")
        wrong = f"{kind} {found} is not the {wanted} that the server states; run the same command again"
    elif pinned.get(url, sha256.hexdigest()) != sha256.hexdigest():
        wrong = f"not what was downloaded from there before (sha256 {pinned[url]}); if that is meant, edit {pins}"
    if wrong:
        part.unlink()
        _about(part).unlink(missing_ok=True)
        raise DownloadFailed(f"{url}: {wrong}")
    if url not in pinned:
        replace_file(pins, f"{json.dumps(pinned | {url: sha256.hexdigest()}, indent=2)}\n".encode())


def _new_checksum(kind: str) -> Any:
    if kind == "md5":
        return hashlib.md5(usedforsecurity=False)
    from google_crc32c import Checksum

    return Checksum()


def _read_pins(pins: Path) -> dict[str, str]:
    try:
        return {str(url): str(digest) for url, digest in read_json(pins, LARGEST_RECORD_BYTES).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise DownloadFailed(f"{pins}: not readable ({error}); mend it, or remove it to pin anew") from error


def _about(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _write_about(part: Path, stated: _Stated) -> None:
    fields = {"size_bytes": stated.size_bytes, "etag": stated.etag, "digests": stated.digests}
    replace_file(_about(part), json.dumps(fields).encode())


def _read_about(part: Path) -> _Stated | None:
    """What the server said when the part was begun; None where that is not known, or names no version to go on with."""
    try:
        fields = read_json(_about(part), LARGEST_RECORD_BYTES)
        stated = _Stated(int(fields["size_bytes"]), str(fields["etag"]), dict(fields["digests"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # A weak tag promises no equal bytes.
    return stated if stated.etag and not stated.etag.startswith("W/") else None
