"""Known transforms are found again, unrelated pictures get no explanation, and every form of output says the same."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFilter

from neardup.errors import BadInput, UnreadableImage
from neardup.index import Index, Model
from neardup.index.catalog import Hashing
from neardup.index.writer import HASHING
from neardup.matching import Shared, explain, hashing_for, shared_buckets
from neardup.matching.geometry import Picture, _part, align, inverse, load_picture, outline
from neardup.output.explain import as_json, colour_steps, geometry_steps, lines, write_explanation
from neardup.output.figures.explanation import plot_explanation

WIDTH, HEIGHT = 480, 360


def draw_scene(seed: int, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Overlapping coloured shapes with texture: plenty of details, none of which repeats."""
    rng = np.random.default_rng(seed)
    noise = Image.fromarray(rng.integers(60, 200, (height // 12, width // 12, 3), np.uint8))
    image = noise.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(220):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(6, 60, 2)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + w, y + h), fill=tuple(rng.integers(0, 255, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(0.7))


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    return draw_scene(1)


def picture(image: Image.Image) -> Picture:
    return Picture(np.asarray(image.convert("RGB")), *image.size)


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
    found = align(picture(scene), picture(scene))
    np.testing.assert_allclose(found.matrix, np.eye(3), atol=1e-3)
    assert (found.mirrored, found.quarter_turns, found.perspective) == (False, 0, False)
    assert found.confidence == "high"
    assert found.inlier_share > 0.95
    assert geometry_steps(found) == []


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
    found = align(picture(scene), picture(scene.transpose(transposition)))
    assert (found.mirrored, found.quarter_turns) == (mirrored, turns)
    assert found.rotation_degrees == pytest.approx(0, abs=0.1)
    assert found.scale == pytest.approx(1, abs=0.003)
    assert geometry_steps(found) == words


@pytest.mark.parametrize("degrees", [-30, -7, 3, 18])
def test_rotation_is_measured_clockwise(scene, degrees):
    # Pillow turns counter-clockwise.
    found = align(picture(scene), picture(scene.rotate(-degrees, Image.Resampling.BICUBIC)))
    assert found.quarter_turns == 0
    assert found.rotation_degrees == pytest.approx(degrees, abs=0.2)


def test_crop_and_scale_are_measured(scene):
    cropped = scene.crop((60, 30, 360, 255)).resize((400, 300), Image.Resampling.BICUBIC)
    found = align(picture(scene), picture(cropped))
    assert found.scale == pytest.approx(4 / 3, abs=0.005)
    assert found.aspect == pytest.approx(1, abs=0.005)
    assert found.shown_of_a == pytest.approx(300 * 225 / (WIDTH * HEIGHT), abs=0.005)
    assert found.shown_of_b == pytest.approx(1, abs=0.01)
    box = found.box_in_a
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((60, 30, 360, 255), abs=1)


def test_a_picture_within_a_larger_one(scene):
    page = Image.new("RGB", (600, 900), "white")
    page.paste(scene, (100, 200))
    found = align(picture(scene), picture(page))
    box = found.box_in_b
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((100, 200, 580, 560), abs=1)
    assert found.shown_of_b == pytest.approx(WIDTH * HEIGHT / (600 * 900), abs=0.005)
    assert found.shown_of_a == pytest.approx(1, abs=0.005)
    assert any("placed in a larger picture" in step for step in geometry_steps(found))


def test_stretching_is_measured(scene):
    found = align(picture(scene), picture(scene.resize((WIDTH, 300), Image.Resampling.BICUBIC)))
    assert found.aspect == pytest.approx(1.2, abs=0.01)
    assert found.scale == pytest.approx((300 / HEIGHT) ** 0.5, abs=0.005)


def test_perspective_is_told_from_an_affine_map(scene):
    # Coefficients from the output's positions to the input's, so the inverse of the map from A to B.
    back = np.array([[1.1, 0.1, -20], [0.05, 1.2, -10], [0.0006, 0.0008, 1]])
    seen = scene.transform((WIDTH, HEIGHT), Image.Transform.PERSPECTIVE, back.ravel()[:8], Image.Resampling.BICUBIC)
    found = align(picture(scene), picture(seen))
    assert found.perspective
    corners = outline(found.matrix, (WIDTH, HEIGHT))
    np.testing.assert_allclose(corners, outline(inverse(back), (WIDTH, HEIGHT)), atol=2.5)


def test_several_changes_at_once(scene):
    changed = scene.crop((40, 20, 440, 320)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changed = changed.transpose(Image.Transpose.ROTATE_90).resize((225, 300), Image.Resampling.BICUBIC)
    found = align(picture(scene), picture(changed))
    assert (found.mirrored, found.quarter_turns) == (True, 3)
    assert found.scale == pytest.approx(0.75, abs=0.005)
    box = found.box_in_a
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((40, 20, 440, 320), abs=2)


def test_unrelated_pictures_have_no_reliable_alignment(scene):
    for seed in range(10, 14):
        assert align(picture(scene), picture(draw_scene(seed))) is None


def test_flat_pictures_are_compared_as_a_whole():
    ramp = np.add.outer(np.linspace(0, 200, 120), np.linspace(0, 55, 160))
    flat = Image.fromarray(np.dstack([ramp] * 3).astype(np.uint8))
    found = align(picture(flat), picture(flat.transpose(Image.Transpose.ROTATE_270)))
    assert found is not None
    assert (found.matches, found.quarter_turns, found.mirrored) == (0, 1, False)
    assert align(picture(flat), picture(Image.new("RGB", (160, 120), "grey"))) is None


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 400), (400, 1), (30, 30)])
@pytest.mark.filterwarnings("error")
def test_tiny_pictures_are_no_trouble(scene, tmp_path, size):
    noise = np.random.default_rng(4).integers(0, 255, (size[1], size[0], 3), np.uint8)
    paths = [tmp_path / "tiny.png", tmp_path / "white.png", tmp_path / "scene.png"]
    for path, image in zip(paths, (Image.fromarray(noise), Image.new("RGB", (50, 40), "white"), scene), strict=True):
        image.save(path)
    same = explain(paths[0], paths[0], similarity=1.0, threshold=0.8, shared=Shared(8, 8, 17))
    assert geometry_steps(same.alignment) == []
    for first, second in ((0, 1), (1, 0), (0, 2), (2, 0)):
        other = explain(paths[first], paths[second], similarity=0.1, threshold=0.8, shared=Shared(0, 8, 17))
        assert other.alignment is None
    plot_explanation(same, tmp_path / "plot.png")


def test_the_answer_is_the_same_every_time(scene):
    other = picture(scene.rotate(5, Image.Resampling.BICUBIC).crop((30, 30, 400, 300)))
    first, second = (align(picture(scene), other) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, second.matrix)
    assert first.inliers == second.inliers


@pytest.fixture
def explained(tmp_path, scene):
    """Explains the scene and what `change` makes of it."""

    def run(change):
        a, b = tmp_path / "a.png", tmp_path / "b.png"
        scene.save(a)
        change(scene).save(b)
        return explain(a, b, similarity=0.91, threshold=0.8, shared=Shared(3, 8, 17))

    return run


def test_grey_is_seen_on_either_side(explained, tmp_path):
    found = explained(lambda scene: scene.convert("L"))
    assert found.colours.grey == "b"
    assert found.colours.changed < 0.01
    back = explain(found.b, found.a, similarity=0.91, threshold=0.8, shared=Shared(3, 8, 17))
    assert back.colours.grey == "a"
    assert back.colours.saturation is None


def test_brightness_and_contrast_are_measured(explained):
    found = explained(lambda scene: scene.point(lambda value: 0.6 * value + 80))
    mean = np.asarray(Image.open(found.a).convert("L")).mean()
    assert found.colours.brightness == pytest.approx((80 - 0.4 * mean) / 255, abs=0.01)
    assert found.colours.contrast == pytest.approx(0.6, abs=0.02)
    assert found.colours.saturation == pytest.approx(0.6, abs=0.02)
    assert found.colours.changed < 0.005


def test_what_was_written_over_is_no_change_of_colours(explained):
    def cover(scene):
        changed = scene.copy()
        ImageDraw.Draw(changed).rectangle((100, 100, 339, 171), fill="white")
        return changed

    found = explained(cover)
    # The rectangle is a tenth of the picture; some of what it covers may have been light before.
    assert found.colours.changed == pytest.approx(0.1, abs=0.02)
    assert any("other content" in step for step in colour_steps(found.colours))


def test_sizes_are_those_of_the_whole_images(tmp_path):
    a, b = tmp_path / "a.jpg", tmp_path / "b.jpg"
    large = draw_scene(3, 2400, 1800)
    large.save(a, quality=90)
    large.crop((600, 300, 2200, 1500)).resize((800, 600)).save(b, quality=90)
    loaded = load_picture(a)
    assert max(loaded.pixels.shape) == 800
    found = explain(a, b, similarity=1.0, threshold=0.8, shared=Shared(8, 8, 17))
    assert found.size_a == (2400, 1800)
    box = found.alignment.box_in_a
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((600, 300, 2200, 1500), abs=6)
    assert found.alignment.scale == pytest.approx(0.5, abs=0.005)


def test_unreadable_images_are_named(tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no")
    with pytest.raises(UnreadableImage, match=r"broken\.jpg"):
        load_picture(broken)


def test_shared_buckets_by_hand():
    hashing = Hashing(tables=6, bits=4, seed=0)
    first = np.zeros(8, np.float32)
    first[0] = 1
    assert shared_buckets(first, first, hashing, bits=4) == Shared(6, 6, 4)
    # Opposite vectors lie on opposite sides of every hyperplane.
    opposite = shared_buckets(first, -first, hashing, bits=1)
    assert opposite == Shared(0, 6, 1)
    assert opposite.jaccard == 0
    assert Shared(3, 8, 17).jaccard == pytest.approx(3 / 13)


def test_fewer_bits_share_no_fewer_buckets():
    rng = np.random.default_rng(2)
    first, second = rng.standard_normal((2, 32)).astype(np.float32)
    second = first + 0.3 * second
    counts = [
        shared_buckets(first / np.linalg.norm(first), second / np.linalg.norm(second), HASHING, bits=bits).tables
        for bits in (2, 6, 12, 24)
    ]
    assert counts == sorted(counts, reverse=True)


def test_the_index_in_use_says_how_to_hash(tmp_path):
    model = Model(name="tiny", digest="d" * 64, engine="onnx", precision="f32", dim=8, decoder="x")
    with Index.write(tmp_path / "index", model) as writer:
        row = np.eye(8, dtype=np.float32)[0]
        writer.add(Path("/a.jpg"), size_bytes=1, mtime_ns=1, digest=b"a" * 32, width=1, height=1, embedding=row)
    default = hashing_for(None, model.digest)
    assert default[0] == HASHING
    hashing, bits = hashing_for(tmp_path / "index", model.digest)
    assert hashing == HASHING
    with Index.open(tmp_path / "index") as index:
        assert bits == index.bits
    assert bits < default[1]
    assert hashing_for(tmp_path / "index", "another model") == default


def test_outputs_agree(explained, capsys):
    found = explained(lambda scene: scene.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((40, 0, 480, 360)))
    write_explanation(found, format="json")
    write_explanation(found, format="csv")
    write_explanation(found, format="text")
    printed = capsys.readouterr().out.splitlines()
    value = json.loads(printed[0])
    assert value == json.loads(json.dumps(as_json(found)))
    assert value["alignment"]["mirrored"] is True
    assert value["duplicate"] is True
    [row] = csv.DictReader(printed[1:3])
    assert row["alignment_mirrored"] == "True"
    assert float(row["alignment_box_in_a_right"]) == pytest.approx(440, abs=1)
    text = "\n".join(printed[3:])
    assert "Similarity:   0.910, duplicate at 0.800" in text
    assert "mirrored left to right" in text
    assert "3 of 8 shared" in text


def test_text_is_honest_without_an_alignment(explained):
    found = explained(lambda scene: draw_scene(20))
    assert found.alignment is None
    assert found.colours is None
    assert as_json(found)["alignment"] is None
    assert lines(found)[-1][1].startswith("no reliable alignment")


@pytest.mark.parametrize("change", [lambda scene: scene.crop((100, 50, 400, 300)), lambda scene: draw_scene(20)])
def test_plot_is_a_picture(explained, tmp_path, change):
    plot = tmp_path / "plot.png"
    plot_explanation(explained(change), plot)
    with Image.open(plot) as drawn:
        assert drawn.format == "PNG"
        assert drawn.width == 1440
        assert len(set(drawn.convert("L").resize((200, 80)).tobytes())) > 100


def test_plot_names_the_place_it_cannot_write(explained, tmp_path):
    with pytest.raises(BadInput, match="choose another place"):
        plot_explanation(explained(lambda scene: scene), tmp_path / "missing" / "plot.png")


def test_command(tmp_path, scene, monkeypatch, tiny_model):
    from neardup.cli.explain import explain as command

    monkeypatch.setenv("NEARDUP_EXPLAIN_MODEL", str(tiny_model.folder))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEARDUP_INDEX", raising=False)
    scene.save("a.png")
    scene.transpose(Image.Transpose.ROTATE_180).save("b.png")
    arguments = ["a.png", "b.png", "--format", "json", "--plot", "plot.png"]
    result = CliRunner().invoke(command, arguments, auto_envvar_prefix="NEARDUP_EXPLAIN")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert value["a"] == str(tmp_path / "a.png")
    assert value["alignment"]["quarter_turns"] == 2
    assert value["threshold"] == tiny_model.thresholds["default"]
    assert (tmp_path / "plot.png").stat().st_size > 10_000
    missing = CliRunner().invoke(command, ["a.png", "nothing.png"], auto_envvar_prefix="NEARDUP_EXPLAIN")
    assert isinstance(missing.exception, UnreadableImage)
