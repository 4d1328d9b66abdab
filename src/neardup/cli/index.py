"""`neardup index`."""

import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from neardup.cli import options

_HOURS = {"h": 1, "d": 24, "w": 7 * 24}


def _age(ctx: click.Context, parameter: click.Parameter, chosen: str | None) -> timedelta | None:
    if chosen is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([hdw])", chosen)
    if not found or not int(found[1]):
        raise click.BadParameter(f"{chosen!r}: a number of hours, days or weeks, as in 12h, 90d or 8w")
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])


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
@click.option(
    "--newer-than", metavar="AGE", callback=_age,
    help="Take only files changed within this time, as in 12h, 90d or 8w; older ones leave the index, all of them.",
)  # fmt: skip
@click.option("--tables", type=click.IntRange(1, 64), metavar="N", help="Hash tables of a new index.  [default: 8]")
@click.option("--bits", type=click.IntRange(1, 32), metavar="N", help="Bits of a signature, at most.  [default: 24]")
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), metavar="N", help="Of a new index's hyperplanes.  [default: 0]"
)
@click.option(
    "--recall", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="R",
    help="Instead of --tables: as few as find this share of what is at cosine 0.9, by theory, among a million images.",
)  # fmt: skip
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C: what changes is indexed a second after it is quiet.")
@click.option("--null", "-0", is_flag=True, help="With '-': paths on stdin end with NUL, as find -print0 writes them.")
@click.option("--threads", type=click.IntRange(1, 256), help="Processor cores to use.  [default: all]")
@click.option(
    "--isolate", is_flag=True,
    help="Decode in processes of their own: what crashes its decoder, or takes a minute, is lost alone.",
)  # fmt: skip
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
    min_pixels: int,
    prune: tuple[str, ...],
    label_from_folder: bool,
    rebuild: bool,
    parts: bool,
    newer_than: timedelta | None,
    tables: int | None,
    bits: int | None,
    seed: int | None,
    recall: float | None,
    watch: bool,
    null: bool,
    threads: int | None,
    isolate: bool,
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

    A folder that is empty or gone all at once is taken for a disk that is away: what it held stays in the index, until
    --prune. An index that is moved together with its photos finds them again.
    """
    if not paths and (watch or dry_run or not prune):
        raise click.UsageError("Missing argument 'PATH...'.")
    if tables is not None and recall is not None:
        raise click.UsageError("--recall chooses the number of tables: leave --tables out")
    from neardup.images.globs import Globs
    from neardup.interrupts import sigterm_interrupts
    from neardup.jobs.index import hashing_of, index_images
    from neardup.jobs.prune import prune_index
    from neardup.jobs.watch import watch_images
    from neardup.output import emit, note
    from neardup.output.index import render_report
    from neardup.output.progress import Bar
    from neardup.sources.stdin import STDIN, read_paths

    if dry_run and ray is None:
        raise click.UsageError("--dry-run says what a run with --ray would take: give --ray, too")
    if isolate and ray is not None:
        raise click.UsageError("--isolate decodes in processes of this machine: leave --ray out")
    if watch and ray is not None:
        raise click.UsageError("--watch works in this process alone: leave --ray out")
    listed = None
    if STDIN in paths:
        listed = read_paths(sys.stdin.buffer if sys.stdin else None, end=b"\0" if null else b"\n")
    folders = [path for path in paths if path != STDIN]
    globs = Globs(include, exclude) if include or exclude else None
    if dry_run:
        from neardup.distributed.plan import plan_index
        from neardup.output.plan import render_index_plan

        plan = plan_index(folders, index, listed=listed, globs=globs, model=model, engine=engine, parts=parts)
        emit(render_index_plan(plan), format)
        return
    chosen: dict[str, Any] = {
        "globs": globs,
        "label_from_folder": label_from_folder,
        "rebuild": rebuild,
        "parts": parts,
        "min_pixels": min_pixels,
        "newer_than": newer_than,
        "hashing": hashing_of(tables=tables, bits=bits, seed=seed, recall=recall),
        "model": model,
        "engine": engine,
        "threads": threads,
        "isolate": isolate,
        "say": note,
    }
    pruned = prune_index(index, prune, say=note) if prune else None
    if pruned is not None and not paths:
        emit(render_report(pruned, index), format)
        return
    if watch:
        with sigterm_interrupts():
            try:
                for report in watch_images(paths, index, **chosen):
                    emit(render_report(report, index), format)
            except KeyboardInterrupt:
                note("Ended; what was committed is in the index.")
        return
    elsewhere = None
    if ray is not None:
        from neardup.distributed.index import on_ray

        elsewhere = on_ray(ray, index, model=model, engine=engine, parts=parts, threads=threads, say=note)
    with sigterm_interrupts(), Bar(unit="images") as bar:
        bar.begin("Indexing")
        report = index_images(
            folders, index, listed=listed, elsewhere=elsewhere, on_progress=lambda report: bar.update(report.done),
            on_total=bar.set_total if bar.is_shown else None, **chosen,
        )  # fmt: skip
    report.removed += pruned.removed if pruned is not None else 0
    emit(render_report(report, index), format)
    if report.failed and not (report.indexed or report.unchanged or report.removed):
        click.get_current_context().exit(1)
