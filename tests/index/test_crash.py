"""Whatever ends a writer, wherever: the last commit stays whole, and the next writer goes on from it."""

import errno
import gc
import multiprocessing
import os
import resource
import signal
import sqlite3
import time
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from small_index import MODEL, embedding_of, paths_of, put, segments_of

from neardup.errors import IndexNotWritten
from neardup.index import Index, IndexWriter, store

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["neardup.index", "small_index"])

IMAGES = 400


def go_on(writer: IndexWriter, report: Connection | None = None) -> None:
    """Add what is missing of 400 images, three a commit, so that segments are merged all the time."""
    for content in range(IMAGES):
        path = Path(f"/photos/{content}.jpg")
        if writer.state(path) is None:
            put(writer, path, content)
        if content % 3 == 2:
            writer.commit()
            if report is not None:
                report.send(content + 1)


def run(folder: Path, report: Connection) -> None:
    with Index.write(folder, MODEL) as writer:
        go_on(writer, report)
    report.send(IMAGES)
    report.close()


def assert_whole(folder: Path, at_least: int) -> int:
    """The index opens, holds a prefix of the images no shorter than what was committed, and finds them."""
    with Index.open(folder) as index:
        images = index.images
        assert images >= at_least
        assert {image.path for image in index} == {Path(f"/photos/{n}.jpg") for n in range(images)}
        for content in range(0, images, 7):
            [match] = index.query(embedding_of(content), k=1)
            assert match.path == Path(f"/photos/{content}.jpg")
    return images


def test_killed_at_random_moments(folder):
    folder.mkdir()
    rng = np.random.default_rng()
    committed = 0
    for _ in range(12):
        receive, send = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=run, args=(folder, send))
        process.start()
        send.close()
        if rng.random() < 0.8:  # else while it opens the index
            committed = max(committed, receive.recv())
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.join()
        try:
            while True:
                committed = max(committed, receive.recv())
        except (EOFError, OSError):
            pass
        committed = assert_whole(folder, committed)
    with Index.write(folder, MODEL) as writer:
        go_on(writer)
    assert assert_whole(folder, IMAGES) == IMAGES
    with Index.open(folder) as index:
        assert len(segments_of(folder)) == len(index.embeddings), "what the killed writers left was removed"


class Interrupted(BaseException):
    """Ctrl-C, but not one that pytest would take for its own."""


def test_interrupted_at_random_moments(folder):
    """Between any two bytecodes, by a timer."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    rng = np.random.default_rng()
    before = signal.signal(signal.SIGALRM, interrupt)
    committed = 0
    gc.disable()  # Hypothesis hooks Python code into the collector, which then runs, and is interrupted, anywhere in C
    try:
        for _ in range(40):
            try:
                with Index.write(folder, MODEL) as writer:
                    signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0005, 0.03))
                    go_on(writer)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupted:
                pass
            with Index.open(folder) as index:
                assert index.images >= committed
                committed = index.images
                assert len(segments_of(folder)) == len(index.embeddings)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert_whole(folder, committed)


@contextmanager
def failing_step(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException):
    """The number-th step of writing files fails: making a folder, a header, a sync, a rename."""
    steps = iter(range(1_000))

    def failing(function):
        def step(*args, **kwargs):
            if next(steps) == number:
                raise error
            return function(*args, **kwargs)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(os.fsync))
        patch.setattr(os, "mkdir", failing(os.mkdir))
        patch.setattr(os, "rename", failing(os.rename))
        patch.setattr(np.lib.format, "write_array_header_1_0", failing(np.lib.format.write_array_header_1_0))
        yield


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), Interrupted()])
def test_any_step_of_a_commit_may_fail(filled, monkeypatch, error):
    """Merging both segments with new images: each step fails once, and the last run meets no failure."""

    def write(number: int) -> None:
        with Index.write(filled, MODEL) as writer:
            for content in range(100, 140):
                put(writer, f"/more/{content}.jpg", content)
            with failing_step(monkeypatch, number, error):
                writer.commit()

    expected, message = (
        (Interrupted, None)
        if isinstance(error, Interrupted)
        else (IndexNotWritten, "holds the 40 images of its last commit: free some space, then run again")
    )
    # Four headers, four syncs of files, two of folders, a folder and a rename.
    for number in range(12):
        with pytest.raises(expected, match=message):
            write(number)
        assert paths_of(filled) == {f"/photos/{content}.jpg" for content in range(40)}
        assert segments_of(filled) == ["1", "2"]
    write(12)
    assert len(paths_of(filled)) == 80
    assert len(segments_of(filled)) == 1


@contextmanager
def largest_file(size_bytes: int):
    """No file may grow beyond this: what SQLite and NumPy write meets a real error from the system."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_at_any_size(filled):
    def write(limit: int) -> None:
        with largest_file(limit), Index.write(filled, MODEL) as writer:
            for content in range(100, 300):
                put(writer, f"/more/{content}.jpg", content)

    for limit in [100, 1_000, 4_000, 8_000, 16_000, 24_000, 32_000]:
        with pytest.raises(IndexNotWritten, match="run again"):
            write(limit)
        assert len(paths_of(filled)) == 40
    write(1 << 30)
    assert len(paths_of(filled)) == 240


def test_a_full_database_says_what_was_committed(filled):
    def fill() -> None:
        with Index.write(filled, MODEL) as writer:
            pages = writer._connection.execute("PRAGMA page_count").fetchone()[0]
            writer._connection.execute(f"PRAGMA max_page_count = {pages}")
            for content in range(100, 300):
                put(writer, f"/more/{content}.jpg", content)

    with pytest.raises(IndexNotWritten, match=r"full; the index holds the 40 images .* free some space") as caught:
        fill()
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert len(paths_of(filled)) == 40


def test_what_a_crash_left_is_removed(filled):
    for name in ("3.tmp", "4"):
        (filled / "segments" / name).mkdir()
        (filled / "segments" / name / store.FILES[0]).write_bytes(b"half")
    assert len(paths_of(filled)) == 40
    with Index.write(filled, MODEL) as writer:
        put(writer, "/new.jpg", "new")
    assert segments_of(filled) == ["1", "2", "3"]
    assert len(paths_of(filled)) == 41
