"""Pictures of results: the only place that imports matplotlib, when one is asked for."""

from pathlib import Path
from typing import Any

from neardup.durable import replacing
from neardup.errors import BadInput


def check_plot(path: Path) -> None:
    """Raise BadInput, before any work, for a file that cannot be written."""
    if path.suffix.lower() != ".png":
        raise BadInput(f"{path}: a picture is written as PNG; give a name that ends in .png")
    if not path.absolute().parent.is_dir():
        raise BadInput(f"{path}: no such folder; make it, or choose another file")


def write_png(figure: Any, path: Path, *, dpi: float | str = "figure") -> None:
    """Write a figure in place of a file that may be there; a link is replaced, not followed. Raises OSError."""
    with replacing(path) as file:
        figure.savefig(file, dpi=dpi, format="png")
