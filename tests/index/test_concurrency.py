"""One writer, any number of readers, and neither disturbs the other."""

import multiprocessing
import os
import re
import shutil
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from small_index import MODEL, digest_of, embedding_of, paths_of, put, segments_of

from neardup.errors import DamagedIndex, IndexLocked
from neardup.index import Index, IndexWriter, catalog, store

# Children that have everything imported, and are not copies of the test process.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["neardup.index", "small_index"])


def test_a_reader_keeps_its_snapshot_while_segments_are_merged_away(filled):
    index = Index.open(filled)
    before = index.query(embedding_of(3), k=40, exact=True)
    listed = list(index)
    with Index.write(filled, MODEL) as writer:
        writer.remove_vanished([Path("/photos/3.jpg")])
        for content in range(100, 200):
            put(writer, f"/more/{content}.jpg", content)
        writer.commit()
        assert segments_of(filled) == ["3"]
        assert index.query(embedding_of(3), k=40, exact=True) == before
        assert list(index) == listed
        assert index.images == 40
    assert Index.open(filled).images == 139


def test_a_reader_that_finds_a_segment_gone_reads_the_list_again(filled, monkeypatch):
    """A merge is committed, and its old files deleted, between a reader's list and its mapping of the files."""
    open_segment = store.open_segment
    commits = iter(range(3))

    def interrupted(*args, **kwargs):
        for commit in commits:
            monkeypatch.setattr(store, "open_segment", open_segment)
            with Index.write(filled, MODEL) as writer:
                for content in range(1_000 * (commit + 1), 1_000 * (commit + 1) + 100 * 2**commit):
                    put(writer, f"/more/{content}.jpg", content)
            monkeypatch.setattr(store, "open_segment", interrupted)
            break
        return open_segment(*args, **kwargs)

    monkeypatch.setattr(store, "open_segment", interrupted)
    index = Index.open(filled)
    assert index.images == 40 + 100 + 200 + 400
    assert index.query(embedding_of(3), k=1)[0].path == Path("/photos/3.jpg")


def write_many(folder: Path, report: Connection) -> None:
    with Index.write(folder, MODEL) as writer:
        for content in range(400):
            put(writer, f"/photos/{content}.jpg", content)
            if content % 5 == 0:
                writer.commit()
                report.send(content + 1)
    report.send(400)
    report.close()


def test_readers_see_whole_commits_while_a_writer_writes(folder):
    receive, send = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=write_many, args=(folder, send))
    process.start()
    send.close()
    committed, opened = 0, 0
    while committed < 400:
        committed = receive.recv()
        with Index.open(folder) as index:
            opened += 1
            assert index.images >= committed
            assert index.images % 5 in (0, 1)
            assert len({image.path for image in index}) == index.images
            assert index.query(embedding_of(committed - 1), k=1)[0].path == Path(f"/photos/{committed - 1}.jpg")
    process.join()
    assert opened > 50


def test_a_second_writer_is_told_who_holds_the_lock(filled):
    with Index.write(filled, MODEL):
        message = re.escape(f"process {os.getpid()} on {os.uname().nodename} is writing to this index")
        with pytest.raises(IndexLocked, match=message), Index.write(filled, MODEL):
            pass
    with Index.write(filled, MODEL) as writer:
        put(writer, "/new.jpg", "new")
    assert "/new.jpg" in paths_of(filled)


def test_a_second_writer_may_wait(filled):
    told = threading.Event()
    lines: list[str] = []

    def second() -> None:
        def wait(line: str) -> None:
            lines.append(line)
            told.set()

        with Index.write(filled, MODEL, wait=wait) as writer:
            assert writer.state(Path("/first.jpg")) is not None
            put(writer, "/second.jpg", "second")

    thread = threading.Thread(target=second)
    with Index.write(filled, MODEL) as writer:
        thread.start()
        assert told.wait(30)
        put(writer, "/first.jpg", "first")
    thread.join()
    assert "waiting for it to end" in lines[0]
    assert paths_of(filled) >= {"/first.jpg", "/second.jpg"}


def hold(folder: Path, report: Connection) -> None:
    with Index.write(folder, MODEL) as writer:
        put(writer, "/held.jpg", "held")
        report.send("holding")
        threading.Event().wait()


