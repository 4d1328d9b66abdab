"""Groups of duplicates as text, JSON Lines, CSV or Parquet, on stdout or in a file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from neardup.actions import freed_by_default
from neardup.durable import replacing
from neardup.errors import BadInput, MissingPackage
from neardup.groups import DuplicateGroup, Member
from neardup.groups import Totals as LookTotals
from neardup.groups.keep import KeepPolicy
from neardup.groups.looking import Progress, Stage
from neardup.output import Rendering, emit, note
from neardup.output.progress import Bar
from neardup.text import plain, printable, show_bytes, show_count, show_path

FIELDS = (
    "group", "keeper", "path", "similarity", "relation", "change", "why", "damaged", "width", "height", "size_bytes",
    "label",
)  # fmt: skip
ENDINGS = (".json", ".csv", ".parquet", ".html")
_STAGES: dict[Stage, str] = {
    "propose": "Comparing embeddings",
    "look": "Looking at pairs",
    "settle": "Comparing versions",
    "describe": "Describing groups",
}
_ROWS_AT_A_TIME = 65_536
UNREADABLE_SHOWN = 5


@dataclass
class Totals:
    """What went by."""

    groups: int = 0
    images: int = 0
    freed_bytes: int = 0  # what dedup would give back to the disk, were nothing else asked of it
    keep: KeepPolicy = field(default_factory=KeepPolicy)

    def add(self, group: DuplicateGroup) -> None:
        self.groups += 1
        self.images += len(group.members)
        self.freed_bytes += freed_by_default(group, self.keep)

    def count(self, groups: Iterable[DuplicateGroup]) -> Iterator[DuplicateGroup]:
        for group in groups:
            self.add(group)
            yield group

    def __str__(self) -> str:
        duplicates = self.images - self.groups
        return (
            f"{show_count(self.groups, 'group')} of {show_count(self.images, 'image')}:"
            f" {show_count(duplicates, 'duplicate')}, {show_bytes(self.freed_bytes)} could be freed."
        )


def render_groups(groups: Iterable[DuplicateGroup], totals: Totals) -> Rendering:
    """As they come; text ends with the totals."""
    numbered = enumerate(groups, 1)
    records = (group_fields(number, group) for number, group in numbered)
    return Rendering(records, FIELDS, _rows(numbered), _lines(numbered, totals))


def _lines(groups: Iterable[tuple[int, DuplicateGroup]], totals: Totals) -> Iterator[str]:
    for number, group in groups:
        totals.add(group)
        yield f"Group {number}"
        for member in group.members:
            yield _line(member, "keep" if member is group.keeper else None)
    yield str(totals)


def write_group_file(groups: Iterable[DuplicateGroup], path: Path, totals: Totals) -> None:
    """By the ending: .json (JSON Lines), .csv or .parquet. The file is whole, or as it was before.

    raises: BadInput, MissingPackage (Parquet needs pyarrow)
    """
    counted = totals.count(groups)
    try:
        with replacing(path) as file:
            if path.suffix.lower() == ".parquet":
                _write_parquet(counted, file)
            else:
                text = TextIOWrapper(file, "utf-8", errors="backslashreplace", newline="")
                emit(render_groups(counted, Totals()), path.suffix.lower().removeprefix("."), text)
                text.detach()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; choose another file") from error


def check_ending(path: Path) -> None:
    if path.suffix.lower() not in ENDINGS:
        raise BadInput(f"{path}: the name ends in none of {', '.join(ENDINGS)}; the ending says what to write")


def _line(member: Member, role: str | None) -> str:
    size = f"{member.width} x {member.height}"
    said = role or member.kind
    told = [member.change, member.why and f"kept: {member.why}"] if role is None else []
    if member.damaged and (role is not None or member.why is None):
        told.append(f"damaged: {member.damaged}")
    words = f"  ({printable('; '.join(filter(None, told)))})" if any(told) else ""
    label = f"  [{printable(member.label)}]" if member.label is not None else ""
    return (
        f"  {member.similarity:6.3f}  {said:<7}  {size:>13}  {show_bytes(member.size_bytes):>9}"
        f"  {printable(show_path(member.path))}{label}{words}"
    )


def tell_totals(totals: LookTotals) -> None:
    """What looking at pairs came to, on stderr."""
    looked = totals.confirmed + totals.refused
    new = f", {totals.remembered:,} of them in an earlier run" if totals.remembered else ""
    note(
        f"{show_count(totals.candidates, 'pair')} at similarity {totals.floor:.2f} or above: {looked:,} looked at{new};"
        f" {totals.confirmed:,} confirmed, {totals.refused:,} refused, {totals.linked:,} linked by others."
    )
    if totals.left_out:
        note(f"Not looked at: {show_count(totals.left_out, 'pair')} of pictures with many look-alikes.")
    if totals.unread:
        note(
            f"Not looked at, and so not confirmed: {show_count(totals.unread, 'pair')} whose files cannot be read now:"
        )
        for path, reason in totals.unreadable[:UNREADABLE_SHOWN]:
            note(f"  {show_path(Path(path))}: {reason}")
        if len(totals.unreadable) > UNREADABLE_SHOWN:
            note(f"  ... and {len(totals.unreadable) - UNREADABLE_SHOWN:,} more")


def show_stages(bar: Bar, *, lines_come: bool) -> Progress:
    """What to tell the bar of finding groups; lines_come: groups are written to a terminal as they are described."""

    def tell(stage: Stage, done: int, total: int) -> None:
        if stage == "describe" and lines_come:
            bar.hide()
        else:
            bar.update(done, total, what=_STAGES[stage])

    return tell


def group_fields(number: int, group: DuplicateGroup) -> dict[str, Any]:
    """A group as it is in JSON."""
    return {
        "group": number,
        "keeper": str(group.keeper.path),
        "images": [_member_fields(member, group) for member in group.members],
    }


def _member_fields(member: Member, group: DuplicateGroup) -> dict[str, Any]:
    return {
        "path": str(member.path),
        "similarity": member.similarity,
        "relation": "keeper" if member is group.keeper else member.relation,
        "change": None if member is group.keeper else member.change,
        "why": member.why,
        "damaged": member.damaged,
        "width": member.width,
        "height": member.height,
        "size_bytes": member.size_bytes,
        "label": member.label,
    }


def _rows(groups: Iterable[tuple[int, DuplicateGroup]]) -> Iterator[dict[str, Any]]:
    """A row for each image, in the order of FIELDS."""
    for number, group in groups:
        for member in group.members:
            yield {"group": number, "keeper": str(group.keeper.path), **_member_fields(member, group)}


def _write_parquet(groups: Iterable[DuplicateGroup], file: BinaryIO) -> None:
    try:
        import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
        import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise MissingPackage("Parquet needs pyarrow: pip install 'neardup[parquet]'") from error
    types = (
        pa.int64(),
        pa.string(),
        pa.string(),
        pa.float64(),
        pa.string(),
        pa.string(),
        pa.string(),
        pa.string(),
        pa.int32(),
        pa.int32(),
        pa.int64(),
        pa.string(),
    )
    schema = pa.schema(list(zip(FIELDS, types, strict=True)))
    # Names that are not Unicode, with their bytes escaped.
    rows = (
        {key: plain(value) if isinstance(value, str) else value for key, value in row.items()}
        for row in _rows(enumerate(groups, 1))
    )
    with pq.ParquetWriter(file, schema) as writer:
        while block := list(islice(rows, _ROWS_AT_A_TIME)):
            writer.write_table(pa.Table.from_pylist(block, schema=schema))
