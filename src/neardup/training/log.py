"""log.csv of a training run: a row per step, with a validation's figures where there was one."""

import csv
import io
from pathlib import Path

from neardup.durable import replace_file
from neardup.errors import BadInput
from neardup.reading import read_regular

_MOST_BYTES = 1 << 28
ALWAYS = ("step", "loss", "views_per_second")

Row = dict[str, float]


def read_log(path: Path) -> list[Row]:
    """Rows of log.csv, without the fields that a row has not; raises BadInput for an empty or a foreign file."""
    rows = _rows(path)
    if not rows or "loss" not in rows[-1]:
        raise BadInput(f"{path}: holds no steps yet; train first")
    return rows


def best_row(rows: list[Row], figure: str, lower_is_better: bool) -> Row:
    """The row whose validation found the best figure, the first of equals; an empty one where there was none."""
    judged = [row for row in rows if figure in row]
    return (min if lower_is_better else max)(judged, key=lambda row: row[figure], default={})


def _rows(path: Path) -> list[Row]:
    """A last line that a crash cut short is left out."""
    try:
        text = read_regular(path, _MOST_BYTES).decode()
        whole = [row for row in csv.DictReader(io.StringIO(text, newline="")) if None not in row.values()]
        return [{name: float(value) for name, value in row.items() if value} for row in whole]
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise BadInput(f"{path}: not the log of a training run ({error})") from error


class Log:
    """The log of a run that goes on after `step`; it knows how long nothing has got better."""

    def __init__(self, path: Path, step: int, figures: tuple[str, ...], lower_is_better: bool = False) -> None:
        """figures: of a validation, the first of which says what is better."""
        rows = [row for row in _rows(path) if row["step"] <= step] if step and path.exists() else []
        known = [name for row in rows for name in row]
        self._fields = tuple(dict.fromkeys([*ALWAYS, *figures, *known]))
        self._judged, self._lower_is_better = figures[0] if figures else None, lower_is_better
        self.best: float | None = None
        self.since_best = 0  # validations
        replace_file(path, (",".join(self._fields) + "\r\n").encode())
        self._file = path.open("a", newline="")
        self._writer = csv.DictWriter(self._file, self._fields)
        for row in rows:
            self.add({**row, "step": int(row["step"])})

    def add(self, row: Row) -> bool:
        """Whether it is a validation's, and the best so far."""
        self._writer.writerow(row)
        self._file.flush()
        if self._judged is None or self._judged not in row:
            return False
        figure = row[self._judged]
        better = self.best is None or (figure < self.best if self._lower_is_better else figure > self.best)
        self.best, self.since_best = (figure, 0) if better else (self.best, self.since_best + 1)
        return better

    def close(self) -> None:
        self._file.close()
