"""`bench` on a tiny model; the figures themselves are not looked at, but how they hang together is."""

import json
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from neardup.cli import main
from neardup.evaluation.benchmark import Row, _compared, _hits, _warm_up, draw_sources, peak_memory_bytes
from neardup.evaluation.keras_tables import DictTables
from neardup.lsh import LSH
from neardup.output.benchmark import text_table

ROW_FIELDS = {
    "engine", "precision", "batch", "available", "reason", "build_seconds", "query_seconds", "images", "queries",
    "speedup_build", "speedup_query",
}  # fmt: skip


@pytest.fixture
def bench(tmp_path, monkeypatch, tiny_model):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        command = ["bench", *map(str, arguments), "--model", str(tiny_model.folder), "--warm-up", "2"]
        result = CliRunner().invoke(main, command)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


def test_a_row_for_each_engine_and_batch(bench, photos, tmp_path):
    photos(12)
    result = bench(
        "photos", "--images", 9, "--queries", 7, "--engines", "keras-example,onnx,tf-trt", "--threads", 1,
        "--warm-up", 1, "--plot", "bench.png", "--format", "json",
    )  # fmt: skip
    report = json.loads(result.stdout)
    rows = {(row["engine"], row["batch"]): row for row in report["rows"]}
    assert list(rows) == [("keras-example", 1), ("onnx", 1), ("onnx", 32), ("tf-trt", 1), ("tf-trt", 32)]
    assert all(row.keys() >= ROW_FIELDS for row in report["rows"])
    assert report["device"].endswith("1 core")
    assert not report["synthetic"]
    assert report["decode_seconds"] > 0
    example = rows["keras-example", 1]
    assert (example["speedup_build"], example["speedup_query"]) == (1.0, 1.0)
    for batch in (1, 32):
        row = rows["onnx", batch]
        assert row["available"]
        assert (row["images"], row["queries"], row["precision"]) == (9, 7, "f32")
        assert row["speedup_build"] == pytest.approx(example["build_seconds"] / row["build_seconds"])
        assert row["speedup_query"] == pytest.approx(example["query_seconds"] / row["query_seconds"])
        assert 0 < row["query_ms_p50"] <= row["query_ms_p95"] <= row["query_seconds"] * 1000
        # ONNX Runtime without TensorFlow: a process that had imported that would need far more.
        assert 30e6 < row["peak_memory_bytes"] < example["peak_memory_bytes"]
        assert row["hits"] >= 0
        missing = rows["tf-trt", batch]
        assert (missing["available"], missing["build_seconds"], missing["speedup_query"]) == (False, None, None)
        assert "missing here" in missing["reason"]
    with Image.open("bench.png") as picture:
        assert picture.width > 800


def test_synthetic_images_are_marked(bench):
    result = bench("--synthetic", "--images", 3, "--queries", 40, "--engines", "onnx")
    assert "The images are noise, made up" in result.stdout
    report = json.loads(
        bench("--synthetic", "--images", 3, "--queries", 2, "--engines", "onnx", "--format", "json").stdout
    )
    assert report["synthetic"]
    assert report["decode_seconds"] is None
    assert report["rows"][0]["speedup_build"] is None  # nothing to compare with


def test_few_images_are_asked_for_again(bench, photos):
    photos(3)
    rows = bench("photos", "--images", 10, "--queries", 8, "--engines", "onnx", "--format", "csv").stdout.splitlines()
    assert len(rows) == 3
    fields = dict(zip(rows[0].split(","), rows[1].split(","), strict=True))
    assert (fields["images"], fields["queries"]) == ("3", "8")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--engines", "cuda", "--synthetic"], 1, "no engine named 'cuda'; there are keras-example"),
        (["nowhere"], 1, "nowhere"),
        (["empty"], 1, "no readable images"),
        (["empty", "--synthetic"], 2, "leave SOURCE out"),
        (["--synthetic", "--plot", "no/such/folder/x.png"], 1, "no such folder"),
        (["tfds:no_such_data_set"], 1, "tfds:no_such_data_set: cannot be opened"),
    ],
)
def test_what_cannot_be_measured_says_why(bench, tmp_path, arguments, code, said):
    (tmp_path / "empty").mkdir()
    assert said in bench(*arguments, code=code).stderr


