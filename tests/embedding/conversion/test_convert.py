"""`convert-trt` on machines without TensorRT, which is where tests run: what it says, and what it falls back to."""

import json
import os
import subprocess
import sys
from importlib.machinery import PathFinder

import numpy as np
import pytest

from neardup.embedding import hardware, load_embedder, runtimes
from neardup.embedding.agreement import smallest_similarity, with_direction
from neardup.embedding.conversion import convert as convert_module
from neardup.embedding.conversion.convert import convert
from neardup.embedding.conversion.onnx import prepare_graph
from neardup.embedding.conversion.tf_trt import Job, convert_in_other_process
from neardup.embedding.conversion.verify import draw_samples, load_samples
from neardup.embedding.engines import auto
from neardup.embedding.engines.tensorrt import open_graph, tensorrt_options, this_machine
from neardup.embedding.importing import import_model
from neardup.embedding.variants import Target, Variant, cache_folder, digest_of, find_variant, register
from neardup.errors import BadInput, BadModel, ConversionFailed, EngineUnavailable
from neardup.index import Index
from neardup.jobs.index import index_images
from neardup.jobs.query import query_images
from neardup.packages import is_installed
from tests.conftest import TINY_SIZE
from tests.embedding.lookalikes import SIZE as EXAMPLE_SIZE
from tests.embedding.lookalikes import save_example

HAS_GPU = hardware.find_gpu() is not None
without_gpu = pytest.mark.skipif(HAS_GPU, reason="this machine has a GPU: the fallback is another")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    runtimes.probe_tensorflow.cache_clear()
    yield
    runtimes.probe_tensorflow.cache_clear()


def run(*arguments, **environment):
    """The command in a process of its own, as a user starts it."""
    return subprocess.run(
        [sys.executable, "-m", "neardup", "convert-trt", *map(str, arguments)],
        capture_output=True, text=True, env={**os.environ, **environment}, timeout=120,
    )  # fmt: skip


def fake_tensorflow(folder, body):
    (folder / "tensorflow").mkdir(parents=True)
    (folder / "tensorflow" / "__init__.py").write_text(body)
    return {"PYTHONPATH": str(folder)}


NO_TENSORFLOW = "raise ImportError('not in this test')"
ABORTS = "import os\nos.abort()"


@without_gpu
@pytest.mark.parametrize("route", ["auto", "tf-trt"])
def test_without_tensorrt_nothing_is_built(tiny_model, tmp_path, route):
    ran = run(tmp_path / "out", "--route", route, "--model", tiny_model.folder)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "Traceback" not in ran.stderr
    for missing in ("libnvinfer.so.8.6.1", "TensorRT 8.6.1", "an NVIDIA GPU", "--route onnx"):
        assert missing in ran.stderr
    assert ("libnvinfer.so.10" in ran.stderr) == (route == "auto")
    assert not (tmp_path / "out").exists()
    assert not cache_folder(tiny_model).exists()


@without_gpu
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (NO_TENSORFLOW, "no TensorFlow can be imported here (not in this test)"),
        (ABORTS, "its import ended the process"),
    ],
    ids=["none", "aborts"],
)
def test_without_a_tensorflow_that_can_be_imported(tiny_model, tmp_path, body, said):
    ran = run("--route", "tf-trt", "--model", tiny_model.folder, **fake_tensorflow(tmp_path / "fake", body))
    assert ran.returncode == 1
    assert said in ran.stderr
    assert "TensorFlow 2.17, the last with TensorRT" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("build_info = collections.OrderedDict([('is_cuda_build', True), ('is_tensorrt_build', False)])", True),
        ("build_info = collections.OrderedDict([('is_tensorrt_build', True)])", False),
        ("build_info = collections.OrderedDict([('is_cuda_build', True)])", False),
        ("build_info = collections.OrderedDict(made())", False),
        ("build_info = {", False),
        (None, False),
    ],
)
def test_a_tensorflow_whose_files_say_that_it_has_no_tensorrt_is_not_imported(tmp_path, monkeypatch, file, told):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.20.0")
    fake_tensorflow(tmp_path, ABORTS)
    if file is not None:
        (tmp_path / "tensorflow" / "python" / "platform").mkdir(parents=True)
        (tmp_path / "tensorflow" / "python" / "platform" / "build_info.py").write_text(file)
    monkeypatch.setattr(runtimes, "find_spec", lambda name: PathFinder.find_spec(name, [str(tmp_path)]))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    build = runtimes.probe_tensorflow()
    assert not build.built
    assert (build.version is not None) == told
    assert (build.error == "its import ended the process") == (not told)


