"""How long each engine takes to build a table of images and to answer queries, beside the Keras example's own loop.

Images are decoded once, beforehand, and that cost is reported apart. Every row is measured in a process of its own, so
that its memory and its imports are its own, and a runtime that ends its process ends that row alone.
"""

import json
import math
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding import BATCH, Embedder, load_embedder
from neardup.embedding.engines import ENGINES
from neardup.embedding.model import Model
from neardup.errors import BadInput, NeardupError
from neardup.evaluation.keras_tables import DictTables
from neardup.images import find_images
from neardup.lsh import LSH
from neardup.prepare import Decode, Threads, prepare_in_order
from neardup.scratch import temporary_folder
from neardup.sources import ImageFile, Source

EXAMPLE = "keras-example"
WARM_UP = 100  # images, one at a time, as the example does
LEAST_CALLS = 3
MATCHES = 4  # the example shows as many


@dataclass(frozen=True)
class Row:
    """One engine at one batch size. Times are None where it cannot run here, and `reason` says why."""

    engine: str
    precision: str
    batch: int
    available: bool
    reason: str | None
    images: int
    queries: int
    build_seconds: float | None = None  # embedding and hashing of all images
    query_seconds: float | None = None  # embedding, hashing and scoring of all queries
    query_ms_p50: float | None = None  # of one call: one query, or a batch of them
    query_ms_p95: float | None = None
    peak_memory_bytes: int | None = None
    hits: float | None = None  # entries in a query's own buckets, over all tables: the example's `Matches`; the mean
    speedup_build: float | None = None  # over keras-example
    speedup_query: float | None = None
    speedup_build_tensorflow: float | None = None  # over tensorflow at the same batch size
    speedup_query_tensorflow: float | None = None


@dataclass(frozen=True)
class Benchmark:
    device: str
    model: str
    source: str
    synthetic: bool
    threads: int
    decode_seconds: float | None  # for the images that were built from; None where they were made up
    rows: list[Row]


def draw_sources(folder: Path, seed: int = 0) -> list[Source]:
    """The images below a folder, in an order that the seed decides."""
    paths = sorted(find_images(folder.absolute()))
    random.Random(seed).shuffle(paths)
    return [ImageFile(path) for path in paths]


@dataclass(frozen=True)
class Pixels:
    """Images ready for the model, in two .npy files: (n, size, size, 3) uint8."""

    images: int
    queries: int  # to ask
    different: int  # images to ask with, over again where that is fewer; 0: those that were built from
    decode_seconds: float | None


def run_benchmark(
    model: Model,
    sources: Iterable[Source] | None,
    *,
    name: str,
    images: int,
    queries: int,
    engines: Sequence[str] = tuple(ENGINES),
    threads: int,
    warm_up: int = WARM_UP,
    seed: int = 0,
    on_progress: Callable[[str], None] = lambda text: None,
) -> Benchmark:
    """Measure engines on this machine.

    warm_up: images embedded before the clock starts, in batches of each size that is timed
    sources: what to read images from, the first of them to build with and those after to query with, over again where
             there are too few; None makes noise up
    Raises BadInput for an unknown engine, or where there are no images.
    """
    for engine in engines:
        if engine not in ENGINES:
            raise BadInput(f"no engine named {engine!r}; there are {', '.join(ENGINES)}")
    with temporary_folder("neardup-bench-") as scratch:
        on_progress(f"Decoding {images + queries:,} images" if sources else "Making up images")
        if sources is None:
            pixels = _make_up(scratch, model.input_size, images, queries, seed)
        else:
            pixels = _decode(scratch, sources, model.input_size, images, queries, threads, name)
        rows: list[Row] = []
        for engine in engines:
            for batch in (1,) if engine == EXAMPLE else (1, BATCH):
                if rows and rows[-1].engine == engine and not rows[-1].available:
                    rows.append(replace(rows[-1], batch=batch))  # what it lacks, it lacks for every batch
                    continue
                on_progress(f"Measuring {engine}, {'one image at a time' if batch == 1 else f'{batch} at a time'}")
                rows.append(_measure_in_other_process(scratch, model, engine, batch, pixels, threads, warm_up, seed))
    return Benchmark(
        describe_device(threads), model.name, name, sources is None, threads, pixels.decode_seconds, _compared(rows)
    )


