"""Every engine gives the reference's numbers."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from neardup.cli import options
from neardup.embedding import BATCH, load_embedder, preprocess
from neardup.embedding.agreement import smallest_similarity
from neardup.embedding.architecture import Architecture
from neardup.embedding.conversion.verify import MINIMUM_SIMILARITY
from neardup.embedding.engines import ENGINES
from neardup.embedding.export import export_model
from neardup.errors import BadInput, EngineUnavailable
from neardup.packages import how_to_install
from tests.conftest import random_weights

SHAPES = {
    # With width 0.125 and four groups, of two channels and more; odd sizes round at every stride.
    "gem, odd size": (Architecture((1, 2, 1, 1), 0.125, 4, "gem", 16), 45),
    "average, no projection": (Architecture((1, 1, 1, 1), 0.25, 8, "average", None, (0.0, 1.0)), 32),
    "deep": (Architecture((2, 2, 2, 2), 0.125, 2, "gem", 24), 64),
}

RUN_ANYWHERE = {("keras-example", "f32"), ("tensorflow", "f32"), ("onnx", "f32"), ("openvino", "f32")}
# What an engine's message names where it cannot run, by engine.
LACKING = {
    "openvino": "(AMX|openvino)",
    "onnx-cuda": "(CUDAExecutionProvider|an NVIDIA GPU)",
    "tensorrt": "no variant of model parity is registered",
    "tf-trt": "(TensorRT 8.6.1|no variant)",
}


def pictures(size):
    """Noise, white, black, and pictures whose border is the brightest or darkest part of the root's output: padding
    by minus infinity instead of zeros would show."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (6, size, size, 3)).astype(np.uint8)
    images[1], images[2] = 255, 0
    images[3, 4:-4, 4:-4] = 0
    images[4, 4:-4, 4:-4] = 255
    images[5] //= 64
    return images


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def folder(request, tmp_path_factory):
    architecture, size = SHAPES[request.param]
    folder = tmp_path_factory.mktemp("model")
    return export_model(folder, "parity", architecture, random_weights(architecture, 3), size).folder


@pytest.fixture(scope="module")
def reference(folder):
    embedder = load_embedder(str(folder), "tensorflow")
    return embedder.embed_prepared(pictures(embedder.model.input_size))


def test_rows_are_on_the_unit_sphere(reference):
    assert np.linalg.norm(reference, axis=1) == pytest.approx(1, abs=1e-5)
    assert abs(reference[0] @ reference[1]) < 0.999  # and not all the same


@pytest.mark.parametrize(
    ("engine", "precision"), [(spec.name, p) for spec in ENGINES.values() for p in spec.precisions]
)
def test_an_engine_agrees_with_the_reference_or_says_what_it_lacks(folder, reference, engine, precision):
    """Every engine in every precision that it offers: those that cannot run here name what is missing, in one line."""
    try:
        embedder = load_embedder(str(folder), engine, precision=precision)
    except EngineUnavailable as unavailable:
        reason = str(unavailable)
    else:
        reason = None
    if reason is not None:
        assert (engine, precision) not in RUN_ANYWHERE
        assert re.fullmatch(rf"engine {engine}: .*{LACKING[engine]}.*", reason)
        return
    assert (embedder.engine.name, embedder.engine.precision) == (engine, precision)
    rows = embedder.embed_prepared(pictures(embedder.model.input_size))
    if precision == "f32":
        assert np.abs(rows - reference).max() < 1e-5
    else:
        # What a converted model of half precision must reach; in the bfloat16 units of AVX-512 these come to 0.9991.
        assert smallest_similarity(rows, reference) >= MINIMUM_SIMILARITY["f16"]


