"""Evidence survives the trip through an index, and what anyone may have written there is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.matching.colours import Colours
from neardup.matching.evidence import DIFFERS, MORE, MORE_AROUND, SEAM, Evidence

share = st.floats(0, 1)
evidence = st.builds(
    Evidence,
    relation=st.sampled_from(["copy", "edited", "similar", "other"]),
    confidence=share,
    matrix=st.one_of(
        st.none(),
        st.tuples(st.floats(0.1, 5), st.floats(-50, 50), st.floats(0.1, 5), st.floats(-50, 50)).map(
            lambda t: (t[0], 0.0, t[1], 0.0, t[2], t[3], 0.0, 0.0, 1.0)
        ),
    ),
    inliers=st.integers(0, 500),
    matches=st.integers(0, 500),
    agreeing=share,
    well=share,
    median=share,
    differing=share,
    more_a=share,
    more_b=share,
    seam_a=st.floats(0, 50),
    seam_b=st.floats(0, 50),
    clean=st.sampled_from(["a", "b", None]),
    sharper=st.sampled_from(["a", "b", None]),
    colours=st.one_of(st.none(), st.builds(Colours, share, st.floats(0.1, 5), st.one_of(st.none(), st.floats(0.1, 5)),
                                           st.sampled_from(["a", "b", None]), share)),
    frames_a=st.integers(1, 9),
    frames_b=st.integers(1, 9),
    frames_differ=st.booleans(),
    everywhere=st.booleans(),
)  # fmt: skip


@settings(deadline=None)
@given(evidence)
def test_json_and_back(found):
    assert Evidence.from_json(json.loads(json.dumps(found.to_json()))) == found


@settings(deadline=None)
@given(evidence)
def test_twice_reversed_is_as_it_was(found):
    again = found.reversed().reversed()
    assert again.relation == found.relation
    assert (again.more_a, again.seam_b, again.clean, again.frames_a) == (
        found.more_a, found.seam_b, found.clean, found.frames_a,
    )  # fmt: skip
    if found.matrix is not None:
        assert again.matrix == pytest.approx(found.matrix, abs=1e-6)
    other = {"a": "b", "b": "a", None: None}
    assert found.reversed().original == other[found.original]


@pytest.mark.parametrize(
    "value",
    [
        None, [], "copy", {}, {"relation": "copy"}, {"relation": "mine", "confidence": 1},
        {"relation": "copy", "confidence": "1"}, {"relation": "copy", "confidence": float("nan")},
        {"relation": "copy", "confidence": 1, "matrix": [1] * 8},
        {"relation": "copy", "confidence": 1, "matrix": [0] * 9},
        {"relation": "copy", "confidence": 1, "inliers": -1}, {"relation": "copy", "confidence": 1, "inliers": 1.5},
        {"relation": "copy", "confidence": 1, "colours": {}}, {"relation": "copy", "confidence": 1, "more": 1},
        {"relation": "copy", "confidence": 1, "clean": "c"}, {"relation": "copy", "confidence": 1, "everywhere": 1},
    ],
)  # fmt: skip
def test_anything_else_is_refused(value):
    with pytest.raises(ValueError, match=r".*"):
        Evidence.from_json(value)


def test_who_shows_all_of_whom():
    crop = Evidence("copy", 1.0, more_a=2 * MORE)
    assert (crop.a_shows_all_of_b, crop.b_shows_all_of_a, crop.original) == (True, False, "a")
    written = Evidence("edited", 1.0, differing=2 * DIFFERS, clean="b")
    assert (written.a_shows_all_of_b, written.b_shows_all_of_a, written.original) == (False, False, "b")
    # The clock of a phone's screen, around a picture that was set into it.
    screen = Evidence("edited", 1.0, more_b=1.5 * MORE_AROUND, seam_b=2 * SEAM)
    assert (screen.a_shows_all_of_b, screen.b_shows_all_of_a, screen.original) == (False, True, "a")
    assert Evidence("exact", 1.0).b_shows_all_of_a
    assert not Evidence("similar", 0.3).b_shows_all_of_a
