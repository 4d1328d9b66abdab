"""What `evaluate --labelled` found."""

import math
from collections.abc import Iterator

from neardup.evaluation.labelled import NEIGHBOURS, LabelledReport
from neardup.output import Rendering
from neardup.text import printable, show_count

FIELDS = ("search", "recall_at_1", "recall_at_5", "knn_accuracy", "mean_average_precision")


def render_labelled(report: LabelledReport, model: str) -> Rendering:
    found = report.as_json()
    rows = [{"search": name, **{field: found[name][field] for field in FIELDS[1:]}} for name in ("exact", "lsh")]
    return Rendering([{"model": model, **found}], FIELDS, rows, _lines(report, model))


def _lines(report: LabelledReport, model: str) -> Iterator[str]:
    classes = report.pictures.classes
    yield f"{show_count(len(report.pictures.paths), 'image')} of {len(classes)} classes, each searched for by {model}"
    yield f"search   recall@1  recall@5  {NEIGHBOURS}-NN accuracy    mAP"
    for name, scores in (("exact", report.exact), ("LSH", report.lsh)):
        ranked = "" if math.isnan(scores.mean_average_precision) else f"  {scores.mean_average_precision:5.3f}"
        yield (f"{name:<8} {scores.recall_at_1:8.3f}  {scores.recall_at_5:8.3f}  {scores.knn_accuracy:14.3f}{ranked}")
    yield ""
    yield "taken for (columns), by exact search:"
    names = [printable(name)[:12] for name in classes]
    for name, counts in zip(names, report.exact.confusion.tolist(), strict=True):
        yield f"  {name:<12} " + " ".join(f"{count:5}" for count in counts)
