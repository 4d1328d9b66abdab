"""What a run of `index` did, and its progress."""

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from neardup.jobs.index import IndexReport
from neardup.output import Aside, Rendering
from neardup.text import show_count, show_path

FAILURES_SHOWN = 20
SECONDS_BETWEEN_UPDATES = 0.1


class Progress:
    """A progress bar on stderr, on a terminal only."""

    def __init__(self) -> None:
        self.is_shown = sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._drawn = 0.0

    def __enter__(self) -> "Progress":
        if self.is_shown:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                SpinnerColumn,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("Indexing", total=None, rate="")
            self._bar.start()
        return self

    def set_total(self, images: int) -> None:
        """From any thread."""
        self._bar.update(self._task, total=images)

    def update(self, report: IndexReport) -> None:
        now = time.monotonic()
        if self._bar is not None and now - self._drawn >= SECONDS_BETWEEN_UPDATES:
            self._drawn = now
            done = report.indexed + report.unchanged + len(report.failed)
            speed = self._bar.tasks[0].speed
            self._bar.update(self._task, completed=done, rate=f"{speed:.0f} images/s" if speed else "")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def render_report(report: IndexReport, index: Path) -> Rendering:
    passed_over = sum(report.passed_over.values())
    record = {
        "indexed": report.indexed,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "failed": [{"path": str(failure.path), "error": failure.error} for failure in report.failed],
        "passed_over": report.passed_over,
        "images": report.images,
        "seconds": round(report.seconds, 3),
        "images_per_second": round(report.images_per_second, 1),
        "away": [{"path": str(away.path), "images": away.images} for away in report.away],
        "too_old": report.too_old,
    }
    row = record | {"failed": len(report.failed), "passed_over": passed_over, "away": len(report.away)}
    failures = list(_failures(report))
    return Rendering([record], tuple(record), [*failures, row], [*failures, *_lines(report, passed_over, index)])


def show_kinds(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())


def _failures(report: IndexReport) -> Iterator[Aside]:
    for failure in report.failed[:FAILURES_SHOWN]:
        yield Aside(f"  {show_path(failure.path)}: {failure.error}")
    if len(report.failed) > FAILURES_SHOWN:
        yield Aside(f"  ... and {len(report.failed) - FAILURES_SHOWN} more; --format json lists them all")


def _lines(report: IndexReport, passed_over: int, index: Path) -> Iterator[str]:
    failed = f", {len(report.failed):,} could not be read" if report.failed else ""
    removed = f", {report.removed:,} removed" if report.removed else ""
    removed += f", {report.too_old:,} too old" if report.too_old else ""
    copies = report.indexed - report.embedded
    same = f" ({show_count(copies, 'copy')} of known files)".replace("copys", "copies") if copies else ""
    yield (
        f"Indexed {show_count(report.indexed, 'image')}{same}, {report.unchanged:,} unchanged{removed}{failed}"
        f" in {report.seconds:.1f} s ({report.images_per_second:.0f} images/s)."
    )
    yield f"{show_path(index)} holds {show_count(report.images, 'image')}."
    if passed_over:
        yield f"{show_count(passed_over, 'file')} passed over: {show_kinds(report.passed_over)}"
