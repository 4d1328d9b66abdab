"""A small index to work on."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from small_index import MODEL, put, segments_of

from neardup.index import Index


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """On a file system in memory where there is one: a disk takes milliseconds for each of thousands of syncs."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path / ".neardup"
        return
    with TemporaryDirectory(dir=memory) as home:
        yield Path(home) / ".neardup"


@pytest.fixture
def filled(folder: Path) -> Path:
    """Contents 0 to 39 as /photos/0.jpg to /photos/39.jpg, in two segments of 30 and 10 rows."""
    with Index.write(folder, MODEL) as writer:
        for content in range(30):
            put(writer, f"/photos/{content}.jpg", content)
        writer.commit()
        for content in range(30, 40):
            put(writer, f"/photos/{content}.jpg", content)
    assert segments_of(folder) == ["1", "2"]
    return folder
