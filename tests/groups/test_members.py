"""The pairs of a group that carry a verdict."""

import hashlib
from pathlib import Path

import pytest

from neardup.errors import BadInput
from neardup.groups import DuplicateGroup, Member, pairs_of_group
from neardup.groups.members import MAX_APART
from neardup.index.notes import pair_of

A, B, C = (hashlib.sha256(name).digest() for name in (b"a", b"b", b"c"))


def group_of(*digests: bytes) -> DuplicateGroup:
    return DuplicateGroup(
        tuple(Member(Path(f"/{n}"), 1.0, "copy", 1, 1, 1, 1, digest) for n, digest in enumerate(digests))
    )


def test_a_verdict_on_a_group() -> None:
    group = group_of(B, A, B, C)
    assert set(pairs_of_group(group, "duplicate")) == {pair_of(A, B), pair_of(B, C)}
    assert set(pairs_of_group(group, "not")) == {pair_of(A, B), pair_of(B, C), pair_of(A, C)}
    assert pairs_of_group(group_of(A, A), "not") == []
    crowd = group_of(*(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(MAX_APART + 1)))
    with pytest.raises(BadInput, match="raise --min-similarity"):
        pairs_of_group(crowd, "not")
    assert len(pairs_of_group(crowd, "duplicate")) == MAX_APART


def test_one_image_is_no_group() -> None:
    with pytest.raises(ValueError, match="at least two"):
        group_of(A)
