"""What whole pixels tell: saved again from a JPEG, or enlarged from what is large already; blur at the usual size."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from neardup.matching.closely import load_whole, look_closely, may_tell
from neardup.matching.evidence import Evidence
from neardup.matching.judge import judge
from neardup.matching.picture import load_picture
from tests.conftest import draw_scene

SCENE = draw_scene(3, 640, 480)
GRAIN = np.random.default_rng(0).normal(0, 6, (480, 640, 1))
SCENE = Image.fromarray(np.clip(np.asarray(SCENE) + GRAIN, 0, 255).astype(np.uint8))


def saved(image: Image.Image, name: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")


def turned(content: bytes, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.open(io.BytesIO(content)), quality="keep", exif=exif)


def tables_of(content: bytes) -> dict[int, list[int]]:
    return Image.open(io.BytesIO(content)).quantization  # type: ignore[attr-defined, no-any-return]


def first_of(a: bytes, b: bytes) -> str | None:
    found = judge(load_picture(a), load_picture(b))
    assert found.is_confirmed
    size_a, size_b = opened(a).size, opened(b).size
    if may_tell(found, size_a, size_b):
        found = look_closely(found, load_whole(a), load_whole(b))
    assert found == Evidence.from_json(found.to_json())
    return found.original


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("again", [("PNG", {}), ("JPEG", {"quality": 98}), ("WEBP", {"lossless": True})])
def test_what_was_saved_again_came_later(again: tuple[str, dict[str, object]], orientation: int) -> None:
    name, options = again
    original = turned(saved(SCENE, quality=88), orientation)
    copy = saved(opened(original), name, **options)
    assert first_of(original, copy) == "a"
    assert first_of(copy, original) == "b"


@pytest.mark.parametrize("quality", [60, 80, 92])
def test_what_a_jpeg_was_made_from_did_not(quality: int) -> None:
    source = saved(SCENE, "PNG")
    assert first_of(source, saved(SCENE, quality=quality)) is None
    better = saved(SCENE, quality=96)
    assert first_of(better, saved(opened(better), quality=quality)) in (None, "a")


def test_an_enlargement_of_what_is_large_already() -> None:
    rng = np.random.default_rng(1)
    rough = Image.fromarray(rng.integers(0, 255, (1000, 1400, 3), np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
    large = Image.blend(draw_scene(8, 1400, 1000), rough, 0.35)
    original = saved(large, quality=93)
    enlarged = saved(opened(original).resize((2800, 2000), Image.Resampling.BICUBIC), quality=93)
    assert first_of(original, enlarged) == "a"
    reduced = saved(large.resize((700, 500), Image.Resampling.LANCZOS), quality=93)
    assert first_of(original, reduced) is None


@pytest.mark.parametrize("quality", [85, 92])
@pytest.mark.parametrize("radius_percent", [(1, 100), (2, 120), (4, 80)])
def test_a_sharpened_picture_came_later(quality: int, radius_percent: tuple[int, int]) -> None:
    original = saved(SCENE, quality=90)
    sharpened = saved(opened(original).filter(ImageFilter.UnsharpMask(*radius_percent, 2)), quality=quality)
    assert first_of(original, sharpened) == "a"
    assert first_of(sharpened, original) == "b"


@pytest.mark.parametrize("quality", [70, 95])
@pytest.mark.parametrize("blur", [0.5, 0.8, 1.6])
def test_what_was_not_blurred_was_not_sharpened(quality: int, blur: float) -> None:
    original = saved(SCENE, quality=92)
    blurred = saved(opened(original).filter(ImageFilter.GaussianBlur(blur)), quality=quality)
    assert first_of(original, blurred) in (("a",) if blur == 1.6 else ("a", None))


@pytest.mark.parametrize("own", [84, 90])
@pytest.mark.parametrize("factor", [2, 2.25, 2.6])
def test_steps_that_nearly_divide_each_other_tell_nothing(own: int, factor: float) -> None:
    """Every second multiple of the smaller steps is near one of the larger."""
    original = saved(SCENE, quality=own)
    steps = {
        number: [min(255, round(step * factor)) for step in table] for number, table in tables_of(original).items()
    }
    assert first_of(original, saved(opened(original), qtables=steps, subsampling=0)) in ("a", None)


@pytest.mark.parametrize("start", [0.3, 0.5, 0.7])
def test_of_two_files_that_were_one_the_one_whose_bytes_changed(start: float) -> None:
    """Also where the changed data takes as many bits as before, so that the file itself does not show it."""
    whole = saved(SCENE.resize((960, 720), Image.Resampling.BICUBIC), quality=88)
    changed = bytearray(whole)
    for place in range(int(start * len(whole)), int(start * len(whole)) + 400, 50):
        if changed[place] not in (0xFF, 0xAA) and changed[place - 1] != 0xFF:
            changed[place] ^= 0x55
    first, second = load_whole(whole), load_whole(bytes(changed))
    found = Evidence("copy", 1.0, (1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert look_closely(found, first, second).original == "a"
    assert look_closely(found, second, first).original == "b"
    assert look_closely(found, first, first).original is None