def test_the_lock_of_a_killed_writer_is_free(filled):
    receive, send = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=hold, args=(filled, send))
    process.start()
    assert receive.recv() == "holding"
    with pytest.raises(IndexLocked, match=f"process {process.pid} "), Index.write(filled, MODEL):
        pass
    process.kill()
    process.join()
    with Index.write(filled, MODEL) as writer:
        assert writer.state(Path("/held.jpg")) is None


def hold_and_fork(folder: Path, report: Connection) -> None:
    with Index.write(folder, MODEL):
        worker = os.fork()
        if worker == 0:
            report.send(os.getpid())
        threading.Event().wait()


def test_a_worker_that_outlives_a_killed_writer_does_not_hold_its_lock(filled):
    receive, send = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=hold_and_fork, args=(filled, send))
    process.start()
    worker = receive.recv()
    process.kill()
    process.join()
    try:
        with Index.write(filled, MODEL) as writer:
            put(writer, "/new.jpg", "new")
        os.kill(worker, 0)  # it is still there
    finally:
        os.kill(worker, signal.SIGKILL)
    assert "/new.jpg" in paths_of(filled)


def test_readers_and_writers_get_on_without_wal(filled, monkeypatch):
    """A reader copies the catalogue then, since its transaction would keep a writer from committing."""

    def rollback_journal(connection) -> None:
        assert connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)

    monkeypatch.setattr(catalog, "_choose_journal", rollback_journal)
    with Index.write(filled, MODEL) as writer:
        put(writer, "/new.jpg", "new")
    index = Index.open(filled)
    with Index.write(filled, MODEL) as writer:
        writer.remove_vanished([Path("/")])
        writer.commit()
        assert index.query(embedding_of("new"), k=1)[0].path == Path("/new.jpg")
        assert len(list(index)) == 41
    assert Index.open(filled).images == 0


def test_an_index_serves_several_threads(filled):
    index = Index.open(filled)
    expected = [index.query(embedding_of(content)) for content in range(40)]
    wrong = []

    def ask() -> None:
        wrong.extend(content for content in range(40) if index.query(embedding_of(content)) != expected[content])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_threads_may_ask_for_contents_while_another_adds(folder):
    wrong: list[object] = []
    done = threading.Event()

    def ask(writer: IndexWriter) -> None:
        while not done.is_set():
            wrong.extend(n for n in range(10) if writer.content(digest_of(n)) != n + 1)

    with Index.write(folder, MODEL) as writer:
        for content in range(10):
            put(writer, f"/photos/{content}.jpg", content)
        threads = [threading.Thread(target=ask, args=(writer,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for content in range(10, 200):
            put(writer, f"/photos/{content}.jpg", content)
            if content % 20 == 0:
                writer.commit()
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert Index.open(folder).images == 200


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that another user may reach."""
    home = Path(tempfile.mkdtemp())
    home.chmod(0o755)
    yield home
    for path in [home, *home.rglob("*")]:
        path.chmod(path.stat().st_mode | stat.S_IWUSR | stat.S_IXUSR)
    shutil.rmtree(home)


def read_as_nobody(folder: Path, other: Path, report: Connection) -> None:
    Index.open(other).query(embedding_of("last"))  # NumPy imports late, and root's Python may be out of reach then
    if os.geteuid() == 0:
        os.setuid(65534)  # root may write everywhere
    assert not os.access(folder, os.W_OK)
    try:
        index = Index.open(folder)
        report.send((index.images, index.query(embedding_of("last"), k=1)[0].path))
    except DamagedIndex as error:
        report.send(str(error))


@pytest.mark.parametrize("left", ["closed", "log", "log and its index"])
def test_an_index_on_a_read_only_medium_can_be_read(open_to_all, filled, left):
    """Closed in order, or copied from a machine whose writer had just committed."""
    medium = open_to_all / "medium"
    with Index.write(filled, MODEL) as writer:
        put(writer, "/last.jpg", "last")
        writer.commit()
        if left != "closed":
            ignored = () if left == "log and its index" else ("*-shm",)
            shutil.copytree(filled, medium, ignore=shutil.ignore_patterns(*ignored))
            assert (medium / "catalog.sqlite-wal").stat().st_size > 0
    if left == "closed":
        shutil.copytree(filled, medium)
        assert not (medium / "catalog.sqlite-wal").exists()
    for path in [medium, *medium.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    receive, send = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=read_as_nobody, args=(medium, filled, send))
    process.start()
    send.close()
    assert receive.recv() == (41, Path("/last.jpg"))
    process.join()