@without_gpu
def test_the_onnx_route_without_tensorflow_is_verified_against_onnx(tiny_model, tmp_path):
    environment = fake_tensorflow(tmp_path / "fake", NO_TENSORFLOW)
    ran = run("--route", "onnx", "--model", tiny_model.folder, "--format", "json", **environment)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert (result["reference"], result["provider"], result["precision"]) == ("onnx", "cpu", "f16")
    assert result["similarity"] >= 0.999
    assert "falls back to running it on the CPU" in ran.stderr


@without_gpu
@pytest.mark.parametrize(("precision", "short"), [("FP16", "f16"), ("FP32", "f32")])
def test_the_fallback_is_verified_registered_and_honest(tiny_model, tmp_path, precision, short):
    with pytest.raises(EngineUnavailable, match="no variant of model tiny is registered; missing here: "):
        load_embedder(str(tiny_model.folder), "tensorrt")
    said = []
    result = convert(tiny_model, route="onnx", precision=precision, out=tmp_path / "out", say=said.append)
    assert "TensorRT cannot run here" in said[0]
    assert result.missing
    assert result.variant.similarity >= (0.999 if short == "f16" else 0.99999)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["graph.onnx"]

    embedder = load_embedder(str(tiny_model.folder), "tensorrt")
    assert (embedder.engine.name, embedder.engine.precision) == ("onnx", short)  # what runs, not what was asked for
    pixels = draw_samples(TINY_SIZE, 9)
    reference = load_embedder(str(tiny_model.folder), "onnx").embed_prepared(pixels)
    assert smallest_similarity(embedder.embed_prepared(pixels), reference) >= 0.999

    graph = tmp_path / "out" / "graph.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(BadModel, match="not what was verified"):
        load_embedder(str(tiny_model.folder), "tensorrt")


def test_half_precision_is_in_the_graph_and_norms_are_not(tiny_model, tmp_path):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(prepare_graph(tiny_model, tmp_path, "f16", None)).graph
    inferred = onnx.shape_inference.infer_shapes(onnx.ModelProto(graph=graph, ir_version=8, opset_import=[
        onnx.helper.make_opsetid("", 17)])).graph  # fmt: skip
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.value_info}
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    norms = [node for node in graph.node if node.op_type == "InstanceNormalization"]
    assert len(convolutions) == 1 + 4 * 3 + 4
    assert {types[node.output[0]] for node in convolutions} == {half}
    assert {types[node.output[0]] for node in norms} == {single}
    kernels = {array.name: array.data_type for array in graph.initializer}
    assert {kernels[node.input[1]] for node in convolutions} == {half}  # folded: no standardisation is left to do


@without_gpu
def test_a_variant_that_embeds_otherwise_is_an_error(tiny_model, tmp_path, monkeypatch):
    class Wrong:
        def run(self, pixels):
            return np.roll(load_embedder(str(tiny_model.folder), "onnx").embed_prepared(pixels), 1, axis=1)

    monkeypatch.setattr(convert_module, "open_graph", lambda *arguments: Wrong())
    with pytest.raises(ConversionFailed, match="verification failed: smallest cosine"):
        convert(tiny_model, route="onnx", out=tmp_path / "out")
    assert find_variant(tiny_model, this_machine().target) is None
    assert list((tmp_path / "out").iterdir()) == []


@without_gpu
def test_a_failed_conversion_takes_the_old_registration_away(tiny_model, monkeypatch):
    convert(tiny_model, route="onnx")
    assert find_variant(tiny_model, this_machine().target, "f16") is not None
    monkeypatch.setattr(convert_module, "smallest_similarity", lambda *rows: 0.998)
    with pytest.raises(ConversionFailed, match=r"0\.998000"):
        convert(tiny_model, route="onnx")
    assert find_variant(tiny_model, this_machine().target, "f16") is None


def test_int8_wants_photos(tiny_model):
    with pytest.raises(BadInput, match="--photos"):
        convert(tiny_model, route="onnx", precision="INT8")


def test_int8_is_calibrated_on_photos(tiny_model, photos, tmp_path):
    photos(10)
    samples = load_samples(tmp_path / "photos", TINY_SIZE)
    assert samples.shape == (10, TINY_SIZE, TINY_SIZE, 3)
    graph = prepare_graph(tiny_model, tmp_path / "graph", "int8", samples)
    engine = open_graph(graph, TINY_SIZE, Target("tensorrt", "cpu", None, None), "int8")
    reference = load_embedder(str(tiny_model.folder), "onnx").embed_prepared(samples)
    assert smallest_similarity(engine.run(samples), reference) > 0.9
    onnx = pytest.importorskip("onnx")
    operators = [node.op_type for node in onnx.load(graph).graph.node]
    assert operators.count("QuantizeLinear") >= operators.count("Conv")
    photos(2, "few")
    with pytest.raises(BadInput, match="2 readable images"):
        load_samples(tmp_path / "few", TINY_SIZE)


