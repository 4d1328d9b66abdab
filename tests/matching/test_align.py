"""Maps that are offered, and those that cannot be of two pictures."""

import numpy as np
import pytest

from neardup.matching.judge import judge
from neardup.matching.maps import is_plausible
from neardup.matching.picture import picture_of
from tests.conftest import draw_scene


@pytest.mark.parametrize(
    "known",
    [
        np.zeros((3, 3)),
        np.full((3, 3), np.nan),
        np.full((3, 3), 1e300),
        np.diag([1e-9, 1.0, 1.0]),
        np.diag([1e9, 1e9, 1.0]),
        np.array([[1, 0, 0], [0, 1, 0], [1, 1, -500.0]]),
    ],
    ids=["nothing", "no number", "overflow", "a line", "a point", "beyond the horizon"],
)
@pytest.mark.filterwarnings("error")
def test_a_map_that_cannot_be_is_passed_over(known):
    """It may have been composed from what an index from elsewhere holds."""
    scene = draw_scene(1)
    a, b = (picture_of(np.asarray(image)) for image in (scene, scene.crop((40, 20, 440, 320))))
    assert not is_plausible(known, scene.size)
    assert judge(a, b, known=known) == judge(a, b)


def test_a_map_that_is_likely_is_where_the_search_begins():
    scene = draw_scene(1)
    a, b = (picture_of(np.asarray(image)) for image in (scene, scene.crop((40, 20, 440, 320))))
    found = judge(a, b, known=np.array([[1, 0, -43.0], [0, 1, -17], [0, 0, 1]]))
    assert found.relation == "copy"
    assert np.array(found.matrix).reshape(3, 3) == pytest.approx(
        np.array([[1, 0, -40], [0, 1, -20], [0, 0, 1]]), abs=0.5
    )
    # One that leads astray is no map of the two.
    assert not judge(a, b, known=np.array([[-1, 0, 400.0], [0, 1, 0], [0, 0, 1]])).is_confirmed
