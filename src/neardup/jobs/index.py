"""Bring an index up to date with folders, files and data sets."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neardup.embedding import AUTO, BATCH, MANY, Embedder, load_embedder
from neardup.embedding.hardware import cores
from neardup.errors import IndexNotWritten
from neardup.images import DECODER
from neardup.images.globs import Globs
from neardup.index import Index, IndexWriter, Model
from neardup.prepare import Decode, Executor, Prepared, Threads, embed_views, prepare_in_order, views_of
from neardup.sources import StoredSource
from neardup.sources.datasets import Dataset, is_dataset, open_dataset
from neardup.sources.objects import Objects, is_objects
from neardup.sources.walk import Walk


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
    passed_over: Mapping[str, int] = field(default_factory=dict)  # looks like a picture and is not read, by ending
    images: int = 0  # in the index afterwards
    seconds: float = 0.0

    @property
    def images_per_second(self) -> float:
        return self.indexed / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class Known:
    """What the index holds already, and need not be embedded."""

    holds: Callable[[bytes], bool]  # asked in the calling thread, for the SHA-256 of a file
    digests: Callable[[], Iterator[bytes]]  # all of them


class Place(Protocol):
    """Where images are read, decoded and embedded: in this process, or by neardup.distributed on others."""

    @property
    def model(self) -> Model:
        """What the index is to record."""
        ...

    def prepare(self, sources: Iterable[StoredSource], known: Known) -> Generator[tuple[StoredSource, Prepared]]:
        """Read and decode images, in the order of the sources; what is known need not be decoded."""
        ...

    def embed(self, images: Sequence[Prepared]) -> list[NDArray[np.floating]]:
        """(1 + parts, dim) of each, of unit length."""
        ...


# Called with how many images there are, at most; None: many.
Elsewhere = Callable[[int | None], AbstractContextManager[Place]]


def index_images(
    paths: Iterable[str | Path],
    index: Path,
    *,
    listed: Iterable[Path] | None = None,
    globs: Globs | None = None,
    label_from_folder: bool = False,
    rebuild: bool = False,
    parts: bool = False,
    model: str | Embedder = "default",
    engine: str = AUTO,
    threads: int | None = None,
    elsewhere: Elsewhere | None = None,
    say: Callable[[str], None] = lambda line: None,
    on_progress: Callable[[IndexReport], None] = lambda report: None,
    on_total: Callable[[int], None] | None = None,
) -> IndexReport:
    """Embed what is new or changed below the paths, and forget what vanished there.

    paths:             folders, image files, data sets (tfds:NAME[:SPLIT]), and URLs of object storage (s3://, gs://,
                       hdfs://)
    index:             its folder, made if need be
    listed:            more image files, absolute paths; a missing one has failed
    globs:             which files are wanted; what is not leaves the index like what vanished
    label_from_folder: keep the name of each file's folder as its label
    rebuild:           start over, with another model for instance
    parts:             embed the corners and the middle of each image, too, so that groups find what is pasted into it
    model:             a name, or the path of a model's folder, for `engine` to run; or one that is loaded
    threads:           processor cores to use; None: all that this process may use
    elsewhere:         where images are read and embedded, in place of this process, `model`, `engine` and `threads`
    say:               called with warnings, and before waiting for another writer
    on_progress:       called with the counts so far, from this thread
    on_total:          called once, from another thread, with the number of images that there are; not with a list
    Raises BadInput for a path that cannot be looked into, and what `load_embedder` and `Index.write` raise.
    Interrupted, it commits what is done and raises KeyboardInterrupt; the next run goes on from there.
    """
    names = list(map(str, paths))
    datasets = [open_dataset(name) for name in names if is_dataset(name)]
    stored = [Objects(name, globs=globs, label_from_folder=label_from_folder) for name in names if is_objects(name)]
    roots = [Path(name) for name in names if not is_dataset(name) and not is_objects(name)]

    def new_walk() -> Walk:
        return Walk(roots, leave_out=index, globs=globs, label_from_folder=label_from_folder)

    walk = new_walk()
    with ExitStack() as stack:
        few = None if isinstance(model, Embedder) or stored else _few(new_walk(), datasets, listed)
        if elsewhere is not None:
            place = stack.enter_context(elsewhere(few))
        else:
            threads = threads or cores()
            embedder = (
                model if isinstance(model, Embedder) else load_embedder(model, engine, threads=threads, images=few)
            )
            place = Here(embedder, stack.enter_context(Threads(threads)), parts=parts)
        writer = stack.enter_context(Index.write(index, place.model, rebuild=rebuild, wait=say))
        if writer.warning:
            say(f"Warning: {writer.warning}")
        if on_total is not None and listed is None and not stored:
            _count_aside(new_walk(), datasets, on_total)
        indexer = Indexer(writer, place, on_progress, parts=parts)
        # Data sets first: where their records are files that a walk finds too, they alone have labels for them.
        sources = chain(*datasets, walk, *stored, walk.listed(listed or ()))
        try:
            report = indexer.run(sources, lambda: [*walk.whole_roots(), *(objects.root for objects in stored)])
        except KeyboardInterrupt:
            say(f"Interrupted: {writer.images} images are in the index; run the same command to go on.")
            raise
    for path, error in walk.errors:
        say(f"Warning: {path}: {error.strerror}; what is below stays in the index as it was")
    for root in walk.only_links:
        say(f"Warning: {root}: holds links, which are not followed, and no images; give the folder that they lead to")
    report.passed_over = {**walk.passed_over, **sum((objects.passed_over for objects in stored), Counter())}
    return report


def _few(walk: Walk, datasets: Sequence[Dataset], listed: Iterable[Path] | None) -> int | None:
    """How many images there are; None for more than need be counted to know that there are many."""
    if listed is not None:
        return None
    found = sum(map(len, datasets)) + sum(1 for _ in islice(walk, MANY))
    return found if found < MANY else None


def recorded(embedder: Embedder) -> Model:
    return Model(
        name=embedder.model.reference,
        digest=embedder.model.digest,
        engine=embedder.engine.name,
        precision=embedder.engine.precision,
        decoder=DECODER,
        dim=embedder.dim,
    )


def _count_aside(walk: Walk, datasets: Sequence[Dataset], on_total: Callable[[int], None]) -> None:
    def count() -> None:
        with suppress(Exception):  # the run itself meets the same trouble, and reports it
            on_total(sum(1 for _ in walk) + sum(map(len, datasets)))

    threading.Thread(target=count, daemon=True).start()


class Here:
    """This process."""

    def __init__(self, embedder: Embedder, executor: Executor, *, parts: bool = False) -> None:
        self._embedder, self._executor = embedder, executor
        self._decode = Decode(embedder.model.input_size, parts)

    @property
    def model(self) -> Model:
        return recorded(self._embedder)

    def prepare(self, sources: Iterable[StoredSource], known: Known) -> Generator[tuple[StoredSource, Prepared]]:
        return prepare_in_order(sources, self._executor, self._decode, is_known=known.holds)

    def embed(self, images: Sequence[Prepared]) -> list[NDArray[np.floating]]:
        views = [views for image in images if (views := views_of(image)) is not None]
        return list(embed_views(self._embedder, views))


class Indexer:
    """One run: sources in, images in the index out."""

    def __init__(
        self,
        writer: IndexWriter,
        place: Place,
        on_progress: Callable[[IndexReport], None] = lambda report: None,
        *,
        parts: bool = False,
    ) -> None:
        self._parts = parts
        self._writer, self._place, self._on_progress = writer, place, on_progress
        self._known = Known(self._is_known, lambda: writer.digests(with_parts=parts))
        self._stats: dict[Path, tuple[int, int]] = {}  # of the images under way
        self._batch: list[tuple[StoredSource, Prepared]] = []
        self.report = IndexReport()

    def run(self, sources: Iterable[StoredSource], roots: Callable[[], Iterable[Path]]) -> IndexReport:
        """Bring the index up to date with the sources; of those with one path, the first counts.

        roots: called after the last source; recorded files below these that were no source have vanished
        Interrupted, it commits what is done and raises KeyboardInterrupt again; the next run goes on from there.
        """
        started = time.monotonic()
        changed = filter(self._is_changed, sources)
        prepared = self._place.prepare(changed, self._known)
        try:
            with closing(prepared):
                for source, image in prepared:
                    self._take(source, image)
            self._flush()
            self.report.removed = self._writer.remove_vanished(roots())
            self._writer.commit()
        except KeyboardInterrupt:
            with suppress(IndexNotWritten):  # it came in the middle of a write, which has been taken back
                self._writer.commit()
            raise
        finally:
            self.report.seconds = time.monotonic() - started
        self.report.images = self._writer.images
        return self.report

    def _is_changed(self, source: StoredSource) -> bool:
        """Whether a source is new or changed; counts it where it is not."""
        if not self._writer.saw(source.path):
            return False
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
            return False
        if self._parts and not self._writer.has_parts(known.content):
            self._stats[source.path] = size_bytes, mtime_ns
            return True
        if source.label is not None and source.label != known.label:
            self._writer.relabel(source.path, source.label)
        self.report.unchanged += 1
        self._on_progress(self.report)
        return False

    def _is_known(self, digest: bytes) -> bool:
        content = self._writer.content(digest)
        return content is not None and (not self._parts or self._writer.has_parts(content))

    def _fail(self, source: StoredSource, error: str) -> None:
        self.report.failed.append(Failure(source.path, error))
        self._on_progress(self.report)

    def _take(self, source: StoredSource, image: Prepared) -> None:
        if image.error is not None:
            size_bytes, mtime_ns = self._stats.pop(source.path)
            if image.lasting:
                self._writer.fail(source.path, size_bytes=size_bytes, mtime_ns=mtime_ns, error=image.error)
            self._fail(source, image.error)
            return
        self._batch.append((source, image))
        if len(self._batch) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        """Embed and record a batch; of byte copies, the first."""
        batch, self._batch = self._batch, []
        fresh: dict[bytes, Prepared] = {}
        for number, (source, image) in enumerate(batch):
            if image.digest in fresh or self._is_known(image.digest):
                continue
            if image.pixels is None and image.embeddings is None:
                # It was known when it was read, and has left the index since.
                [batch[number]] = self._place.prepare([source], Known(lambda digest: False, lambda: iter(())))
                image = batch[number][1]
            if image.error is None:
                fresh[image.digest] = image
        embeddings = dict(zip(fresh, self._place.embed(list(fresh.values())), strict=True))
        for source, image in batch:
            self._record(source, image, embeddings.get(image.digest))
        self.report.embedded += len(fresh)
        self._writer.commit_if_due()
        self._on_progress(self.report)

    def _record(self, source: StoredSource, image: Prepared, embeddings: NDArray[np.floating] | None) -> None:
        size_bytes, mtime_ns = self._stats.pop(source.path)
        if image.error is not None:
            self._fail(source, image.error)
            return
        label = source.label
        if label is None and (known := self._writer.state(source.path)) is not None:
            label = known.label
        self._writer.add(
            source.path, size_bytes=size_bytes, mtime_ns=mtime_ns, digest=image.digest,
            width=image.width, height=image.height, margin=image.margin, label=label,
            embedding=None if embeddings is None else embeddings[0],
            parts=embeddings[1:] if embeddings is not None and len(embeddings) > 1 else None,
        )  # fmt: skip
        self.report.indexed += 1
