"""`--engine auto`: fast where there are many images, quick to start where there are few; the same embeddings."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from neardup.cli import main
from neardup.embedding import BATCH, MANY, load_embedder
from neardup.embedding.agreement import AGREEMENT, smallest_similarity
from neardup.embedding.conversion.onnx import prepare_graph
from neardup.embedding.conversion.verify import draw_samples
from neardup.embedding.engines import auto
from neardup.embedding.engines.tensorrt import open_graph
from neardup.embedding.hardware import has_bfloat16
from neardup.embedding.model import find_model
from neardup.embedding.variants import Target
from neardup.index.catalog import AGREEING
from neardup.packages import is_installed

needs_bfloat16 = pytest.mark.skipif(
    not (has_bfloat16() and is_installed("openvino")), reason="needs OpenVINO, and a processor with AMX or AVX-512 BF16"
)


@pytest.fixture(scope="module")
def samples():
    return draw_samples(find_model().input_size, BATCH)[2:]  # without white and black: of those only rounding is left


@pytest.fixture(scope="module")
def reference(samples):
    return load_embedder("default", "onnx").embed_prepared(samples)


@needs_bfloat16
def test_many_images_go_through_openvino_in_bfloat16_and_agree(samples, reference):
    embedder = load_embedder("default")
    assert (embedder.engine.name, embedder.engine.precision) == ("openvino", "bf16")  # what an index records
    rows = embedder.embed_prepared(samples)
    assert (embedder.engine.name, embedder.engine.precision) == ("openvino", "bf16")
    assert rows != pytest.approx(reference, abs=1e-6)  # it is another engine
    assert smallest_similarity(rows, reference) >= AGREEMENT


@pytest.mark.parametrize("precision", sorted(AGREEING))
def test_precisions_that_an_index_may_mix_agree(samples, reference, precision, tmp_path):
    if precision == "f16":  # as the TensorRT engine has it, on the CPU
        graph = prepare_graph(find_model(), tmp_path, "f16", None)
        rows = open_graph(graph, find_model().input_size, Target("tensorrt", "cpu", None, None), "f16").run(samples)
    elif precision == "bf16" and not (has_bfloat16() and is_installed("openvino")):
        pytest.skip("needs OpenVINO, and a processor with AMX or AVX-512 BF16")
    else:
        rows = load_embedder("default", "openvino", precision=precision).embed_prepared(samples)
    assert smallest_similarity(rows, reference) >= AGREEMENT


@needs_bfloat16
def test_an_index_of_many_is_in_bfloat16_and_a_query_of_one_is_not_warned(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = photos(24)
    monkeypatch.setattr("neardup.jobs.index.MANY", 24)
    assert CliRunner().invoke(main, ["index", "photos"]).exit_code == 0
    info = json.loads(CliRunner().invoke(main, ["info", "--format", "json"]).stdout)
    assert (info["engine"], info["precision"]) == ("openvino", "bf16")
    asked = CliRunner().invoke(main, ["query", str(paths[0]), "--top", "1", "--format", "json"])
    assert asked.stderr == ""
    [match] = json.loads(asked.stdout)["matches"]
    assert (match["path"], match["similarity"]) == (str(paths[0]), pytest.approx(1, abs=1e-3))
    paths[1].write_bytes(paths[2].read_bytes() + b"another")  # a run that finds one image changed is not warned either
    again = CliRunner().invoke(main, ["index", "photos", "--format", "json"])
    assert "Warning" not in again.stderr
    assert json.loads(again.stdout)["indexed"] == 1


@needs_bfloat16
def test_one_picture_does_not_wait_for_openvino():
    code = (
        "import sys, numpy as np\nfrom neardup.embedding import load_embedder\nembedder = load_embedder()\n"
        "embedder.embed([np.zeros((9, 9, 3), np.uint8)])\nprint('openvino' in sys.modules)\n"
        "embedder.embed([np.zeros((9, 9, 3), np.uint8)] * 32)\nprint('openvino' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]


@needs_bfloat16
def test_a_model_that_bfloat16_does_not_suit_stays_with_the_reference(tiny_model, monkeypatch):
    monkeypatch.setattr(auto, "AGREEMENT", 1.1)
    embedder = load_embedder(str(tiny_model.folder))
    pixels = draw_samples(tiny_model.input_size, BATCH)
    rows = embedder.embed_prepared(pixels)
    assert (embedder.engine.name, embedder.engine.precision) == ("onnx", "f32")
    assert (rows == load_embedder(str(tiny_model.folder), "onnx").embed_prepared(pixels)).all()


@pytest.mark.parametrize(
    ("bfloat16", "installed", "images"),
    [(False, True, None), (True, False, None), (True, True, 1), (True, True, MANY - 1)],
    ids=["another processor", "no OpenVINO", "one image", "few images"],
)
def test_otherwise_it_is_onnx_runtime(tiny_model, monkeypatch, bfloat16, installed, images):
    monkeypatch.setattr(auto, "has_bfloat16", lambda: bfloat16)
    monkeypatch.setattr(auto, "is_installed", lambda name: installed)
    embedder = load_embedder(str(tiny_model.folder), images=images)
    embedder.embed_prepared(draw_samples(tiny_model.input_size, BATCH))
    assert (embedder.engine.name, embedder.engine.precision) == ("onnx", "f32")


def test_a_broken_openvino_is_passed_over(tiny_model, monkeypatch):
    monkeypatch.setattr(auto, "has_bfloat16", lambda: True)
    monkeypatch.setattr(auto, "is_installed", lambda name: True)
    monkeypatch.setitem(sys.modules, "openvino", None)
    embedder = load_embedder(str(tiny_model.folder))
    rows = embedder.embed_prepared(draw_samples(tiny_model.input_size, BATCH))
    assert (embedder.engine.name, embedder.engine.precision) == ("onnx", "f32")
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
