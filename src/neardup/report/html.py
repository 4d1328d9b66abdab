"""Groups as one HTML file that shows itself: thumbnails inside, nothing loaded from anywhere.

The groups are written as they come, each as a <template> that the page's script shows when its turn comes; memory
does not grow with their number, beyond those that tell how small the thumbnails have to be.
"""

import os
import shutil
import tempfile
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from neardup import __version__
from neardup.actions import Looks, freed_by_default
from neardup.durable import replacing
from neardup.embedding.hardware import cores
from neardup.errors import BadInput, UnreadableImage
from neardup.groups.keep import KeepPolicy
from neardup.images import ByteBudget
from neardup.report.thumbnails import Thumbnail, make_thumbnail
from neardup.sources import is_record
from neardup.text import printable, show_bytes

if TYPE_CHECKING:
    import jinja2

    from neardup.actions.losses import Loss
    from neardup.groups import DuplicateGroup, Member

# Longer edge in pixels and WebP quality of the thumbnails of a report of up to so many images: 763 groups, of three or
# four each, take less than 10 MB. All of one report are alike, so that many are looked for before the first is drawn.
THUMBNAILS = ((240, 60, 1000), (160, 55, 1600), (112, 45, 2600), (96, 45, 1 << 62))
# A crowd of copies is told from its first images; a file of all would not open.
MOST_IMAGES = 120
_KINDS = ("exact", "copy", "edited", "similar", "near")
# Images decoded ahead of the group being written.
AHEAD = 64


@dataclass
class Totals:
    groups: int = 0
    images: int = 0
    # Images beside the keepers, by their relation to them.
    exact: int = 0
    copy: int = 0
    edited: int = 0
    similar: int = 0
    near: int = 0  # nobody looked at the pictures
    freed_bytes: int = 0  # what dedup would give back to the disk, were nothing else asked of it

    def add(self, group: "DuplicateGroup", freed: int) -> None:
        self.groups += 1
        self.images += len(group.members)
        self.freed_bytes += freed
        for kind, images in group.kinds().items():
            setattr(self, kind, getattr(self, kind) + images)


@dataclass(frozen=True)
class Drawn:
    """A thumbnail, or why there is none."""

    thumbnail: Thumbnail | None
    problem: str = ""


@dataclass(frozen=True)
class Told:
    """When an image was taken, and what would go with it."""

    date: str | None
    loss: "Loss"  # nothing of the keeper


def write_report(
    groups: Iterable["DuplicateGroup"],
    path: Path,
    *,
    title: str = "Near-duplicate images",
    facts: Sequence[str] = (),
    keep: KeepPolicy | None = None,
    threads: int | None = None,
) -> Totals:
    """Write the groups as one HTML file; returns what the page's head sums up.

    facts: short phrases for the line below the title: the index, the threshold, ...
    keep:  by which the groups were found; what it protects cannot be freed
    Raises BadInput where the file cannot be written. `path` holds the old file or the new, whole.
    """
    totals = Totals()
    try:
        with tempfile.TemporaryFile(dir=path.parent) as body, replacing(path) as file:
            _write_groups(groups, body, totals, keep or KeepPolicy(), threads)
            # The head says what the groups come to, so it is made last.
            _write_page(file, body, title, [*facts, f"{datetime.now():%Y-%m-%d %H:%M}"], totals)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; choose another place for the report") from error
    return totals


