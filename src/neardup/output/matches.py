"""Matches of a query, and the comparison of two images."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from neardup.index import Index, Match
from neardup.jobs.compare import Comparison
from neardup.jobs.query import Answer, is_near
from neardup.output import Aside, Record, Rendering, one_record
from neardup.output.index import show_kinds
from neardup.text import show_count, show_path

MATCH_FIELDS = (
    "query", "error", "candidates", "path", "label", "similarity", "jaccard", "tables", "relation", "change",
    "query_label",
)  # fmt: skip


def render_answers(
    answers: Iterable[Answer], *, index: Index, threshold: float, exact: bool = False, codes: int | None = None
) -> Rendering:
    """One after the other, as they come; text ends with what its words mean.

    threshold:    where nobody looked at the pictures, text marks the matches below it
    exact, codes: as the index was asked
    """
    images, tables = index.images, index.tables or 0
    return Rendering(
        (_record(answer) for answer in answers),
        MATCH_FIELDS,
        (row for answer in answers for row in _rows(answer)),
        _text(answers, images, tables, threshold, _meanings(tables, exact, codes)),
    )


def _record(answer: Answer) -> Record:
    return {**_common(answer), "matches": [_match(match) for match in answer.best]}


def _rows(answer: Answer) -> list[Record]:
    common = _common(answer)
    return [{**common, **_match(match)} for match in answer.best] or [common]


def _common(answer: Answer) -> Record:
    return {
        "query": answer.query,
        "query_label": answer.label,
        "error": answer.error,
        "candidates": answer.candidates,
    }


def _match(match: Match) -> dict[str, object]:
    fields = ("label", "similarity", "jaccard", "tables", "relation", "change")
    return {"path": str(match.path)} | {name: getattr(match, name) for name in fields}


def _text(
    answers: Iterable[Answer], images: int, tables: int, threshold: float, meanings: Iterable[str]
) -> Iterator[str]:
    found = False
    for answer in answers:
        yield from _lines(answer, images, tables, threshold)
        found |= bool(answer.matches)
    if found:
        yield from map(Aside, meanings)


def _lines(answer: Answer, images: int, tables: int, threshold: float) -> Iterator[str]:
    shown = answer.query if "://" in answer.query or answer.query == "-" else show_path(Path(answer.query))
    yield (f"Query: {shown}{_label(answer.label)}")
    if answer.error is not None:
        yield (f"  {answer.error}")
        return
    yield (f"Matches: {answer.candidates} (candidates among {show_count(images, 'image')})")
    near = sum(is_near(match, threshold) for match in answer.matches)
    looked = any(match.relation is not None for match in answer.matches)
    for number, match in enumerate(answer.matches):
        if number == near:
            yield ("  not confirmed, other pictures:" if looked else _below(threshold))
        relation = f"{match.relation or '':<8}" if looked else ""
        words = f"  ({match.change})" if match.change else ""
        yield (
            f"  {match.similarity:6.3f}  {relation}jaccard {match.jaccard:.2f} ({match.tables}/{tables})"
            f"  {show_path(match.path)}{_label(match.label)}{words}"
        )
    if not answer.matches:
        yield ("  Nothing was found." if looked else f"  No image reaches the threshold of {threshold:.3f}.")


def _meanings(tables: int, exact: bool, codes: int | None) -> Iterator[str]:
    if exact:
        how = "every indexed image, as --exact asks for"
    elif codes is not None:
        how = f"the indexed images nearest by sign codes of {codes} bits"
    else:
        how = "indexed images in the query's bucket of a hash table or in one near it"
    yield f"candidates: {how}; these are compared with the query."
    yield (
        f"jaccard: of the buckets that the two images lie in, one in each of {show_count(tables, 'table')}, the share"
        f" that they have in common; (m/{tables}): the same bucket in m of them."
    )


def _label(label: str | None) -> str:
    return f"  [{label}]" if label is not None else ""


def _below(threshold: float) -> str:
    return f"  below the threshold of {threshold:.3f}, perhaps other pictures:"


def render_comparison(found: Comparison) -> Rendering:
    verdict = "near-duplicates" if found.duplicate else "different pictures"
    words = f": {found.change}" if found.change else ""
    line = f"{found.similarity:.3f}  {verdict}, {found.relation}{words} (threshold {found.threshold:.3f})"
    return one_record(found.as_json(), [line])


def render_info(fields: Record, buckets: Sequence[Record] | None) -> Rendering:
    """What an index holds; CSV has the members of buckets alone, where those were asked for."""
    lines = (
        f"{title:16} {shown}"
        for name, value in fields.items()
        for title, shown in zip(chain([name.replace("_", " ")], repeat("")), _shown(value), strict=False)
    )
    if buckets is None:
        return one_record(fields, lines, row={"roots": len(fields["roots"]), "passed_over": _total(fields)})
    members = ({"signature": bucket["signature"], **image} for bucket in buckets for image in bucket["images"])
    record = {**fields, "buckets": buckets}
    return Rendering([record], ("signature", "path", "label"), members, chain(lines, _bucket_lines(buckets)))


def _bucket_lines(buckets: Sequence[Record]) -> Iterator[str]:
    for bucket in buckets:
        yield f"bucket {bucket['signature']}"
        for member in bucket["images"]:
            yield f"  {show_path(Path(member['path']))}{_label(member['label'])}"


def _total(fields: Record) -> int:
    return sum(fields["passed_over"].values())


def _shown(value: Any) -> list[str]:
    """A value's lines."""
    if isinstance(value, list):
        return [_root(root) for root in value] or ["-"]
    if isinstance(value, dict):
        return [show_kinds(value) or "-"]
    if value is None or isinstance(value, str):
        return [value or "-"]
    return [f"{value:,}" if isinstance(value, int) else f"{value:.4f}"]


def _root(root: Record) -> str:
    away = "" if root["there"] else "  (gone or empty)"
    return f"{show_path(Path(root['path']))}  {show_count(root['images'], 'image')}{away}"
