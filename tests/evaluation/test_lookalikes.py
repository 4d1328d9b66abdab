"""Look-alikes: the same each time, all of them different, and as alike as each kind says."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neardup.errors import BadInput
from neardup.evaluation.lookalikes import COPIES, KINDS, draw, most
from neardup.evaluation.lookalikes.boards import BOARD_EDGE, SQUARE

MANY = 60
PHOTO_KINDS = [name for name, kind in KINDS.items() if kind.of_photos]
# fmt: off
SIZES = {
    "book_pages": (1240, 1754), "text_pages": (850, 1100), "invoices": (1240, 1754), "contents_pages": (850, 1100),
    "blank_scans": (1240, 1754), "sheet_music": (1240, 1754), "slides": (1280, 720), "spreadsheets": (1280, 800),
    "chats": (540, 1170), "editors": (1280, 800), "dialogs": (690, 260), "codes": (410, 410), "crosswords": (720, 790),
    "sudokus": (600, 660), "chess_boards": (656, 656), "charts": (900, 600), "maps": (800, 600), "memes": (600, 600),
    "quote_cards": (720, 720), "night_skies": (1200, 800), "textures": (512, 512), "noise": (640, 480),
    "microscopy": (512, 512), "coloured_icons": (128, 128), "flags": (600, 400), "plain_colours": (400, 300),
    "dark_photos": (640, 480), "pale_photos": (640, 480), "bursts": (640, 480),
}
# fmt: on


def pixels(kind: str, number: int, seed: int = 0, photos: tuple[Path, ...] = ()) -> np.ndarray:
    return np.asarray(draw(kind, number, seed, photos))


def shown(picture: Image.Image) -> Image.Image:
    """Eight bits, in which every kind can be seen: brightened 16 bits, and transparency as it is."""
    if picture.mode == "I;16":
        return Image.fromarray(np.clip(np.asarray(picture) / 40, 0, 255).astype(np.uint8))
    return picture.getchannel("A") if picture.mode == "RGBA" else picture


@cache
def thumbnails(kind: str) -> np.ndarray:
    """(MANY, 128, 128, 3) int16."""
    small = [
        shown(draw(kind, number)).convert("RGB").resize((128, 128), Image.Resampling.BOX) for number in range(MANY)
    ]
    return np.stack([np.asarray(picture, np.int16) for picture in small])


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_the_same_each_time_whatever_was_drawn_before(kind):
    first = pixels(kind, 5, seed=2)
    for number in (4, 6):
        pixels(kind, number, seed=1)
    np.testing.assert_array_equal(first, pixels(kind, 5, seed=2))
    assert first.shape != pixels(kind, 5, seed=3).shape or (first != pixels(kind, 5, seed=3)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_any_two_pictures_of_a_kind_differ_to_the_eye(kind):
    """Somewhere on thumbnails of 128 px they lie this many levels apart; dark and pale photos have few."""
    apart = 8 if kind in ("dark_photos", "pale_photos") else 15 if kind == "night_skies" else 40
    small = thumbnails(kind)
    for number in range(MANY - 1):
        largest = np.abs(small[number + 1 :] - small[number]).max(axis=(1, 2, 3))
        assert largest.min() >= apart, f"{number} and {number + 1 + int(largest.argmin())}"


@pytest.mark.parametrize(("kind", "size"), SIZES.items())
def test_sizes(kind, size):
    picture = draw(kind, 3)
    assert picture.size == size
    assert picture.mode == ("I;16" if kind == "microscopy" else "RGB")


def test_every_kind_has_its_size_tested():
    assert set(SIZES) | {"black_icons", "white_icons"} == set(KINDS)


@pytest.mark.parametrize("number", range(6))
def test_white_icons_are_white_wherever_they_are_not_transparent(number):
    icon = pixels("white_icons", number)
    side = (48, 96, 192)[number % 3]
    assert icon.shape == (side, side, 4)
    alpha = icon[..., 3]
    assert (icon[alpha > 0][:, :3] == 255).all()
    assert 0.03 < (alpha > 128).mean() < 0.6
    assert (alpha == 0).mean() > 0.3


@pytest.mark.parametrize("kind", ["book_pages", "text_pages", "invoices", "contents_pages", "sheet_music", "slides",
                                  "chats", "dialogs", "charts", "quote_cards", "sudokus", "crosswords"])  # fmt: skip
def test_nothing_runs_over_the_edge(kind):
    """The outermost pixels on the right and at the bottom are the ground that all pictures of the kind share."""
    first = pixels(kind, 0)
    for number in range(1, MANY, 3):
        other = pixels(kind, number)
        np.testing.assert_array_equal(other[:, -8:], first[:, -8:])
        np.testing.assert_array_equal(other[-8:], first[-8:])


@pytest.mark.parametrize("number", [0, 10, 24])
def test_every_second_slide_has_one_more_line_and_nothing_else(number):
    before, after = pixels("slides", number), pixels("slides", number + 1)
    rows = np.flatnonzero((before != after).any(axis=(1, 2)))
    assert 15 < np.ptp(rows) < 60
    assert (before[rows.min() : rows.max(), 70:] == 255).all()


def test_four_chess_positions_in_a_row_are_a_move_apart():
    for number in (0, 1, 2, 20, 21, 22):
        one, other = pixels("chess_boards", number), pixels("chess_boards", number + 1)
        inner = slice(BOARD_EDGE, BOARD_EDGE + 8 * SQUARE)
        differs = (one != other).any(axis=2)[inner, inner].reshape(8, SQUARE, 8, SQUARE).any(axis=(1, 3))
        assert differs.sum() == 2
    assert (pixels("chess_boards", 3) != pixels("chess_boards", 4)).any(axis=2).mean() > 0.02


def test_invoices_differ_in_addressee_and_amounts_alone():
    base = pixels("invoices", 0)
    changed = np.any([(pixels("invoices", number) != base).any(axis=2) for number in range(1, 20)], axis=0)
    allowed = np.zeros_like(changed)
    allowed[310:480, 100:700] = True  # addressee
    allowed[760:1350, 640:1120] = True  # quantity, price, amount, sums
    assert changed.any()
    assert not (changed & ~allowed).any()


def test_no_word_comes_twice_in_the_same_place_of_two_dialogs():
    """Each line of the text differs between any two, from its first word that is another."""
    lines = [pixels("dialogs", number)[72:156].reshape(3, 28, -1) for number in range(30)]
    for number, one in enumerate(lines):
        for other in lines[number + 1 :]:
            assert (one != other).any(axis=(1, 2)).all()


def test_no_flag_is_another_mirrored_or_turned():
    small = thumbnails("flags")
    for number, one in enumerate(small):
        ways = [np.rot90(side, turn) for side in (one, one[:, ::-1]) for turn in range(4)]
        for other in small[number + 1 :]:
            assert min(np.abs(way - other).max() for way in ways) > 40


def test_bursts_show_one_scene_while_someone_walks_through_it():
    for first in (0, 4, 8):
        frames = [np.asarray(draw("bursts", first + frame).convert("L"), np.float32) for frame in range(4)]
        for one, other in pairwise(frames):
            assert np.corrcoef(one[::4, ::4].ravel(), other[::4, ::4].ravel())[0, 1] > 0.5
            # The walker is far from where he was, by more than grain, exposure and the camera's drift explain.
            assert (np.abs(one - other) > 60).mean() > 0.005
    assert np.corrcoef(frames[0].ravel(), np.asarray(draw("bursts", 12).convert("L")).ravel())[0, 1] < 0.9


def write_photos(folder: Path, count: int) -> tuple[Path, ...]:
    paths = tuple(folder / f"{number}.png" for number in range(count))
    for number, path in enumerate(paths):
        cells = np.random.default_rng(number).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(cells).resize((90, 60), Image.Resampling.BICUBIC).save(path)
    return paths


def test_dark_and_pale_photos_are_the_callers_with_the_stated_share_of_their_light(tmp_path):
    photos = write_photos(tmp_path, 5)
    for number, path in enumerate(photos):
        photo = np.asarray(Image.open(path), np.float32)
        for kind in ("dark_photos", "pale_photos"):
            picture = pixels(kind, number, photos=photos).astype(np.float32)
            slope, ground = np.polyfit(photo.ravel(), picture.ravel(), 1)
            assert 0.035 < slope < 0.155
            assert np.abs(picture - (slope * photo + ground)).max() <= 1.1
            if kind == "dark_photos":
                assert abs(ground) < 1


@pytest.mark.parametrize("kind", PHOTO_KINDS)
def test_there_are_no_more_pictures_of_photos_than_the_photos_allow(tmp_path, kind):
    photos = write_photos(tmp_path, 2)
    count = most(kind, photos)
    assert count == (8 if kind == "bursts" else 2)
    draw(kind, count - 1, photos=photos)
    with pytest.raises(BadInput, match=f"there are {count} different ones"):
        draw(kind, count, photos=photos)


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.limit])
def test_kinds_with_an_end_have_enough_and_stop_there(kind):
    last = most(kind)
    assert last >= 200
    draw(kind, last - 1)
    with pytest.raises(BadInput, match="different ones"):
        draw(kind, last)


@pytest.mark.parametrize(("kind", "number", "message"), [
    ("unicorns", 0, "no kind of look-alike; choose from book_pages"),
    ("codes", -1, "not negative"),
])  # fmt: skip
def test_what_there_is_not_is_refused(kind, number, message):
    with pytest.raises(BadInput, match=message):
        draw(kind, number)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_show_the_same_picture(kind):
    picture = draw(kind, 7)
    half, jpeg, crop = (COPIES[name](picture) for name in ("half", "jpeg_60", "crop_80"))
    assert half.size == (picture.width // 2, picture.height // 2)
    assert jpeg.size == picture.size
    assert jpeg.mode == "RGB"
    assert crop.width * crop.height == pytest.approx(0.8 * picture.width * picture.height, rel=0.03)
    inside = np.asarray(picture)[
        round(0.3 * (picture.height - crop.height)) :, round(0.3 * (picture.width - crop.width)) :
    ]
    np.testing.assert_array_equal(inside[: crop.height, : crop.width], np.asarray(crop))
    if kind != "plain_colours":  # it has nothing that could be found elsewhere
        one, other = (
            np.asarray(shown(p).convert("L").resize((64, 64), Image.Resampling.BOX), float) for p in (picture, half)
        )
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95
        other = np.asarray(jpeg.convert("L").resize((64, 64), Image.Resampling.BOX), float)
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95
