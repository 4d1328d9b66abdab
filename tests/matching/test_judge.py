"""Known edits are told for what they are, strangers are not one picture, and the same answer comes every time."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from neardup.matching.evidence import Evidence
from neardup.matching.features import find_features
from neardup.matching.judge import judge
from neardup.matching.picture import Picture, load_picture, picture_of
from neardup.matching.words import change, lost, steps
from tests.conftest import draw_scene

WIDTH, HEIGHT = 480, 360


def picture(image: Image.Image) -> Picture:
    return picture_of(np.asarray(image.convert("RGB")))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    return draw_scene(1)


def told(found: Evidence, a: Image.Image, b: Image.Image) -> list[str]:
    return steps(found, a.size, b.size)


@pytest.mark.parametrize(
    ("transposition", "mirrored", "turns", "words"),
    [
        (Image.Transpose.FLIP_LEFT_RIGHT, True, 0, ["mirrored left to right"]),
        (Image.Transpose.FLIP_TOP_BOTTOM, True, 2, ["mirrored top to bottom"]),
        (Image.Transpose.ROTATE_270, False, 1, ["turned a quarter clockwise"]),
        (Image.Transpose.ROTATE_180, False, 2, ["turned upside down"]),
        (Image.Transpose.ROTATE_90, False, 3, ["turned a quarter counter-clockwise"]),
    ],
)
def test_mirrors_and_quarter_turns_are_named(scene, transposition, mirrored, turns, words):
    other = scene.transpose(transposition)
    found = judge(picture(scene), picture(other))
    assert found.relation == "copy"
    alignment = found.alignment(scene.size, other.size)
    assert alignment is not None
    assert (alignment.mirrored, alignment.quarter_turns) == (mirrored, turns)
    assert alignment.rotation_degrees == pytest.approx(0, abs=0.2)
    assert alignment.scale == pytest.approx(1, abs=0.005)
    assert told(found, scene, other) == words


@pytest.mark.parametrize("degrees", [-30, -7, 3, 18])
def test_rotation_is_measured_clockwise(scene, degrees):
    other = scene.rotate(-degrees, Image.Resampling.BICUBIC, expand=True)  # Pillow turns counter-clockwise
    found = judge(picture(scene), picture(other))
    assert found.relation == "copy"
    assert found.original == "a"
    alignment = found.alignment(scene.size, other.size)
    assert alignment is not None
    assert alignment.rotation_degrees == pytest.approx(degrees, abs=0.3)


def test_a_crop_is_a_copy_of_its_source_which_shows_more(scene):
    other = scene.crop((60, 30, 360, 255)).resize((400, 300), Image.Resampling.BICUBIC)
    found = judge(picture(scene), picture(other))
    assert found.relation == "copy"
    assert found.original == "a"
    assert found.a_shows_all_of_b
    assert not found.b_shows_all_of_a
    alignment = found.alignment(scene.size, other.size)
    assert alignment is not None
    box = alignment.box_in_a
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((60, 30, 360, 255), abs=1.5)
    assert alignment.scale == pytest.approx(4 / 3, abs=0.01)
    assert "cropped to 39 %" in told(found, scene, other)
    assert lost(found, scene.size, other.size) is not None
    assert lost(found.reversed(), other.size, scene.size) is None


@pytest.mark.parametrize(
    "edit",
    [
        lambda scene: scene,
        lambda scene: scene.resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.LANCZOS),
        lambda scene: scene.resize((WIDTH, 300), Image.Resampling.BICUBIC),
        lambda scene: jpeg(scene, 8),
        lambda scene: scene.convert("L").convert("RGB"),
        lambda scene: scene.filter(ImageFilter.GaussianBlur(2)),
        lambda scene: scene.point(lambda value: 0.6 * value + 80),
        lambda scene: scene.point(lambda value: 255 * (value / 255) ** 2.0),
        lambda scene: scene.point(lambda value: value // 20),  # at a thirteenth of its light
    ],
    ids=["same", "half", "squeezed", "jpeg 8", "grey", "blurred", "paler", "gamma", "dark"],
)
def test_losses_make_a_copy_that_either_shows_whole(scene, edit: Callable[[Image.Image], Image.Image], request):
    found = judge(picture(scene), picture(edit(scene)))
    assert found.relation == "copy"
    assert found.a_shows_all_of_b
    assert found.b_shows_all_of_a
    tells = any(f"[{name}]" in request.node.name for name in ("grey", "blurred"))  # of what was there first
    assert found.original == ("a" if tells else None)


def test_a_frame_shows_nothing_and_the_picture_without_it_came_first(scene):
    page = Image.new("RGB", (600, 480), "white")
    page.paste(scene, (60, 60))
    found = judge(picture(scene), picture(page))
    assert found.relation == "copy"
    assert found.original == "a"
    assert found.a_shows_all_of_b
    assert any("framed" in step for step in told(found, scene, page))


def test_a_picture_seen_at_an_angle_on_a_plain_ground_was_made_from_the_other(scene):
    back = np.array([[1.1, 0.1, -40], [0.05, 1.2, -30], [0.0003, 0.0004, 1]])
    seen = scene.transform(scene.size, Image.Transform.PERSPECTIVE, back.ravel()[:8], Image.Resampling.BICUBIC)
    found = judge(picture(scene), picture(seen))
    assert found.is_confirmed
    assert found.original == "a"


def test_writing_makes_an_edited_picture_and_the_clean_one_came_first(scene):
    written = scene.copy()
    ImageDraw.Draw(written).text(
        (60, 150), "HAPPY BIRTHDAY", "white", font_size=40, stroke_width=2, stroke_fill="black"
    )
    found = judge(picture(scene), picture(written))
    assert found.relation == "edited"
    assert found.original == "a"
    assert not found.a_shows_all_of_b
    assert not found.b_shows_all_of_a
    assert 0.01 < found.differing < 0.15
    assert any("other content" in step for step in told(found, scene, written))


def test_what_is_pasted_into_another_picture_is_edited_and_joins_nothing(scene):
    collage = draw_scene(9, 900, 700).filter(ImageFilter.GaussianBlur(2))
    collage.paste(scene.resize((300, 225), Image.Resampling.LANCZOS), (280, 200))
    found = judge(picture(scene), picture(collage))
    assert found.relation == "edited"
    assert found.holds("b")
    assert found.original == "a"


@pytest.mark.parametrize("seed", range(10, 14))
def test_strangers_are_other_pictures(scene, seed):
    found = judge(picture(scene), picture(draw_scene(seed)))
    assert found.relation == "other"
    assert found.confidence < 0.02
    assert change(found, scene.size, scene.size) is None


def test_pages_of_one_book_are_not_one_page():
    from neardup.evaluation.lookalikes import draw

    first, second = (picture(draw("book_pages", number, 0)) for number in (0, 1))
    assert not judge(first, second).is_confirmed
    half = draw("book_pages", 0, 0)
    half = half.resize((half.width // 2, half.height // 2), Image.Resampling.LANCZOS)
    assert judge(first, picture(half)).relation == "copy"


@pytest.mark.parametrize("kind", ["invoices", "slides", "dialogs", "memes"])
def test_one_template_with_another_text_is_never_a_copy(kind):
    from neardup.evaluation.lookalikes import draw

    pictures = [picture(draw(kind, number, 0)) for number in range(4)]
    relations = [judge(a, b).relation for a, b in pairwise(pictures)]
    assert "copy" not in relations


def test_plain_colours_are_one_where_they_are_the_same():
    red, small, blue = (
        Image.new("RGB", size, colour) for size, colour in (((90, 60), "red"), ((45, 30), "red"), ((90, 60), "blue"))
    )
    assert judge(picture(red), picture(small)).relation == "copy"
    assert judge(picture(red), picture(blue)).relation == "other"


def flag(kind: str, *colours: str) -> Image.Image:
    image = Image.new("RGB", (300, 200), colours[0])
    draw = ImageDraw.Draw(image)
    if kind == "stripes":
        for number, colour in enumerate(colours):
            image.paste(colour, (100 * number, 0, 100 * number + 100, 200))
    elif kind == "cross":
        draw.line((0, 0, 300, 200), colours[1], 40)
        draw.line((0, 200, 300, 0), colours[1], 40)
    else:
        draw.polygon([(0, 0), (150, 100), (0, 200)], colours[1])
    return image


def table() -> Image.Image:
    """Black lines and words on white."""
    page = Image.new("RGB", (480, 320), "white")
    draw = ImageDraw.Draw(page)
    rng = np.random.default_rng(8)
    for line in range(8):
        draw.line((20, 20 + 36 * line, 460, 20 + 36 * line), "black", 2)
        words = " ".join(str(number) for number in rng.integers(10, 99999, 9))
        draw.text((30, 30 + 36 * line), words, "black")
    return page


def with_stickers(page: Image.Image) -> Image.Image:
    draw = ImageDraw.Draw(page := page.copy())
    for left, top, colour in ((200, 60, "red"), (330, 130, "gold"), (90, 190, "gold")):
        draw.ellipse((left, top, left + 50, top + 50), colour)
    return page


@pytest.mark.parametrize(
    "edit",
    [
        with_stickers,
        lambda page: page.point(lambda value: value // 2),
        lambda page: Image.blend(page, Image.new("RGB", page.size, (250, 240, 200)), 0.6),
    ],
    ids=["stickers", "darker", "on yellowish paper"],
)
def test_a_page_without_colours_is_itself_with_some(edit):
    assert judge(picture(table()), picture(edit(table()))).is_confirmed


@pytest.mark.parametrize("kind", ["stripes", "cross", "triangle"])
@pytest.mark.parametrize(
    "others",
    [("white", "#141414", "red"), ("white", "green", "red"), ("white", "orange", "red"), ("black", "white", "grey")],
)
def test_flags_in_other_colours_are_other_flags(kind, others):
    """A tone curve leads from any few colours to any others."""
    own = picture(flag(kind, "white", "#0038a8", "red"))
    assert judge(own, picture(flag(kind, *others))).relation not in ("copy", "edited")
    for copied in (jpeg(flag(kind, "white", "#0038a8", "red"), 60), flag(kind, "white", "#0038a8", "red").convert("L")):
        assert judge(own, picture(copied)).relation == "copy"


def test_a_page_on_darker_paper_is_that_page():
    from neardup.evaluation.lookalikes import draw

    page = draw("text_pages", 1, 0)
    assert judge(picture(page), picture(page.convert("L").point(lambda level: level * 4 // 5))).relation == "copy"


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 400), (400, 1), (30, 30)])
@pytest.mark.filterwarnings("error")
def test_tiny_pictures_are_no_trouble(scene, size):
    noise = Image.fromarray(np.random.default_rng(4).integers(0, 255, (size[1], size[0], 3), np.uint8))
    white = Image.new("RGB", (50, 40), "white")
    assert judge(picture(noise), picture(noise)).relation == "copy"
    for first, second in ((noise, white), (white, noise), (noise, scene), (scene, noise)):
        assert not judge(picture(first), picture(second)).is_confirmed


def test_the_descriptor_of_a_mirrored_patch_is_a_permutation(scene):
    grey = picture(scene).grey
    permuted, found = find_features(grey).mirrored, find_features(np.ascontiguousarray(grey[:, ::-1]))
    close = 0
    for point, descriptor in zip(found.points, found.values, strict=True):
        here = np.abs(permuted.points - point).sum(axis=1) < 1
        close += bool(here.any()) and np.linalg.norm(permuted.values[here] - descriptor, axis=1).min() < 80
    assert close > 0.8 * len(found.points)


def test_the_answer_is_the_same_every_time_and_on_any_number_of_threads(scene):
    others = [scene.rotate(5, Image.Resampling.BICUBIC).crop((30, 30, 400, 300)), jpeg(scene, 20), draw_scene(11)]
    once = [judge(picture(scene), picture(other)) for other in others]
    shared = picture(scene)
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda other: judge(shared, picture(other)), others * 3))
    assert again == once * 3


def test_either_way_round_the_relation_is_the_same(scene):
    cropped = scene.crop((40, 20, 440, 320))
    there, back = judge(picture(scene), picture(cropped)), judge(picture(cropped), picture(scene))
    assert (there.relation, back.relation) == ("copy", "copy")
    assert (there.original, back.original) == ("a", "b")


def _animation(frames: list[Image.Image]) -> bytes:
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=100, loop=0)
    return buffer.getvalue()


def test_animations_are_compared_in_several_frames(scene):
    later, others = [draw_scene(seed) for seed in (2, 3, 4)], [draw_scene(seed) for seed in (5, 6, 7)]
    first = load_picture(_animation([scene, *later]))
    assert first.frames.count == 4
    assert judge(first, load_picture(_animation([scene, *later]))).relation == "copy"
    different = judge(first, load_picture(_animation([scene, *others])))
    assert different.relation == "edited"
    still = judge(first, picture(scene))
    assert still.relation == "edited"
    assert still.original == "a"
    assert "1 of 4 frames" in (change(still, scene.size, scene.size) or "")
