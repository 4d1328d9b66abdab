"""Matches of a query, and the comparison of two images."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neardup.index import Index, Match
from neardup.jobs.compare import Comparison
from neardup.jobs.query import Answer, is_near
from neardup.output import write_csv, write_json, write_line
from neardup.text import show_count, show_path

MATCH_FIELDS = (
    "query", "error", "candidates", "path", "label", "similarity", "jaccard", "tables", "relation", "change",
)  # fmt: skip


def write_answers(answers: Iterable[Answer], format: str, *, index: Index, threshold: float) -> None:
    """One after the other, as they come.

    threshold: where nobody looked at the pictures, text marks the matches below it
    """
    if format == "csv":
        write_csv(MATCH_FIELDS, (row for answer in answers for row in _rows(answer)))
        return
    for answer in answers:
        if format == "json":
            write_json(
                {
                    "query": answer.query,
                    "error": answer.error,
                    "candidates": answer.candidates,
                    "matches": [_match(match) for match in answer.matches],
                }
            )
        else:
            _write_text(answer, index.images, index.tables or 0, threshold)


def _match(match: Match) -> dict[str, object]:
    fields = ("label", "similarity", "jaccard", "tables", "relation", "change")
    return {"path": str(match.path)} | {name: getattr(match, name) for name in fields}


def _rows(answer: Answer) -> list[dict[str, object]]:
    common: dict[str, object] = {"query": answer.query, "error": answer.error, "candidates": answer.candidates}
    return [common | _match(match) for match in answer.matches] or [common]


def _write_text(answer: Answer, images: int, tables: int, threshold: float) -> None:
    shown = answer.query if "://" in answer.query or answer.query == "-" else show_path(Path(answer.query))
    write_line(f"Query: {shown}")
    if answer.error is not None:
        write_line(f"  {answer.error}")
        return
    write_line(f"Matches: {answer.candidates} (candidates among {show_count(images, 'image')})")
    near = sum(is_near(match, threshold) for match in answer.matches)
    looked = any(match.relation is not None for match in answer.matches)
    for number, match in enumerate(answer.matches):
        if number == near:
            write_line("  not confirmed, other pictures:" if looked else _below(threshold))
        label = f"  [{match.label}]" if match.label is not None else ""
        relation = f"{match.relation or '':<8}" if looked else ""
        words = f"  ({match.change})" if match.change else ""
        write_line(
            f"  {match.similarity:6.3f}  {relation}jaccard {match.jaccard:.2f} ({match.tables}/{tables})"
            f"  {show_path(match.path)}{label}{words}"
        )
    if not answer.matches:
        write_line("  Nothing was found." if looked else f"  No image reaches the threshold of {threshold:.3f}.")


def _below(threshold: float) -> str:
    return f"  below the threshold of {threshold:.3f}, perhaps other pictures:"


def write_comparison(found: Comparison, format: str) -> None:
    fields = found.as_json()
    if format == "json":
        write_json(fields)
    elif format == "csv":
        write_csv(list(fields), [fields])
    else:
        verdict = "near-duplicates" if found.duplicate else "different pictures"
        words = f": {found.change}" if found.change else ""
        write_line(f"{found.similarity:.3f}  {verdict}, {found.relation}{words} (threshold {found.threshold:.3f})")


def write_info(fields: Mapping[str, Any], format: str, buckets: Sequence[Mapping[str, Any]] | None) -> None:
    if format == "json":
        write_json({**fields} | ({} if buckets is None else {"buckets": buckets}))
        return
    if format == "csv" and buckets is not None:
        members = ({"signature": bucket["signature"], **image} for bucket in buckets for image in bucket["images"])
        write_csv(("signature", "path", "label"), members)
        return
    if format == "csv":
        write_csv(list(fields), [fields])
        return
    for name, value in fields.items():
        write_line(f"{name.replace('_', ' '):16} {'-' if value is None else _shown(value)}")
    for bucket in buckets or ():
        write_line(f"bucket {bucket['signature']}")
        for member in bucket["images"]:
            label = f"  [{member['label']}]" if member["label"] is not None else ""
            write_line(f"  {show_path(Path(member['path']))}{label}")


def _shown(value: object) -> str:
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
