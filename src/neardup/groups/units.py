"""What verdicts make of contents: some belong together whatever they look like, some never do."""

from collections.abc import Mapping

from neardup.groups.images import Images
from neardup.index.notes import Pair, Verdict


class Units:
    """Contents that verdicts join, and units that verdicts keep apart; a content without verdicts is its own unit."""

    def __init__(self, images: Images, verdicts: Mapping[Pair, Verdict]) -> None:
        self._unit: dict[int, int] = {}
        self._members: dict[int, list[int]] = {}
        self._apart: dict[int, set[int]] = {}
        pairs: dict[Verdict, list[tuple[int, int]]] = {"duplicate": [], "not": [], "later": []}
        for (first, second), verdict in sorted(verdicts.items()):
            a, b = images.content_of(first), images.content_of(second)
            if a is not None and b is not None and a != b:
                pairs[verdict].append((a, b))
        for a, b in pairs["not"]:
            self._apart.setdefault(a, set()).add(b)
            self._apart.setdefault(b, set()).add(a)
        for a, b in pairs["duplicate"]:
            self._join(self.find(a), self.find(b))

    def _join(self, a: int, b: int) -> None:
        if a == b or b in self._apart.get(a, ()):
            return
        joined = self.members(a) + self.members(b)
        self._members[a] = joined
        self._members.pop(b, None)
        self._unit |= dict.fromkeys(joined, a)
        for other in self._apart.pop(b, set()):
            self._apart[other].remove(b)
            self._apart[other].add(a)
            self._apart.setdefault(a, set()).add(other)

    def find(self, content: int) -> int:
        return self._unit.get(content, content)

    def members(self, content: int) -> list[int]:
        """The contents of this one's unit, itself among them."""
        unit = self.find(content)
        return self._members.get(unit, [unit])

    def is_told(self, unit: int) -> bool:
        """Whether any verdict is about this unit."""
        return unit in self._members or unit in self._apart

    def is_apart(self, unit: int, units: set[int]) -> bool:
        return not units.isdisjoint(self._apart.get(unit, ()))

    def joined(self) -> list[int]:
        """Every content in a unit of several."""
        return list(self._unit)