def _write_page(file: BinaryIO, body: BinaryIO, title: str, facts: Sequence[str], totals: Totals) -> None:
    from markupsafe import Markup

    style, script = _asset("base.css") + _asset("report.css"), _asset("report.js")
    head = _template("head.html").render(
        title=printable(title),
        facts=[printable(fact) for fact in facts],
        totals=totals,
        kinds={kind: count for kind in _KINDS if (count := getattr(totals, kind))},
        version=__version__,
        style=Markup(style),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    file.write(head.encode())
    body.seek(0)
    shutil.copyfileobj(body, file, 1 << 20)
    file.write(_template("tail.html").render(script=Markup(script)).encode())


def _write_groups(
    groups: Iterable["DuplicateGroup"], file: BinaryIO, totals: Totals, keep: KeepPolicy, threads: int | None
) -> None:
    template = _template("group.html")
    with ThreadPoolExecutor(threads or cores()) as pool:
        for group, drawn, told in _with_thumbnails(groups, pool):
            freed = freed_by_default(group, keep)
            totals.add(group, freed)
            text = template.render(
                number=totals.groups,
                kinds=group.kinds(),
                freed_bytes=freed,
                count=len(group.members),
                least=min(member.similarity for member in group.members),
                images=[
                    _shown(member, drawn[member.digest], said)
                    for member, said in zip(group.members[:MOST_IMAGES], told, strict=True)
                ],
            )
            file.write(text.encode())


def _with_thumbnails(
    groups: Iterable["DuplicateGroup"], pool: ThreadPoolExecutor
) -> Iterator[tuple["DuplicateGroup", dict[bytes, Drawn], list[Told]]]:
    """Each group with what its images look like, by digest (byte copies are decoded once), and what they say."""
    budget, looks = ByteBudget(), Looks()
    images, groups = _counted(groups)
    edge, quality = next((edge, quality) for edge, quality, most in THUMBNAILS if images <= most)
    waiting: deque[tuple[DuplicateGroup, dict[bytes, Future[Drawn]], Future[list[Told]]]] = deque()
    pending = 0
    for group in groups:
        futures: dict[bytes, Future[Drawn]] = {}
        for digest, copies in _copies(group.members[:MOST_IMAGES]).items():
            futures[digest] = pool.submit(_draw, copies, edge, quality, budget)
        waiting.append((group, futures, pool.submit(_tell, looks, group)))
        pending += len(futures)
        while pending > AHEAD:
            first, drawing, telling = waiting.popleft()
            pending -= len(drawing)
            yield first, _results(drawing), telling.result()
    for first, drawing, telling in waiting:
        yield first, _results(drawing), telling.result()


def _counted(groups: Iterable["DuplicateGroup"]) -> tuple[int, Iterator["DuplicateGroup"]]:
    """How many images the groups show, as far as their size depends on it, and the groups."""
    most = max(most for *_, most in THUMBNAILS[:-1])
    images, rest = 0, iter(groups)
    seen: list[DuplicateGroup] = []
    while images <= most and (group := next(rest, None)) is not None:
        images += min(len(group.members), MOST_IMAGES)
        seen.append(group)
    return images, chain(seen, rest)


def _results(drawing: dict[bytes, "Future[Drawn]"]) -> dict[bytes, Drawn]:
    return {digest: future.result() for digest, future in drawing.items()}


def _tell(looks: Looks, group: "DuplicateGroup") -> list[Told]:
    losses = looks.losses.of_group(group.members, group.keeper, looks.digests, MOST_IMAGES)
    return [Told(looks.losses.date(member), loss) for member, loss in zip(group.members, losses, strict=False)]


def _copies(members: Sequence["Member"]) -> dict[bytes, list[Path]]:
    """Paths by digest, in order."""
    paths: dict[bytes, list[Path]] = {}
    for member in members:
        paths.setdefault(member.digest, []).append(member.path)
    return paths


def _draw(copies: Sequence[Path], edge: int, quality: int, budget: ByteBudget) -> Drawn:
    """A thumbnail of the first of these byte copies that can be read."""
    problem = ""
    for path in copies:
        try:
            return Drawn(make_thumbnail(path, edge=edge, quality=quality, format="WEBP", budget=budget))
        except UnreadableImage as error:
            problem = problem or str(error)
    return Drawn(None, problem)


def _shown(member: "Member", drawn: Drawn, told: Told) -> dict[str, Any]:
    """What the template says of an image."""
    path = member.path
    is_there = os.access(path, os.F_OK) or is_record(path)
    return {
        "path": printable(str(path)),
        "name": printable(path.name),
        "folder": printable(str(path.parent)),
        "uri": path.absolute().as_uri(),
        "thumbnail": drawn.thumbnail if is_there else None,
        "problem": printable(drawn.problem) if is_there else "no longer there",
        "width": member.width,
        "height": member.height,
        "size_bytes": member.size_bytes,
        "date": show_date(member.mtime_ns),
        "taken": told.date and printable(told.date[:16]),
        "lost": [printable(phrase) for phrase in told.loss.lost] if is_there else [],
        "notes": [printable(phrase) for phrase in told.loss.notes] if is_there else [],
        "kind": member.kind,
        "change": member.change and printable(member.change),
        "shows_more": member.shows_more and printable(member.shows_more),
        "why": member.why and printable(member.why),
        "similarity": member.similarity,
    }


def show_date(mtime_ns: int) -> str:
    """The day in local time; empty where no calendar has it."""
    try:
        return f"{datetime.fromtimestamp(mtime_ns / 1e9):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return ""


def _asset(name: str) -> str:
    return (files("neardup.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a Content-Security-Policy allows one inline style or script."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode("ascii")


@cache
def _template(name: str) -> "jinja2.Template":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("neardup.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["size"] = show_bytes
    return environment.get_template(name)
