"""Which files of a folder are wanted, by patterns of their names."""

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property


@dataclass(frozen=True)
class Globs:
    """Patterns as `fnmatch` has them: * stands for any characters, / among them, ? for one, [abc] for one of these.

    A pattern matches a file when it matches its name, or its path relative to the root of the walk, or either of a
    folder above it, below the root: '*.png', 'cache', 'trips/*/raw'. Case counts.

    include: where there are any, only files that one of them matches are wanted
    exclude: files that one of these matches are not
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def take(self, path: str) -> bool:
        """Whether a file is wanted; path: relative to the root."""
        wanted = self._include is None or any(self._include.match(name) for name in _names(path))
        return wanted and not self.leave_out(path)

    def leave_out(self, path: str) -> bool:
        """Whether nothing at or below a path is wanted."""
        return self._exclude is not None and any(self._exclude.match(name) for name in _names(path))

    @cached_property
    def _include(self) -> re.Pattern[str] | None:
        return _pattern(self.include)

    @cached_property
    def _exclude(self) -> re.Pattern[str] | None:
        return _pattern(self.exclude)


def _pattern(globs: tuple[str, ...]) -> re.Pattern[str] | None:
    """A slash at the end, as completion adds it to a folder's name, means nothing."""
    return re.compile("|".join(translate(glob.rstrip("/")) for glob in globs)) if globs else None


def _names(path: str) -> list[str]:
    """For a/b/c: a, b, c, a/b and a/b/c."""
    parts = path.split("/")
    return parts + ["/".join(parts[:end]) for end in range(2, len(parts) + 1)]
