"""An index of real picture files whose embeddings are given: what is a candidate is known, the pictures decide."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neardup.groups.images import Images
from neardup.groups.neighbours import Pairs
from neardup.images import decode_image
from neardup.index import Index, Model

DIM = 16
MODEL = Model(name="tiny", digest="ab" * 32, engine="onnx", precision="float32", decoder="pillow", dim=DIM)


def save_gallery(folder: Path, pictures: Mapping[str, Image.Image]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        picture.save(folder / name)
    return [folder / name for name in pictures]


def index_files(folder: Path, paths: Sequence[Path], embeddings: NDArray[np.float32] | None = None) -> Index:
    """embeddings: (n, DIM) unit rows; None: all alike, so that every two are candidates"""
    alike = np.zeros((len(paths), DIM), np.float32)
    alike[:, 0] = 1
    with Index.write(folder, MODEL) as writer:
        for path, embedding in zip(paths, alike if embeddings is None else embeddings, strict=True):
            content = path.read_bytes()
            digest = hashlib.sha256(content).digest()
            image = decode_image(content, size=48)
            writer.add(
                path, size_bytes=len(content), mtime_ns=path.stat().st_mtime_ns, digest=digest, width=image.width,
                height=image.height, taken_ms=image.taken.when_ms, camera=image.taken.kinds, quality=image.quality,
                damaged=image.damaged, embedding=None if writer.content(digest) is not None else embedding,
            )  # fmt: skip
    return Index.open(folder)


def numbers_of(images: Images) -> dict[str, int]:
    """The content of each file, by its name."""
    return {images.path(i).stem: int(content) for i, content in enumerate(images.contents)}


def pairs_of(images: Images, *named: tuple[str, str]) -> Pairs:
    """Candidates by name, in this order."""
    number = numbers_of(images)
    pairs = [sorted((number[a], number[b])) for a, b in named]
    a, b = np.array(pairs, np.int64).reshape(-1, 2).T
    return Pairs(a, b, np.linspace(0.9, 0.5, len(pairs)))
