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
from PIL import Image

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
    go_on: threading.Event | None
    label: None = None

    def read(self):
        assert self.go_on is None or self.go_on.wait(10)
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
    assert one.embeddings.shape == (1, 3)
    assert one.embeddings == pytest.approx(found[4].embeddings, abs=1e-6)


def test_parts_are_embedded_beside_the_whole(photos, embedder, tmp_path):
    """In several batches of the model's, with an unreadable one between: each image gets its own rows back."""
    from neardup.embedding import BATCH
    from neardup.embedding.parts import PLACES, SIDE

    halves = Image.new("RGB", (40, 40), "red")
    halves.paste("blue", (0, 0, 40, 20))
    halves.save(tmp_path / "halves.png")
    paths = [*photos(BATCH - 2), tmp_path / "halves.png"]
    paths[1].write_bytes(b"broken")
    found = list(embed_images(map(ImageFile, paths), embedder, threads=2, parts=True))
    assert [image.error is None for image in found] == [number != 1 for number in range(BATCH - 1)]
    assert all(image.embeddings.shape == (1 + len(PLACES), 3) for image in found if image.error is None)
    alone = list(embed_images(map(ImageFile, paths), embedder, threads=2))
    for image, whole in zip(found, alone, strict=True):
        if image.embeddings is not None:
            assert image.embeddings[0] == pytest.approx(whole.embeddings[0], abs=1e-6)
    # Of the upper corners, 0.5 / 0.6 are blue; of the lower ones 0.1 / 0.6; of the middle one half.
    blue = [0.5, *((0.5 - top) / SIDE for top in (0, 0, 0.4, 0.4, 0.2))]
    directions = np.array([[255 * (1 - share) + 1, 1, 255 * share + 1] for share in blue])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert found[-1].embeddings == pytest.approx(directions, abs=0.02)


def test_an_error_that_may_pass_is_not_remembered():
    class Flaky(ImageFile):
        def read(self):
            raise UnreadableImage("cannot be read: Input/output error")

    prepared = prepare(Flaky(Path("x.jpg")), Decode(16))
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
        found = list(prepare_in_order(sources, executor, Decode(16), is_known=is_known))
    assert [source for source, _ in found] == sources
    assert [number for number, (_, image) in enumerate(found) if image.pixels is None] == [3]
    assert found[3][1] == Prepared(wanted)
    assert asked_by == {threading.get_ident()}


def test_what_is_sent_to_an_executor_can_be_pickled(photos):
    paths = photos(5)
    paths[2].write_bytes(b"broken")
    sources = [ImageFile(path, "label") for path in paths]
    with Processes(2, get_context("forkserver")) as executor:
        elsewhere = list(prepare_in_order(sources, executor, Decode(16)))
    assert [source for source, _ in elsewhere] == sources
    assert elsewhere[2][1].error
    assert all(same(image, prepare(source, Decode(16))) for source, image in elsewhere)


@pytest.mark.parametrize(
    ("size_bytes", "most"), [(MOST_BYTES + 1, 1), (MOST_BYTES // 2, 2), (BYTES_AHEAD // 2, 4), (BYTES_AHEAD // 16, 16)]
)
def test_large_files_are_under_way_as_memory_allows(size_bytes, most):
    """Two for each of two workers while they fit the larger limit; more than that within the smaller one."""
    go_on = threading.Event()
    sources = [Large(str(number), size_bytes, go_on) for number in range(40)]
    pulled, found = [], []

    def pull():
        for source in sources:
            pulled.append(source)
            yield source

    def consume():
        with Threads(2) as executor:
            found.extend(prepare_in_order(pull(), executor, Decode(16)))

    consumer = threading.Thread(target=consume)
    consumer.start()
    deadline = time.monotonic() + 10
    while len(pulled) < most + 1 and time.monotonic() < deadline:  # the last one waits for room
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(pulled) == most + 1
    go_on.set()
    consumer.join()
    assert [source for source, _ in found] == sources
    assert {image.error for _, image in found} == {"not an image of a known format"}


def test_a_slow_image_does_not_hold_up_those_behind_it(photos):
    """However large they are: what is decoded takes no room, and comes in its turn."""
    go_on = threading.Event()
    sources = [Large("slow", MOST_BYTES // 2, go_on), *(Large(str(n), MOST_BYTES // 3, None) for n in range(20))]
    decoded = []

    class Counting(Threads):
        def submit(self, function, item):
            future = super().submit(function, item)
            if isinstance(function, Decode):
                future.add_done_callback(decoded.append)
            return future

    def release():
        while len(decoded) < 20:
            time.sleep(0.001)
        go_on.set()

    releaser = threading.Thread(target=release)
    releaser.start()
    with Counting(2) as executor:
        found = list(prepare_in_order(sources, executor, Decode(16)))
    releaser.join()
    assert [source for source, _ in found] == sources


def test_nothing_is_kept_of_what_was_handed_on(photos):
    """Without the collector of circles, which may come late: pixels are large."""
    sources = [ImageFile(path) for path in photos(6)]
    handed_on = []
    gc.disable()
    try:
        with Threads(2) as executor:
            for _, image in prepare_in_order(sources, executor, Decode(16)):
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
