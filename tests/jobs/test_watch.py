"""`index --watch`: a batch of changes is in the index once a second is quiet, and Ctrl-C ends it cleanly."""

import json
import os
import signal
import subprocess
import sys
from threading import Event, Timer

import pytest

from neardup.errors import BadInput
from neardup.index import Index
from neardup.jobs import watch
from neardup.jobs.watch import watch_images

pytest.importorskip("watchfiles", reason="watchfiles, of the extra 'watch', is not installed")


@pytest.fixture
def reports(photos, tiny_model, tmp_path, monkeypatch):
    """What a run reports that watches a folder of three photos, the index among them."""
    monkeypatch.setattr(watch, "QUIET_MS", 100)
    photos(3)
    stop = Event()
    yield watch_images(
        [str(tmp_path / "photos")], tmp_path / "photos" / ".neardup", model=str(tiny_model.folder), stop=stop
    )
    stop.set()


def test_what_comes_changes_and_goes(reports, photos, tmp_path):
    assert next(reports).indexed == 3
    more = photos(5)[3:]  # writes the first three again, too: the same bytes at another time
    changed = next(reports)
    assert (changed.indexed, changed.embedded, changed.images) == (5, 2, 5)
    for path in more:
        path.unlink()
    assert next(reports).removed == 2
    with Index.open(tmp_path / "photos" / ".neardup") as index:
        assert index.images == 3


def test_its_own_commits_are_no_changes(photos, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "QUIET_MS", 100)
    photos(2)
    stop = Event()
    folder = tmp_path / "photos"
    found = watch_images([str(folder)], folder / ".neardup", model=str(tiny_model.folder), stop=stop)
    next(found)
    Timer(2, stop.set).start()
    assert list(found) == []


@pytest.mark.parametrize("path", ["-", "tfds:tf_flowers"])
def test_what_cannot_be_watched(path, tmp_path):
    with pytest.raises(BadInput, match="only folders and files"):
        next(watch_images([path], tmp_path / "index"))


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_cleanly(photos, tiny_model, tmp_path, end):
    photos(2)
    command = [sys.executable, "-m", "neardup", "index", "photos", "--watch", "--format", "json"]
    running = subprocess.Popen(
        [*command, "--model", str(tiny_model.folder)], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ},
    )  # fmt: skip
    assert running.stdout is not None
    assert json.loads(running.stdout.readline())["indexed"] == 2
    running.send_signal(end)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (0, "")
    assert "Traceback" not in err
