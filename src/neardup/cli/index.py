"""`neardup index`."""

import sys
from pathlib import Path

import click

from neardup.cli import options


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@options.new_index_folder
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out what GLOB matches; may be repeated.")
@click.option("--include", multiple=True, metavar="GLOB", help="Take only what GLOB matches; may be repeated.")
@click.option("--label-from-folder", is_flag=True, help="Keep the name of each image's folder as its label.")
@click.option("--rebuild", is_flag=True, help="Start over, with another model for instance.")
@click.option(
    "--parts", is_flag=True,
    help="Embed corners and middles, too: groups then finds what was pasted into others. Takes six times as long.",
)  # fmt: skip
@click.option("--null", "-0", is_flag=True, help="With '-': paths on stdin end with NUL, as find -print0 writes them.")
@click.option("--threads", type=click.IntRange(1, 256), help="Processor cores to use.  [default: all]")
@options.ray
@click.option("--dry-run", is_flag=True, help="With --ray: only say what it would take.")
@options.model
@options.engine
@options.output_format
def index(
    paths: tuple[str, ...],
    index: Path,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    label_from_folder: bool,
    rebuild: bool,
    parts: bool,
    null: bool,
    threads: int | None,
    ray: str | None,
    dry_run: bool,
    model: str,
    engine: str,
    format: str,
) -> None:
    """Add every image under each PATH to the index, or bring them up to date.

    PATH is a folder, an image file, '-' (a list of paths on stdin), tfds:NAME[:SPLIT], or a URL of object storage
    (s3://BUCKET/PREFIX, gs://, hdfs://; needs pip install 'neardup[parquet]'). Run again, it embeds new and
    changed files only; files that vanished below the PATHs leave the index. An interrupted run goes on where it was.

    GLOB matches a file by its name, by its path below PATH, or by a folder in between: '*.png', 'cache', '2019/*/raw'
    ('*' also stands for slashes, and case counts). What is left out leaves the index as well. A PATH that is a file, or
    comes on stdin, is matched by its name.
    """
    from neardup.images.globs import Globs
    from neardup.interrupts import sigterm_interrupts
    from neardup.jobs.index import index_images
    from neardup.output import emit, note
    from neardup.output.index import Progress, render_report
    from neardup.sources.stdin import STDIN, read_paths

    if dry_run and ray is None:
        raise click.UsageError("--dry-run says what a run with --ray would take: give --ray, too")
    listed = None
    if STDIN in paths:
        listed = read_paths(sys.stdin.buffer if sys.stdin else None, end=b"\0" if null else b"\n")
    globs = Globs(include, exclude) if include or exclude else None
    places = [path for path in paths if path != STDIN]
    if dry_run:
        from neardup.distributed.plan import plan_index
        from neardup.output.plan import render_index_plan

        plan = plan_index(places, index, listed=listed, globs=globs, model=model, engine=engine, parts=parts)
        emit(render_index_plan(plan), format)
        return
    elsewhere = None
    if ray is not None:
        from neardup.distributed.index import on_ray

        elsewhere = on_ray(ray, index, model=model, engine=engine, parts=parts, threads=threads, say=note)
    with sigterm_interrupts(), Progress() as progress:
        report = index_images(
            places,
            index,
            listed=listed,
            globs=globs,
            label_from_folder=label_from_folder,
            rebuild=rebuild,
            parts=parts,
            model=model,
            engine=engine,
            threads=threads,
            elsewhere=elsewhere,
            say=note,
            on_progress=progress.update,
            on_total=progress.set_total if progress.is_shown else None,
        )
    emit(render_report(report, index), format)
    if report.failed and not (report.indexed or report.unchanged or report.removed):
        click.get_current_context().exit(1)
