"""Models, and the progress of a download."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from neardup.embedding.catalogue import Check, Found
from neardup.embedding.model import DEFAULT, GRAPH, Model, OnnxNetwork, SavedModel
from neardup.output import Rendering
from neardup.text import show_bytes

_FIELDS = ("name", "kind", "dim", "input_size", "size_bytes", "digest", "folder", "default", "error")


def _fields(found: Found) -> dict[str, Any]:
    model = found.model
    files = [path for path in found.folder.rglob("*") if path.is_file()]
    return {
        "name": found.name,
        "kind": model and _kind(model),
        "dim": model and model.dim,
        "input_size": model and model.input_size,
        "size_bytes": sum(path.stat().st_size for path in files),
        "digest": model and model.digest,
        "folder": str(found.folder),
        "default": found.name == DEFAULT,
        "error": found.error,
    }


def _kind(model: Model) -> str:
    if isinstance(model.network, OnnxNetwork):
        return "onnx"
    return "savedmodel" if isinstance(model.network, SavedModel) else "bit"


def render_models(found: Sequence[Found], downloadable: Mapping[str, str]) -> Rendering:
    rows = [_fields(each) for each in found]
    here = {each.name for each in found}
    missing = {name: url for name, url in downloadable.items() if name not in here}
    record = {"models": rows, "downloadable": [{"name": n, "url": u} for n, u in missing.items()]}
    more = [f"{n}: not here; 'neardup models download {n}' fetches it from {u}" for n, u in missing.items()]
    return Rendering([record], _FIELDS, rows, [*map(_line, rows), *more])


def render_model(model: Model) -> Rendering:
    row = _fields(Found(model.name, model.folder, model))
    return Rendering([row], _FIELDS, [row], [_line(row)])


def _line(row: Mapping[str, Any]) -> str:
    if row["error"]:
        return f"{row['name']}: unusable: {row['error']}"
    runs = {"bit": "BiT-ResNet", "onnx": "from an ONNX file", "savedmodel": "from TensorFlow"}[row["kind"]]
    if row["kind"] == "savedmodel" and not (Path(row["folder"]) / GRAPH).is_file():
        runs += ", which alone runs it"
    default = ", the default" if row["default"] else ""
    return (
        f"{row['name']}{default}: {row['dim']} numbers from {row['input_size']}×{row['input_size']}, {runs},"
        f" {show_bytes(row['size_bytes'])} in {row['folder']}"
    )


def render_checks(checks: Sequence[Check]) -> Rendering:
    rows = [{**asdict(check), "valid": check.error is None} for check in checks]
    lines = [f"{check.name}: {check.error or f'whole, and runs on {check.engine}'}" for check in checks]
    return Rendering([{"models": rows}], ("name", "valid", "engine", "error"), rows, lines)


class DownloadProgress:
    """A progress bar on stderr, on a terminal only."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "DownloadProgress":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

            self._bar = Progress(
                "{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
                console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task(f"Downloading {self._name}", total=None)
            self._bar.start()
        return self

    def update(self, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
