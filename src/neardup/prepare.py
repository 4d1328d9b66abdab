"""Image files to embeddings: decoding and embedding overlap, unreadable files are counted, memory is bounded.

Threads read, hash, decode and shrink; the calling thread embeds batches and writes. Pillow and ONNX Runtime both let
go of the interpreter while they work, so that no other processes are needed, and none can outlive this one.
"""

import hashlib
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from neardup.embedding import BATCH, Embedder, preprocess
from neardup.errors import IndexNotWritten, UnreadableImage
from neardup.images import ByteBudget, decode_image, find_images, flat_margin
from neardup.index import IndexWriter
from neardup.sources import ImageFile, Source, StoredSource

# Prepared images that wait for a slow one before them, or for the model: at 176 px, 12 MB.
AHEAD = 4 * BATCH

S = TypeVar("S", bound=Source)


@dataclass(frozen=True)
class Prepared:
    """An image ready for the model, or the reason why it is not."""

    digest: bytes = b""  # SHA-256 of the file
    width: int = 0
    height: int = 0
    margin: float = 0.0  # share of the area that is a flat margin
    pixels: NDArray[np.uint8] | None = None  # None where the content is known, or unreadable
    error: str | None = None
    lasting: bool = False  # the error is the content's, and reading again would not mend it


class Preparer:
    """Reads and decodes for a model, within a budget that all threads share."""

    def __init__(self, input_size: int, known: Callable[[bytes], bool] = lambda digest: False) -> None:
        self.input_size, self.known = input_size, known
        self._contents, self._decoding = ByteBudget(), ByteBudget()

    def prepare(self, source: Source, size_bytes: int = 0) -> Prepared:
        """Never raises for what can be wrong with an image.

        size_bytes: what the file is expected to hold, reserved while it is in memory
        """
        with self._contents.reserve(size_bytes):
            try:
                content = source.read()
            except UnreadableImage as error:
                return Prepared(error=str(error))
            digest = hashlib.sha256(content).digest()
            if self.known(digest):
                return Prepared(digest)
            return self.decode(content, digest)

    def decode(self, content: bytes, digest: bytes = b"") -> Prepared:
        try:
            decoded = decode_image(content, size=self.input_size, budget=self._decoding)
        except UnreadableImage as error:
            return Prepared(digest, error=str(error), lasting=not isinstance(error.__cause__, MemoryError))
        pixels = preprocess(decoded.pixels, self.input_size)
        margin = flat_margin(pixels, decoded.width, decoded.height)
        return Prepared(digest, decoded.width, decoded.height, margin, pixels)


@dataclass(frozen=True)
class Embedded:
    """An image of a query, or the reason why there is no embedding of it."""

    source: Source
    embedding: NDArray[np.float32] | None
    error: str | None


def embed_images(sources: Iterable[Source], embedder: Embedder, threads: int) -> Iterator[Embedded]:
    """Embed images, in order; those that cannot be read come with their error."""
    preparer = Preparer(embedder.model.input_size)
    prepared = prepare_in_order(sources, lambda source: preparer.prepare(source, source.most_bytes), threads)
    while batch := list(islice(prepared, BATCH)):
        readable = [p.pixels for _, p in batch if p.pixels is not None]
        rows = iter(embedder.embed_prepared(np.stack(readable)) if readable else ())
        for source, p in batch:
            yield Embedded(source, None if p.pixels is None else next(rows), p.error)


def prepare_in_order(
    sources: Iterable[S], prepare: Callable[[S], Prepared], threads: int
) -> Iterator[tuple[S, Prepared]]:
    """Apply `prepare` on threads, a bounded number ahead; results in the order of the sources."""
    pending: deque[tuple[S, Future[Prepared]]] = deque()
    with ThreadPoolExecutor(threads, "prepare") as pool:
        try:
            for source in sources:
                pending.append((source, pool.submit(prepare, source)))
                if len(pending) >= AHEAD:
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class Failure:
    path: Path
    error: str


@dataclass
class IndexReport:
    """What a run of `index` did. Counts are of paths."""

    indexed: int = 0
    unchanged: int = 0
    removed: int = 0
    embedded: int = 0  # different contents that went through the model
    failed: list[Failure] = field(default_factory=list)
    images: int = 0  # in the index afterwards
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)

    @property
    def images_per_second(self) -> float:
        return self.indexed / self.seconds if self.seconds > 0 else 0.0


