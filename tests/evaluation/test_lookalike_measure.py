"""Look-alikes measured with embedders whose answers are known: one tells everything apart, one nothing."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from neardup.cli.evaluate import evaluate
from neardup.embedding import Embedder, load_embedder
from neardup.embedding.architecture import Architecture
from neardup.embedding.export import export_model
from neardup.errors import BadInput
from neardup.evaluation import tables
from neardup.evaluation.lookalikes import COPIES, draw, measure
from neardup.evaluation.lookalikes.measure import KindScores, LookalikeReport, measure_lookalikes


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network without training."""
    architecture = Architecture(units=(1, 1, 1, 1), width=0.25, groups=4, projection=16)
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in architecture.parameters().items()}
    folder = tmp_path_factory.mktemp("models") / "untrained"
    export_model(folder, "untrained", architecture, weights, input_size=32)
    return folder


class Judge(Embedder):
    """A real embedder's name and size with rows of our own: `judge` maps prepared pixels to a (16,) row."""

    def __init__(self, model: Path, judge) -> None:
        real = load_embedder(str(model))
        super().__init__(real.model, real.engine)
        self._judge = judge

    def embed_prepared(self, pixels: np.ndarray) -> np.ndarray:
        rows = np.stack([self._judge(picture) for picture in pixels]).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_content(picture: np.ndarray) -> np.ndarray:
    """Another direction for every other content."""
    seed = int.from_bytes(hashlib.sha256(picture.tobytes()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=16)


def by_mean_colour(picture: np.ndarray) -> np.ndarray:
    """A direction for each step of 20 levels, which a plain picture's copies share."""
    steps = tuple(int(level) for level in np.round(picture.mean(axis=(0, 1)) / 42.5))
    return np.random.default_rng(list(steps)).normal(size=16)


def one_for_all(picture: np.ndarray) -> np.ndarray:
    return np.ones(16)


def scores_of(folder, judge, kind, **options):
    report = measure_lookalikes(folder, judge, kinds=[kind], min_similarity=0.97, **options)
    assert list(report.kinds) == [kind]
    return report.kinds[kind]


def test_an_embedder_that_tells_everything_apart_takes_nothing_and_finds_nothing(tmp_path, model):
    scores = scores_of(tmp_path, Judge(model, by_content), "codes", pictures=12, copied=4)
    assert (scores.pictures, scores.copied, scores.taken, scores.copies_taken) == (12, 4, 0, 0)
    assert scores.recall == dict.fromkeys(COPIES, 0.0)
    assert scores.missed == tuple(f"{number:04d}-{copy}" for number in (0, 3, 6, 9) for copy in COPIES)
    assert len(list((tmp_path / "codes" / "pictures").iterdir())) == 12 + 4 * 3


def test_an_embedder_that_takes_all_for_one_loses_all_but_one(tmp_path, model):
    scores = scores_of(tmp_path, Judge(model, one_for_all), "codes", pictures=12, copied=4)
    assert scores.taken == 11
    # The keeper's own copies are rightly its own, if it has any.
    assert scores.copies_taken in (9, 12)
    assert scores.recall == dict.fromkeys(COPIES, 1.0)
    assert scores.missed == ()
    assert {mistake.relation for mistake in scores.mistakes} == {None}  # by similarity alone: nobody looked


def test_an_embedder_that_knows_colours_finds_the_copies_of_plain_colours_alone(tmp_path, model):
    scores = scores_of(tmp_path, Judge(model, by_mean_colour), "plain_colours", pictures=40, copied=40)
    assert (scores.taken, scores.copies_taken) == (0, 0)
    assert scores.recall == dict.fromkeys(COPIES, 1.0)


def test_files_are_stored_as_such_pictures_are(tmp_path, model):
    scores_of(tmp_path, Judge(model, by_content), "white_icons", pictures=2, copied=1)
    scores_of(tmp_path, Judge(model, by_content), "bursts", pictures=2, copied=1)
    icons, bursts = tmp_path / "white_icons" / "pictures", tmp_path / "bursts" / "pictures"
    assert {path.name for path in icons.iterdir()} == {
        "0000.png", "0000-half.png", "0000-jpeg_60.jpg", "0000-crop_80.png", "0001.png",
    }  # fmt: skip
    assert {path.suffix for path in bursts.iterdir()} == {".jpg"}
    np.testing.assert_array_equal(np.asarray(Image.open(icons / "0001.png")), np.asarray(draw("white_icons", 1)))


def test_there_are_as_many_pictures_as_photos(tmp_path, model):
    photos = []
    for number in range(3):
        photos.append(tmp_path / f"{number}.png")
        Image.fromarray(by_pattern(number)).save(photos[-1])
    scores = scores_of(tmp_path / "work", Judge(model, by_content), "dark_photos", photos=photos, copied=9)
    assert (scores.pictures, scores.copied) == (3, 3)


def by_pattern(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_what_cannot_be_measured_is_refused(tmp_path, model):
    judge = Judge(model, by_content)
    with pytest.raises(BadInput, match="no kind of look-alike"):
        scores_of(tmp_path, judge, "unicorns")
    scores_of(tmp_path, judge, "codes", pictures=1)
    with pytest.raises(BadInput, match="give an empty folder"):
        scores_of(tmp_path, judge, "codes", pictures=1)


def run(*arguments: object):
    return CliRunner().invoke(evaluate, [str(argument) for argument in arguments], catch_exceptions=False)


def test_the_command_measures_the_kinds_that_are_named(photo_folder, model, monkeypatch):
    assert (measure.PICTURES, measure.COPIED) == (200, 40)
    monkeypatch.setattr(measure, "measure_lookalikes", partial(measure_lookalikes, pictures=10, copied=2))
    result = run(photo_folder, "--lookalikes", "--kinds", "plain_colours,codes", "--model", model, "--format", "json")
    fields = json.loads(result.stdout)
    assert fields["model"] == "untrained"
    assert fields["photos"] > 0
    assert list(fields["kinds"]) == ["plain_colours", "codes"]
    for scores in fields["kinds"].values():
        assert (scores["pictures"], scores["copied"]) == (10, 2)
        assert len(scores["mistakes"]) == scores["taken"] + scores["copies_taken"]
        assert len(scores["missed"]) == round(2 * sum(1 - share for share in scores["recall"].values()))


def test_the_tables_hold_what_was_counted():
    scores = KindScores(200, 40, 12, 3, {"half": 1.0, "jpeg_60": 0.975, "crop_80": 0.5}, (), ())
    report = LookalikeReport({"codes": scores}, min_similarity=0.7, seed=0, photos=0)
    assert tables.lookalike_text(report)[-1].split() == ["codes", "200", "12", "1.000", "0.975", "0.500", "3"]
    [row] = tables.lookalike_rows(report)
    assert tuple(row) == tables.LOOKALIKE_FIELDS
    assert tuple(row.values()) == ("codes", 200, 12, 40, 3, 1.0, 0.975, 0.5)


@pytest.mark.parametrize(("arguments", "message"), [
    (["--lookalikes", "--calibrate"], "leave out --calibrate"),
    (["--kinds", "codes"], "give both"),
])  # fmt: skip
def test_options_that_do_not_go_together(photo_folder, arguments, message):
    result = run(photo_folder, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
