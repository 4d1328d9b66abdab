"""Ticks on the matches of queries: each is in the file before the page hears of it."""

import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from neardup.errors import BadInput
from neardup.index import Match
from neardup.jobs.judgements import Judged, Seen, load_judgements, save_judgements
from neardup.jobs.query import Answer
from neardup.review.session import Refused

SHOWN = 20  # matches of a query


@dataclass(frozen=True)
class Asked:
    """A query with what the index found for it."""

    path: Path
    digest: bytes
    matches: tuple[Match, ...]


class Judging:
    """Which matches are relevant; safe to use from several threads.

    A query counts as judged from its first tick on, or once it was said that nothing of it is relevant: then what has
    no tick is not relevant. Judgements of other queries that the file held stay in it.
    """

    def __init__(self, answers: Iterable[Answer], export: Path) -> None:
        """Raises BadInput where there is no query that can be read, or the file holds something else."""
        self.export = export
        self.failed: list[tuple[str, str]] = []
        self.queries: list[Asked] = []
        for answer in answers:
            if answer.error is not None:
                self.failed.append((answer.query, answer.error))
                continue
            path, digest = Path(answer.query), hashlib.sha256(answer.source.read()).digest()
            # Its own bytes are no answer, wherever they lie, and of byte copies one is enough.
            matches = {match.digest: match for match in reversed(answer.matches) if match.digest != digest}
            self.queries.append(Asked(path, digest, tuple(reversed(matches.values()))[:SHOWN]))
        if not self.queries:
            raise BadInput("none of the queries can be read; give files or folders of images")
        self._lock = threading.Lock()
        known = load_judgements(export) if export.exists() else []
        self._kept = {judged.digest: judged for judged in known}

    def ticks(self, query: int) -> list[bool] | None:
        """Of each match; None where the query is not judged yet."""
        asked = self.queries[query]
        judged = self._kept.get(asked.digest.hex())
        return None if judged is None else [match.digest.hex() in judged.relevant for match in asked.matches]

    @property
    def judged(self) -> int:
        return sum(asked.digest.hex() in self._kept for asked in self.queries)

    def tick(self, query: int, match: int | None, relevant: bool) -> None:
        """Say of one match whether it is relevant; None: of none is anything (relevant: False), which is a judgement.

        Raises Refused for what is not shown, BadInput where the file cannot be written.
        """
        with self._lock:
            if not 0 <= query < len(self.queries) or (
                match is not None and not 0 <= match < len(self.queries[query].matches)
            ):
                raise Refused("no such query or match")
            asked = self.queries[query]
            before = self._kept.get(asked.digest.hex())
            wanted = set(before.relevant) if before else set()
            shown = {found.digest.hex() for found in asked.matches}
            if match is None:
                wanted -= shown
            elif relevant:
                wanted.add(asked.matches[match].digest.hex())
            else:
                wanted.discard(asked.matches[match].digest.hex())
            # What another index showed for it was looked at, too.
            others = [image for image in before.images if image.digest not in shown] if before else []
            images = [Seen(str(m.path), m.digest.hex(), m.digest.hex() in wanted) for m in asked.matches]
            changed = Judged(str(asked.path), asked.digest.hex(), (*images, *others))
            kept = {**self._kept, changed.digest: changed}
            save_judgements(self.export, kept.values())
            self._kept = kept
