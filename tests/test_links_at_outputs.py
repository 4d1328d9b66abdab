"""A link that someone laid where a file is written is replaced, or refused; what it leads to stays as it was."""

from collections.abc import Callable
from pathlib import Path

import pytest

from neardup.actions import Plan, save_plan
from neardup.embedding.download import _opened, _Stated, _write_about
from neardup.errors import DownloadFailed
from neardup.index.notes import export_verdicts


def plot(path: Path) -> None:
    from matplotlib.figure import Figure

    from neardup.output.figures import write_png

    write_png(Figure(), path)


def download(path: Path) -> None:
    with pytest.raises(DownloadFailed):
        _opened(path, "wb")
    path.unlink()
    _opened(path, "wb").close()


WRITERS: dict[str, Callable[[Path], object]] = {
    "plan": lambda path: save_plan(Plan("trash", ()), path),
    "verdicts": lambda path: export_verdicts(path.parent, path),
    "plot": plot,
    "download": download,
}


@pytest.mark.parametrize("ending", ["", ".tmp"])
@pytest.mark.parametrize("what", WRITERS)
def test_a_link_is_not_followed(tmp_path: Path, what: str, ending: str) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"my only copy")
    (tmp_path / "outputs").mkdir()
    path = tmp_path / "outputs" / "name"
    path.with_name(path.name + ending).symlink_to(precious)
    if ending and what == "download":
        _opened(path, "wb").close()
    else:
        WRITERS[what](path)
    assert precious.read_bytes() == b"my only copy"
    assert path.is_file()
    assert not path.is_symlink()


def test_what_a_download_knows_of_itself(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"my only copy")
    (tmp_path / "x.part.json").symlink_to(precious)
    _write_about(tmp_path / "x.part", _Stated(1, "e", {}))
    assert precious.read_bytes() == b"my only copy"
