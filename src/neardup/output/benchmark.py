"""What `bench` measured, as a table, JSON and CSV."""

from dataclasses import asdict, fields

from neardup.evaluation.benchmark import Benchmark, Row
from neardup.output import Rendering
from neardup.text import show_bytes

_HEADINGS = (
    "engine", "precision", "batch", "build s", "query s", "p50 ms", "p95 ms", "hits", "memory",
    "build ×", "query ×", "build ×tf", "query ×tf",
)  # fmt: skip


def render_benchmark(result: Benchmark) -> Rendering:
    rows = [asdict(row) for row in result.rows]
    return Rendering([asdict(result)], [field.name for field in fields(Row)], rows, text_table(result))


def text_table(result: Benchmark) -> list[str]:
    first = result.rows[0]
    lines = [
        f"{result.device}; model {result.model}; {first.images:,} images and {first.queries:,} queries from"
        f" {result.source}"
    ]
    if result.synthetic:
        lines.append("The images are noise, made up: times of embedding hold, what queries find does not.")
    elif result.decode_seconds:
        rate = first.images / result.decode_seconds
        lines.append(f"Decoding, not in the times below: {result.decode_seconds:.1f} s ({rate:,.0f} images/s)")
    measured = [row for row in result.rows if row.available]
    if measured:
        cells = [list(_HEADINGS), *(_cells(row) for row in measured)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
        lines.append("")
        for line in cells:
            padded = [c.ljust(w) if n < 2 else c.rjust(w) for n, (c, w) in enumerate(zip(line, widths, strict=True))]
            lines.append("  ".join(padded).rstrip())
        lines += ["", "×: times as fast as keras-example; ×tf: as tensorflow at that batch; p50, p95: of one call;"]
        lines.append("hits: entries in a query's own buckets over all tables, which the example prints as its matches")
    reasons = {row.engine: row.reason for row in result.rows if not row.available}
    lines += [f"Not available: {engine}: {reason}" for engine, reason in reasons.items()]
    return lines


def _cells(row: Row) -> list[str]:
    def number(value: float | None, digits: int = 1) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    return [
        row.engine,
        row.precision,
        str(row.batch),
        number(row.build_seconds, 2),
        number(row.query_seconds, 2),
        number(row.query_ms_p50),
        number(row.query_ms_p95),
        number(row.hits),
        "" if row.peak_memory_bytes is None else show_bytes(row.peak_memory_bytes),
        number(row.speedup_build),
        number(row.speedup_query),
        number(row.speedup_build_tensorflow),
        number(row.speedup_query_tensorflow),
    ]
