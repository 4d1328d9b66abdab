"""Links to groups that never chain: everything in a group is tied to the one image that is kept.

Images are taken in the order of the keep policy. One that is tied to no keeper so far becomes a keeper; any other joins
the keeper that it is tied to best. So

- every member was compared with its keeper, and no member is worth more than the keeper by the policy;
- no two keepers are tied to each other, unless a verdict or a folder rule keeps them apart;
- the groups follow from the images alone: contents are in the order of their digests, ties are broken by keep order or
  path. Neither the order of files nor of indexing changes them, nor the number of threads.

Verdicts come before ties. Two contents told "not" never share a group. A content told to be a "duplicate" of one that
has a group joins that group, whatever it looks like. Where verdicts contradict each other, "not" wins.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neardup.groups.folders import FolderRule
from neardup.groups.images import Images
from neardup.groups.units import Units


class Ties(Protocol):
    """Which keepers a content may join."""

    def has_any(self) -> NDArray[np.bool_]:
        """(contents,) False for contents that are tied to no other."""
        ...

    def keepers_for(self, content: int) -> list[tuple[float, int]]:
        """How well a content is tied to each content that is kept so far, itself left out; larger is better."""
        ...

    def keep(self, content: int) -> None:
        """A content is a keeper from now on."""
        ...


@dataclass
class Group:
    """A keeper, and what has joined it so far."""

    folder: int
    members: list[int]  # images, the keeper first
    units: set[int]


class Assignment:
    """One run of the grouping: image by image in keep order, each joins a group or founds one."""

    def __init__(
        self,
        images: Images,
        ties: Ties,
        order: NDArray[np.int64],
        units: Units,
        rule: FolderRule | None,
        folders: NDArray[np.int64],
    ) -> None:
        self.images, self.ties, self.order, self.units = images, ties, order, units
        self.rule, self.folders = rule, folders
        self.groups: list[Group] = []
        # Groups by their keeper's content and folder, and by the units in them.
        self._kept: dict[int, dict[int, int]] = {}
        self._placed: dict[int, list[int]] = {}

    def run(self) -> list[Group]:
        """The groups of two or more."""
        contents = self.images.contents
        takes_part = self.ties.has_any() | (np.bincount(contents, minlength=len(self.images)) > 1)
        takes_part[self.units.joined()] = True
        wanted = takes_part[contents[self.order]] & (self.folders[self.order] >= 0)
        for image in self.order[wanted].tolist():
            content = int(contents[image])
            unit = self.units.find(content)
            for number in self._candidates(content, unit, int(self.folders[image])):
                if self._may_join(image, unit, self.groups[number]):
                    self.groups[number].members.append(image)
                    self._note(unit, number)
                    break
            else:
                self._found(image, content, unit)
        return [group for group in self.groups if len(group.members) > 1]

    def _candidates(self, content: int, unit: int, folder: int) -> list[int]:
        """Numbers of the groups that a content may join: where its unit is, then by falling tie."""
        found = [(np.inf, number) for number in self._kept_with(content, folder)]
        for tie, keeper in self.ties.keepers_for(content):
            found += [(tie, number) for number in self._kept_with(keeper, folder)]
        found.sort(key=lambda candidate: (-candidate[0], candidate[1]))
        return [*self._placed.get(unit, ()), *(number for _, number in found)]

    def _kept_with(self, content: int, folder: int) -> Iterable[int]:
        """The group, if any, whose keeper has this content and a folder that the rule allows; the first of several."""
        kept = self._kept.get(content)
        if kept is None:
            return ()
        if self.rule is not None and self.rule.kind == "across":
            return islice((number for other, number in kept.items() if other != folder), 1)
        return (kept[folder],) if folder in kept else ()

    def _may_join(self, image: int, unit: int, group: Group) -> bool:
        if self.rule is not None and (self.folders[image] == group.folder) != (self.rule.kind == "within"):
            return False
        return not self.units.is_apart(unit, group.units)

    def _found(self, image: int, content: int, unit: int) -> None:
        number = len(self.groups)
        folder = int(self.folders[image])
        self.groups.append(Group(folder, [image], set()))
        self._note(unit, number)
        kept = self._kept.setdefault(content, {})
        # Whoever could join a second group of this content and folder could join the first.
        if folder not in kept:
            kept[folder] = number
            self.ties.keep(content)

    def _note(self, unit: int, number: int) -> None:
        """What later images must know of this one to be in a group with it."""
        if self.units.is_told(unit):
            self.groups[number].units.add(unit)
            if number not in (placed := self._placed.setdefault(unit, [])):
                placed.append(number)
