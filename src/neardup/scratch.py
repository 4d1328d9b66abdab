"""A folder for a while, in the system's place for such, and gone afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neardup.errors import BadInput


@contextmanager
def temporary_folder(prefix: str = "neardup-") -> Iterator[Path]:
    """Raises BadInput where no folder for such things can be written to."""
    import tempfile  # as seldom used as it is slow to import

    try:
        made = tempfile.TemporaryDirectory(prefix=prefix)
    except OSError as error:
        raise BadInput(f"no temporary folder can be made ({error.strerror}); set TMPDIR to one with room") from error
    with made as name:
        yield Path(name)
