"""Verdicts outlive metadata: what the pictures looked like is kept, and known again in files that were written anew."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from neardup.errors import UnreadableImage
from neardup.index import IndexWriter
from neardup.index.looks import Look, missing_looks, record_looks
from neardup.matching.pixels import look_digest
from neardup.sources import read_stored

# Verdicts that were imported may be about thousands of pictures, which take a quarter of a second each: what is left
# comes the next time.
LONGEST_S = 20.0
_RECORD_EVERY = 32


def remember_looks(
    folder: Path,
    *,
    longest_s: float = LONGEST_S,
    record: Callable[[Path, list[Look]], None] = record_looks,
) -> int:
    """Look at the pictures that verdicts are about, each once in the life of its file; returns how many.

    record: keeps them
    Raises IndexLocked, BadInput, DamagedIndex, IndexNotWritten.
    """
    started, looks, done = time.monotonic(), list[Look](), 0
    for missing in missing_looks(folder):
        if time.monotonic() - started > longest_s:
            break
        if (look := _looked_at(missing)) is not None:
            looks.append(look)
        if len(looks) == _RECORD_EVERY:
            record(folder, looks)
            done, looks = done + len(looks), []
    if looks:
        record(folder, looks)
    return done + len(looks)


def _looked_at(missing: Look) -> Look | None:
    """None where the file is not the one that was indexed."""
    try:
        content = read_stored(missing.path)
    except UnreadableImage:
        return None
    if hashlib.sha256(content).digest() != missing.digest:
        return None
    return Look(missing.digest, missing.path, missing.width, missing.height, _pixels(content))


def _pixels(content: bytes) -> bytes:
    try:
        return look_digest(content)
    except UnreadableImage:
        return b""


def keep_verdicts(writer: IndexWriter, path: Path, digest: bytes) -> None:
    """After a file was recorded: it takes over what was said of a picture of its name, size and pixels."""
    look = writer.look(path, digest)
    likely = {} if look is None else writer.likely_looks(look)
    if look is None or not likely:
        return
    pixels = likely.pop(digest, b"")
    if not pixels and likely and (found := _looked_at(look)) is not None:
        pixels = found.pixels
    same = [old for old, known in likely.items() if pixels and known == pixels]
    if same:
        writer.take_over(Look(digest, path, look.width, look.height, pixels), same)
