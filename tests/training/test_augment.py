"""Views of a photo: the same for the same seed, never without the photo, each change doing what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from neardup.errors import BadInput
from neardup.training.copies import augment as augment_package
from neardup.training.copies.augment import (
    COLOUR,
    FRAMES,
    MIN_SHOWN,
    MIN_SIDE,
    OVERLAYS,
    QUALITY,
    _recolour,
    augment,
    colour,
    contrast,
    draw_frames,
    overlay,
    quality,
    single,
)
from neardup.training.copies.augment.geometry import CORNERS, MIN_FILLED, Geometry, draw_geometry, warp

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
FAMILIES = [family for table in (COLOUR, OVERLAYS, QUALITY) for family in table]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """Smooth shapes in many colours, with some grain."""
    y, x = np.mgrid[:192, :256] / 32
    waves = np.stack([np.sin(x + y * y / 5), np.cos(x * y / 4), np.sin(2 * x) * np.cos(y)], -1)
    grain = np.random.default_rng(0).normal(0, 6, waves.shape)
    return np.clip(128 + 90 * waves + grain, 0, 255).astype(np.uint8)


@pytest.fixture
def others(photo: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [255 - photo, np.ascontiguousarray(photo[::-1, :, ::-1])]


def quadrants(height: int, width: int) -> NDArray[np.uint8]:
    """Red and green above blue and white."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = RED, GREEN
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = BLUE, WHITE
    return picture


def quarters(view: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """Colours at the middle of the four quarters: above left, above right, below left, below right."""
    height, width = view.shape[:2]
    return [
        tuple(int(c) for c in view[y, x]) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)
    ]


def whole(width: int, height: int, **changes: object) -> Geometry:
    return Geometry((width / 2, height / 2), width, height, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [RED, GREEN, BLUE, WHITE]),
        ({"mirror": True}, [GREEN, RED, WHITE, BLUE]),
        ({"turns": 1}, [BLUE, RED, WHITE, GREEN]),
        ({"turns": 2}, [WHITE, BLUE, GREEN, RED]),
        ({"turns": 3}, [GREEN, WHITE, RED, BLUE]),
        ({"turns": 1, "mirror": True}, [WHITE, GREEN, BLUE, RED]),
        ({"angle": np.pi}, [WHITE, BLUE, GREEN, RED]),
    ],
)
def test_mirror_and_turns_put_each_quadrant_where_it_belongs(changes, expected):
    assert quarters(warp(quadrants(80, 120), whole(120, 80, **changes), 64, 64)) == expected


def test_a_crop_shows_only_what_it_covers():
    lower_right = Geometry((90.0, 60.0), 60, 40)
    assert (warp(quadrants(80, 120), lower_right, 32, 32) == 255).all()
    middle = Geometry((60.0, 40.0), 30, 20)
    assert quarters(warp(quadrants(80, 120), middle, 32, 32)) == [RED, GREEN, BLUE, WHITE]


def test_the_whole_photo_at_its_own_size_is_unchanged(photo):
    assert (warp(photo, whole(256, 192), 256, 192) == photo).all()
    turned = warp(photo, whole(256, 192, turns=1), 192, 256)
    assert (turned == np.rot90(photo, -1)).all()


def test_reduction_averages_instead_of_sampling():
    fine = np.zeros((256, 256, 3), np.uint8)
    fine[:, ::2] = 200
    assert np.ptp(warp(fine, whole(256, 256), 32, 32)) <= 1
    assert warp(fine, whole(256, 256), 32, 32).mean() == pytest.approx(100, abs=1)


@pytest.mark.parametrize(("corners", "value"), [("black", 0), ("white", 255)])
def test_rotation_shows_its_corner_colour_where_the_photo_ends(corners, value):
    grey = np.full((100, 100, 3), 128, np.uint8)
    fill = (value, value, value)
    view = warp(grey, whole(100, 100, angle=np.pi / 4, corners=corners, colour=fill), 64, 64)
    assert view[0, 0].tolist() == [value] * 3
    assert view[32, 32].tolist() == [128] * 3
    # A square turned by 45° over itself shares the regular octagon: 2 (√2 − 1) of its area.
    assert (view == 128).mean() == pytest.approx(2 * (np.sqrt(2) - 1), abs=0.03)


def test_coverage_of_hand_worked_cases():
    assert whole(100, 50).coverage(100, 50) == pytest.approx((1, 1))
    assert Geometry((25.0, 25.0), 50, 50).coverage(100, 50) == pytest.approx((0.5, 1))
    assert Geometry((0.0, 25.0), 100, 50).coverage(100, 50) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize("shape", [(192, 256), (256, 192), (8, 8), (10, 300)])
