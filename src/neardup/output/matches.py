"""Matches of a query, and the comparison of two images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neardup.index import Match
from neardup.output import write_csv, write_json, write_line
from neardup.text import show_count, show_path

# Query images in one picture; more would be too tall to look at.
MOST_ROWS = 20
MATCH_FIELDS = ("query", "error", "candidates", "path", "label", "similarity", "jaccard", "tables")


@dataclass(frozen=True)
class Answer:
    """What was found for one query image; `error` where it could not be read."""

    query: str  # an absolute path, a URL, or -
    matches: Sequence[Match] = ()
    candidates: int = 0
    error: str | None = None


def write_answers(answers: Iterable[Answer], format: str, *, images: int, tables: int, threshold: float | None) -> None:
    """One after the other, as they come.

    images, tables: of the index
    threshold:      text marks the matches below it; None where the model has none
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
            _write_text(answer, images, tables, threshold)


def _match(match: Match) -> dict[str, object]:
    return {
        "path": str(match.path),
        "label": match.label,
        "similarity": match.similarity,
        "jaccard": match.jaccard,
        "tables": match.tables,
    }


def _rows(answer: Answer) -> list[dict[str, object]]:
    common: dict[str, object] = {"query": answer.query, "error": answer.error, "candidates": answer.candidates}
    return [common | _match(match) for match in answer.matches] or [common]


def _write_text(answer: Answer, images: int, tables: int, threshold: float | None) -> None:
    shown = answer.query if "://" in answer.query or answer.query == "-" else show_path(Path(answer.query))
    write_line(f"Query: {shown}")
    if answer.error is not None:
        write_line(f"  {answer.error}")
        return
    write_line(f"Matches: {answer.candidates} (candidates among {show_count(images, 'image')})")
    near = sum(threshold is None or match.similarity >= threshold for match in answer.matches)
    for number, match in enumerate(answer.matches):
        if number == near:
            write_line(f"  below the threshold of {threshold:.3f}, perhaps other pictures:")
        label = f"  [{match.label}]" if match.label is not None else ""
        write_line(
            f"  {match.similarity:6.3f}  jaccard {match.jaccard:.2f} ({match.tables}/{tables})"
            f"  {show_path(match.path)}{label}"
        )
    if not near:
        wanted = "nothing was found" if threshold is None else f"no image reaches the threshold of {threshold:.3f}"
        write_line(f"  {wanted[0].upper()}{wanted[1:]}.")


def write_comparison(fields: Mapping[str, Any], format: str) -> None:
    if format == "json":
        write_json(fields)
    elif format == "csv":
        write_csv(list(fields), [fields])
    else:
        verdict = "near-duplicates" if fields["duplicate"] else "different pictures"
        write_line(f"{fields['similarity']:.3f}  {verdict} (threshold {fields['threshold']:.3f})")


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
