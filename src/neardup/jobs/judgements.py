"""What a person says is relevant to a query: pictures by their content, so that moved files keep what was said."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from neardup.durable import replace_file
from neardup.errors import BadInput
from neardup.reading import read_json
from neardup.text import said

FORMAT = 1
LARGEST_BYTES = 256 << 20


@dataclass(frozen=True)
class Seen:
    """A picture that was shown beside a query."""

    path: str
    digest: str  # SHA-256 of its bytes, hex
    relevant: bool


@dataclass(frozen=True)
class Judged:
    """A query that somebody looked at, and all that was shown with it."""

    query: str  # its path
    digest: str
    images: tuple[Seen, ...]

    @property
    def relevant(self) -> frozenset[str]:
        """Digests."""
        return frozenset(image.digest for image in self.images if image.relevant)


def load_judgements(path: Path) -> list[Judged]:
    """What `save_judgements` wrote; raises BadInput."""
    try:
        fields = read_json(path, LARGEST_BYTES)
        if fields["format"] != FORMAT:
            raise BadInput(f"{path}: format {fields['format']!r:.40}, this neardup reads {FORMAT}; upgrade neardup")
        return [_judged(each) for each in fields["queries"]]
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give the file that 'neardup review --queries' wrote") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path}: no judgements of 'neardup review --queries' ({said(error)})") from error


def save_judgements(path: Path, judged: Iterable[Judged]) -> None:
    """Whole or not at all; raises BadInput where it cannot be written."""
    fields = {"format": FORMAT, "queries": [asdict(each) for each in judged]}
    try:
        replace_file(path, f"{json.dumps(fields, indent=1)}\n".encode())
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; give another file for the judgements") from error


def _judged(fields: dict[str, object]) -> Judged:
    images = fields["images"]
    if not isinstance(images, list):
        raise TypeError("images are no list")
    seen = tuple(Seen(_text(each["path"]), _text(each["digest"]), _flag(each["relevant"])) for each in images)
    return Judged(_text(fields["query"]), _text(fields["digest"]), seen)


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"{value!r:.40} is no path and no digest")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r:.40} is neither true nor false")
    return value
