"""Images through an executor: in order, a bounded number at once, and nothing left behind."""

import gc
import io
import threading
import time
import weakref
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from neardup.errors import UnreadableImage
from neardup.prepare import (
    AHEAD,
    BYTES_AHEAD,
    MOST_BYTES,
    Content,
    Decode,
    Prepared,
    Threads,
    embed_images,
    prepare,
    prepare_in_order,
    read,
)
from neardup.sources import ImageFile, Kept
from neardup.sources.stdin import StandardInput
from tests.mean_colour import mean_colour


@pytest.fixture
def embedder():
    return mean_colour()


@dataclass(frozen=True)
class Large:
    """A source that would take much memory."""

    name: str
    most_bytes: int
    label: None = None

    def read(self):
        return f"no image {self.name}".encode()


class Processes(ProcessPoolExecutor):
    workers = 2


def same(first: Prepared, second: Prepared) -> bool:
    plain = replace(first, pixels=None) == replace(second, pixels=None)
    return plain and np.array_equal(first.pixels, second.pixels)


def test_no_more_than_a_bounded_number_of_images_is_under_way(photos, embedder):
    [path] = photos(1)
    started = 0

    class Counting(ImageFile):
        def read(self):
            nonlocal started
            started += 1
            return super().read()

    stream = embed_images((Counting(path) for _ in range(10 * AHEAD)), embedder, threads=2)
    next(stream)
    time.sleep(0.05)
    assert started <= 2 * AHEAD
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prepare")]


def test_embeddings_come_in_order_with_errors_between(photos, embedder, tmp_path):
    paths = photos(5)
    paths[2].write_bytes(b"broken")
    found = list(embed_images(map(ImageFile, paths), embedder, threads=2))
    assert [image.source.path for image in found] == paths
    assert [image.error is None for image in found] == [True, True, False, True, True]
    one = next(embed_images([ImageFile(paths[4])], embedder, threads=1))
    assert one.embedding == pytest.approx(found[4].embedding, abs=1e-6)


def test_an_error_that_may_pass_is_not_remembered():
    class Flaky(ImageFile):
        def read(self):
            raise UnreadableImage("cannot be read: Input/output error")

    prepared = prepare(Flaky(Path("x.jpg")), 16)
    assert (prepared.error, prepared.lasting) == ("cannot be read: Input/output error", False)
    assert Decode(16)(Content(b"nonsense")).lasting


def test_what_is_known_is_not_decoded_and_who_asks_is_the_caller(photos):
    sources = [ImageFile(path) for path in photos(8)]
    wanted = read(sources[3]).digest
    asked_by = set()

    def is_known(digest):
        asked_by.add(threading.get_ident())
        return digest == wanted

    with Threads(2) as executor:
        found = list(prepare_in_order(sources, executor, 16, is_known=is_known))
    assert [source for source, _ in found] == sources
    assert [number for number, (_, image) in enumerate(found) if image.pixels is None] == [3]
    assert found[3][1] == Prepared(wanted)
    assert asked_by == {threading.get_ident()}


def test_what_is_sent_to_an_executor_can_be_pickled(photos):
    paths = photos(5)
    paths[2].write_bytes(b"broken")
    sources = [ImageFile(path, "label") for path in paths]
    with Processes(2, get_context("forkserver")) as executor:
        elsewhere = list(prepare_in_order(sources, executor, 16))
    assert [source for source, _ in elsewhere] == sources
    assert elsewhere[2][1].error
    assert all(same(image, prepare(source, 16)) for source, image in elsewhere)


@pytest.mark.parametrize(
    ("size_bytes", "most"), [(MOST_BYTES + 1, 1), (MOST_BYTES // 2, 2), (BYTES_AHEAD // 2, 4), (BYTES_AHEAD // 16, 16)]
)
def test_large_files_are_under_way_as_memory_allows(size_bytes, most):
    """As many as there are workers, four, while they fit the larger limit; more than that within the smaller one."""
    sources = [Large(str(number), size_bytes) for number in range(40)]
    put, highest = 0, 0

    def counted():
        nonlocal put, highest
        for source in sources:
            yield source
            put += 1
            highest = max(highest, put - taken)

    taken = 0
    with Threads(4) as executor:
        for source, image in prepare_in_order(counted(), executor, 16):
            assert source is sources[taken]
            assert image.error == "not an image of a known format"
            taken += 1
    assert (taken, highest) == (40, most)


def test_nothing_is_kept_of_what_was_handed_on(photos):
    """Without the collector of circles, which may come late: pixels are large."""
    sources = [ImageFile(path) for path in photos(6)]
    handed_on = []
    gc.disable()
    try:
        with Threads(2) as executor:
            for _, image in prepare_in_order(sources, executor, 16):
                handed_on.append(weakref.ref(image))
            del image
        assert [kept() for kept in handed_on] == [None] * 6
    finally:
        gc.enable()


def test_what_must_not_be_read_twice_is_kept():
    stream = io.BytesIO(b"content")
    source = Kept(StandardInput(stream))
    assert (source.read(), source.read(), source.name) == (b"content", b"content", "-")
    assert stream.read() == b""
