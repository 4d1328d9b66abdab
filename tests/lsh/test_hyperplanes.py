import numpy as np
import pytest

from neardup.errors import BadInput
from neardup.lsh import draw_hyperplanes, hyperplanes, signatures


def test_signatures_worked_by_hand():
    planes = np.array(
        [
            [[1, 0], [0, 1], [1, 1], [1, -1]],  # table 0, bits 0 to 3
            [[-1, 0], [0, -1], [-1, 1], [2, 1]],  # table 1
        ],
        np.float32,
    )
    embeddings = np.array([[0.6, 0.8], [0.8, -0.6], [-1, 0]], np.float32)
    # (0.6, 0.8):  table 0: 0.6, 0.8, 1.4, -0.2   table 1: -0.6, -0.8, 0.2, 2.0
    # (0.8, -0.6): table 0: 0.8, -0.6, 0.2, 1.4   table 1: -0.8, 0.6, -1.4, 1.0
    # (-1, 0):     table 0: -1, 0, -1, -1         table 1: 1, 0, 1, -2; a product of 0 sets no bit
    expected = [[0b0111, 0b1100], [0b1101, 0b1010], [0b0000, 0b0101]]
    assert signatures(embeddings, planes).tolist() == expected


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 24, 53, 64])
def test_bit_b_is_the_sign_of_the_product_with_hyperplane_b(bits, unit_rows):
    embeddings = unit_rows(50, 16)
    planes = draw_hyperplanes(tables=3, bits=bits, dim=16)
    result = signatures(embeddings, planes)
    assert result.shape == (50, 3)
    assert result.dtype == np.uint64
    for table in range(3):
        for bit in range(bits):
            got = (result[:, table] >> np.uint64(bit)) & np.uint64(1)
            assert np.array_equal(got == 1, embeddings @ planes[table, bit] > 0)
    if bits < 64:
        assert result.max() < 2**bits


def test_blocks_do_not_change_signatures(monkeypatch, unit_rows):
    embeddings = unit_rows(101, 8)
    planes = draw_hyperplanes(tables=2, bits=10, dim=8)
    whole = signatures(embeddings, planes)
    monkeypatch.setattr(hyperplanes, "BLOCK_PROJECTIONS", 7 * 20)
    assert np.array_equal(signatures(embeddings, planes), whole)


def test_float16_memory_map(tmp_path, unit_rows):
    embeddings = unit_rows(40, 8).astype(np.float16)
    np.save(tmp_path / "embeddings.npy", embeddings)
    planes = draw_hyperplanes(tables=2, bits=10, dim=8)
    mapped = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    assert np.array_equal(signatures(mapped, planes), signatures(embeddings.astype(np.float32), planes))


def test_no_rows():
    assert signatures(np.empty((0, 8), np.float32), draw_hyperplanes(tables=2, bits=10, dim=8)).shape == (0, 2)


def test_hyperplanes_are_seeded_and_more_tables_keep_the_first():
    few = draw_hyperplanes(tables=2, bits=5, dim=7, seed=3)
    assert few.dtype == np.float32
    assert np.array_equal(draw_hyperplanes(tables=4, bits=5, dim=7, seed=3)[:2], few)
    assert not np.array_equal(draw_hyperplanes(tables=2, bits=5, dim=7, seed=4), few)


@pytest.mark.parametrize(("tables", "bits", "dim"), [(0, 8, 8), (1, 0, 8), (1, 65, 8), (1, 8, 0)])
def test_impossible_sizes_are_refused(tables, bits, dim):
    with pytest.raises(BadInput, match="at least 1"):
        draw_hyperplanes(tables=tables, bits=bits, dim=dim)
