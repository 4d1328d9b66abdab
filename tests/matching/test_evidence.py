"""Evidence survives the trip through an index, and what anyone may have written there is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.matching.colours import Colours
from neardup.matching.evidence import DIFFERS, MORE, MORE_AROUND, RELATIONS, SEAM, Evidence
from neardup.matching.words import change, lost

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


# What JSON can hold: integers of any length, and numbers beyond what a float has.
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=3),
    st.sampled_from(["a", "b", "copy", "exact", 10**400, -(10**400), 2**31, 1e308, -1e308, 5e-324, -1, 2, 1.5, 0]),
    st.floats(),
    st.lists(st.floats(allow_nan=False), max_size=10),
    st.lists(st.one_of(st.sampled_from([0, 1, -1, 1e308, 1e-308, 10**400, True, None]), st.floats()), min_size=9,
             max_size=9),
    st.lists(st.one_of(st.sampled_from([0, 1, -1, 1e9, 1e-9, 1e-6]), st.floats(-1e9, 1e9), st.floats(-2, 2)),
             min_size=8, max_size=8).map(lambda eight: [*eight, 1]),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
ODD_COLOURS = st.fixed_dictionaries(dict.fromkeys(("brightness", "contrast", "saturation", "grey", "other"), odd))


@settings(deadline=None, max_examples=300)
@given(evidence, st.sampled_from([*Evidence.__dataclass_fields__, "more"]), st.one_of(odd, ODD_COLOURS))
def test_what_anyone_may_have_written_is_refused_or_of_use(found, name, value):
    """Either it is refused, or everything that is ever asked of it has an answer."""
    written = {**found.to_json(), name: value}
    try:
        read = Evidence.from_json(json.loads(json.dumps(written)))
    except ValueError:
        return
    for each in (read, read.reversed()):
        assert each.relation in RELATIONS
        assert 0 <= each.confidence <= 1
        assert each.original in ("a", "b", None)
        assert isinstance(each.a_shows_all_of_b, bool)
        for sizes in (((480, 360), (200, 100)), ((1, 1), (20_000, 3))):
            alignment = each.alignment(*sizes)
            assert alignment is None or 0 <= alignment.shown_of_a <= 1
            for said in (change(each, *sizes), lost(each, *sizes)):
                assert said is None or len(said) < 1000
