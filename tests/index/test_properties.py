"""Any sequence of steps leaves an index that agrees with a dictionary."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from small_index import MODEL, digest_of, embedding_of, put

from neardup.index import Index

PATHS = st.sampled_from([b"/a/1.jpg", b"/a/2.jpg", b"/a/b/1.jpg", b"/a/b/\xff.jpg", b"/ab/1.jpg", b"/a", b"/c/'\n.jpg"])
ROOTS = st.sampled_from([b"/", b"/a", b"/a/b", b"/ab", b"/c/'\n.jpg", b"/nowhere"])
CONTENTS = st.integers(0, 8)


class IndexAgreesWithADictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.committed: dict[bytes, int] = {}
        self.failures: dict[bytes, str] = {}
        self.begin()

    def begin(self) -> None:
        self.context = Index.write(self.folder, MODEL)
        self.writer = self.context.__enter__()
        self.images, self.broken = dict(self.committed), dict(self.failures)

    def keep(self) -> None:
        self.committed, self.failures = dict(self.images), dict(self.broken)

    @rule(path=PATHS, content=CONTENTS)
    def add(self, path: bytes, content: int) -> None:
        put(self.writer, path, content)
        self.images[path] = content
        self.broken.pop(path, None)

    @rule(path=PATHS)
    def fail(self, path: bytes) -> None:
        self.writer.fail(Path(os.fsdecode(path)), size_bytes=1, mtime_ns=1, error="broken")
        self.images.pop(path, None)
        self.broken[path] = "broken"

    @rule(roots=st.lists(ROOTS, max_size=2), seen=st.lists(PATHS, max_size=4))
    def remove_vanished(self, roots: list[bytes], seen: list[bytes]) -> None:
        def vanished(path: bytes) -> bool:
            below = any(path == root or path.startswith(root.rstrip(b"/") + b"/") for root in roots)
            return below and path not in seen

        for path in seen:
            self.writer.saw(Path(os.fsdecode(path)))
        removed = self.writer.remove_vanished([Path(os.fsdecode(root)) for root in roots])
        assert removed == sum(vanished(path) for path in self.images)
        self.images = {path: content for path, content in self.images.items() if not vanished(path)}
        self.broken = {path: error for path, error in self.broken.items() if not vanished(path)}

    @rule()
    def commit(self) -> None:
        self.writer.commit()
        self.keep()

    @rule()
    def close(self) -> None:
        self.context.__exit__(None, None, None)
        self.keep()
        self.begin()

    @rule()
    def crash(self) -> None:
        assert not self.context.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
        self.begin()

    @invariant()
    def the_writer_knows_what_it_was_told(self) -> None:
        assert self.writer.images == len(self.images)
        for path, content in self.images.items():
            state = self.writer.state(Path(os.fsdecode(path)))
            assert state.error is None
            assert state.content == self.writer.content(digest_of(content))
        for path, error in self.broken.items():
            assert self.writer.state(Path(os.fsdecode(path))).error == error

    @invariant()
    def a_reader_sees_the_last_commit(self) -> None:
        with Index.open(self.folder) as index:
            assert {os.fsencode(image.path): image.digest for image in index} == {
                path: digest_of(content) for path, content in self.committed.items()
            }
            assert len(index.live_rows) == len(set(self.committed.values()))
            for content in range(9):
                copies = sorted(path for path, other in self.committed.items() if other == content)
                for exact in (False, True):
                    matches = index.query(embedding_of(content), k=10, min_similarity=0.999, exact=exact)
                    assert [os.fsencode(match.path) for match in matches] == copies

    def teardown(self) -> None:
        self.context.__exit__(None, None, None)
        shutil.rmtree(self.folder)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


TestIndexAgreesWithADictionary = IndexAgreesWithADictionary.TestCase
TestIndexAgreesWithADictionary.settings = settings(
    max_examples=15,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
