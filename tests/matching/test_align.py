"""Maps that are offered, and those that cannot be of two pictures."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from neardup.matching.agreement import means_of_cells
from neardup.matching.judge import judge
from neardup.matching.maps import is_plausible, outline
from neardup.matching.picture import picture_of, stretched
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


@pytest.mark.parametrize("short", [1, 7, 8, 9, 12, 15, 16, 17, 33])
@pytest.mark.parametrize("upright", [False, True])
def test_narrow_strips_are_judged(short, upright):
    """They hold fewer pixels than a block is wide."""
    rng = np.random.default_rng(short)
    strip = np.repeat(rng.integers(0, 256, (short, 96, 3), np.uint8), 4, axis=1)
    first, second = (picture_of(np.swapaxes(side, 0, 1).copy() if upright else side) for side in (strip, strip // 2))
    assert judge(first, second).relation in ("copy", "edited", "similar", "other")
    assert judge(first, first).relation == "copy" or short == 1


@settings(deadline=None)
@given(
    values=arrays(np.float32, st.tuples(st.integers(0, 40), st.integers(0, 40)), elements=st.integers(0, 255)),
    cell=st.integers(1, 16),
)
def test_means_of_cells(values, cell):
    height, width = (side // cell for side in values.shape)
    cut = values[: height * cell, : width * cell].reshape(height, cell, width, cell)
    wanted = cut.mean(axis=(1, 3)) if cut.size else np.empty((height, width))
    assert means_of_cells(values, cell).shape == (height, width)
    assert means_of_cells(values, cell) == pytest.approx(wanted, abs=1e-3)


@settings(deadline=None)
@given(grey=arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30))))
def test_contrast_is_stretched_by_percentiles(grey):
    low, high = np.percentile(grey, (0.5, 99.5))
    assume(high - low >= 2)
    wanted = np.clip((grey - low) * (255 / (high - low)), 0, 255)
    assert np.abs(stretched(grey) - wanted).max() <= 1


@pytest.mark.parametrize("side", ["whole", "part"])
def test_a_part_of_a_flag_is_found_without_keypoints(side):
    flag = Image.new("RGB", (480, 300), "white")
    ImageDraw.Draw(flag).rectangle((60, 60, 160, 120), "#0038a8")
    ImageDraw.Draw(flag).ellipse((320, 100, 420, 200), "#0038a8")
    flag.paste("#ce1126", (0, 220, 480, 300))
    part = flag.crop((30, 20, 460, 290))
    pictures = [picture_of(np.asarray(image)) for image in (flag, part)]
    first, second = pictures if side == "whole" else pictures[::-1]
    found = judge(first, second)
    assert found.relation == "copy"
    assert found.inliers < 20
    corners = outline(np.array(found.matrix).reshape(3, 3), (first.width, first.height))
    left, top, right, bottom = (-30, -20, 450, 280) if side == "whole" else (30, 20, 460, 290)
    assert np.abs(corners - [(left, top), (right, top), (right, bottom), (left, bottom)]).max() < 4
