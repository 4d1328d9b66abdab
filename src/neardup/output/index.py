"""What a run of `index` did."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from neardup.jobs.index import IndexReport
from neardup.output import Aside, Rendering
from neardup.text import show_count, show_path

FAILURES_SHOWN = 20


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
