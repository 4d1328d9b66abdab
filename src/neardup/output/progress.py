"""Progress bars: on stderr, on a terminal only, and gone when what they are about is done."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS_BETWEEN_UPDATES = 0.1


class Bar:
    """For one thing after the other; shown from `begin` or the first update on."""

    def __init__(self, what: str = "", *, unit: str | None = None) -> None:
        """what: is being done. unit: of what is counted, to say how many a second; None: that is not said."""
        self.is_shown = sys.stderr.isatty()
        self._what, self._unit = what, unit
        self._done = 0
        self._total: int | None = None
        self._bar: Progress | None = None
        self._is_new = True  # what is being done is not what is shown
        self._drawn = 0.0

    def __enter__(self) -> "Bar":
        return self

    def begin(self, what: str, total: int | None = None) -> None:
        """Show something else, of which nothing is done yet."""
        self._what, self._done, self._total = what, 0, total
        self._is_new, self._drawn = True, 0.0
        self._draw("")

    def set_total(self, total: int) -> None:
        """From any thread."""
        self._total = total

    def update(self, done: int, total: int | None = None, *, what: str | None = None, words: str = "") -> None:
        """what: is being done, if not what was before; words: beside it. From one thread at a time."""
        if what is not None and what != self._what:
            self.begin(what, total)
        self._done, self._total = done, self._total if total is None else total
        if time.monotonic() - self._drawn >= SECONDS_BETWEEN_UPDATES or done == self._total:
            self._draw(words)

    def advance(self) -> None:
        self.update(self._done + 1)

    def hide(self) -> None:
        """Until the next update: before lines are written to the same terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._drawn = 0.0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hide()
        self.is_shown = False  # what still comes is late

    def _draw(self, words: str) -> None:
        if not self.is_shown:
            return
        self._bar = self._bar or _new_bar()
        if self._is_new:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task("", total=None, rate="")
            self._is_new = False
        [shown] = self._bar.tasks
        rate = f"{shown.speed:.0f} {self._unit}/s" if shown.speed and self._unit else ""
        self._bar.update(
            shown.id, description=f"{self._what}{words}", completed=self._done, total=self._total, rate=rate
        )
        self._bar.start()
        self._drawn = time.monotonic()


@contextmanager
def own_words_only() -> Iterator[None]:
    """Keep what libraries write to a terminal past Python off it: TensorFlow does so before it can be told not to."""
    before = sys.__stderr__
    if before is None or before is not sys.stderr or not before.isatty():
        yield
        return
    terminal = os.dup(2)
    sys.stderr = os.fdopen(terminal, "w", 1, before.encoding, before.errors)
    with sys.stderr:
        try:
            with Path(os.devnull).open("wb") as nothing:
                os.dup2(nothing.fileno(), 2)
            yield
        finally:
            os.dup2(terminal, 2)
            sys.stderr = before


def is_beside_results() -> bool:
    """Whether results go to the terminal that a bar is on."""
    return sys.stdout.isatty()


def _new_bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # it would send results to stderr
    )
