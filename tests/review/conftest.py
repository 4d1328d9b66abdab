"""An index to keep verdicts in, and a review of two groups of copies and one of byte copies."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neardup.index import Index, Model
from neardup.index.owner import trust_index
from neardup.review import Review
from neardup.review.security import Guard
from neardup.review.server import create_app, open_server
from tests.duplicate_groups import exact_group, near_group

MODEL = Model(name="tiny", digest="d" * 64, engine="onnx", precision="f32", dim=8, decoder="x")


@pytest.fixture(scope="session")
def an_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of one image."""
    folder = tmp_path_factory.mktemp("index") / "index"
    row = np.eye(8, dtype=np.float32)[0]
    with Index.write(folder, MODEL) as writer:
        writer.add(Path("/a.jpg"), size_bytes=1, mtime_ns=1, digest=b"a" * 32, width=1, height=1, embedding=row)
    return folder


@pytest.fixture
def folder(tmp_path: Path, an_index: Path) -> Path:
    """A copy of it, which is much faster than making one."""
    folder = shutil.copytree(an_index, tmp_path / "index")
    trust_index(folder, trust=True)
    return folder


@pytest.fixture
def open_review(tmp_path: Path, folder: Path) -> Iterator[Callable[..., Review]]:
    """Opens a review of groups: 0 of three copies, 1 of two, 2 of three byte copies."""
    groups = [
        near_group(tmp_path / "photos", seed=1, members=3),
        near_group(tmp_path / "photos", seed=2),
        exact_group(tmp_path / "photos", seed=3, members=3),
    ]
    opened = []

    def open_it(**options: Any) -> Review:
        options = {"plan_path": tmp_path / "plan.json", "groups": groups, **options}
        opened.append(Review(folder, options.pop("groups"), **options))
        return opened[-1]

    yield open_it
    for review in opened:
        review.close()


@contextmanager
def serving(review: Review) -> Iterator[Guard]:
    """The real server, at work in a thread."""
    server, guard = open_server(review, port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield guard
    finally:

        def close() -> None:
            server.close()
            for channel in list(server.active_channels.values()):
                channel.handle_close()

        # In the server's own thread, between two requests; it may have closed the pipe before this has written to it.
        with suppress(OSError):
            server.trigger.pull_trigger(close)
        thread.join(10)
        server.task_dispatcher.shutdown()
        assert not thread.is_alive()


@pytest.fixture
def guard() -> Guard:
    return Guard(4321)


@pytest.fixture
def client(open_review: Callable[..., Review], guard: Guard) -> Any:
    """A client that knows nothing but the address; `.review` is what it talks to."""
    review = open_review()
    client: Any = create_app(review, guard).test_client()
    client.review = review
    return client
