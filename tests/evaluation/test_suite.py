"""The whole evaluation on drawn photos: what is dealt where, that it repeats, and what the report says."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image, ImageColor

from neardup.errors import BadInput, BadModel
from neardup.evaluation import suite
from neardup.evaluation.suite import draw, evaluate, read_pairs, split_photos
from neardup.evaluation.tables import CSV_FIELDS, csv_rows, text_table
from neardup.output.figures.evaluation import BAR, plot_report

EASY = ("jpeg_30", "grey", "scale_50")
LOST = ("turn_90", "turn_180")


@pytest.fixture(scope="module")
def report(photos, thumbnails):
    return evaluate(photos, thumbnails, baselines={"same": thumbnails}, attacks=EASY + LOST, seed=5)


def test_an_embedder_of_thumbnails_finds_what_stays_in_place_and_loses_what_turns(report):
    for name in EASY:
        assert report.model.attacks[name].recall_at_1 == 1
    for name in LOST:
        assert report.model.attacks[name].recall_at_1 < 0.3
    expected = np.mean([scores.recall_at_1 for scores in report.model.attacks.values()])
    assert report.model.recall_at_1 == pytest.approx(expected)
    assert 0.6 <= report.model.uap <= report.model.recall_at_1
    assert report.model.recall_at_1pct_false_alarms <= report.model.recall_at_1


def test_intervals_hold_the_figures(report):
    for key, (low, high) in report.model.intervals.items():
        assert low <= getattr(report.model, key) <= high
        assert high - low < 0.5


def test_a_baseline_answers_the_same_queries(report):
    assert report.baselines["same"] == report.model


def test_the_same_seed_repeats_the_run_whatever_the_order_of_the_paths(report, photos, thumbnails):
    again = evaluate(photos[::-1], thumbnails, baselines={"same": thumbnails}, attacks=EASY + LOST, seed=5)
    assert again.as_json() == report.as_json()
    other = evaluate(photos, thumbnails, attacks=EASY + LOST, seed=6)
    assert other.queries.paths != report.queries.paths


def test_fewer_attacks_make_the_same_versions(report, photos, thumbnails):
    fewer = evaluate(photos, thumbnails, attacks=LOST, seed=5)
    assert fewer.model.attacks["turn_90"].recall_at_1 == report.model.attacks["turn_90"].recall_at_1


def test_json_has_the_contract_s_fields(report):
    fields = json.loads(json.dumps(report.as_json()))
    for judged in (fields, *fields["baselines"].values()):
        for key in ("uap", "recall_at_1", "recall_at_1pct_false_alarms"):
            assert isinstance(judged[key], float)
        assert set(judged["attacks"]) == set(EASY + LOST)
        assert all(isinstance(scores["recall_at_1"], float) for scores in judged["attacks"].values())
    assert fields["images"] == 60
    assert fields["queries"] == 5 * fields["originals"] + fields["negatives"]


def test_false_matches_are_wrong_answers_most_similar_first(report):
    similarities = [match.similarity for match in report.false_matches]
    assert similarities == sorted(similarities, reverse=True)
    assert all(match.query != match.match for match in report.false_matches)


def test_the_parts_of_a_split_share_no_photo(photos):
    split = split_photos(photos, gallery=30, queries=10, negatives=12, seed=0)
    parts = [split.originals, split.distractors, split.negatives, split.grounds]
    assert [len(part) for part in parts] == [10, 20, 12, 3]
    assert len({path for part in parts for path in part}) == 45


def test_enough_photos_give_every_part_its_size(photos, monkeypatch):
    monkeypatch.setattr(suite, "GROUNDS", 2)
    split = split_photos(photos, gallery=30, queries=10, negatives=28, seed=0)
    assert [len(split.gallery), len(split.negatives), len(split.grounds)] == [30, 28, 2]


def test_copies_take_part_once_and_unreadable_files_are_listed(photos, tmp_path):
    for path in photos[:30]:
        shutil.copy(path, tmp_path)
    with Image.open(photos[0]) as photo:
        photo.convert("RGB").resize((160, 120)).save(tmp_path / "copy.jpg", quality=80)
    (tmp_path / "broken.png").write_bytes(photos[1].read_bytes()[:300])
    split = split_photos(sorted(tmp_path.iterdir()), gallery=100, queries=10, negatives=10, seed=0)
    parts = [*split.gallery, *split.negatives, *split.grounds]
    assert split.lookalikes == 1
    assert len({tmp_path / "copy.jpg", tmp_path / photos[0].name} & set(parts)) == 1
    assert [path.name for path, _ in split.failed] == ["broken.png"]


def test_too_few_photos_say_how_many_are_needed(photos, thumbnails):
    with pytest.raises(BadInput, match=r"19 different photos.*at least 20; add photos"):
        evaluate(photos[:19], thumbnails)


def test_twenty_photos_are_enough(photos, thumbnails):
    report = evaluate(photos[:20], thumbnails, attacks=("jpeg_30",))
    assert (report.gallery, report.originals, report.negatives) == (14, 7, 5)
    assert report.model.recall_at_1 == 1


def test_an_unknown_attack_is_refused(photos, thumbnails):
    with pytest.raises(BadInput, match="jpeg_31"):
        evaluate(photos, thumbnails, attacks=("jpeg_31",))


def test_embeddings_that_are_not_numbers_are_refused(photos):
    with pytest.raises(BadModel, match="finite"):
        evaluate(photos, lambda images: np.full((len(images), 4), np.nan, np.float32), attacks=("grey",))


def test_large_photos_are_reduced(tmp_path):
    Image.new("RGB", (3000, 1000), (200, 30, 60)).save(tmp_path / "wide.jpg")
    assert suite.load_photo(tmp_path / "wide.jpg").shape == (213, 640, 3)


def test_progress_ends_at_the_number_of_images(photos, thumbnails):
    seen = []
    evaluate(photos[:20], thumbnails, attacks=("grey",), on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (14 + 7 + 5, 14 + 7 + 5)


def test_table_and_csv_show_every_attack_and_figure(report):
    table = "\n".join(text_table(report))
    for name, scores in report.model.attacks.items():
        assert f"{name:<28}{scores.recall_at_1:8.3f}{scores.recall_at_1:8.3f}" in table
    assert f"{report.model.uap:8.3f}" in table
    assert "fewer than 100 negatives" in table
    rows = list(csv_rows(report))
    assert all(set(row) <= set(CSV_FIELDS) for row in rows)
    assert [(row["embedder"], row["attack"]) for row in rows[:2]] == [("model", "all"), ("model", "jpeg_30")]
    assert rows[0]["uap"] == report.model.uap
    assert len(rows) == 2 * (1 + len(EASY + LOST))


def test_plot_is_a_picture_with_a_line_for_each_attack(report, tmp_path):
    plot_report(report, tmp_path / "recall.png", title="Thumbnails")
    with Image.open(tmp_path / "recall.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 800
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    # Lengths of the model's bars, top to bottom: in proportion to its figures; marks may hide a few pixels.
    lengths = (np.abs(pixels - ImageColor.getrgb(BAR)).max(axis=2) < 3).sum(axis=1)
    starts = np.flatnonzero((lengths[1:] > 30) & (lengths[:-1] <= 30)) + 1
    drawn = [lengths[start : start + 15].max() for start in starts]
    figures = [report.model.uap, report.model.recall_at_1, report.model.recall_at_1pct_false_alarms]
    figures += [scores.recall_at_1 for scores in report.model.attacks.values()]
    expected = [figure for figure in figures if figure > 0.06]
    assert np.array(drawn) / max(drawn) == pytest.approx(np.array(expected), abs=0.03)


def test_a_draw_leaves_out_known_copies(photos):
    drawn = draw(photos, 3, same=[(photos[0], photos[1]), (photos[1], photos[2])])
    assert set(photos) - set(drawn) == {photos[1], photos[2]}
    assert drawn != sorted(drawn)
    assert draw(photos[::-1], 3, limit=7) == draw(photos, 3)[:7]


def test_pairs_are_read_from_a_file(tmp_path):
    tmp_path = tmp_path.resolve()
    for name in ("a.jpg", "b, c.jpg", "d.jpg"):
        (tmp_path / name).touch()
    file = tmp_path / "lists" / "same.csv"
    file.parent.mkdir()
    file.write_text(f'a.jpg,"b, c.jpg"\n\n{tmp_path / "d.jpg"},../{tmp_path.name}/a.jpg\n')
    assert read_pairs(file, tmp_path) == {
        (tmp_path / "a.jpg", tmp_path / "b, c.jpg"),
        (tmp_path / "d.jpg", tmp_path / "a.jpg"),
    }


@pytest.mark.parametrize(
    ("content", "reason"), [("a.jpg\n", "two paths a line"), ("a.jpg,z.jpg\n", "z.jpg is no file")]
)
def test_a_file_of_pairs_that_cannot_be_used_is_refused(tmp_path, content, reason):
    (tmp_path / "a.jpg").touch()
    file = tmp_path / "same.csv"
    file.write_text(content)
    with pytest.raises(BadInput, match=reason):
        read_pairs(file, tmp_path)


def test_a_plot_that_cannot_be_written_is_refused(report, tmp_path):
    with pytest.raises(BadInput, match="give another file"):
        plot_report(report, tmp_path / "missing" / "recall.png", title="Thumbnails")
