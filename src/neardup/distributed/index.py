"""Reading, decoding and embedding on Ray: the place that `neardup index --ray` gives to the job.

Shards of the changed files go through a Ray Data pipeline, decoding as tasks, embedding by a pool of actors, and come
back as embeddings, 0.6 kB for each image; the job takes them in the order of the files. A process that is lost takes
its shard with it: the shard is done again in smaller pieces, down to the single picture, which then has failed alone.
"""

import pickle
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.distributed.session import open_ray, total
from neardup.distributed.shards import Recipe, Shard, Store, cut
from neardup.embedding import Embedder, find_model, load_embedder
from neardup.embedding.engines.auto import LARGE_BATCH, MANY, AutoEngine
from neardup.errors import ClusterFailed, IndexNotWritten, NeardupError
from neardup.index import Model
from neardup.jobs.index import Elsewhere, Known, Place, recorded
from neardup.prepare import Decode, Prepared, embed_views, read, views_of
from neardup.sources import StoredSource

# A shard, or a piece of one, goes through decoding and embedding in two tasks, each of which has half a core: so each
# core has one of either, and one core alone is enough.
_CORES = 0.5
ON_GPU = frozenset({"onnx-cuda", "tensorrt", "tf-trt"})
# Shards of one run of the pipeline, for each core: what is in it is committed before the next one is listed.
_SHARDS_PER_CORE, _FEWEST_SHARDS = 16, 64
# A piece is lost with its process, and tried again in so many pieces.
_PIECES = 16
_RETRIES = 1
LOST = "the process that read it ended, each time it was tried"


@dataclass(frozen=True)
class EngineChoice:
    model: str
    engine: str
    many: bool  # or so few that `auto` stays with the engine that starts first

    def load(self) -> Embedder:
        return load_embedder(self.model, self.engine, threads=1, images=None if self.many else MANY - 1)


@dataclass
class Throughput:
    """Seconds that workers spent, all of them together."""

    images: int = 0
    decoding_seconds: float = 0.0
    embedding_seconds: float = 0.0

    def __str__(self) -> str:
        decoded = self.images / self.decoding_seconds if self.decoding_seconds else 0.0
        embedded = self.images / self.embedding_seconds if self.embedding_seconds else 0.0
        return f"{self.images:,} images on Ray: {decoded:.0f} images/s a decoder, {embedded:.0f} images/s an embedder."


def on_ray(
    address: str,
    index: Path,
    *,
    model: str,
    engine: str,
    parts: bool = False,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Elsewhere:
    """Where `index_images` is to have its images read and embedded.

    address: of a cluster, or session.LOCAL; index: the index's folder, in which shards wait for their commit
    Raises (when it is used) MissingPackage, ClusterFailed, and what loading the model raises.
    """

    @contextmanager
    def opened(images: int | None) -> Iterator[Place]:
        with open_ray(address, threads) as ray:
            choice = EngineChoice(str(find_model(model).reference), engine, images is None)
            gpus = 1 if engine in ON_GPU else 0
            record = _ask(ray, _describe, choice, num_gpus=gpus)
            recipe = Recipe(record, parts)
            place = RayPlace(ray, choice, recipe, Store(index / "ray", recipe), gpus=gpus)
            yield place
            place.store.clear()  # all of it is committed
            if place.throughput.images:
                say(str(place.throughput))

    return opened


def _describe(choice: EngineChoice) -> Model:
    return recorded(choice.load())


def _ask(ray: Any, function: Callable[..., Any], *arguments: Any, num_gpus: int) -> Any:
    """A function's result, from a worker; raises what it raised, where that is one of ours."""
    try:
        return ray.get(ray.remote(num_cpus=_CORES, num_gpus=num_gpus)(function).remote(*arguments))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, NeardupError):
            raise error.cause from error
        raise
    except ray.exceptions.RayError as error:
        raise ClusterFailed(f"Ray: a worker cannot do its work ({type(error).__name__}); look at its logs") from error