@pytest.mark.parametrize("min_area", [0.1, 0.5, 0.9])
def test_drawn_geometry_keeps_the_area_asked_for(rng, shape, min_area):
    height, width = shape
    for _ in range(150):
        geometry = draw_geometry(rng, width, height, min_area=min_area, hardness=1.5)
        visible, filled = geometry.coverage(width, height)
        assert visible >= min_area - 1e-6
        assert filled >= MIN_FILLED - 1e-6


def test_inside_rotation_never_leaves_the_photo(rng):
    drawn = [draw_geometry(rng, 256, 192, min_area=0.1, hardness=1.5) for _ in range(1500)]
    inside = [g for g in drawn if g.angle and g.corners == "inside"]
    assert len(inside) > 30
    assert min(g.coverage(256, 192)[1] for g in inside) > 0.999
    assert {g.corners for g in drawn} == set(CORNERS)


def test_crops_are_spread_over_the_scale(rng):
    areas = [draw_geometry(rng, 256, 192, min_area=0.1, hardness=1.0).coverage(256, 192)[0] for _ in range(2000)]
    assert 0.35 < np.median(areas) < 0.6
    assert np.mean(np.array(areas) < 0.25) > 0.15
    assert np.mean(np.array(areas) > 0.99) > 0.08


def test_same_seed_same_view(photo, others):
    for seed in range(25):
        first, second = (augment(photo, 64, np.random.default_rng(seed), others=others) for _ in range(2))
        assert (first == second).all()
    assert (augment(photo, 64, np.random.default_rng(1)) != augment(photo, 64, np.random.default_rng(2))).any()


def test_the_photo_and_the_others_are_left_as_they_were(photo, others, rng):
    copies = [photo.copy(), *(other.copy() for other in others)]
    for _ in range(100):
        augment(photo, 48, rng, others=others, hardness=1.5)
    assert all((a == b).all() for a, b in zip(copies, [photo, *others], strict=True))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.apply.__name__)
def test_every_family_changes_pixels_and_keeps_the_shape(photo, rng, family):
    changed = 0
    for height, width in ((64, 64), (40, 96), (31, 33)):
        for _ in range(6):
            view = np.ascontiguousarray(photo[:height, :width])
            before = view.copy()
            result = family.apply(view, rng)
            assert result.shape == view.shape
            assert result.dtype == np.uint8
            assert (view == before).all()
            changed += bool((result != before).any())
    assert changed >= 15


def test_families_on_a_grey_photo(rng):
    flat = np.full((32, 32, 3), 128, np.uint8)
    for family in FAMILIES:
        for _ in range(5):
            assert family.apply(flat, rng).shape == flat.shape