def test_an_engine_that_ends_its_process_ends_its_row_alone(bench, tmp_path, monkeypatch):
    (tmp_path / "fake" / "tensorflow").mkdir(parents=True)
    (tmp_path / "fake" / "tensorflow" / "__init__.py").write_text("import os\nos.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
    result = bench("--synthetic", "--images", 2, "--queries", 2, "--engines", "tensorflow,onnx", "--format", "json")
    rows = json.loads(result.stdout)["rows"]
    assert [row["available"] for row in rows] == [False, False, True, True]
    assert "its process ended with -6" in rows[0]["reason"]


def test_speedups_compare_like_with_like():
    def row(engine, batch, build, query):
        return Row(engine, "f32", batch, True, None, 1, 1, build_seconds=build, query_seconds=query)

    rows = [
        row("keras-example", 1, 60, 80),
        row("tensorflow", 1, 12, 16),
        row("tensorflow", 32, 6, 8),
        row("onnx", 32, 3, 2),
    ]
    example, single, batched, onnx = _compared(rows)
    assert (example.speedup_build, example.speedup_build_tensorflow) == (1, 5 * 0.04)
    assert (single.speedup_build, single.speedup_query) == (5, 5)
    assert (batched.speedup_build_tensorflow, batched.speedup_query) == (1, 10)
    assert (onnx.speedup_build, onnx.speedup_query_tensorflow) == (20, 4)
    missing = Row("tf-trt", "", 1, False, "no GPU", 1, 1)
    assert _compared([missing]) == [missing]


def test_the_table_names_what_is_missing_once():
    from neardup.evaluation.benchmark import Benchmark

    rows = [Row("tf-trt", "", batch, False, "no GPU", 1000, 1000) for batch in (1, 32)]
    lines = text_table(Benchmark("a machine", "m", "photos", False, 2, 10.0, rows))
    assert lines[-1] == "Not available: tf-trt: no GPU"
    assert sum("no GPU" in line for line in lines) == 1
    assert "10.0 s (100 images/s)" in lines[1]


def test_sources_are_drawn_by_the_seed(photos, tmp_path):
    paths = photos(9)
    drawn = [source.path for source in draw_sources(tmp_path / "photos", 1)]
    assert sorted(drawn) == paths != drawn
    assert drawn == [source.path for source in draw_sources(tmp_path / "photos", 1)]


def test_the_examples_tables_find_an_image_in_every_bucket_of_its_own():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 16)).astype(np.float32)
    tables = DictTables(16, 0)
    for number, row in enumerate(rows):
        tables.add(number, row)
    found = tables.query(rows[7], 4)
    assert found[0] == ("7", 10 / 16)  # ten tables, divided by the embedding's size as the example does
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    [(best, score)] = tables.query(-rows[7], 1)
    assert best != "7"
    assert score < 10 / 16
    # Opposite signs share no bucket at all.
    alone = DictTables(16, 0)
    alone.add(0, rows[7])
    assert alone.query(-rows[7], 4) == []


def test_hits_are_entries_in_the_querys_own_buckets():
    """As the example prints them: an image that shares m buckets counts m times."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 16)).astype(np.float32)
    tables, lsh = DictTables(16, 0), LSH(16, tables=6, bits=5)
    for number, row in enumerate(rows):
        tables.add(number, row)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    lsh.add(rows)
    counts = round(sum(score for _, score in tables.query(rows[7], 50)) * 16)
    assert _hits(tables, rows[7]) == counts > 10
    signed = np.einsum("tbd,nd->ntb", lsh.hyperplanes, rows) > 0
    shared = (signed == signed[7]).all(axis=2).sum()
    assert _hits(lsh, rows[7]) == shared >= 6


@pytest.mark.parametrize(
    ("batch", "timed", "images", "expected"),
    [
        (1, (9, 7), 5, {1: 5}),
        (32, (100, 40), 100, {4: 25, 8: 13, 32: 4}),
        (32, (9, 64), 2, {9: 3, 32: 3}),
        (32, (64, 64), 0, {}),
    ],
)
def test_every_shape_that_is_timed_has_been_seen_before(batch, timed, images, expected):
    """TensorRT builds an engine at the first batch of a shape: minutes that are not those of a query."""
    seen = Counter()
    embedder = SimpleNamespace(embed_prepared=lambda pixels: seen.update([len(pixels)]))
    _warm_up(embedder, np.zeros((1, 4, 4, 3), np.uint8), batch, timed, images)
    assert seen == expected


def test_peak_memory_is_this_processs():
    before = peak_memory_bytes()
    held = np.ones(before // 8 + (1 << 22))  # as much again, in the worst case
    assert held.nbytes < peak_memory_bytes() < 100 * before


def test_peak_memory_is_not_that_of_the_process_that_started_it():
    # Linux hands getrusage's peak on through exec: a small program started by a large one reads as large.
    held = np.ones(1 << 26)
    code = "from neardup.evaluation.benchmark import peak_memory_bytes; print(peak_memory_bytes())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(out.stdout) < held.nbytes
