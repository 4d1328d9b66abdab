"""Queries with sign codes for their first stage: of few images as exact as comparing them all."""

import numpy as np
import pytest
from tests.index.small_index import DIM, MODEL, embedding_of, put

from neardup.index import Index


@pytest.fixture
def index(tmp_path):
    for first in (0, 150):  # two segments
        with Index.write(tmp_path, MODEL) as writer:
            for number in range(first, first + 150):
                put(writer, f"/photos/{number}.jpg", number)
    with Index.write(tmp_path, MODEL) as writer:
        for number in range(0, 300, 3):
            writer.saw(f"/photos/{number}.jpg")
        writer.remove_vanished(["/photos/4.jpg", "/photos/5.jpg"])
    return Index.open(tmp_path)


def test_a_hundred_of_all(index):
    result = index.search(embedding_of(7), 4, codes=256)
    assert result.candidates == 100
    assert (str(result.matches[0].path), result.matches[0].tables) == ("/photos/7.jpg", index.tables)
    exact = index.search(embedding_of(7), 4, exact=True)
    assert result.matches == exact.matches


def test_as_many_as_are_asked_for_and_none_that_are_gone(index):
    found = index.query(embedding_of(4), 500, codes=64)
    assert len(found) == 298
    assert {str(match.path) for match in found}.isdisjoint({"/photos/4.jpg", "/photos/5.jpg"})
    assert found == index.query(embedding_of(4), 500, exact=True)


def test_parts_propose_by_codes_too(index):
    views = np.stack([embedding_of(7), embedding_of(8)])
    _, proposed = index.propose(views, most=1, codes=256)
    assert {str(match.path) for match in proposed} == {"/photos/7.jpg", "/photos/8.jpg"}


def test_bytes_per_picture(index):
    assert index.codes(256).bytes_per_row == 32
    assert index.codes(256).words.nbytes == 32 * 300
    assert index.codes(256) is index.codes(256)
    assert index.codes(64).hyperplanes.shape == (1, 64, DIM)