def test_a_folder_in_use_is_left_alone(tiny_model, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "keep").write_text("mine")
    with pytest.raises(BadInput, match="not an empty folder"):
        convert(tiny_model, route="onnx", out=tmp_path / "out")


def test_a_folder_name_says_what_an_engine_depends_on():
    key = Target("tensorrt", "tensorrt", "NVIDIA H200", "10.13.2").key
    assert key("f16") == "tensorrt-tensorrt-NVIDIA_H200-10.13.2-f16"
    others = [
        Target("tf-trt", "tensorrt", "NVIDIA H200", "10.13.2"), Target("tensorrt", "tensorrt", "Tesla T4", "10.13.2"),
        Target("tensorrt", "tensorrt", "NVIDIA H200", "10.14.0"), Target("tensorrt", "cuda", "NVIDIA H200", None),
    ]  # fmt: skip
    assert len({key("f16"), key("f32"), *(other.key("f16") for other in others)}) == 6


def test_tensorrt_options(tmp_path):
    options = tensorrt_options(tmp_path, 144, "f16", "10.13.2")
    assert options["trt_fp16_enable"]
    assert not options["trt_int8_enable"]
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)
    assert options["trt_profile_min_shapes"] == "images:1x144x144x3"
    assert options["trt_profile_max_shapes"] == "images:32x144x144x3"
    # From 11 on precision is the graph's alone.
    assert not tensorrt_options(tmp_path, 144, "f16", "11.0.0")["trt_fp16_enable"]


@pytest.mark.parametrize(("number", "version"), [(8601, "8.6.1"), (101302, "10.13.2"), (110000, "11.0.0")])
def test_versions_of_tensorrt(monkeypatch, number, version):
    library = type("Library", (), {"getInferLibVersion": staticmethod(lambda: number)})
    monkeypatch.setattr(hardware.ctypes, "CDLL", lambda name: library)
    assert hardware.library_version("libnvinfer.so") == version
    assert hardware.library_version("libnvinfer.so") is not None


def test_no_library_no_version():
    assert hardware.library_version("libnvinfer.so.0.0.0") is None


def test_similarity_is_the_worst_and_catches_what_is_no_embedding():
    rows = np.array([[1, 0], [0, 1]], np.float32)
    turned = np.array([[1, 0], [0.6, 0.8]], np.float32)
    assert smallest_similarity(turned, rows) == pytest.approx(0.8)
    assert smallest_similarity(rows * np.nan, rows) == -1
    assert smallest_similarity(rows * 2, rows) == -1
    assert smallest_similarity(rows[:1], rows) == -1


def test_samples_are_different_and_the_same_every_time():
    samples = draw_samples(40)
    assert samples.shape == (32, 40, 40, 3)
    assert (samples == draw_samples(40)).all()
    assert len(np.unique(samples.reshape(32, -1), axis=0)) == 32


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A look-alike of the Keras example's SavedModel, imported."""
    tensorflow = pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp("imported")
    save_example(tensorflow, folder / "flower_model")
    return import_model(folder / "flower_model", folder / "flowers", input_size=EXAMPLE_SIZE)


@without_gpu
@pytest.mark.skipif(not is_installed("tf2onnx"), reason="needs tf2onnx")
@pytest.mark.parametrize(("precision", "short"), [("FP16", "f16"), ("FP32", "f32"), ("INT8", "int8")])
def test_an_imported_saved_model_is_converted_and_verified(imported, photos, tmp_path, precision, short):
    onnx = pytest.importorskip("onnx")
    photos(10)
    result = convert(imported, route="onnx", precision=precision, out=tmp_path / "out", photos=tmp_path / "photos")
    assert (result.reference, result.variant.precision) == ("tensorflow", short)
    assert result.variant.similarity >= {"f16": 0.9999, "f32": 0.99999, "int8": 0.99}[short]
    graph = onnx.load(tmp_path / "out" / "graph.onnx").graph
    kernels = {array.name: array.data_type for array in graph.initializer if len(array.dims) == 2}
    assert (onnx.TensorProto.FLOAT16 in kernels.values()) == (short == "f16")
    assert any(node.op_type == "QuantizeLinear" for node in graph.node) == (short == "int8")
    assert load_embedder(str(imported.folder), "tensorrt").engine.precision == short