def _decode(
    scratch: Path, sources: Iterable[Source], size: int, images: int, queries: int, threads: int, name: str
) -> Pixels:
    """Read, decode and shrink as `index` does; unreadable images are passed over."""
    with Threads(threads) as executor, closing(prepare_in_order(sources, executor, Decode(size))) as prepared:
        readable = (image.pixels for _, image in prepared if image.pixels is not None)
        started = time.perf_counter()
        built = _write(scratch / "images.npy", size, islice(readable, images), images)
        seconds = time.perf_counter() - started
        if not built:
            raise BadInput(f"{name}: no readable images; give a folder that has some")
        asked = _write(scratch / "queries.npy", size, islice(readable, queries), queries)
    return Pixels(built, queries, asked, seconds)


def _write(path: Path, size: int, pixels: Iterator[NDArray[np.uint8]], limit: int) -> int:
    """Images to an .npy file that may come out longer than what there is; returns how many there are."""
    first = next(pixels, None)
    if first is None:
        return 0
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(limit, size, size, 3))
    array[0], count = first, 1
    for count, image in enumerate(pixels, 2):
        array[count - 1] = image
    array.flush()
    return count


def _make_up(scratch: Path, size: int, images: int, queries: int, seed: int) -> Pixels:
    rng = np.random.default_rng(seed)
    for file, count in (("images.npy", images), ("queries.npy", queries)):
        noise = (rng.integers(0, 256, (size, size, 3)).astype(np.uint8) for _ in range(count))
        _write(scratch / file, size, noise, count)
    return Pixels(images, queries, queries, None)