def test_the_reference_is_float32_whatever_policy_keras_has(folder, reference):
    """Training in bfloat16 leaves its policy behind; loading an engine leaves the policy alone."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        embedder = load_embedder(str(folder), "tensorflow")
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(before)
    assert np.abs(embedder.embed_prepared(pictures(embedder.model.input_size)) - reference).max() < 1e-6


def test_images_of_any_size_and_number(tiny_model):
    embedder = load_embedder(str(tiny_model.folder))
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (5 + n, 90 - n, 3)).astype(np.uint8) for n in range(BATCH + 3)]
    rows = embedder.embed(images)
    assert rows.shape == (BATCH + 3, 32)
    assert rows.dtype == np.float32
    one = embedder.embed(images[7:8])[0]
    assert one @ rows[7] == pytest.approx(1, abs=1e-5)
    assert embedder.embed([]).shape == (0, 32)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(BadInput, match="height, width, 3"):
        preprocess(image, 32)


def test_preprocessing_squashes_with_antialiasing():
    stripes = np.zeros((200, 400, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than the output can show: grey, not an accident of sampling
    small = preprocess(stripes, 50)
    assert small.shape == (50, 50, 3)
    assert abs(small.astype(int) - 127).max() <= 2


def test_unknown_and_impossible_engines(tiny_model):
    with pytest.raises(BadInput, match="no engine named 'cuda'"):
        load_embedder(str(tiny_model.folder), "cuda")
    with pytest.raises(EngineUnavailable, match="engine onnx computes in f32, not f16; tensorrt and tf-trt can"):
        load_embedder(str(tiny_model.folder), "onnx", precision="f16")


@pytest.mark.parametrize("name", [name for name, spec in ENGINES.items() if name not in ("onnx-cuda", "tensorrt")])
def test_an_engine_that_is_not_installed_says_how_to_install_it(tiny_model, monkeypatch, name):
    """tf-trt asks in a process of its own, which finds TensorFlow: its message is another."""
    package = ENGINES[name].package
    monkeypatch.setitem(sys.modules, package, None)
    wanted = "TensorFlow 2.17" if name == "tf-trt" else re.escape(how_to_install(package))
    with pytest.raises(EngineUnavailable, match=f"^engine {name}: .*{wanted}"):
        load_embedder(str(tiny_model.folder), name)


def test_threads_reach_the_runtime(tiny_model):
    session = load_embedder(str(tiny_model.folder), "onnx", threads=1).engine.session
    assert session.get_session_options().intra_op_num_threads == 1
    compiled = load_embedder(str(tiny_model.folder), "openvino", threads=1).engine.compiled
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1


def test_the_command_line_offers_every_engine():
    assert ("auto", *ENGINES) == options.ENGINES


def test_weights_of_the_given_architecture_reproduce_published_numbers():
    """The first encoder came with two images and their embeddings, computed by another program."""
    from pathlib import Path

    from neardup.embedding.weights import load_weights

    shared = Path(__file__).parents[2] / ".." / "shared" / "encoder"
    if not shared.is_dir():
        pytest.skip("needs ../shared/encoder")
    check = np.load(shared / "check.npz")
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        weights = load_weights(shared / "weights.npz", Architecture().parameters())
        export_model(Path(folder), "shared", Architecture(), weights, 128)
        for engine in ("onnx", "tensorflow"):
            rows = load_embedder(folder, engine).embed(list(check["pixels"]))
            assert np.abs(rows - check["embeddings"]).max() < 1e-4


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_runtime_collects_nothing_about_its_users(tiny_model, tmp_path, engine):
    """ONNX Runtime 1.31 writes a machine's id and events of every run into the cache folder unless told not to; the
    import of OpenVINO makes a user's id in ~/intel, and reports itself."""
    code = f"from neardup.embedding import load_embedder; load_embedder({str(tiny_model.folder)!r}, {engine!r})"
    home = {"XDG_CACHE_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path)}
    inherited = {key: value for key, value in os.environ.items() if key not in ("ORT_DISABLE_TELEMETRY", "CI")}
    subprocess.run([sys.executable, "-c", code], env=inherited | home, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []
