"""`index --isolate`: what crashes its decoder, or holds it up, is lost alone, and the run goes on and says which."""

import sys
import time
from pathlib import Path

import pytest

from neardup.errors import MissingPackage
from neardup.isolation import isolated
from neardup.jobs.index import index_images
from neardup.prepare import Decode, Threads, prepare_in_order
from neardup.sources import ImageFile
from tests.conftest import draw_photo
from tests.fragile import Fragile


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number:02d}.jpg" for number in range(12)]
    for number, path in enumerate(paths):
        draw_photo(number).save(path)
    return paths


def test_what_breaks_its_decoder_is_lost_alone(photos: list[Path]) -> None:
    pytest.importorskip("pebble")
    for number, ending in ((2, b"crash"), (5, b"hang"), (7, b"memory")):
        photos[number].write_bytes(photos[number].read_bytes() + ending)
    sources = list(map(ImageFile, photos))
    with Threads(2) as threads:
        plain = [prepared.digest for _, prepared in prepare_in_order(sources, threads, Decode(48))]
    started = time.monotonic()
    with isolated(2, limit_seconds=3) as executor:
        found = list(prepare_in_order(sources, executor, Fragile(48)))
    assert time.monotonic() - started < 30
    assert [source.path for source, _ in found] == photos
    assert [prepared.digest for _, prepared in found] == plain
    errors = {int(source.path.stem): prepared.error for source, prepared in found if prepared.error}
    assert errors == {
        2: "crashed the decoder (SIGSEGV)",
        5: "not decoded within 3 s; the decoder was stopped",
        7: "crashed the decoder (SIGKILL)",
    }
    assert [number for number, (_, prepared) in enumerate(found) if prepared.lasting] == [2, 5]
    assert all(prepared.pixels is not None for _, prepared in found if not prepared.error)


def test_an_isolated_run_gives_what_a_plain_one_gives(photos: list[Path], tmp_path: Path, tiny_model) -> None:
    pytest.importorskip("pebble")
    photos[3].write_bytes(b"no picture")
    reports = [
        index_images(photos, tmp_path / f"index{isolate}", model=str(tiny_model.folder), engine="onnx", isolate=isolate)
        for isolate in (False, True)
    ]
    plain, apart = [(report.indexed, report.embedded, report.failed) for report in reports]
    assert plain == apart
    assert plain[0] == 11


def test_without_pebble_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pebble", None)
    with pytest.raises(MissingPackage, match=r"neardup\[isolate\]"), isolated(1):
        pass
