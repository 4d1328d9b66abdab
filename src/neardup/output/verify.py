"""What `verify` and `repair` found."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neardup.index.findings import Finding
from neardup.index.repair import Repaired
from neardup.jobs.verify import Verified
from neardup.output import Rendering
from neardup.text import show_bytes, show_count, show_path

_FIELDS = ("path", "wrong", "advice", "mends", "damage")


def render_verified(verified: Verified, index: Path) -> Rendering:
    rows = [_fields(finding) for finding in verified.findings]
    seen = verified.seen
    record = {
        "index": str(index.absolute()),
        "valid": verified.is_whole,
        "images": seen.images,
        "segments": seen.segments,
        "size_bytes": seen.size_bytes,
        "seconds": round(verified.seconds, 3),
        "findings": rows,
    }
    damaged = sum(finding.is_damage for finding in verified.findings)
    told = f"{show_count(damaged, 'damage')} found; 'neardup repair' mends what can be mended." if damaged else "whole."
    total = (
        f"{show_path(index)}: {show_count(seen.images, 'image')}, {show_count(seen.segments, 'segment')},"
        f" {show_bytes(seen.size_bytes)} looked at: {told}"
    )
    return Rendering([record], _FIELDS, rows, [*map(_line, verified.findings), total])


def render_repaired(repaired: Repaired, index: Path) -> Rendering:
    rows = [_fields(finding) | {"mended": repaired.is_mended(finding)} for finding in repaired.found]
    rows += [_fields(finding) | {"mended": False} for finding in repaired.left if finding not in repaired.found]
    record = {
        "index": str(index.absolute()),
        "valid": not any(finding.is_damage for finding in repaired.left),
        "images": repaired.images,
        "mended": sum(row["mended"] for row in rows),
        "left": len(repaired.left),
        "lost_images": repaired.lost_images,
        "lost_embeddings": repaired.lost_contents,
        "unread": repaired.unread,
        "kept": None if repaired.kept is None else str(repaired.kept),
        "findings": rows,
    }
    return Rendering([record], (*_FIELDS, "mended"), rows, _repair_lines(repaired, index))


def _repair_lines(repaired: Repaired, index: Path) -> Iterator[str]:
    mended = [finding for finding in repaired.found if repaired.is_mended(finding)]
    yield from (f"mended: {show_path(finding.path)}: {finding.wrong}" for finding in mended)
    yield from (f"left: {_line(finding)}" for finding in repaired.left)
    yield from _losses(repaired)
    yield f"{show_path(index)} holds {show_count(repaired.images, 'image')}; {len(mended):,} mended."


def _losses(repaired: Repaired) -> Iterator[str]:
    for table, count in repaired.unread.items():
        yield f"lost: {'rows' if count is None else show_count(count, 'row')} of the catalogue's {table}"
    if repaired.lost_images or repaired.lost_contents:
        yield (
            f"lost: {show_count(repaired.lost_contents, 'embedding')}; {show_count(repaired.lost_images, 'image')} left"
            " the index, and the next 'neardup index' embeds them anew"
        )
    if repaired.kept is not None:
        yield f"The damaged catalogue is kept as {show_path(repaired.kept)}."


def _fields(finding: Finding) -> dict[str, Any]:
    return {
        "path": str(finding.path),
        "wrong": finding.wrong,
        "advice": finding.advice,
        "mends": finding.mends,
        "damage": finding.is_damage,
    }


def _line(finding: Finding) -> str:
    return f"{show_path(finding.path)}: {finding.wrong}; {finding.advice}"
