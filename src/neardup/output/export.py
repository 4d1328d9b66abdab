"""What `export` wrote."""

from neardup.jobs.export import ExportReport
from neardup.output import Rendering, one_record
from neardup.text import show_bytes, show_count, show_path


def render_export(report: ExportReport) -> Rendering:
    record = {
        "file": str(report.file),
        "images": report.images,
        "dim": report.dim,
        "model": report.model,
        "size_bytes": report.size_bytes,
        "seconds": round(report.seconds, 3),
    }
    line = (
        f"{show_path(report.file)} holds {show_count(report.images, 'image')} with {report.dim} numbers each"
        f" ({show_bytes(report.size_bytes)}), by {report.model}; compare them by cosine."
    )
    return one_record(record, [line])
