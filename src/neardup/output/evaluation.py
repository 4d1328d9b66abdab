"""What `evaluate` found."""

from collections.abc import Iterator

from neardup.evaluation import tables
from neardup.evaluation.calibration import FalseMatchRates, PrecisionThreshold
from neardup.evaluation.lookalikes.measure import LookalikeReport
from neardup.evaluation.suite import Report
from neardup.output import Rendering


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
