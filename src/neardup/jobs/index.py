"""Bring an index up to date with folders, files and data sets."""

import shlex
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neardup.embedding import AUTO, BATCH, MANY, Embedder, load_embedder
from neardup.embedding.hardware import cores
from neardup.errors import BadInput, IndexNotWritten, NeardupError
from neardup.images import DECODER, FileStat
from neardup.images.find import SET_ASIDE
from neardup.images.globs import Globs
from neardup.index import Away, Hashing, Index, IndexWriter, Model, Root
from neardup.index.catalog import AGREEING
from neardup.index.writer import HASHING
from neardup.isolation import isolated
from neardup.jobs.changes import change_of
from neardup.jobs.looks import keep_verdicts, remember_looks
from neardup.lsh.probing import MAX_PROBES
from neardup.lsh.tuning import expected_recall, natural_bits
from neardup.prepare import Decode, Executor, Prepared, Threads, embed_views, prepare_in_order, views_of
from neardup.sources import StoredSource
from neardup.sources.datasets import Dataset, is_dataset, open_dataset
from neardup.sources.objects import Objects, is_objects
from neardup.sources.walk import Walk

# Among what is passed over, beside endings.
TOO_SMALL = "too small"
# Images that `recall` is meant for.
TYPICAL_MOST = 1_000_000


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
    too_old: int = 0  # were met, and are not wanted
    embedded: int = 0  # different contents that went through the model
    failed: list[Failure] = field(default_factory=list)
    passed_over: Mapping[str, int] = field(default_factory=dict)  # looks like a picture and is not read, by ending
    away: list[Away] = field(default_factory=list)  # folders that are gone or empty: what they held stays
    images: int = 0  # in the index afterwards
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Images gone through."""
        return self.indexed + self.unchanged + len(self.failed)

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
    min_pixels: int = 0,
    newer_than: timedelta | None = None,
    hashing: Hashing | None = None,
    model: str | Embedder = "default",
    engine: str = AUTO,
    threads: int | None = None,
    isolate: bool = False,
    elsewhere: Elsewhere | None = None,
    say: Callable[[str], None] = lambda line: None,
    on_progress: Callable[[IndexReport], None] = lambda report: None,
    on_total: Callable[[int], None] | None = None,
) -> IndexReport:
    """Embed what is new or changed below the paths, and forget what vanished there.

    paths:             folders, image files, data sets (tfds:NAME[:SPLIT]; of a split of which a part is given, the rest
                       leaves the index), and URLs of object storage (s3://, gs://, hdfs://)
    index:             its folder, made if need be
    listed:            more image files, absolute paths; a missing one has failed
    globs:             which files are wanted; what is not leaves the index like what vanished
    label_from_folder: keep the name of each file's folder as its label
    rebuild:           start over, with another model for instance
    parts:             embed the corners and the middle of each image, too, so that groups find what is pasted into it
    min_pixels:        pass over pictures whose shorter side is shorter; what was indexed of them leaves the index
    newer_than:        take only files changed within this time; at the commit, all older ones leave the index, wherever
                       they lie
    hashing:           tables, bits and seed of a new index; None: those that suit most
    model:             a name, or the path of a model's folder, for `engine` to run; or one that is loaded
    threads:           processor cores to use; None: all that this process may use
    isolate:           decode in processes of their own, so that a picture that crashes or holds up its decoder is lost
                       alone
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
    few = None if isinstance(model, Embedder) or stored else _few(new_walk(), datasets, listed)
    precision = None if rebuild else recorded_precision(index)
    place_of = elsewhere or partial(_here, model, engine, threads, parts, isolate, precision)
    with (
        place_of(few) as place,
        Index.write(index, place.model, rebuild=rebuild, hashing=hashing, wait=say) as writer,
    ):
        if writer.warning:
            say(f"Warning: {writer.warning}")
        if on_total is not None and listed is None and not stored:
            _count_aside(new_walk(), datasets, on_total)
        indexer = Indexer(
            writer, place, on_progress, parts=parts, min_pixels=min_pixels,
            oldest_ns=None if newer_than is None else time.time_ns() - int(newer_than.total_seconds() * 1e9),
        )  # fmt: skip
        # Data sets first: where their records are files that a walk finds too, they alone have labels for them.
        folders = [root for dataset in datasets for root in dataset.roots] + [objects.root for objects in stored]
        splits = [begin for dataset in datasets for begin in dataset.splits]
        sources = chain(*datasets, walk, *stored, walk.listed(listed or ()))
        try:
            report = indexer.run(sources, lambda: [*walk.whole_roots(), *folders], splits)
        except KeyboardInterrupt:
            say(f"Interrupted: {writer.images} images are in the index; run the same command to go on.")
            raise
        writer.record_roots(_roots(walk, indexer.too_small), walk.volumes)
    with suppress(NeardupError):  # another process may be writing now: the next run sees to it
        remember_looks(index)
    kinds = sum((objects.passed_over for objects in stored), Counter(walk.passed_over))
    report.passed_over = _sorted(kinds, len(indexer.too_small))
    _warn(walk, report, say)
    return report


def _roots(walk: Walk, too_small: Sequence[Path]) -> list[Root]:
    """The folders that were gone through, and what was passed over in each."""
    return [
        Root(folder, _sorted(kinds, sum(path.is_relative_to(folder) for path in too_small)))
        for folder, kinds in walk.folders.items()
    ]


def _sorted(kinds: Mapping[str, int], too_small: int) -> dict[str, int]:
    """The most first."""
    counts = {**kinds, TOO_SMALL: too_small} if too_small else kinds
    return dict(sorted(counts.items(), key=lambda kind: (-kind[1], kind[0])))


def _warn(walk: Walk, report: IndexReport, say: Callable[[str], None]) -> None:
    for path, error in walk.errors:
        say(f"Warning: {path}: {error.strerror}; what is below stays in the index as it was")
    for root in walk.only_links:
        say(f"Warning: {root}: holds links, which are not followed, and no images; give the folder that they lead to")
    for folder in walk.set_aside:
        say(f"Left out: {folder}, which holds what 'neardup dedup' moved there (its file {SET_ASIDE} says so)")
    for away in report.away:
        say(
            f"Warning: {away.path}: gone or empty, and {away.images} of its images stay in the index; if they are gone"
            f" for good: neardup index --prune {shlex.quote(str(away.path))}"
        )


def hashing_of(
    *, tables: int | None = None, bits: int | None = None, seed: int | None = None, recall: float | None = None
) -> Hashing | None:
    """How a new index is to hash; None where nothing was chosen, so that an index may hash as it does.

    recall: the share of what is at cosine 0.9 that queries find among TYPICAL_MOST images, by theory, with the fewest
            tables; raises BadInput where none of 64 tables are enough
    """
    if all(each is None for each in (tables, bits, seed, recall)):
        return None
    bits, seed = HASHING.bits if bits is None else bits, HASHING.seed if seed is None else seed
    if recall is None:
        return Hashing(HASHING.tables if tables is None else tables, bits, seed)
    used = natural_bits(TYPICAL_MOST, bits)
    probes = min(MAX_PROBES, 2**used)
    enough = (n for n in range(1, 65) if expected_recall(0.9, tables=n, bits=used, probes=probes) >= recall)
    chosen = next(enough, None)
    if chosen is None:
        raise BadInput(f"recall {recall:g} is not reached with 64 tables of {used} bits; give fewer --bits, or less")
    return Hashing(chosen, bits, seed)


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


def recorded_precision(index: Path) -> str | None:
    """The precision of an index that agrees with no other; None where others do, or there is no index yet."""
    with suppress(NeardupError, OSError), Index.open(index) as opened:
        if opened.model is not None and opened.model.precision not in AGREEING:
            return opened.model.precision
    return None


def _count_aside(walk: Walk, datasets: Sequence[Dataset], on_total: Callable[[int], None]) -> None:
    def count() -> None:
        with suppress(Exception):  # the run itself meets the same trouble, and reports it
            on_total(sum(1 for _ in walk) + sum(map(len, datasets)))

    threading.Thread(target=count, daemon=True).start()


@contextmanager
def _here(
    model: str | Embedder,
    engine: str,
    threads: int | None,
    parts: bool,
    isolate: bool,
    recorded: str | None,
    images: int | None,
) -> Iterator["Here"]:
    """This process, with the model loaded; images: how many there are, at most; None: many."""
    threads = threads or cores()
    if isinstance(model, Embedder):
        embedder = model
    else:
        embedder = load_embedder(model, engine, threads=threads, images=images, recorded=recorded)
    with isolated(threads) if isolate else Threads(threads) as executor:
        yield Here(embedder, executor, parts=parts)


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
        min_pixels: int = 0,
        oldest_ns: int | None = None,
    ) -> None:
        self._parts, self._min_pixels, self._oldest_ns = parts, min_pixels, oldest_ns
        self.too_small: list[Path] = []  # passed over
        self._writer, self._place, self._on_progress = writer, place, on_progress
        self._known = Known(self._is_known, lambda: writer.digests(with_parts=parts))
        self._stats: dict[Path, FileStat] = {}  # of the images under way
        self._in_doubt: set[Path] = set()  # those of them that are read to see whether they have changed
        self._batch: list[tuple[StoredSource, Prepared]] = []
        self.report = IndexReport()

    def run(
        self, sources: Iterable[StoredSource], roots: Callable[[], Iterable[Path]], splits: Iterable[Path] = ()
    ) -> IndexReport:
        """Bring the index up to date with the sources; of those with one path, the first counts.

        roots:  called after the last source; recorded files below these that were no source have vanished
        splits: of data sets; recorded records of these that were no source have vanished, too
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
            whole = list(roots())
            # Of object storage a listing came back, or the run would have ended.
            self.report.away = self._writer.spare_away(root for root in whole if root.is_absolute())
            self.report.removed += self._writer.remove_vanished(whole, splits)
            if self._oldest_ns is not None:
                self.report.removed += self._writer.remove_older(self._oldest_ns)
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
            found = source.stat()
        except (OSError, ValueError) as error:
            self._fail(source, getattr(error, "strerror", None) or str(error))
            return False
        if self._oldest_ns is not None and found.mtime_ns < self._oldest_ns:
            self.report.too_old += 1
            return False
        known = self._writer.state(source.path)
        change = "changed" if known is None else change_of(self._writer, source.path, known, found)
        if known is None or change != "unchanged":
            self._stats[source.path] = found
            if change == "in doubt":
                self._in_doubt.add(source.path)
            return True
        if known.error is not None:
            self._fail(source, known.error)
            return False
        if self._min_pixels and self._is_too_small(*self._writer.size(known.content)):
            self._pass_over(source)
            return False
        if self._parts and not self._writer.has_parts(known.content):
            self._stats[source.path] = found
            return True
        if source.label is not None and source.label != known.label:
            self._writer.relabel(source.path, source.label)
        self.report.unchanged += 1
        self._on_progress(self.report)
        return False

    def _is_known(self, digest: bytes) -> bool:
        content = self._writer.content(digest)
        return content is not None and (not self._parts or self._writer.has_parts(content))

    def _is_too_small(self, width: int, height: int) -> bool:
        return 0 < min(width, height) < self._min_pixels  # 0: no longer known, and to be decoded again

    def _size(self, image: Prepared) -> tuple[int, int]:
        is_decoded = image.pixels is not None or image.embeddings is not None
        return (image.width, image.height) if is_decoded else self._writer.size(self._writer.content(image.digest))

    def _pass_over(self, source: StoredSource) -> None:
        self.too_small.append(source.path)
        self.report.removed += self._writer.forget(source.path)
        self._on_progress(self.report)

    def _fail(self, source: StoredSource, error: str) -> None:
        self.report.failed.append(Failure(source.path, error))
        self._on_progress(self.report)

    def _take(self, source: StoredSource, image: Prepared) -> None:
        if image.error is not None:
            found = self._stats.pop(source.path)
            if image.lasting:
                self._writer.fail(
                    source.path, size_bytes=found.size_bytes, mtime_ns=found.mtime_ns, ctime_ns=found.ctime_ns,
                    error=image.error,
                )  # fmt: skip
            self._fail(source, image.error)
            return
        if self._min_pixels and self._is_too_small(*self._size(image)):
            del self._stats[source.path]
            self._pass_over(source)
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
        found = self._stats.pop(source.path)
        if image.error is not None:
            self._fail(source, image.error)
            return
        label, known = source.label, self._writer.state(source.path)
        if label is None and known is not None:
            label = known.label
        self._writer.add(
            source.path, **found._asdict(), digest=image.digest,
            width=image.width, height=image.height, margin=image.margin, label=label,
            taken_ms=image.taken.when_ms, camera=image.taken.kinds, quality=image.quality, damaged=image.damaged,
            embedding=None if embeddings is None else embeddings[0],
            parts=embeddings[1:] if embeddings is not None and len(embeddings) > 1 else None,
        )  # fmt: skip
        keep_verdicts(self._writer, source.path, image.digest)
        is_same = known is not None and known.content == self._writer.content(image.digest)
        if source.path in self._in_doubt and is_same:
            self.report.unchanged += 1
        else:
            self.report.indexed += 1