@pytest.mark.parametrize("draw", [draw for draw, _ in FRAMES], ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("size", [32, 128])
def test_frames_hold_the_photo_whole_and_large_enough(rng, others, draw, size):
    grey = np.full((size, size, 3), 77, np.uint8)
    for _ in range(150):
        made = draw(rng, size, size, float(np.exp(rng.uniform(-2, 2))), others)
        assert made.canvas.shape == (size, size, 3)
        assert 0 <= made.left <= made.left + made.width <= size
        assert 0 <= made.top <= made.top + made.height <= size
        assert min(made.width, made.height) >= MIN_SIDE * size - 1
        filled = made.fill(grey[: made.height, : made.width])
        middle = filled[made.top + made.height // 2, made.left + made.width // 2].astype(int)
        if made.alpha is None:
            assert (middle == 77).all()
        else:
            assert made.alpha[made.height // 2, made.width // 2] >= 0.59
        assert made.blurred_photo or (filled != 77).any()


def test_frames_come_at_their_rates_and_hardly_ever_in_pairs(rng, others):
    drawn = [draw_frames(rng, 64, 0.75, others, 1.0) for _ in range(2500)]
    counts = np.array([len(frames) for frames in drawn])
    assert (counts == 0).mean() == pytest.approx(np.prod([1 - rate for _, rate in FRAMES]), abs=0.04)
    assert 0.005 < (counts == 2).mean() < 0.08
    assert counts.max() == 2
    assert not any(draw_frames(rng, 64, 0.75, others, 0.0) for _ in range(50))


def test_enough_of_the_photo_is_always_shown(monkeypatch, photo, others, rng):
    """The bound that the plan of every view keeps: share of the photo × share of the view."""
    seen: list[tuple[float, int, int]] = []

    def spy(photo, geometry, width, height, **options):
        seen.append((geometry.coverage(256, 192)[0], width, height))
        return warp(photo, geometry, width, height, **options)

    monkeypatch.setattr(augment_package, "warp", spy)
    for _ in range(400):
        augment(photo, 128, rng, others=others, hardness=1.5)
    for visible, width, height in seen:
        assert min(width, height) >= 30
        assert visible >= 0.1 - 1e-6
        assert visible * width * height / 128**2 >= MIN_SHOWN - 1e-6


@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (6, 400), (400, 6), (192, 256)])
@pytest.mark.parametrize("hardness", [0.0, 1.5])
def test_photos_of_any_shape(rng, shape, hardness):
    photo = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    for _ in range(40):
        view = augment(photo, 48, rng, others=[photo], hardness=hardness)
        assert view.shape == (48, 48, 3)
        assert view.dtype == np.uint8
        assert view.flags.c_contiguous


def test_what_lies_over_the_photo_leaves_enough_of_it(rng):
    black, red = np.zeros((60, 80, 3), np.uint8), [np.full((20, 20, 3), RED, np.uint8)]
    drawn = [overlay.other_photo_over(black, rng, red) for _ in range(300)]
    covered = [(view > 0).any(axis=2).mean() for view in drawn]
    assert min(covered) > 0.05
    assert 0.3 < max(covered) <= 0.35
    shining = [overlay.photo_blended(black, rng, red).max() / 255 for _ in range(100)]
    assert min(shining) > 0.09
    assert max(shining) < 0.34


def test_most_views_differ_clearly_from_the_photo_and_some_hardly(photo, others):
    plain = [warp(photo, whole(256, 192, mirror=mirror), 64, 64).astype(int) for mirror in (False, True)]
    views = [augment(photo, 64, np.random.default_rng(seed), others=others) for seed in range(200)]
    differences = np.array([min(np.abs(view - side).mean() for side in plain) for view in views])
    assert 0.04 < (differences < 12).mean() < 0.3
    assert (differences > 25).mean() > 0.5


def test_crops_look_for_the_part_that_has_something_to_see(monkeypatch, rng):
    """Detail in one ninth of a white photo: a crop misses it often, three crops in a row seldom."""
    photo = np.full((180, 180, 3), 255, np.uint8)
    photo[60:120, :60] = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    alone = [warp(photo, draw_geometry(rng, 180, 180, min_area=0.1, hardness=1.0), 64, 64) for _ in range(300)]
    missed_by_one = np.mean([contrast(view) < 14 for view in alone])

    recoloured: list[NDArray[np.uint8]] = []
    monkeypatch.setattr(augment_package, "_recolour", lambda view, *_: recoloured.append(view) or view)
    monkeypatch.setattr(augment_package, "FRAMES", ())
    monkeypatch.setattr(augment_package, "OVERLAYS", ())
    for _ in range(300):
        augment(photo, 64, rng)
    missed = np.mean([contrast(view) < 14 for view in recoloured])
    assert missed_by_one > 0.15
    assert missed < missed_by_one / 3


def test_a_pale_photo_is_not_washed_out(rng):
    pale = np.full((64, 64, 3), 225, np.uint8)
    pale[16:48, 16:48] = 185
    for _ in range(300):
        assert contrast(_recolour(pale, rng, 1.5)) >= 0.6 * contrast(pale)


def test_the_smallest_views_at_the_greatest_hardness(photo, others, rng):
    for _ in range(400):
        assert augment(photo, 32, rng, others=others, hardness=1.5).shape == (32, 32, 3)


def test_views_without_other_photos(photo, rng):
    views = [augment(photo, 48, rng, hardness=1.5) for _ in range(60)]
    assert len({view.tobytes() for view in views}) >= 55  # a turn and nothing else may come twice


def edited_once(edit, photo: NDArray[np.uint8], others=()) -> list[NDArray[np.int64]]:
    return [edit(photo, 64, np.random.default_rng(seed), others).astype(int) for seed in range(80)]


def test_every_kind_of_single_edit_comes_as_often_as_its_share(monkeypatch, photo, others, rng):
    assert sum(share for _, share in single.EDITS) == pytest.approx(1)
    made: list[int] = []
    kinds = [
        (lambda *_, n=n: made.append(n) or photo[:64, :64].copy(), share) for n, (_, share) in enumerate(single.EDITS)
    ]
    monkeypatch.setattr(single, "EDITS", kinds)
    monkeypatch.setattr(quality, "jpeg", lambda view, rng: view)
    for _ in range(600):
        single.edit_once(photo, 64, rng, others)
    for n, (_, share) in enumerate(kinds):
        # Four standard deviations of a binomial share.
        assert made.count(n) / 600 == pytest.approx(share, abs=4 * (share * (1 - share) / 600) ** 0.5)


def test_scaling_alone_keeps_colours_and_places(photo):
    plain = warp(photo, whole(256, 192), 64, 64).astype(int)
    for view in edited_once(single.scale, photo):
        assert np.abs(view - plain).mean() < 25


def test_mirroring_alone_swaps_left_and_right():
    for view in edited_once(single.mirror, quadrants(60, 80)):
        assert quarters(view) == [GREEN, RED, WHITE, BLUE]


def test_a_toned_print_has_one_colour_for_one_lightness(rng):
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    coloured = np.array([[(200, 30, 40)], [(30, 99, 64)]], np.uint8)  # luma 82.0 and 74.4
    for _ in range(60):
        seed = int(rng.integers(1 << 30))
        ramp = colour.toned(greys, np.random.default_rng(seed)).astype(int)[:, 0]
        assert (np.diff(ramp, axis=0) >= 0).all()
        assert ramp[255].min() >= 190
        assert ramp[0].max() <= 60
        toned = colour.toned(coloured, np.random.default_rng(seed)).astype(int)[:, 0]
        assert np.abs(toned - ramp[[82, 74]]).max() <= 1


def test_a_turn_alone_gives_the_six_other_ways_round():
    colours, found = (RED, GREEN, BLUE, WHITE), set()
    for view in edited_once(single.turn, quadrants(60, 80)):
        distances = [[np.abs(np.subtract(colour, quarter)).sum() for colour in colours] for quarter in quarters(view)]
        found.add(tuple(int(n) for n in np.argmin(distances, axis=1)))
    turned, flipped = {(2, 0, 3, 1), (3, 2, 1, 0), (1, 3, 0, 2)}, {(2, 3, 0, 1), (3, 1, 2, 0), (0, 2, 1, 3)}
    assert found == turned | flipped


def test_a_crop_alone_shows_a_fifth_to_three_quarters_the_right_way_round():
    y, x = np.mgrid[:192, :256]
    shares = []
    for view in edited_once(single.crop, np.stack([x, y, 0 * x], -1).astype(np.uint8)):
        rows, columns = view[:, :, 1].mean(axis=1), view[:, :, 0].mean(axis=0)
        assert rows[-1] > rows[0] + 40
        assert columns[-1] > columns[0] + 60
        shares.append((columns[-1] - columns[0]) * (rows[-1] - rows[0]) / (256 * 192))
    assert 0.15 < min(shares) < 0.3
    assert 0.6 < max(shares) < 0.8


def test_a_small_angle_alone_leaves_the_middle_in_place():
    disc = np.full((64, 64, 3), 40, np.uint8)
    y, x = np.mgrid[:64, :64]
    disc[np.hypot(x - 31.5, y - 31.5) < 16] = 220
    views = edited_once(single.angle, disc)
    assert all(np.abs(view[24:40, 24:40] - 220).max() < 40 for view in views)
    assert {int(view[0, 0].mean()) // 100 for view in views} >= {0, 2}  # black, white


def test_recolouring_alone_keeps_every_shape(photo):
    grey = np.repeat(photo[..., :1], 3, axis=2)
    middle = slice(20, 44)  # where a vignette changes little
    plain = warp(grey, whole(256, 192), 64, 64)[middle, middle, 0].ravel()
    for view in edited_once(single.recolour, grey):
        assert np.corrcoef(plain, view[middle, middle].mean(axis=2).ravel())[0, 1] > 0.9


def test_a_cover_alone_leaves_most_of_the_photo_as_it_was(photo):
    plain = warp(photo, whole(256, 192), 64, 64).astype(int)
    for view in edited_once(single.covered, photo, [np.zeros((40, 40, 3), np.uint8)]):
        assert (np.abs(view - plain).max(axis=2) < 60).mean() > 0.6


def test_a_frame_alone_holds_the_whole_photo():
    for view in edited_once(single.framed, quadrants(64, 64)):
        flat = view.reshape(-1, 3)
        shares = [(np.abs(flat - colour).max(axis=1) < 60).mean() for colour in (RED, GREEN, BLUE)]
        assert min(shares) > 0.02  # of a quarter of 15 % or more, some of it translucent


@pytest.mark.parametrize(
    "arguments",
    [
        {"photo": np.zeros((8, 8), np.uint8)},
        {"photo": np.zeros((8, 8, 4), np.uint8)},
        {"photo": np.zeros((8, 8, 3), np.float32)},
        {"photo": np.zeros((0, 8, 3), np.uint8)},
        {"size": 8},
        {"hardness": -0.1},
        {"hardness": 2.0},
    ],
)
def test_what_cannot_be_augmented_is_refused(rng, arguments):
    given = {"photo": np.zeros((8, 8, 3), np.uint8), "size": 32, "hardness": 1.0} | arguments
    with pytest.raises(BadInput):
        augment(given["photo"], given["size"], rng, hardness=given["hardness"])
