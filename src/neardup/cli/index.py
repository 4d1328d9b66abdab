"""`neardup index`."""

import sys
from pathlib import Path

import click

from neardup.cli import options


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...")
@options.new_index_folder
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out what GLOB matches; may be repeated.")
@click.option("--include", multiple=True, metavar="GLOB", help="Take only what GLOB matches; may be repeated.")
@click.option(
    "--min-pixels", type=click.IntRange(min=0), default=0, metavar="N",
    help="Pass over pictures whose shorter side has fewer pixels: icons, thumbnails.",
)  # fmt: skip
@click.option(
    "--prune", multiple=True, metavar="OLDROOT",
    help="Forget what lay below a folder that is gone for good; may be repeated, and given without a PATH.",
)  # fmt: skip
@click.option("--label-from-folder", is_flag=True, help="Keep the name of each image's folder as its label.")
@click.option("--rebuild", is_flag=True, help="Start over, with another model for instance.")
@click.option(
    "--parts", is_flag=True,
    help="Embed corners and middles, too: groups then finds what was pasted into others. Takes six times as long.",
)  # fmt: skip
@click.option("--null", "-0", is_flag=True, help="With '-': paths on stdin end with NUL, as find -print0 writes them.")
@click.option("--threads", type=click.IntRange(1, 256), help="Processor cores to use.  [default: all]")
@options.model
@options.engine
@options.output_format
def index(
    paths: tuple[str, ...],
    index: Path,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    min_pixels: int,
    prune: tuple[str, ...],
    label_from_folder: bool,
    rebuild: bool,
    parts: bool,
    null: bool,
    threads: int | None,
    model: str,
    engine: str,
    format: str,
) -> None:
    """Add every image under each PATH to the index, or bring them up to date.

    PATH is a folder, an image file, '-' (a list of paths on stdin) or tfds:NAME[:SPLIT]. Run again, it embeds new and
    changed files only; files that vanished below the PATHs leave the index. An interrupted run goes on where it was.

    GLOB matches a file by its name, by its path below PATH, or by a folder in between: '*.png', 'cache', '2019/*/raw'
    ('*' also stands for slashes, and case counts). What is left out leaves the index as well. A PATH that is a file, or
    comes on stdin, is matched by its name.

    A folder that is empty or gone all at once is taken for a disk that is away: what it held stays in the index, until
    --prune. An index that is moved together with its photos finds them again.
    """
    if not paths and not prune:
        raise click.UsageError("Missing argument 'PATH...'.")
    from neardup.images.globs import Globs
    from neardup.interrupts import sigterm_interrupts
    from neardup.jobs.index import index_images
    from neardup.jobs.prune import prune_index
    from neardup.output import emit, note
    from neardup.output.index import Progress, render_report
    from neardup.sources.stdin import STDIN, read_paths

    pruned = prune_index(index, prune, say=note) if prune else None
    if pruned is not None and not paths:
        emit(render_report(pruned, index), format)
        return
    listed = None
    if STDIN in paths:
        listed = read_paths(sys.stdin.buffer if sys.stdin else None, end=b"\0" if null else b"\n")
    with sigterm_interrupts(), Progress() as progress:
        report = index_images(
            [path for path in paths if path != STDIN],
            index,
            listed=listed,
            globs=Globs(include, exclude) if include or exclude else None,
            label_from_folder=label_from_folder,
            rebuild=rebuild,
            parts=parts,
            min_pixels=min_pixels,
            model=model,
            engine=engine,
            threads=threads,
            say=note,
            on_progress=progress.update,
            on_total=progress.set_total if progress.is_shown else None,
        )
    report.removed += pruned.removed if pruned is not None else 0
    emit(render_report(report, index), format)
    if report.failed and not (report.indexed or report.unchanged or report.removed):
        click.get_current_context().exit(1)
