"""Every attack on a drawn photo: what it changes, what it keeps, and that it is the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neardup.evaluation.attacks import ATTACKS, attack

# fmt: off
REQUIRED = {
    "jpeg_30", "jpeg_8", "scale_25", "colour", "grey", "noise", "blur", "text", "watermark", "mirror", "crop_80",
    "crop_50", "crop_30", "rotate_5", "turn_90", "turn_180", "turn_270", "border_12", "letterbox", "screenshot",
    "paste_third",
}
# fmt: on


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth coloured ground with a dozen rectangles: edges, flat parts, no symmetry."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    photo = np.stack([x / width, y / height, (x + y) / (width + height)], axis=2) * 200 + 20
    for _ in range(12):
        top, left = int(rng.integers(height)), int(rng.integers(width))
        photo[top : top + height // 4, left : left + width // 5] = rng.integers(0, 256, 3)
    return photo.astype(np.uint8)


PHOTO, OTHER = scene(120, 160), scene(150, 130, seed=1)


def test_the_suite_holds_what_the_goals_name():
    assert set(ATTACKS) >= REQUIRED


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_repeatable_and_leaves_its_input_alone(name):
    photo, other = PHOTO.copy(), OTHER.copy()
    first = attack(name, photo, other, seed=(3, 1))
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.shape[2] == 3
    assert first.shape != PHOTO.shape or (first != PHOTO).any()
    np.testing.assert_array_equal(first, attack(name, photo, other, seed=(3, 1)))
    np.testing.assert_array_equal(photo, PHOTO)
    np.testing.assert_array_equal(other, OTHER)


@pytest.mark.parametrize("name", ["text", "crop_50", "noise", "screenshot", "paste_third"])
def test_another_seed_makes_another_version(name):
    first, second = (attack(name, PHOTO, OTHER, seed=(0, number)) for number in (0, 1))
    assert first.shape != second.shape or (first != second).any()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mirror", PHOTO[:, ::-1]),
        ("flip", PHOTO[::-1]),
        ("turn_90", np.rot90(PHOTO)),
        ("turn_180", np.rot90(PHOTO, 2)),
        ("turn_270", np.rot90(PHOTO, 3)),
    ],
)
def test_turns_and_mirrors_are_exact(name, expected):
    np.testing.assert_array_equal(attack(name, PHOTO, OTHER, seed=(0,)), expected)


@pytest.mark.parametrize(("name", "area"), [("crop_80", 0.8), ("crop_50", 0.5), ("crop_30", 0.3)])
def test_a_crop_is_a_part_of_the_photo_with_that_area(name, area):
    for seed in range(5):
        part = attack(name, PHOTO, OTHER, seed=(seed,))
        height, width = part.shape[:2]
        assert height * width / (120 * 160) == pytest.approx(area, rel=0.08)
        windows = np.lib.stride_tricks.sliding_window_view(PHOTO[..., 0], (height, width))
        assert (windows == part[..., 0]).all(axis=(2, 3)).any()


@pytest.mark.parametrize(("name", "size"), [("scale_25", (30, 40)), ("scale_50", (60, 80)), ("zoom_150", (120, 160))])
def test_sizes(name, size):
    assert attack(name, PHOTO, OTHER, seed=(0,)).shape[:2] == size


def test_grey_has_no_colour():
    photo = attack("grey", PHOTO, OTHER, seed=(0,)).astype(int)
    assert (photo.max(axis=2) == photo.min(axis=2)).all()


def test_noise_has_the_stated_strength_and_salt_and_pepper_its_share():
    ground = np.full((200, 200, 3), 128, np.uint8)
    grain = attack("noise", ground, OTHER, seed=(0,)).astype(float) - 128
    assert 14 < grain.std() < 31
    assert abs(grain.mean()) < 0.5
    specks = (attack("salt_pepper", ground, OTHER, seed=(0,)) != 128).any(axis=2)
    assert specks.mean() == pytest.approx(0.05, abs=0.005)


def test_a_border_surrounds_the_whole_photo():
    framed = attack("border_12", PHOTO, OTHER, seed=(0,))
    edge = round(0.12 * 120)
    assert framed.shape[:2] == (120 + 2 * edge, 160 + 2 * edge)
    np.testing.assert_array_equal(framed[edge:-edge, edge:-edge], PHOTO)
    assert (framed[:edge] == framed[0, 0]).all()


@pytest.mark.parametrize("name", ["letterbox", "blurred_bars"])
@pytest.mark.parametrize("size", [(120, 160), (160, 90), (100, 100), (40, 400)])
def test_bars_keep_the_whole_photo_and_stay_within_half_of_the_picture(name, size):
    photo = scene(*size)
    for seed in range(4):
        barred = attack(name, photo, OTHER, seed=(seed,))
        height, width = barred.shape[:2]
        share = photo.shape[0] * photo.shape[1] / (height * width)
        assert 0.49 < share < 0.85
        top, left = (height - size[0]) // 2, (width - size[1]) // 2
        np.testing.assert_array_equal(barred[top : top + size[0], left : left + size[1]], photo)


@pytest.mark.parametrize(
    ("name", "share", "kept"), [("paste_third", 1 / 3, OTHER), ("paste_small", 1 / 8, OTHER), ("overlay", 1 / 5, PHOTO)]
)
def test_two_photos_put_together_share_the_area(name, share, kept):
    both = attack(name, PHOTO, OTHER, seed=(0,))
    assert both.shape == kept.shape
    # The rectangle in which the ground was replaced: some of its pixels may agree by chance.
    rows, columns = np.nonzero((both != kept).any(axis=2))
    covered = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert covered / (kept.shape[0] * kept.shape[1]) == pytest.approx(share, rel=0.1)


def test_a_screenshot_is_a_tall_screen_with_the_photo_across_it():
    for seed in range(6):
        screen = attack("screenshot", PHOTO, OTHER, seed=(seed,))
        height, width = screen.shape[:2]
        assert 1.7 < height / width < 2.2
        # Some band of the screen, as wide as it, is the photo enlarged.
        scale = width / PHOTO.shape[1]
        rows = (np.arange(round(scale * PHOTO.shape[0])) / scale).astype(int)
        columns = (np.arange(0, width, 8) / scale).astype(int)
        enlarged = PHOTO[rows][:, columns].astype(int)
        errors = [np.abs(screen[top : top + len(rows), ::8] - enlarged).mean() for top in range(height - len(rows))]
        assert min(errors) < 6


def test_weaker_compression_keeps_more():
    strong, weak = (
        np.abs(attack(name, PHOTO, OTHER, seed=(0,)).astype(int) - PHOTO).mean() for name in ("jpeg_8", "jpeg_30")
    )
    assert 0 < weak < strong


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_photos_of_any_size_survive_every_attack(height, width, other_height, other_width, seed):
    for name in ATTACKS:
        edited = attack(name, scene(height, width), scene(other_height, other_width), seed=(seed,))
        assert min(edited.shape) >= 1
