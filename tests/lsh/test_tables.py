from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.errors import BadInput
from neardup.lsh import HashTables, draw_hyperplanes, find_candidates, signatures, tables
from neardup.lsh.probing import probe_signatures
from neardup.lsh.tables import candidate_blocks


class DictTables:
    """The algorithm of the Keras near-duplicate example: a dict a table, lists of rows, matches counted."""

    def __init__(self, planes):
        self.planes = planes
        self.tables = [defaultdict(list) for _ in planes]

    def keys(self, embedding):
        for plane in self.planes:
            yield sum(2**bit for bit, positive in enumerate(plane @ embedding > 0) if positive)

    def add(self, row, embedding):
        for table, key in zip(self.tables, self.keys(embedding), strict=True):
            table[key].append(row)

    def query(self, embedding):
        return Counter(
            row for table, key in zip(self.tables, self.keys(embedding), strict=True) for row in table.get(key, [])
        )


def test_same_candidates_and_counts_as_dict_tables(unit_rows):
    planes = draw_hyperplanes(tables=10, bits=8, dim=32)
    embeddings = unit_rows(600, 32)
    reference = DictTables(planes)
    for row, embedding in enumerate(embeddings):
        reference.add(row, embedding)
    built = HashTables.build(signatures(embeddings, planes), bits=8)
    for embedding in [*unit_rows(30, 32), *embeddings[:30]]:
        rows, shared = find_candidates([built], embedding, planes, bits=8, probes=1)
        assert dict(zip(rows.tolist(), shared.tolist(), strict=True)) == reference.query(embedding)


def test_tables_worked_by_hand():
    built = HashTables.build(np.array([[5, 1], [2, 1], [5, 0], [7, 1]], np.uint64), bits=3)
    assert built.signatures.tolist() == [[2, 5, 5, 7], [0, 1, 1, 1]]
    assert built.rows.tolist() == [[1, 0, 2, 3], [2, 0, 1, 3]]
    assert built.signatures.dtype == np.uint32
    assert built.rows.dtype == np.uint32
    # Of 3 bits the high 1: signatures 2, 5, 5, 7 are 0, 1, 1, 1; the bucket 1 lies from 1 on, 3 long.
    begin, size = built.slices(np.array([[[1], [0]]], np.uint64), 1, 3)
    assert (begin[0].tolist(), size[0].tolist()) == ([[1], [0]], [[3], [4]])


def brute_force(embeddings, query, planes, bits, probes):
    """Row by row, from the hyperplanes of the high bits."""
    high = np.ascontiguousarray(planes[:, planes.shape[1] - bits :])
    wanted = probe_signatures(high @ query, probes)
    hashed = signatures(embeddings, high)
    found = {}
    for row, own in enumerate(hashed):
        if any(own[table] in wanted[table] for table in range(len(planes))):
            found[row] = sum(int(own[table] == wanted[table, 0]) for table in range(len(planes)))
    return found


@given(
    seed=st.integers(0, 2**32 - 1),
    bits=st.integers(1, 12),
    probes=st.integers(1, 12),
    cuts=st.lists(st.integers(0, 80), max_size=3),
    directory=st.booleans(),
    budget=st.sampled_from([5, 1 << 22]),
)
@settings(max_examples=60, deadline=None)
def test_candidates_are_those_of_brute_force_however_the_rows_are_split(seed, bits, probes, cuts, directory, budget):
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((80, 6)).astype(np.float32)
    embeddings[40:50] = embeddings[0]
    planes = draw_hyperplanes(tables=3, bits=12, dim=6, seed=seed)
    edges = [0, *sorted(cuts), 80]
    parts = [HashTables.build(signatures(embeddings[start:end], planes), bits=12) for start, end in pairwise(edges)]
    if directory:
        parts = [part.with_directory(bits, 12) for part in parts]
    queries = np.concatenate([embeddings[:2], rng.standard_normal((3, 6)).astype(np.float32)])
    kept, tables.BLOCK_CANDIDATES = tables.BLOCK_CANDIDATES, budget
    try:
        blocks = list(candidate_blocks(parts, queries, planes, bits=bits, probes=probes))
        alone = [find_candidates(parts, query, planes, bits=bits, probes=probes) for query in queries]
    finally:
        tables.BLOCK_CANDIDATES = kept
    number, rows, shared = (np.concatenate(column) for column in zip(*blocks, strict=True))
    assert np.all(np.diff(number) >= 0)
    for index, query in enumerate(queries):
        expected = brute_force(embeddings, query, planes, bits, probes)
        assert list(expected) == alone[index][0].tolist() == rows[number == index].tolist()
        assert list(expected.values()) == alone[index][1].tolist() == shared[number == index].tolist()


@pytest.mark.parametrize("bits", [20, 32, 40, 64])
def test_merge_equals_one_build(bits, unit_rows):
    embeddings = unit_rows(300, 8)
    embeddings[100:200] = embeddings[0]
    hashed = signatures(embeddings, draw_hyperplanes(tables=2, bits=bits, dim=8))
    whole = HashTables.build(hashed, bits=bits)
    merged = HashTables.merge([HashTables.build(part, bits=bits) for part in np.split(hashed, [10, 10, 250])])
    assert whole.signatures.dtype == (np.uint32 if bits <= 32 else np.uint64)
    assert np.array_equal(merged.signatures, whole.signatures)
    assert np.array_equal(merged.rows, whole.rows)


def test_tables_serve_from_memory_maps_and_do_not_read_them_whole(tmp_path, unit_rows):
    embeddings = unit_rows(500, 16)
    planes = draw_hyperplanes(tables=4, bits=24, dim=16)
    built = HashTables.build(signatures(embeddings, planes), bits=24)
    np.save(tmp_path / "signatures.npy", built.signatures)
    np.save(tmp_path / "rows.npy", built.rows)
    mapped = HashTables(
        np.load(tmp_path / "signatures.npy", mmap_mode="r"), np.load(tmp_path / "rows.npy", mmap_mode="r")
    )
    for query in embeddings[:20]:
        expected = find_candidates([built], query, planes, bits=9, probes=6)
        for got, want in zip(find_candidates([mapped], query, planes, bits=9, probes=6), expected, strict=True):
            assert np.array_equal(got, want)
            assert type(got) is np.ndarray


def test_no_rows_give_no_candidates():
    planes = draw_hyperplanes(tables=2, bits=8, dim=4)
    empty = HashTables.build(np.empty((0, 2), np.uint64), bits=8)
    for parts in ([], [empty], [empty, empty]):
        rows, shared = find_candidates(parts, np.ones(4, np.float32), planes, bits=5, probes=3)
        assert len(rows) == len(shared) == 0
        assert rows.dtype == shared.dtype == np.int64


@pytest.mark.parametrize(("bits", "probes"), [(0, 1), (9, 1), (4, 0), (4, 257)])
def test_impossible_bits_and_probes_are_refused(bits, probes):
    with pytest.raises(BadInput, match="bits must be 1 to 8, probes 1 to 256"):
        find_candidates([], np.ones(4, np.float32), draw_hyperplanes(tables=1, bits=8, dim=4), bits=bits, probes=probes)