@dataclass
class RayPlace:
    """A `neardup.jobs.index.Place`."""

    ray: Any
    choice: EngineChoice
    recipe: Recipe
    store: Store
    gpus: int = 0
    throughput: Throughput = field(default_factory=Throughput)

    @property
    def model(self) -> Model:
        return self.recipe.model

    def embed(self, images: Sequence[Prepared]) -> list[NDArray[np.floating]]:
        return [image.embeddings for image in images if image.embeddings is not None]

    def prepare(self, sources: Iterable[StoredSource], known: Known) -> Generator[tuple[StoredSource, Prepared]]:
        shards = cut(sources, self.recipe)
        count = max(_FEWEST_SHARDS, int(total(self.ray, "CPU")) * _SHARDS_PER_CORE)
        first = next(shards, None)
        if first is None:
            return
        digests = self.ray.put(_prefixes(known.digests()))
        wave = [first, *islice(shards, count - 1)]
        while wave:
            for shard, results in self._work(wave, known, digests):
                yield from zip(shard.sources, results, strict=True)
            wave = list(islice(shards, count))

    def _work(self, shards: Sequence[Shard], known: Known, digests: Any) -> Iterator[tuple[Shard, list[Prepared]]]:
        """Each shard with its results, in order, as soon as they are there."""
        done = {number: found for number, shard in enumerate(shards) if (found := self._stored(shard, known))}
        todo = {number: shard for number, shard in enumerate(shards) if number not in done}
        arriving = self._results(todo, digests)
        for number, shard in enumerate(shards):
            while number not in done:
                arrived, results = next(arriving)
                done[arrived] = results
                self._save(shards[arrived], results)
            yield shard, done.pop(number)

    def _stored(self, shard: Shard, known: Known) -> list[Prepared] | None:
        """What an interrupted run has left; none where it relied on what the index held and holds no longer."""
        found = self.store.load(shard) or []
        whole = all(r.error is not None or r.embeddings is not None or known.holds(r.digest) for r in found)
        return found if found and whole else None

    def _save(self, shard: Shard, results: Sequence[Prepared]) -> None:
        try:
            self.store.save(shard.name, results)
        except OSError as error:
            raise IndexNotWritten(f"{self.store.folder}: {error.strerror}; free some space, then run again") from error

    def _results(self, shards: dict[int, Shard], known: Any) -> Iterator[tuple[int, list[Prepared]]]:
        """The results of each shard, by number, as its last piece comes back."""
        found: dict[int, list[Prepared | None]] = {n: [None] * len(shard.sources) for n, shard in shards.items()}
        pieces = [Piece(n, 0, shard.sources) for n, shard in shards.items()]
        while pieces:
            waiting = {(piece.shard, piece.first): piece for piece in pieces}
            for row in self._run(pieces, known):
                piece = waiting.pop((row["shard"], row["first"]))
                results = self._received(row)
                found[piece.shard][piece.first : piece.first + len(results)] = results
                if None not in found[piece.shard]:
                    yield piece.shard, [result for result in found.pop(piece.shard) if result is not None]
            pieces = []
            for piece in waiting.values():
                if len(piece.sources) > 1:
                    pieces += piece.split()
                    continue
                found[piece.shard][piece.first] = Prepared(error=LOST)
                if None not in found[piece.shard]:
                    yield piece.shard, [result for result in found.pop(piece.shard) if result is not None]

    def _run(self, pieces: Sequence["Piece"], known: Any) -> Iterator[dict[str, Any]]:
        import ray.data

        decode = Decode(find_model(self.choice.model).input_size, self.recipe.parts)
        rows = [{"shard": p.shard, "first": p.first, "payload": pickle.dumps(p.sources)} for p in pieces]
        most = max(1, int(total(self.ray, "GPU") if self.gpus else total(self.ray, "CPU")))
        decoded = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            DecodePiece(decode, known), num_cpus=_CORES, ray_remote_args_fn=lambda: {"max_retries": _RETRIES}
        )
        embedded = decoded.map(
            EmbedPiece,
            fn_constructor_kwargs={"choice": self.choice, "digest": self.recipe.model.digest},
            concurrency=(1, min(most, len(rows))),
            num_cpus=_CORES,
            num_gpus=self.gpus,
            ray_remote_args_fn=lambda: {"max_task_retries": _RETRIES},
        )
        rows_back: Iterator[dict[str, Any]] = embedded.iter_rows()
        yield from rows_back

    def _received(self, row: dict[str, Any]) -> list[Prepared]:
        results = pickle.loads(row["payload"])
        if isinstance(results, NeardupError):
            raise results
        if isinstance(results, Exception):
            raise ClusterFailed(f"Ray: a worker failed ({type(results).__name__}: {results})") from results
        self.throughput.images += len(results)
        self.throughput.decoding_seconds += row["decoding"]
        self.throughput.embedding_seconds += row["embedding"]
        return list(results)