@without_gpu
def test_an_index_is_queried_at_the_precision_it_was_built_at(tiny_model, photos, tmp_path):
    """FP16 was converted last: INT8 is what an INT8 index gets all the same, and float32 what others get here."""
    photos(8)
    convert(tiny_model, route="onnx", precision="FP16")
    graph = prepare_graph(tiny_model, tmp_path / "int8", "int8", load_samples(tmp_path / "photos", TINY_SIZE))
    target = this_machine().target
    variant = Variant(target.engine, target.provider, "int8", str(graph.parent), 1.0, 8, {graph.name: digest_of(graph)})
    register(tiny_model, target, variant)
    convert(tiny_model, route="onnx", precision="FP16")
    folder = str(tiny_model.folder)
    for recorded, precision in {"int8": "int8", "f16": "f16", "f32": "f32", "bf16": "f32", None: "f32"}.items():
        assert load_embedder(folder, images=8, recorded=recorded).engine.precision == precision
    assert load_embedder(folder, "tensorrt", recorded="int8").engine.precision == "int8"
    assert load_embedder(folder, "tensorrt", recorded="f32").engine.precision == "f16"  # nothing else was converted

    index = tmp_path / "index"
    paths = photos(8)
    index_images(paths[:7], index, model=folder, engine="tensorrt")
    with Index.open(index) as opened:
        assert opened.model.precision == "f16"
    register(tiny_model, target, variant)
    index_images(paths[:7], index, model=folder, engine="tensorrt", rebuild=True)
    said = []
    index_images(paths, index, model=folder, say=said.append)
    asked = query_images([str(paths[7])], index, min_similarity=-1.0, say=said.append)
    [answer] = asked.answers
    assert asked.index.model.precision == "int8"
    assert answer.matches[0].similarity == pytest.approx(1, abs=1e-3)
    assert not [line for line in said if "precision" in line]


def test_auto_takes_what_was_converted_for_a_gpu_and_no_fallback(tiny_model, tmp_path, monkeypatch):
    """No GPU can be had here: what says that there is one, and loads its engine, is stood in for."""
    cache_folder(tiny_model).mkdir(parents=True)
    (cache_folder(tiny_model) / "tensorrt-tensorrt-a_GPU-10.13.2-f16").mkdir()
    asked = []

    def load(name, model, threads=None, precision=None):
        asked.append((name, precision))
        if (name, precision) not in runs:
            raise EngineUnavailable("not here")
        return type("Loaded", (), {"name": runs[name, precision], "precision": precision})()

    monkeypatch.setattr(auto, "load_engine", load)
    runs = {("tensorrt", "f16"): "tensorrt", ("onnx", None): "onnx"}
    assert auto.load_auto(tiny_model, images=1).name == "onnx"  # without a GPU it is not even asked for
    assert asked == [("onnx", None)]
    monkeypatch.setattr(auto, "find_gpu", lambda: "a GPU")
    assert auto.load_auto(tiny_model, images=1).name == "tensorrt"
    runs = {("tensorrt", "f32"): "onnx-cuda", ("onnx", None): "onnx"}
    assert auto.load_auto(tiny_model, images=1).name == "onnx-cuda"
    runs = {("tensorrt", "f16"): "onnx", ("onnx", None): "onnx"}  # a graph that fell back to the CPU
    assert auto.load_auto(tiny_model, images=1).precision is None


@without_gpu
@pytest.mark.parametrize("source", ["tiny_model", "imported"])
def test_tensorflow_may_end_its_process_but_not_this_one(source, request, tmp_path):
    """Where TF-TRT cannot run, the conversion itself fails in its own process, with its last words."""
    pytest.importorskip("tensorflow")
    model = request.getfixturevalue(source)
    samples = draw_samples(model.input_size, 4)
    np.save(tmp_path / "samples.npy", samples)
    job = Job(
        str(model.folder), str(tmp_path / "out"), "FP16", 16,
        str(tmp_path / "samples.npy"), str(tmp_path / "embeddings.npy"),
    )  # fmt: skip
    with pytest.raises(ConversionFailed, match="TF-TRT: the conversion ended with"):
        convert_in_other_process(job, tmp_path)
    # It came as far as asking for TensorRT: the model itself had been exported for it.
    import tensorflow

    loaded = tensorflow.saved_model.load(str(tmp_path / "reference"))
    [rows] = loaded.signatures["serving_default"](images=tensorflow.constant(samples)).values()
    reference = load_embedder(str(model.folder), "tensorflow").embed_prepared(samples)
    kept = with_direction(reference)
    assert smallest_similarity(rows.numpy()[kept], reference[kept]) > 0.99999
