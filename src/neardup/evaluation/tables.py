"""A report as lines of text for a person, and as rows for a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from neardup.embedding.thresholds import RATES
from neardup.evaluation.calibration import FalseMatchRates, PrecisionThreshold
from neardup.evaluation.lookalikes import COPIES
from neardup.evaluation.lookalikes.measure import LookalikeReport
from neardup.evaluation.suite import Report, Scores
from neardup.text import show_path

OVERALL = {
    "uap": "uAP",
    "recall_at_1": "recall@1, mean",
    "recall_at_1pct_false_alarms": "recall at 1 % false alarms",
}
CSV_FIELDS = ("embedder", "attack", "recall_at_1", "recall_at_1pct_false_alarms", "uap")
LOOKALIKE_FIELDS = ("kind", "pictures", "taken", "copied", "copies_taken", *(f"recall_{copy}" for copy in COPIES))


def columns(report: Report) -> dict[str, Scores]:
    """Everything that was judged, the model first, by the name to show."""
    return {"model": report.model, **report.baselines}


def text_table(report: Report) -> list[str]:
    """Overall figures with the model's 95 % intervals, then recall@1 for each attack."""
    judged = columns(report)
    width = max(len(name) for name in (*OVERALL.values(), *report.model.attacks)) + 2
    lines = [
        f"{report.originals} photos attacked {len(report.model.attacks)} ways, searched among {report.gallery}; "
        f"{report.negatives} attacked photos that are not there.",
    ]
    if report.lookalikes:
        lines.append(f"Left out because another photo looks the same: {report.lookalikes}.")
    if report.negatives < 100:
        lines.append("With fewer than 100 negatives, no false alarm at all is allowed in the third figure.")
    lines += ["", " " * width + "".join(f"{name:>8}" for name in judged) + "   95 % interval of the model"]
    for key, title in OVERALL.items():
        low, high = report.model.intervals[key]
        figures = "".join(f"{getattr(scores, key):8.3f}" for scores in judged.values())
        lines.append(f"{title:<{width}}{figures}   {low:.3f} to {high:.3f}")
    lines += ["", "recall@1"]
    for attack in report.model.attacks:
        figures = "".join(f"{scores.attacks[attack].recall_at_1:8.3f}" for scores in judged.values())
        lines.append(f"{attack:<{width}}{figures}")
    if report.false_matches:
        lines += ["", "Most similar wrong answers (near-duplicates in the collection?)"]
        for match in report.false_matches[:5]:
            query, answer = show_path(match.query), show_path(match.match)
            lines.append(f"  {match.similarity:.3f}  {query} ({match.attack}) taken for {answer}")
    return lines


def calibration_text(precision: PrecisionThreshold | None, rates: FalseMatchRates) -> list[str]:
    """The threshold for the precision, if one reaches it, then those for the false-match rates."""
    lines = []
    if precision:
        found = precision.threshold
        lines += [
            f"Precision {precision.precision:g}: similarity {found.similarity:.3f} "
            f"({found.low:.3f} to {found.high:.3f}), where half of the queries have an original; "
            f"it finds {precision.recall:.1%} of the attacked photos.",
            "",
        ]
    lines += [
        f"False matches, from {rates.pairs:,} pairs of {rates.versions} versions of {rates.photos:,} photos:",
        f"{'':10}{'per pair':>10}{'similarity':>12}{'95 % interval':>18}",
    ]
    for name, threshold in rates.thresholds.items():
        interval = f"{threshold.low:.3f} to {threshold.high:.3f}"
        lines.append(f"{name:<10}{RATES[name]:>10.0e}{threshold.similarity:>12.3f}{interval:>18}")
    lines += ["", "Most similar pairs of different photos (near-duplicates? then list them in --same):"]
    for pair in rates.top_pairs[:10]:
        versions = f"{pair.a_version or 'itself'}, {pair.b_version or 'itself'}"
        lines.append(f"  {pair.similarity:.3f}  {show_path(pair.a)}  {show_path(pair.b)}  ({versions})")
    return lines


def csv_rows(report: Report) -> Iterator[dict[str, str | float]]:
    """Rows with the fields CSV_FIELDS: one for all attacks together, with the uAP, then one for each."""
    for name, scores in columns(report).items():
        yield {
            "embedder": name,
            "attack": "all",
            "recall_at_1": scores.recall_at_1,
            "recall_at_1pct_false_alarms": scores.recall_at_1pct_false_alarms,
            "uap": scores.uap,
        }
        for attack, figures in scores.attacks.items():
            yield {"embedder": name, "attack": attack, **asdict(figures)}


def lookalike_text(report: LookalikeReport) -> list[str]:
    """A line for each kind: pictures taken for copies of others, and the shares of genuine copies that are found."""
    width = max(len(kind) for kind in report.kinds) + 2
    heads = "".join(f"{copy:>9}" for copy in COPIES)
    lines = [
        "Pictures that are pairwise different, and how many dedup would take for copies of others;",
        "of some there are genuine copies: the shares in one group with their picture, and those given to another.",
        "",
        f"{'':{width}}{'pictures':>8}{'taken':>8}{heads}{'astray':>9}",
    ]
    for kind, scores in report.kinds.items():
        shares = "".join(f"{scores.recall[copy]:9.3f}" for copy in COPIES)
        lines.append(f"{kind:{width}}{scores.pictures:8}{scores.taken:8}{shares}{scores.copies_taken:9}")
    return lines


def lookalike_rows(report: LookalikeReport) -> Iterator[dict[str, str | float]]:
    """Rows with the fields LOOKALIKE_FIELDS, one for each kind."""
    for kind, scores in report.kinds.items():
        yield {
            "kind": kind,
            "pictures": scores.pictures,
            "taken": scores.taken,
            "copied": scores.copied,
            "copies_taken": scores.copies_taken,
            **{f"recall_{copy}": share for copy, share in scores.recall.items()},
        }