@dataclass(frozen=True)
class Piece:
    """Sources of a shard, from its `first` on."""

    shard: int
    first: int
    sources: tuple[StoredSource, ...]

    def split(self) -> list["Piece"]:
        size = -(-len(self.sources) // _PIECES)
        return [
            Piece(self.shard, self.first + start, self.sources[start : start + size])
            for start in range(0, len(self.sources), size)
        ]


def _prefixes(digests: Iterator[bytes]) -> NDArray[np.uint64]:
    """The first 8 bytes of each, ascending. Where they alone are the same, the job asks again."""
    return np.sort(np.frombuffer(b"".join(digest[:8] for digest in digests), ">u8").astype(np.uint64))


@dataclass(frozen=True)
class DecodePiece:
    """On a worker: sources to pixels; an exception travels in place of the result, so that none is lost in a log."""

    decode: Decode
    known: Any  # the prefixes, in Ray's store

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        try:
            results: Any = self._decoded(pickle.loads(row["payload"]))
        except Exception as error:
            results = error
        return row | {"payload": pickle.dumps(results, protocol=5), "decoding": time.monotonic() - started}

    def _decoded(self, sources: Sequence[StoredSource]) -> list[Prepared]:
        import ray

        known: NDArray[np.uint64] = ray.get(self.known)
        return [self._prepared(source, known) for source in sources]

    def _prepared(self, source: StoredSource, known: NDArray[np.uint64]) -> Prepared:
        content = read(source)
        if content.error is None:
            prefix = np.frombuffer(content.digest[:8], ">u8").astype(np.uint64)[0]
            place = int(np.searchsorted(known, prefix))
            if place < len(known) and known[place] == prefix:
                return Prepared(content.digest)
        return self.decode(content)


class EmbedPiece:
    """On a worker: pixels to embeddings, by a model that stays loaded."""

    def __init__(self, choice: EngineChoice, digest: str) -> None:
        self._choice, self._digest = choice, digest
        self._embedder: Embedder | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        results: Any = pickle.loads(row["payload"])
        if not isinstance(results, Exception):
            try:
                results = self._embedded(results)
            except Exception as error:
                results = error
        return row | {"payload": pickle.dumps(results, protocol=5), "embedding": time.monotonic() - started}

    def _embedded(self, images: Sequence[Prepared]) -> list[Prepared]:
        fresh: dict[bytes, NDArray[np.uint8]] = {}  # of byte copies, the first
        for image in images:
            if image.digest not in fresh and (views := views_of(image)) is not None:
                fresh[image.digest] = views
        rows: dict[bytes, NDArray[np.float32]] = {}
        if fresh:
            rows = dict(zip(fresh, embed_views(self._loaded(fresh), list(fresh.values())), strict=True))
        return [
            replace(image, pixels=None, parts=None, embeddings=_rounded(rows.get(image.digest))) for image in images
        ]

    def _loaded(self, fresh: dict[bytes, NDArray[np.uint8]]) -> Embedder:
        if self._embedder is None:
            embedder = self._choice.load()
            if embedder.model.digest != self._digest:
                raise ClusterFailed(f"Ray: a worker has another version of {self._choice.model}; install one for all")
            if isinstance(embedder.engine, AutoEngine):  # which chooses by a batch of that size
                [pixels, *_] = fresh.values()
                embedder.embed_prepared(np.resize(pixels[:1], (LARGE_BATCH, *pixels.shape[1:])))
            self._embedder = embedder
        return self._embedder


def _rounded(rows: NDArray[np.float32] | None) -> NDArray[np.floating] | None:
    """As the index rounds them."""
    return None if rows is None else rows.astype("<f2")
