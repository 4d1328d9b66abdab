"""What one file says and another one does not, in words."""

from collections.abc import Iterator, Mapping

from neardup.metadata import kinds
from neardup.metadata.facts import Metadata
from neardup.metadata.values import same_position

_MOST_NAMES = 6
_QUOTED = (kinds.TITLE, kinds.CAPTION, kinds.COMMENT)


def losses(metadata: Metadata, keeper: Metadata) -> tuple[str, ...]:
    """What would be lost of a file for which its keeper stays: kind by kind, the same however it is written."""
    lost = [phrase for kind in kinds.VALUED if (phrase := _lost_value(kind, metadata, keeper))]
    for kind in kinds.NAMED:
        kept = keeper.said.get(kind, {})
        missing = [shown for value, shown in metadata.said.get(kind, {}).items() if value not in kept]
        if missing:
            details = ", ".join(text for text in missing[:_MOST_NAMES] if text)
            more = f" and {len(missing) - _MOST_NAMES:,} more" if len(missing) > _MOST_NAMES else ""
            lost.append(f"{kind} ({details}{more})" if details else kind)
    lost += _lost_numbers(metadata, keeper)
    lost += [f"its {part} cannot be read" for part in metadata.unreadable]
    if lost:
        lost += [f"its keeper's {part} cannot be read" for part in keeper.unreadable]
    return tuple(lost)


def _lost_value(kind: str, metadata: Metadata, keeper: Metadata) -> str | None:
    mine, kept = metadata.said.get(kind, {}), keeper.said.get(kind, {})
    missing = {value: shown for value, shown in mine.items() if not any(is_same(kind, value, have) for have in kept)}
    if not missing:
        return None
    shown = _shown(kind, list(missing.values()))
    if not kept or kind in (kinds.KEYWORDS, kinds.COMMENT):  # a file may well have several
        return f"{kind} {shown}".rstrip()
    against = list(kept.values())
    if kind == kinds.DATE and missing and (days := _days(missing, kept)):
        shown, against = days
    return f"other {kind} {shown} against {_shown(kind, against)}".replace("  ", " ")


def _days(missing: Mapping[str, str], kept: Mapping[str, str]) -> tuple[str, list[str]] | None:
    """Days are enough where they differ."""
    [mine], [theirs] = list(missing)[:1], list(kept)[:1]
    return (mine[:10], [theirs[:10]]) if mine[:10] != theirs[:10] else None


def is_same(kind: str, first: str, second: str) -> bool:
    """second: what a keeper says; a date that is more exact there holds the other one"""
    if kind == kinds.DATE:
        return second.startswith(first)
    if kind == kinds.PLACE:
        return "nan" in first or same_position(first, second)  # without numbers nothing can differ
    return first.casefold() == second.casefold()


def _shown(kind: str, values: list[str]) -> str:
    texts = values[:_MOST_NAMES]
    if kind in _QUOTED:
        texts = [f'"{text}"' for text in texts]
    more = f" and {len(values) - _MOST_NAMES:,} more" if len(values) > _MOST_NAMES else ""
    return ", ".join(texts) + more


def _lost_numbers(metadata: Metadata, keeper: Metadata) -> Iterator[str]:
    if metadata.frames > keeper.frames:
        yield f"{metadata.frame_name} {metadata.frames:,} against {keeper.frames:,}"
    if metadata.bits > keeper.bits:
        yield f"{metadata.bits} bits a channel against {keeper.bits}"
