"""What `bench --lsh` measured, as a table, JSON and CSV."""

from collections.abc import Iterator
from dataclasses import asdict, fields

from neardup.evaluation.lsh_grid import FIRST, LshGrid, Setting
from neardup.output import Rendering


def render_grid(grid: LshGrid) -> Rendering:
    """CSV has the tables; the codes are in JSON and text."""
    rows = [asdict(setting) for setting in grid.settings]
    return Rendering([asdict(grid)], [field.name for field in fields(Setting)], rows, _lines(grid))


def _lines(grid: LshGrid) -> Iterator[str]:
    looked = "its own bucket" if grid.probes == 1 else f"{grid.probes} buckets"
    yield (
        f"{grid.rows:,} embeddings of {grid.dim} from {grid.source}; {grid.queries:,} queries at cosine"
        f" {grid.similarity:g} to one of them, {looked} of each table looked into"
    )
    yield ""
    yield "tables  bits  recall  theory  candidates    theory  query us"
    for each in grid.settings:
        expected = "" if each.expected_candidates is None else f"{each.expected_candidates:.1f}"
        yield (
            f"{each.tables:6}{each.bits:6}{each.recall:8.3f}{each.expected_recall:8.3f}{each.candidates:12.1f}"
            f"{expected:>10}{each.query_us:10.0f}"
        )
    yield ""
    yield f"Sign codes: the best match by float16 ({2 * grid.dim} bytes an image) is among the first {FIRST}"
    yield "  bits  bytes an image  recall  query us"
    for code in grid.codes:
        yield f"{code.bits:6}{code.bytes_per_image:16}{code.recall:8.3f}{code.query_us:10.0f}"
