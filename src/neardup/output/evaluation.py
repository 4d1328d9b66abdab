"""What `evaluate` found."""

from collections.abc import Iterator
from pathlib import Path

from neardup.evaluation import tables
from neardup.evaluation.calibration import FalseMatchRates, PrecisionThreshold
from neardup.evaluation.judgements import RANKS, JudgedScores
from neardup.evaluation.lookalikes.measure import LookalikeReport
from neardup.evaluation.suite import Report
from neardup.output import Rendering
from neardup.text import printable, show_count, show_path


def render_evaluation(
    report: Report, model: str, precision: PrecisionThreshold | None, rates: FalseMatchRates | None
) -> Rendering:
    """rates: of a calibration, where there was one; precision: its threshold, where one was found"""
    calibration = rates and {"precision": precision and precision.as_json(), "false_matches": rates.as_json()}
    record = {**report.as_json(), "model": model, "calibration": calibration}
    return Rendering([record], tables.CSV_FIELDS, tables.csv_rows(report), _lines(report, precision, rates))


def _lines(report: Report, precision: PrecisionThreshold | None, rates: FalseMatchRates | None) -> Iterator[str]:
    yield from tables.text_table(report)
    if rates:
        yield ""
        yield from tables.calibration_text(precision, rates)


def render_lookalikes(report: LookalikeReport, model: str) -> Rendering:
    record = {**report.as_json(), "model": model}
    return Rendering([record], tables.LOOKALIKE_FIELDS, tables.lookalike_rows(report), tables.lookalike_text(report))


def render_judged(scores: JudgedScores, model: str) -> Rendering:
    fields = {"model": model, **scores.as_json()}
    recall = ", ".join(f"recall@{k} {scores.recall[k]:.3f}" for k in RANKS)
    lines = [
        f"{scores.queries:,} judged {'query' if scores.queries == 1 else 'queries'} among"
        f" {show_count(scores.images, 'image')}, by {model}: mAP {scores.mean_average_precision:.3f}, {recall}",
        *(f"Left out: {show_path(Path(query))}: {printable(why)}" for query, why in scores.left_out),
    ]
    row = {name: value for name, value in fields.items() if name != "left_out"}
    return Rendering([fields], tuple(row), [row], lines)
