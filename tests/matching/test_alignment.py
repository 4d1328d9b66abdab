"""Known transforms are found again, in numbers."""

import numpy as np
import pytest
from PIL import Image

from neardup.matching.geometry import Alignment, _part
from neardup.matching.judge import judge
from neardup.matching.maps import outline
from neardup.matching.picture import load_picture, picture_of
from neardup.matching.words import steps
from tests.conftest import draw_scene

WIDTH, HEIGHT = 480, 360


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    return draw_scene(1)


def aligned(a: Image.Image, b: Image.Image) -> tuple[Alignment, list[str]]:
    """Of a confirmed copy."""
    found = judge(picture_of(np.asarray(a)), picture_of(np.asarray(b)))
    assert found.is_confirmed
    alignment = found.alignment(a.size, b.size)
    assert alignment is not None
    return alignment, steps(found, a.size, b.size)


def corners(box) -> tuple[int, int, int, int]:
    return box.left, box.top, box.right, box.bottom


@pytest.mark.parametrize("seed", range(40))
def test_edges_that_nearly_coincide_lose_no_corner(seed):
    """A picture matched with itself comes out a hundredth of a pixel off, and is whole all the same."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(3)
    matrix[:2] += rng.normal(0, [[1e-5, 1e-5, 0.01]] * 2)
    share, box = _part(matrix, (600, 400), (600, 400))
    assert share > 0.99
    assert (box.right - box.left, box.bottom - box.top) == (600, 400)


def test_the_same_picture_maps_to_itself(scene):
    found, told = aligned(scene, scene)
    np.testing.assert_allclose(found.matrix, np.eye(3), atol=1e-2)
    assert (found.mirrored, found.quarter_turns, found.perspective) == (False, 0, False)
    assert told == []


def test_a_picture_on_a_larger_page(scene):
    page = Image.new("RGB", (600, 900), "white")
    page.paste(scene, (100, 200))
    found, told = aligned(scene, page)
    assert corners(found.box_in_b) == pytest.approx((100, 200, 580, 560), abs=1)
    assert found.shown_of_b == pytest.approx(WIDTH * HEIGHT / (600 * 900), abs=0.005)
    assert found.shown_of_a == pytest.approx(1, abs=0.005)
    assert told == ["framed, 68 % margin"]


def test_stretching_is_measured(scene):
    found, told = aligned(scene, scene.resize((WIDTH, 300), Image.Resampling.BICUBIC))
    assert found.aspect == pytest.approx(1.2, abs=0.01)
    assert found.scale == pytest.approx((300 / HEIGHT) ** 0.5, abs=0.005)
    assert told == ["scaled to 91 %", "stretched 20 % wider"]


def test_perspective_is_told_from_an_affine_map(scene):
    # Coefficients from the output's positions to the input's, so the inverse of the map from A to B.
    back = np.array([[1.1, 0.1, -20], [0.05, 1.2, -10], [0.0006, 0.0008, 1]])
    seen = scene.transform((WIDTH, HEIGHT), Image.Transform.PERSPECTIVE, back.ravel()[:8], Image.Resampling.BICUBIC)
    found, told = aligned(scene, seen)
    assert found.perspective
    assert "seen in perspective" in told
    # Places of B, in A by the map that was made, come back to where they were.
    places = np.array([[x, y, 1] for x in range(0, WIDTH, 40) for y in range(0, HEIGHT, 40)])
    in_a = places @ back.T
    again = (in_a / in_a[:, 2:]) @ found.matrix.T
    np.testing.assert_allclose(again[:, :2] / again[:, 2:], places[:, :2], atol=1)


def test_several_changes_at_once(scene):
    changed = scene.crop((40, 20, 440, 320)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changed = changed.transpose(Image.Transpose.ROTATE_90).resize((225, 300), Image.Resampling.BICUBIC)
    found, told = aligned(scene, changed)
    assert (found.mirrored, found.quarter_turns) == (True, 3)
    assert found.scale == pytest.approx(0.75, abs=0.005)
    assert corners(found.box_in_a) == pytest.approx((40, 20, 440, 320), abs=2)
    assert told == ["mirrored left to right", "turned a quarter counter-clockwise", "cropped to 69 %", "scaled to 75 %"]


def test_either_way_round_the_map_is_the_inverse(scene):
    changed = scene.crop((60, 30, 360, 255)).resize((400, 300), Image.Resampling.BICUBIC)
    there, _ = aligned(scene, changed)
    back, _ = aligned(changed, scene)
    both = outline(back.matrix @ there.matrix, (WIDTH, HEIGHT))
    np.testing.assert_allclose(both, outline(np.eye(3), (WIDTH, HEIGHT)), atol=1)
    assert (there.shown_of_a, there.shown_of_b) == pytest.approx((back.shown_of_b, back.shown_of_a), abs=0.005)


def test_flat_pictures_are_laid_over_each_other_whole():
    """A ramp of light has no details to find again."""
    ramp = np.add.outer(np.linspace(0, 200, 120), np.linspace(0, 55, 160))
    flat = Image.fromarray(np.dstack([ramp] * 3).astype(np.uint8))
    turned = flat.transpose(Image.Transpose.ROTATE_270)
    found = judge(picture_of(np.asarray(flat)), picture_of(np.asarray(turned)))
    assert (found.relation, found.inliers) == ("copy", 0)
    alignment = found.alignment(flat.size, turned.size)
    assert alignment is not None
    assert (alignment.quarter_turns, alignment.mirrored) == (1, False)
    grey = Image.new("RGB", (160, 120), "grey")
    assert judge(picture_of(np.asarray(flat)), picture_of(np.asarray(grey))).relation == "other"


def test_sizes_are_those_of_the_whole_images(tmp_path):
    """Which are decoded smaller."""
    a, b = tmp_path / "a.jpg", tmp_path / "b.jpg"
    large = draw_scene(3, 2400, 1800)
    large.save(a, quality=90)
    large.crop((600, 300, 2200, 1500)).resize((800, 600)).save(b, quality=90)
    first, second = load_picture(a), load_picture(b)
    assert (first.width, first.height) == (2400, 1800)
    assert max(first.pixels.shape) <= 1280
    alignment = judge(first, second).alignment((2400, 1800), (800, 600))
    assert alignment is not None
    assert corners(alignment.box_in_a) == pytest.approx((600, 300, 2200, 1500), abs=6)
    assert alignment.scale == pytest.approx(0.5, abs=0.005)