def _measure_in_other_process(
    scratch: Path, model: Model, engine: str, batch: int, pixels: Pixels, threads: int, warm_up: int, seed: int
) -> Row:
    job, result = scratch / "job.json", scratch / "row.json"
    result.unlink(missing_ok=True)
    job.write_text(
        json.dumps(
            {
                "model": str(model.folder.absolute()),
                "digest": model.digest,
                "engine": engine,
                "batch": batch,
                "threads": threads,
                "warm_up": warm_up,
                "seed": seed,
                "images": pixels.images,
                "queries": pixels.queries,
                "different": pixels.different,
            }
        ),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "neardup.evaluation.benchmark", str(scratch)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    if ran.returncode == 0 and result.is_file():
        return Row(**json.loads(result.read_text(encoding="utf-8")))
    said = [line for line in ran.stderr.decode(errors="replace").splitlines() if line.strip()]
    reason = f"its process ended with {ran.returncode}: {said[-1] if said else 'no message'}"
    return Row(engine, "", batch, False, reason, pixels.images, pixels.queries)


def measure(scratch: Path) -> Row:
    """Measure the job that a folder holds: job.json, images.npy and queries.npy."""
    job: dict[str, Any] = json.loads((scratch / "job.json").read_text(encoding="utf-8"))
    engine, batch = job["engine"], job["batch"]
    images = np.load(scratch / "images.npy", mmap_mode="r", allow_pickle=False)[: job["images"]]
    different = job["different"]
    queries = np.load(scratch / "queries.npy", mmap_mode="r", allow_pickle=False)[:different] if different else images
    order = np.arange(job["queries"]) % len(queries)
    empty = Row(engine, "", batch, False, None, len(images), len(order))
    try:
        embedder = load_embedder(job["model"], engine, threads=job["threads"])
    except NeardupError as error:
        return replace(empty, reason=str(error))
    if embedder.model.digest != job["digest"]:
        return replace(empty, reason="the model's folder has changed since the run began; run it again")
    if embedder.engine.name != engine:
        ran = f"{embedder.engine.name} in {embedder.engine.precision}"
        return replace(empty, reason=f"what is registered for it falls back to {ran}, for want of TensorRT")
    _warm_up(embedder, images[:1], batch, (len(images), len(order)), job["warm_up"])
    table = DictTables(embedder.dim, job["seed"]) if engine == EXAMPLE else LSH(embedder.dim, seed=job["seed"])
    started = time.perf_counter()
    _build(table, embedder, images, batch)
    build_seconds = time.perf_counter() - started
    calls, asked = _query(table, embedder, queries, order, batch)
    return replace(
        empty,
        precision=embedder.engine.precision,
        available=True,
        build_seconds=build_seconds,
        query_seconds=float(calls.sum()),
        query_ms_p50=float(np.median(calls)) * 1000,
        query_ms_p95=float(np.percentile(calls, 95)) * 1000,
        peak_memory_bytes=peak_memory_bytes(),
        hits=float(np.mean([_hits(table, row) for row in asked])),
    )


def _warm_up(embedder: Embedder, image: NDArray[np.uint8], batch: int, timed: Sequence[int], images: int) -> None:
    """Embed one image over and over, in batches of each size that comes up when so many are timed.

    Engines are built, memory laid out and kernels chosen by shape, at its first calls: none of that inside the clock.
    """
    sizes = {min(batch, count) for count in timed} | {count % batch for count in timed} - {0}
    for size in sorted(sizes):
        pixels = np.repeat(image, size, axis=0)
        for _ in range(max(LEAST_CALLS, math.ceil(images / size)) if images else 0):
            embedder.embed_prepared(pixels)


def _hits(table: DictTables | LSH, embedding: NDArray[np.float32]) -> int:
    return table.hits(embedding) if isinstance(table, DictTables) else int(table.candidates(embedding)[1].sum())


def _build(table: DictTables | LSH, embedder: Embedder, images: NDArray[np.uint8], batch: int) -> None:
    if isinstance(table, DictTables):
        for number, image in enumerate(images):
            table.add(number, embedder.embed_prepared(image[None])[0])
        return
    rows = [embedder.embed_prepared(images[first : first + batch]) for first in range(0, len(images), batch)]
    table.add(np.concatenate(rows))


def _query(
    table: DictTables | LSH, embedder: Embedder, queries: NDArray[np.uint8], order: NDArray[np.int64], batch: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Seconds of each call, in order, and the embeddings of the queries."""
    calls, asked = [], []
    for first in range(0, len(order), batch):
        pixels = queries[order[first : first + batch]]
        started = time.perf_counter()
        rows = embedder.embed_prepared(pixels)
        if isinstance(table, DictTables):
            table.query(rows[0], MATCHES)
        elif batch == 1:
            table.query(rows[0], k=MATCHES)
        else:
            table.query_batch(rows, k=MATCHES)
        calls.append(time.perf_counter() - started)
        asked.append(rows)
    return np.array(calls), np.concatenate(asked)


def _compared(rows: list[Row]) -> list[Row]:
    """The rows with their speed-ups over keras-example, and over tensorflow at their own batch size."""
    measured = {(row.engine, row.batch): row for row in rows if row.available}

    def ratio(base: Row | None, row: Row, field: str) -> float | None:
        mine, theirs = getattr(row, field), getattr(base, field, None)
        return theirs / mine if mine and theirs else None

    compared = []
    for row in rows:
        example, tensorflow = measured.get((EXAMPLE, 1)), measured.get(("tensorflow", row.batch))
        compared.append(
            replace(
                row,
                speedup_build=ratio(example, row, "build_seconds"),
                speedup_query=ratio(example, row, "query_seconds"),
                speedup_build_tensorflow=ratio(tensorflow, row, "build_seconds"),
                speedup_query_tensorflow=ratio(tensorflow, row, "query_seconds"),
            )
        )
    return compared


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far; not of the one that started it."""
    try:
        status = Path("/proc/self/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def describe_device(threads: int) -> str:
    """The processor, how many of its cores are used, and the GPU where there is one."""
    from neardup.embedding.hardware import find_gpu

    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    gpu = find_gpu()
    return f"{processor}, {threads} core{'s' * (threads != 1)}" + (f", {gpu}" if gpu else "")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "row.json").write_text(json.dumps(asdict(measure(folder))), encoding="utf-8")
