import pytest

from neardup.embedding.architecture import Architecture
from neardup.errors import BadModel

R50X1 = Architecture(units=(3, 4, 6, 3), width=1, groups=32, pooling="average", projection=None)


def count(architecture):
    total = 0
    for shape in architecture.parameters().values():
        size = 1
        for edge in shape:
            size *= edge
        total += size
    return total


def test_r50x1_has_as_many_parameters_as_the_released_trunk():
    assert count(R50X1) == 23_500_352
    assert R50X1.dim == R50X1.features == 2048


def test_r26x05_is_the_default():
    assert count(Architecture()) == 3_755_168
    assert Architecture().dim == 256


def test_units_of_a_block_change_shape_once():
    units = list(R50X1.blocks())
    assert [u.name for u in units][:4] == [
        "resnet/block1/unit01", "resnet/block1/unit02", "resnet/block1/unit03", "resnet/block2/unit01",
    ]  # fmt: skip
    assert [u.stride for u in units] == [1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1]
    assert [u.projected for u in units] == [
        True,
        False,
        False,
        True,
        *[False] * 3,
        True,
        *[False] * 5,
        True,
        *[False] * 2,
    ]
    assert [u.inputs for u in units][:5] == [64, 256, 256, 256, 512]


def test_json_and_back():
    assert Architecture.from_json(R50X1.to_json()) == R50X1


@pytest.mark.parametrize(
    "change",
    [
        {"units": [2, 2, 2]}, {"units": [2, 2, 2, 0]}, {"width": 0}, {"groups": 7}, {"pooling": "max"},
        {"projection": 0}, {"input_range": [1, 1]}, {"depth": 50},
    ],
)  # fmt: skip
def test_a_config_that_makes_no_sense_is_refused(change):
    with pytest.raises(BadModel, match="architecture"):
        Architecture.from_json(Architecture().to_json() | change)
