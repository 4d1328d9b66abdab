"""`neardup index`."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from neardup.cli import options
from neardup.errors import BadInput

if TYPE_CHECKING:
    from neardup.pipeline import ImageFile


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@options.new_index_folder
@click.option("--label-from-folder", is_flag=True, help="Keep the name of each image's folder as its label.")
@click.option("--rebuild", is_flag=True, help="Start over, with another model for instance.")
@click.option("--null", "-0", is_flag=True, help="With '-': paths on stdin end with NUL, as find -print0 writes them.")
@click.option("--threads", type=click.IntRange(1, 256), help="Processor cores to use.  [default: all]")
@options.model
@options.engine
@options.output_format
def index(
    paths: tuple[str, ...],
    index: Path,
    label_from_folder: bool,
    rebuild: bool,
    null: bool,
    threads: int | None,
    model: str,
    engine: str,
    format: str,
) -> None:
    """Add every image under each PATH to the index, or bring them up to date.

    PATH is a folder, an image file, '-' (a list of paths on stdin) or tfds:NAME[:SPLIT]. Run again, it embeds new and
    changed files only; files that vanished below the PATHs leave the index. An interrupted run goes on where it was.
    """
    from neardup.datasets import is_dataset, open_dataset
    from neardup.embedding import MANY, cores, load_embedder
    from neardup.images import DECODER
    from neardup.index import Index, Model
    from neardup.interrupts import sigterm_interrupts
    from neardup.output import note
    from neardup.output.index import Progress, write_report
    from neardup.pipeline import Indexer, Source, distinct_roots, find_sources

    threads = threads or cores()
    datasets = [open_dataset(path) for path in paths if is_dataset(path)]
    roots = distinct_roots(Path(path) for path in paths if path != "-" and not is_dataset(path))
    unreadable: list[tuple[Path, OSError]] = []

    def files(on_error: Callable[[Path, OSError], None]) -> Iterator[Source]:
        return find_sources(roots, leave_out=index, label_from_folder=label_from_folder, on_error=on_error)

    def count() -> int | None:
        if "-" in paths:
            return None
        return sum(1 for _ in files(lambda path, error: None)) + sum(map(len, datasets))

    def few() -> int | None:
        """How many there are; None for more than need be counted to know that there are many."""
        if "-" in paths:
            return None
        found = sum(map(len, datasets)) + sum(1 for _ in islice(files(lambda path, error: None), MANY))
        return found if found < MANY else None

    def sources() -> Iterator[Source]:
        yield from files(lambda path, error: unreadable.append((path, error)))
        if "-" in paths:
            yield from _listed(_stdin_paths(b"\0" if null else b"\n"), roots, label_from_folder)
        for dataset in datasets:
            yield from dataset

    embedder = load_embedder(model, engine, threads=threads, images=few())
    recorded = Model(
        name=embedder.model.reference,
        digest=embedder.model.digest,
        engine=embedder.engine.name,
        precision=embedder.engine.precision,
        decoder=DECODER,
        dim=embedder.dim,
    )
    with Index.write(index, recorded, rebuild=rebuild, wait=note) as writer, sigterm_interrupts():
        if writer.warning:
            note(f"Warning: {writer.warning}")
        with Progress(count) as progress:
            indexer = Indexer(writer, embedder, threads=threads, on_progress=progress.update)
            try:
                report = indexer.run(sources(), lambda: _whole(roots, unreadable))
            except KeyboardInterrupt:
                note(f"Interrupted: {writer.images} images are in the index; run the same command to go on.")
                raise
    for path, error in unreadable:
        note(f"Warning: {path}: {error.strerror}; what is below stays in the index as it was")
    write_report(report, format, index)
    if report.failed and not (report.indexed or report.unchanged or report.removed):
        click.get_current_context().exit(1)


def _whole(roots: Iterable[Path], unreadable: list[tuple[Path, OSError]]) -> list[Path]:
    """The roots that were looked at wholly: below the others, what was not seen need not be gone."""
    return [root for root in roots if not any(path.is_relative_to(root) for path, _ in unreadable)]


def _stdin_paths(end: bytes) -> Iterator[Path]:
    """Paths on stdin, as bytes: names need not be valid Unicode."""
    if sys.stdin is None:
        raise BadInput("standard input is closed; give the list of paths there, or leave '-' out")
    rest = b""
    while block := sys.stdin.buffer.read(1 << 16):
        *paths, rest = (rest + block).split(end)
        yield from (_absolute(path, end) for path in paths if path)
    if rest:
        yield _absolute(rest, end)


def _absolute(path: bytes, end: bytes) -> Path:
    """Lines may end in CR LF; a name that ends in CR takes --null."""
    return Path(os.path.abspath(os.fsdecode(path.removesuffix(b"\r") if end == b"\n" else path)))


def _listed(paths: Iterable[Path], roots: list[Path], label_from_folder: bool) -> Iterator["ImageFile"]:
    """Images of a list, each once, without those that a root has offered; what is there and no image is passed over."""
    from neardup.images import may_be_image
    from neardup.pipeline import ImageFile

    offered: set[Path] = set()
    for path in paths:
        if path not in offered and not any(path.is_relative_to(root) for root in roots):
            offered.add(path)
            if not may_be_image(path):
                continue
            yield ImageFile(path, path.parent.name if label_from_folder else None)
