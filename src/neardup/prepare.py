"""Images to embeddings: reading, decoding and embedding overlap; what cannot be read is counted; memory is bounded.

    Source ─ read ─▶ Content ─ is it known? ─ Decode ─▶ Prepared ─ Embedder ─▶ embedding

An executor reads and decodes; the calling thread alone asks what is known, embeds and writes. Pillow and ONNX Runtime
both let go of the interpreter while they work, so that threads do, and no other process can outlive this one.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from neardup.embedding import BATCH, Embedder, preprocess
from neardup.embedding.parts import cut_parts
from neardup.errors import UnreadableImage
from neardup.images import ByteBudget, decode_image, flat_margin
from neardup.images.exif import UNTOLD, Taken
from neardup.sources import Source

# Images under way: those that wait for a slow one before them, or for the model. Prepared ones at 176 px take 12 MB.
AHEAD = 4 * BATCH
# File content in memory, read or being read, and not yet decoded: of small files as much as keeps every worker busy
# while the model has the calling thread; of large ones two for each worker; a huge one alone.
BYTES_AHEAD = 64 * 2**20
MOST_BYTES = 256 * 2**20

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S", bound=Source)


class Executor(Protocol):
    """What does the work on single images: threads here, and whatever else takes functions that can be pickled."""

    @property
    def workers(self) -> int:
        """How many images it works on at once."""
        ...

    def submit(self, function: Callable[[T], R], item: T, /) -> Future[R]: ...


class Threads(ThreadPoolExecutor):
    def __init__(self, workers: int) -> None:
        super().__init__(workers, "prepare")
        self.workers = workers


@dataclass(frozen=True)
class Content:
    """What a source holds, or the reason why it cannot be read."""

    data: bytes = field(default=b"", repr=False)
    digest: bytes = b""  # SHA-256
    error: str | None = None


@dataclass(frozen=True)
class Prepared:
    """An image ready for the model, or the reason why it is not."""

    digest: bytes = b""  # SHA-256 of the file
    width: int = 0
    height: int = 0
    margin: float = 0.0  # share of the area that is a flat margin
    pixels: NDArray[np.uint8] | None = None  # None where the content is known, or unreadable
    parts: NDArray[np.uint8] | None = None  # (parts, size, size, 3), where they were asked for
    taken: Taken = UNTOLD
    quality: int | None = None  # of a JPEG, 1 to 100
    damaged: str | None = None  # what is wrong with a file that could be decoded, in words
    embeddings: NDArray[np.floating] | None = None  # (1 + parts, dim), in place of pixels where a worker embeds, too
    error: str | None = None
    lasting: bool = False  # the error is the content's, and reading again would not mend it


def read(source: Source) -> Content:
    """Never raises for what can be wrong with an image; nor does decoding it."""
    try:
        data = source.read()
    except UnreadableImage as error:
        return Content(error=str(error))
    return Content(data, hashlib.sha256(data).digest())


# Shared by all threads of this process.
_DECODING = ByteBudget()


@dataclass(frozen=True)
class Decode:
    """Content to pixels for a model."""

    input_size: int
    parts: bool = False  # those of neardup.embedding.parts, too

    def __call__(self, content: Content) -> Prepared:
        if content.error is not None:
            return Prepared(error=content.error)
        try:
            decoded = decode_image(content.data, size=self.input_size, budget=_DECODING)
        except UnreadableImage as error:
            lasting = not isinstance(error.__cause__, MemoryError | ImportError)
            return Prepared(content.digest, error=str(error), lasting=lasting)
        pixels = preprocess(decoded.pixels, self.input_size)
        margin = flat_margin(pixels, decoded.width, decoded.height)
        parts = None
        if self.parts:
            parts = np.stack([preprocess(part, self.input_size) for part in cut_parts(decoded.pixels)])
        return Prepared(
            content.digest, decoded.width, decoded.height, margin, pixels, parts,
            decoded.taken, decoded.quality, decoded.damaged,
        )  # fmt: skip


def prepare(source: Source, decode: Decode) -> Prepared:
    """Read and decode an image, here and now."""
    return decode(read(source))


def prepare_in_order(
    sources: Iterable[S],
    executor: Executor,
    decode: Decode,
    *,
    is_known: Callable[[bytes], bool] = lambda digest: False,
) -> Generator[tuple[S, Prepared]]:
    """Read and decode images, a bounded number ahead; results in the order of the sources.

    is_known: asked, in the calling thread, for the SHA-256 of what was read; what is known is not decoded
    """
    window: _Window[S] = _Window(executor, decode, is_known)
    try:
        for source in sources:
            size_bytes = source.most_bytes
            while not window.has_room(size_bytes):
                if window.is_ready:
                    yield window.take()
                else:
                    window.wait()
            window.put(source, size_bytes)
        while window:
            yield window.take()
    finally:
        window.cancel()


@dataclass(eq=False)
class _Image(Generic[S]):
    """One that is under way: first being read, then decoded, unless that is not called for."""

    source: S
    size_bytes: int
    step: "Future[Content] | Future[Prepared] | None" = None  # what it waits for
    result: Prepared | None = None


class _Window(Generic[S]):
    """Images under way, in order. Only the calling thread changes anything here; executors tell it through a queue."""

    def __init__(self, executor: Executor, decode: Decode, is_known: Callable[[bytes], bool]) -> None:
        self._executor, self._decode, self._is_known = executor, decode, is_known
        self._images: deque[_Image[S]] = deque()
        self._undecoded, self._undecoded_bytes = 0, 0
        self._done: SimpleQueue[_Image[S]] = SimpleQueue()  # images whose step is over

    def __len__(self) -> int:
        return len(self._images)

    @property
    def is_ready(self) -> bool:
        """Whether the first one can be taken without waiting."""
        return self._images[0].result is not None

    def has_room(self, size_bytes: int) -> bool:
        while not self._done.empty():
            self.wait()
        limit = MOST_BYTES if self._undecoded < 2 * self._executor.workers else BYTES_AHEAD
        return len(self) < AHEAD and (self._undecoded_bytes + size_bytes <= limit or not self._undecoded)

    def put(self, source: S, size_bytes: int) -> None:
        image = _Image(source, size_bytes)
        self._images.append(image)
        self._undecoded += 1
        self._undecoded_bytes += size_bytes
        self._begin(image, self._executor.submit(read, source))

    def take(self) -> tuple[S, Prepared]:
        """The first one; while it is waited for, the others go on."""
        while (result := self._images[0].result) is None:
            self.wait()
        return self._images.popleft().source, result

    def wait(self) -> None:
        """Until a step of some image is over; then the image goes on."""
        self._go_on(self._done.get())

    def cancel(self) -> None:
        for image in self._images:
            if image.step is not None:
                image.step.cancel()

    def _begin(self, image: _Image[S], step: "Future[Content] | Future[Prepared]") -> None:
        image.step = step
        step.add_done_callback(lambda step: self._done.put(image))

    def _go_on(self, image: _Image[S]) -> None:
        assert image.step is not None
        done = image.step.result()
        image.step = None  # it knows the image by its callback: a circle, which would keep both in memory
        if isinstance(done, Content) and done.error is None and not self._is_known(done.digest):
            self._begin(image, self._executor.submit(self._decode, done))
            return
        image.result = done if isinstance(done, Prepared) else Prepared(done.digest, error=done.error)
        self._undecoded -= 1
        self._undecoded_bytes -= image.size_bytes


@dataclass(frozen=True)
class Embedded:
    """An image of a query, or the reason why there is no embedding of it."""

    source: Source
    digest: bytes  # SHA-256
    embeddings: NDArray[np.float32] | None  # (1 + parts, dim): of the whole, then of its parts
    error: str | None


def embed_images(
    sources: Iterable[Source], embedder: Embedder, threads: int, *, parts: bool = False
) -> Iterator[Embedded]:
    """Embed images, and their parts where asked for, in order; those that cannot be read come with their error."""
    with (
        Threads(threads) as executor,
        closing(prepare_in_order(sources, executor, Decode(embedder.model.input_size, parts))) as prepared,
    ):
        while batch := list(islice(prepared, BATCH)):
            views = [views_of(p) for _, p in batch]
            rows = iter(embed_views(embedder, [view for view in views if view is not None]))
            for (source, p), view in zip(batch, views, strict=True):
                yield Embedded(source, p.digest, None if view is None else next(rows), p.error)


def views_of(prepared: Prepared) -> NDArray[np.uint8] | None:
    """(1 + parts, size, size, 3): the whole, then its parts; None where it cannot be read."""
    if prepared.pixels is None:
        return None
    whole = prepared.pixels[None]
    return whole if prepared.parts is None else np.concatenate([whole, prepared.parts])


def embed_views(embedder: Embedder, views: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """The embeddings of each image's views, (views, dim), a batch at a time."""
    if not views:
        return []
    pixels = np.concatenate(views)
    rows = [embedder.embed_prepared(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)]
    ends = np.cumsum([len(view) for view in views])
    return np.split(np.concatenate(rows), ends[:-1])
