"""What the tests put into a small index, and read back from it."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.index import Index, IndexWriter, Model

DIM = 16
MODEL = Model(name="tiny", digest="ab" * 32, engine="onnx", precision="f32", decoder="pillow 11", dim=DIM)


def digest_of(content: object) -> bytes:
    return hashlib.sha256(repr(content).encode()).digest()


def embedding_of(content: object) -> NDArray[np.float32]:
    """A unit vector that follows from the content: the same in every process."""
    values = np.random.default_rng(list(digest_of(content))).standard_normal(DIM)
    return (values / np.linalg.norm(values)).astype(np.float32)


def put(writer: IndexWriter, path: str | bytes | Path, content: object, label: str | None = None, **facts: Any) -> None:
    """Add a file as the pipeline does: only new content is embedded."""
    digest = digest_of(content)
    known = writer.content(digest) is not None
    writer.add(
        Path(os.fsdecode(path)),
        size_bytes=100,
        mtime_ns=1_000,
        digest=digest,
        width=40,
        height=30,
        **facts,
        label=label,
        embedding=None if known else embedding_of(content),
    )


def paths_of(folder: Path) -> set[str]:
    with Index.open(folder) as index:
        return {str(image.path) for image in index}


def segments_of(folder: Path) -> list[str]:
    return sorted((path.name for path in (folder / "segments").iterdir()), key=int)
