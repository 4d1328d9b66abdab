"""Two ways to be tied to a keeper: by the cosine of the embeddings alone, and by looking at the pictures."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neardup.groups.images import Images
from neardup.groups.keep import A_STEP
from neardup.groups.links import Components, Links, is_container, is_pasted
from neardup.groups.looking import Looker
from neardup.groups.neighbours import Neighbours
from neardup.lsh.pairs import CROWD
from neardup.matching.evidence import Evidence, Relation
from neardup.matching.maps import Matrix

KEEPERS_OF_A_CROWD = 64
# Keepers of one component that a content is compared with; each is a picture that the others do not show.
MOST_KEEPERS = 6
# Copies of a keeper through which others are compared with it, and how sure both looks have to be.
MOST_COPIES, SURE = 6, 0.9
# Share of the one or of the other that the two have in common then.
_COMMON = 0.5
# Contents that are gone through in search of a way along links from one to another.
_MOST_WAYPOINTS = 500


class CosineTies:
    """Every pair at a cosine. Of a crowd, whose pairs are only those with one content, each of the first
    KEEPERS_OF_A_CROWD keepers is compared with all the others."""

    def __init__(self, images: Images, neighbours: Neighbours, min_similarity: float) -> None:
        self._images, self._neighbours, self._least = images, neighbours, min_similarity
        self._sizes = np.diff(neighbours.starts)
        self._kept: set[int] = set()
        # For a crowd: keepers near its representative, each with its similarities to all that are.
        self._around: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}

    def has_any(self) -> NDArray[np.bool_]:
        tied: NDArray[np.bool_] = self._sizes > 0
        return tied

    def keepers_for(self, content: int) -> list[tuple[float, int]]:
        slot = self._neighbours.of(content)
        near = self._neighbours.contents[slot].tolist()
        found = {
            other: similarity
            for other, similarity in zip(near, self._neighbours.similarities[slot].tolist(), strict=True)
            if other in self._kept
        }
        for crowd in (other for other in near if other in self._around):
            place = np.searchsorted(self._neighbours.contents[self._neighbours.of(crowd)], content)
            for keeper, similarities in self._around[crowd]:
                similarity = round(float(similarities[place]), 6)
                if similarity >= self._least and keeper != content:
                    found.setdefault(keeper, similarity)
        return [(similarity, keeper) for keeper, similarity in found.items()]

    def keep(self, content: int) -> None:
        self._kept.add(content)
        near = self._neighbours.contents[self._neighbours.of(content)].astype(np.int64)
        for crowd in near[self._sizes[near] > CROWD].tolist():
            around = self._around.setdefault(crowd, [])
            if len(around) < KEEPERS_OF_A_CROWD:
                others = self._neighbours.contents[self._neighbours.of(crowd)].astype(np.int64)
                similarities = self._images.similarities(np.full(len(others), content), others)
                around.append((content, similarities.astype(np.float32)))


class ConfirmedTies:
    """Pairs that were looked at and confirmed: each content is compared with the keepers of its component, by its own
    map or by one composed along the links between the two."""

    def __init__(
        self, images: Images, links: Links, looker: Looker, threads: ThreadPoolExecutor, *, similar: bool
    ) -> None:
        self._images, self._looker, self._threads, self._similar = images, looker, threads, similar
        self._roots: Components = links.roots
        self._linked: dict[int, dict[int, Evidence]] = {}
        for (a, b), found in links.evidence.items():
            self._linked.setdefault(a, {})[b] = found
            self._linked.setdefault(b, {})[a] = found
        self._members: dict[int, list[int]] = {}  # of components
        for content in sorted(self._linked):
            self._members.setdefault(self._roots.find(content), []).append(content)
        self._copies: dict[int, list[int]] = {}
        self._through: dict[tuple[int, int], Evidence | None] = {}
        self._kept: set[int] = set()
        self._kept_in: dict[int, list[int]] = {}

    def has_any(self) -> NDArray[np.bool_]:
        tied = np.zeros(len(self._images), bool)
        for content, linked in self._linked.items():
            tied[content] = any(found.is_confirmed or self._similar for found in linked.values())
        return tied

    def keepers_for(self, content: int) -> list[tuple[float, int]]:
        linked = self._linked.get(content, {})
        first = self._kept_in.get(self._roots.find(content), [])[:MOST_KEEPERS]
        near = [*first, *(keeper for keeper in linked if keeper in self._kept and keeper not in first)]
        new = [keeper for keeper in near if self._known(keeper, content) is None]
        if len(new) > 1:  # looked at side by side; what follows takes them one after the other
            list(self._threads.map(lambda keeper: self.look(keeper, content), new))
        found = []
        for place, keeper in enumerate(near):
            evidence = self.evidence(keeper, content)
            if evidence is None or not self._may_join(evidence):
                continue
            # The first keeper of a component is the original, as far as can be seen. The others are versions that are
            # too spoiled to be compared with it; what can is not to follow them.
            rank = 100 * evidence.is_confirmed - 10 * min(place, len(first))
            found.append((rank + self._images.similarity(keeper, content), keeper))
        return found

    def _may_join(self, evidence: Evidence) -> bool:
        """evidence: of the keeper and what may join it"""
        if evidence.is_confirmed:
            # What others are pasted into takes nothing in: its parts have nothing to do with each other.
            return not is_container(evidence)
        return self._similar and evidence.relation == "similar"

    def keep(self, content: int) -> None:
        self._kept.add(content)
        self._kept_in.setdefault(self._roots.find(content), []).append(content)

    def evidence(self, keeper: int, content: int) -> Evidence | None:
        """Of the keeper (a) and the content (b), through a copy of the keeper where the two are too far apart."""
        found = self.look(keeper, content)
        if found is None or found.is_confirmed or self._roots.find(keeper) != self._roots.find(content):
            return found
        if (keeper, content) not in self._through:
            self._through[keeper, content] = self._through_a_copy(keeper, content)
        return self._through[keeper, content] or found

    def look(self, a: int, b: int) -> Evidence | None:
        """Of the two themselves, compared where nobody has yet; from several threads, too."""
        first, second = min(a, b), max(a, b)
        found = self._known(a, b) or self._looker.look(first, second, self.composed(first, second))
        self._looker.record_if_due()
        if found is None:
            return None
        return found if first == a else found.reversed()

    def _known(self, a: int, b: int) -> Evidence | None:
        """Of the lower content (a) and the higher (b), whichever comes first, if they were compared."""
        return self._looker.known(min(a, b), max(a, b))

    def look_closely(self, a: int, b: int) -> Evidence | None:
        """As `look`, and at the whole pixels where A may have more of them than detail, or may be a copy of B.

        Of files of one size one may be what has become of the other."""
        found = self.look(a, b)
        if found is None or not self._is_doubtful(a, b):
            return found
        oriented = found if a < b else found.reversed()
        closely = self._looker.look_closely(min(a, b), max(a, b), oriented)
        return closely if a < b else closely.reversed()

    def _is_doubtful(self, a: int, b: int) -> bool:
        """Whether A seems better than B by what a copy may have: more pixels, or as many and no more compressed."""
        (width_a, height_a), (width_b, height_b) = self._images.size(a), self._images.size(b)
        if width_a * height_a != width_b * height_b:
            return width_a * height_a > width_b * height_b
        quality_a, quality_b = (int(self._images.quality[self._images.of(content)[0]]) for content in (a, b))
        return quality_a == 0 or quality_a > quality_b - A_STEP

    def _through_a_copy(self, keeper: int, content: int) -> Evidence | None:
        """Noise, strong compression and writing hide a little each, and together too much.

        A copy shows nothing else than its keeper: a content that is confirmed by one, where the keeper shows it, too,
        is the keeper's, as `edited`, since what the two themselves have in common was not seen.
        """
        for copy in self._copies_of(keeper):
            found = self.look(copy, content) if copy != content else None
            if found is None or not found.is_confirmed or found.confidence < SURE or is_pasted(found):
                continue
            of_keeper, of_copy = self.look(keeper, copy), found.matrix
            if of_keeper is None or of_keeper.matrix is None or of_copy is None:
                continue
            matrix = np.array(of_copy).reshape(3, 3) @ np.array(of_keeper.matrix).reshape(3, 3)
            joined = replace(
                found,
                relation="edited",
                matrix=tuple((matrix / matrix[2, 2]).ravel().tolist()),
                more_a=max(found.more_a, of_keeper.more_a),
                more_b=max(found.more_b, of_keeper.more_b),
            )
            alignment = joined.alignment(self._images.size(keeper), self._images.size(content))
            if alignment is not None and max(alignment.shown_of_a, alignment.shown_of_b) >= _COMMON:
                return joined
        return None

    def _copies_of(self, keeper: int) -> list[int]:
        """Copies of it in its component: first those that show all that it shows, then those that are surest."""
        if keeper not in self._copies:
            found = []
            for content in self._members.get(self._roots.find(keeper), ()):
                evidence = self._known(keeper, content)
                if evidence is not None and evidence.relation == "copy" and evidence.confidence >= SURE:
                    is_whole = evidence.a_shows_all_of_b and evidence.b_shows_all_of_a
                    found.append((not is_whole, -evidence.confidence, content))
            self._copies[keeper] = [content for *_, content in sorted(found)[:MOST_COPIES]]
        return self._copies[keeper]

    def composed(self, a: int, b: int) -> Matrix | None:
        """A map from the whole of A to the whole of B along the fewest links, none where they are not joined."""
        before: dict[int, int] = {a: a}
        reached = [a]
        while reached and b not in before and len(before) < _MOST_WAYPOINTS:
            following = []
            for content in reached:
                for other, found in sorted(self._linked.get(content, {}).items()):
                    if other not in before and found.matrix is not None and found.is_confirmed and not is_pasted(found):
                        before[other] = content
                        following.append(other)
            reached = following
        if b not in before:
            return None
        matrix = np.eye(3)
        while b != a:
            matrix = matrix @ self._matrix(before[b], b)
            b = before[b]
        return matrix

    def _matrix(self, source: int, target: int) -> Matrix:
        found = self._linked[source][target]
        oriented = found if source < target else found.reversed()
        return np.array(oriented.matrix, np.float64).reshape(3, 3)


def relation_to_keeper(found: Evidence) -> Relation:
    """Of a member (b) to its keeper (a): a copy shows nothing that the keeper does not show."""
    if found.relation != "copy" or found.a_shows_all_of_b:
        return found.relation
    return "edited"