class Seen:
    """The paths of a run, kept in a file: half a million of them need not lie in memory."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`, deleted by the system in any case)

    def add(self, path: Path) -> None:
        self._file.write(os.fsencode(path) + b"\0")

    def __iter__(self) -> Iterator[Path]:
        self._file.seek(0)
        rest = b""
        while block := self._file.read(1 << 20):
            *paths, rest = (rest + block).split(b"\0")
            yield from (Path(os.fsdecode(path)) for path in paths)

    def close(self) -> None:
        self._file.close()


class Indexer:
    """One run of `index`: sources in, images in the index out."""

    def __init__(
        self,
        writer: IndexWriter,
        embedder: Embedder,
        *,
        threads: int,
        on_progress: Callable[[IndexReport], None] = lambda report: None,
    ) -> None:
        self._writer, self._embedder, self._threads, self._on_progress = writer, embedder, threads, on_progress
        self._preparer = Preparer(embedder.model.input_size, lambda digest: writer.content(digest) is not None)
        self._seen = Seen()
        self._stats: dict[Path, tuple[int, int]] = {}  # of the images under way
        self._batch: list[tuple[StoredSource, Prepared]] = []
        self.report = IndexReport()

    def run(self, sources: Iterable[StoredSource], roots: Callable[[], Iterable[Path]]) -> IndexReport:
        """Bring the index up to date with the sources.

        roots: called after the last source; recorded files below these that were no source have vanished
        Interrupted, it commits what is done and raises KeyboardInterrupt again; the next run goes on from there.
        """
        started = time.monotonic()
        try:
            changed = filter(self._is_changed, sources)
            for source, prepared in prepare_in_order(changed, self._prepare, self._threads):
                self._take(source, prepared)
            self._flush()
            self.report.removed = self._writer.remove_vanished(roots(), self._seen)
            self._writer.commit()
        except KeyboardInterrupt:
            with suppress(IndexNotWritten):  # it came in the middle of a write, which has been taken back
                self._writer.commit()
            raise
        finally:
            self._seen.close()
            self.report.seconds = time.monotonic() - started
        self.report.images = self._writer.images
        return self.report

    def _is_changed(self, source: StoredSource) -> bool:
        """Whether a source is new or changed; counts it where it is not."""
        self._seen.add(source.path)
        try:
            size_bytes, mtime_ns = source.stat()
        except (OSError, ValueError) as error:
            self._fail(source, getattr(error, "strerror", None) or str(error))
            return False
        known = self._writer.state(source.path)
        if known is None or (known.size_bytes, known.mtime_ns) != (size_bytes, mtime_ns):
            self._stats[source.path] = size_bytes, mtime_ns
            return True
        if known.error is not None:
            self._fail(source, known.error)
        else:
            if source.label is not None and source.label != known.label:
                self._writer.relabel(source.path, source.label)
            self.report.unchanged += 1
            self._on_progress(self.report)
        return False

    def _prepare(self, source: StoredSource) -> Prepared:
        return self._preparer.prepare(source, self._stats[source.path][0])

    def _fail(self, source: StoredSource, error: str) -> None:
        self.report.failed.append(Failure(source.path, error))
        self._on_progress(self.report)

    def _take(self, source: StoredSource, prepared: Prepared) -> None:
        if prepared.error is not None:
            size_bytes, mtime_ns = self._stats.pop(source.path)
            if prepared.lasting:
                self._writer.fail(source.path, size_bytes=size_bytes, mtime_ns=mtime_ns, error=prepared.error)
            self._fail(source, prepared.error)
            return
        self._batch.append((source, prepared))
        if len(self._batch) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        """Embed and record a batch; of byte copies, the first."""
        batch, self._batch = self._batch, []
        fresh: dict[bytes, NDArray[np.uint8]] = {}
        for number, (source, prepared) in enumerate(batch):
            if prepared.digest in fresh or self._writer.content(prepared.digest) is not None:
                continue
            if prepared.pixels is None:
                # It was known when it was read, and has left the index since.
                prepared = Preparer(self._embedder.model.input_size).prepare(source)
                batch[number] = source, prepared
            if prepared.pixels is not None:
                fresh[prepared.digest] = prepared.pixels
        rows = self._embedder.embed_prepared(np.stack(list(fresh.values()))) if fresh else ()
        embeddings = dict(zip(fresh, rows, strict=True))
        for source, prepared in batch:
            size_bytes, mtime_ns = self._stats.pop(source.path)
            if prepared.error is not None:
                self._fail(source, prepared.error)
                continue
            label = source.label
            if label is None and (known := self._writer.state(source.path)) is not None:
                label = known.label
            self._writer.add(
                source.path, size_bytes=size_bytes, mtime_ns=mtime_ns, digest=prepared.digest,
                width=prepared.width, height=prepared.height, margin=prepared.margin, label=label,
                embedding=embeddings.get(prepared.digest),
            )  # fmt: skip
            self.report.indexed += 1
        self.report.embedded += len(fresh)
        self._writer.commit_if_due()
        self._on_progress(self.report)


def find_sources(
    roots: Iterable[Path], *, leave_out: Path, label_from_folder: bool, on_error: Callable[[Path, OSError], None]
) -> Iterator[ImageFile]:
    """The image files under some roots, labelled by their folder's name where asked for."""
    for root in roots:
        for path in find_images(root, leave_out=leave_out, on_error=on_error):
            yield ImageFile(path, path.parent.name if label_from_folder else None)


def distinct_roots(paths: Iterable[Path]) -> list[Path]:
    """Absolute paths, without those that lie below another; raises BadInput where one cannot be looked into."""
    roots = sorted({Path(os.path.abspath(path)) for path in paths}, key=os.fsencode)
    kept: list[Path] = []
    for root in roots:
        find_images(root)  # checks it
        if not any(parent in kept for parent in root.parents):
            kept.append(root)
    return kept
