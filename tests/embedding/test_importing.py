"""Models of other makes: released BiT weights, SavedModels as the Keras example leaves them, .keras files."""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from neardup.cli import main
from neardup.embedding import load_embedder
from neardup.embedding.architecture import Architecture
from neardup.embedding.conversion.verify import draw_samples
from neardup.embedding.importing import import_model, load_released, name_of, released_architecture
from neardup.embedding.model import SavedModel, read_model
from neardup.errors import BadInput, BadModel, BadWeights
from neardup.lsh.hyperplanes import LARGEST_DIM
from neardup.packages import is_installed
from tests.conftest import random_weights
from tests.embedding.lookalikes import SIZE, save_example

# The released layout in small: half the width, a unit for each block, 32 groups, average pooling, no projection.
RELEASED = Architecture((1, 2, 1, 1), 0.5, 32, "average", None)
R50X1 = Architecture((3, 4, 6, 3), 1, 32, "average", None)


def write_released(path, **more):
    weights = random_weights(RELEASED) | {
        "resnet/head/conv2d/kernel": np.zeros((1, 1, RELEASED.features, 5), np.float32),
        "resnet/head/conv2d/bias": np.zeros(5, np.float32),
    }
    np.savez(path, **(weights | more))
    return path


def test_names():
    assert name_of(Path("x/BiT-M-R50x1.npz")) == "bit-m-r50x1"
    assert name_of(Path("flower_model_bit_0.96875")) == "flower_model_bit_0.96875"
    assert name_of(Path("My Model.keras")) == "my-model"
    with pytest.raises(BadInput, match="--name"):
        name_of(Path("..."))


@pytest.mark.parametrize("architecture", [RELEASED, R50X1, Architecture((3, 4, 23, 3), 3, 32, "average", None)])
def test_the_architecture_follows_from_the_shapes(architecture):
    assert released_architecture(architecture.parameters()) == architecture


def test_released_weights_lose_their_head_and_nothing_else(tmp_path):
    architecture, weights = load_released(write_released(tmp_path / "w.npz"))
    assert architecture == RELEASED
    expected = random_weights(RELEASED)
    assert weights.keys() == expected.keys()
    assert all((weights[name] == expected[name]).all() for name in expected)


def test_an_imported_release_embeds(tmp_path):
    model = import_model(write_released(tmp_path / "w.npz"), tmp_path / "small", input_size=SIZE)
    assert (model.name, model.dim, model.architecture.input_range) == ("small", RELEASED.features, (-1.0, 1.0))
    rows = load_embedder(str(tmp_path / "small")).embed_prepared(draw_samples(SIZE, 4))
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    with pytest.raises(BadInput, match="exists"):
        import_model(tmp_path / "w.npz", tmp_path / "small")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"resnet/block2/unit02/a/group_norm/gamma": np.ones(3, np.float32)}, "has shape"),
        ({"resnet/extra": np.ones(3, np.float32)}, r"unused \['resnet/extra'\]"),
        ({"resnet/group_norm/gamma": np.ones(7, np.float32)}, "7 channels do not follow"),
        ({"resnet/block1/unit02/a/group_norm/gamma": np.ones(128, np.float32)}, "missing"),
        ({"resnet/group_norm/beta": np.array([None] * 1024, object)}, "not a readable"),
    ],
)
def test_weights_that_are_not_a_release(tmp_path, change, reason):
    with pytest.raises(BadWeights, match=reason):
        import_model(write_released(tmp_path / "w.npz", **change), tmp_path / "model", input_size=SIZE)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["w.npz", "w.keras", "w.pt"])
def test_files_of_another_kind(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the sort")
    with pytest.raises((BadModel, BadInput)):
        import_model(tmp_path / name, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def tensorflow():
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def example(tensorflow, tmp_path_factory):
    """Laid out as the Keras example's artefact: `bit_model` embeds, the signature gives five class scores."""
    folder = tmp_path_factory.mktemp("artefact") / "flower_model"
    return folder, *save_example(tensorflow, folder)


def pooled(pixels):
    """What the artefact computes before its kernel, in NumPy: means of 16 squares, pixels in [0, 1]."""
    edge = SIZE // 4
    blocks = pixels.astype(np.float64).reshape(len(pixels), 4, edge, 4, edge, 3) / 255
    return blocks.mean(axis=(2, 4)).reshape(len(pixels), -1)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_examples_artefact_embeds_as_numpy_does(example, tmp_path):
    folder, kernel, scores = example
    model = import_model(folder, tmp_path / "flowers", input_size=SIZE)
    assert model.network == SavedModel("bit_model", 24, (0.0, 1.0))
    pixels = draw_samples(SIZE, 6)[[0, 2, 3, 4, 5]]  # black has no direction
    embedder = load_embedder(str(tmp_path / "flowers"))
    assert embedder.engine.name == ("onnx" if is_installed("tf2onnx") else "tensorflow")
    assert load_embedder(str(tmp_path / "flowers"), "tensorflow").model.digest == model.digest
    assert np.abs(embedder.embed_prepared(pixels) - unit(pooled(pixels) @ kernel)).max() < 1e-5

    scored = import_model(folder, tmp_path / "scores", endpoint="serving_default")
    assert (scored.input_size, scored.dim) == (SIZE, 5)
    assert scored.digest != model.digest
    rows = load_embedder(str(tmp_path / "scores")).embed_prepared(pixels)
    assert np.abs(rows - unit(pooled(pixels) @ kernel @ scores)).max() < 1e-5


def test_without_tf2onnx_tensorflow_alone_runs_it_and_says_so(example, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    said = []
    alone = import_model(example[0], tmp_path / "flowers", input_size=SIZE, say=said.append)
    assert "TensorFlow alone will run it: " in said[0]
    assert "neardup[tensorflow]" in said[0]
    assert load_embedder(str(tmp_path / "flowers")).engine.name == "tensorflow"
    with pytest.raises(
        BadModel, match=r"no ONNX graph could be made .* 'neardup models import .*saved_model --name NEW'"
    ):
        load_embedder(str(tmp_path / "flowers"), "onnx")
    monkeypatch.undo()
    if is_installed("tf2onnx"):  # an index stays that of the model
        assert import_model(example[0], tmp_path / "again", input_size=SIZE).digest == alone.digest


@pytest.mark.skipif(not is_installed("tf2onnx"), reason="needs tf2onnx")
@pytest.mark.parametrize("engine", ["keras-example", "onnx", "openvino"])
def test_every_engine_gives_a_saved_models_embeddings(example, tmp_path, engine):
    import_model(example[0], tmp_path / "flowers", input_size=SIZE)
    if engine == "openvino" and not is_installed("openvino"):
        pytest.skip("needs OpenVINO")
    pixels = draw_samples(SIZE, 5)
    rows = load_embedder(str(tmp_path / "flowers"), engine).embed_prepared(pixels)
    assert np.abs(rows - load_embedder(str(tmp_path / "flowers"), "tensorflow").embed_prepared(pixels)).max() < 1e-5


def test_what_only_a_bit_can_do_says_so(example, tmp_path):
    model = import_model(example[0], tmp_path / "flowers", input_size=SIZE)
    with pytest.raises(BadModel, match="model flowers is a TensorFlow SavedModel, and a BiT-ResNet is needed"):
        _ = model.architecture


def test_a_changed_saved_model_is_refused(example, tmp_path):
    import_model(example[0], tmp_path / "flowers", input_size=SIZE)
    path = tmp_path / "flowers" / "saved_model" / "saved_model.pb"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BadModel, match="sha256"):
        load_embedder(str(tmp_path / "flowers"), "tensorflow")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"endpoint": "embed"}, "no endpoint 'embed' to call; there are .*serving_default"),
        ({"endpoint": "serving_default", "input_size": 64}, "fixed"),
        ({"input_size": 64}, "does not take"),
    ],
)
def test_saved_models_that_do_not_fit(example, tmp_path, options, reason):
    with pytest.raises((BadModel, BadInput), match=reason):
        import_model(example[0], tmp_path / "flowers", **options)
    assert not (tmp_path / "flowers").exists()


@pytest.mark.parametrize("dim", [LARGEST_DIM, LARGEST_DIM + 1])
def test_embeddings_longer_than_an_index_holds_are_refused_at_import(tensorflow, tmp_path, dim):
    class Wide(tensorflow.Module):
        @tensorflow.function(input_signature=[tensorflow.TensorSpec((None, SIZE, SIZE, 3), tensorflow.float32)])
        def serve(self, x):
            return {"rows": tensorflow.tile(tensorflow.reshape(x, (-1, SIZE * SIZE * 3)), (1, 3))[:, :dim]}

    module = Wide()
    tensorflow.saved_model.save(module, str(tmp_path / "wide"), signatures={"serving_default": module.serve})
    if dim <= LARGEST_DIM:
        assert import_model(tmp_path / "wide", tmp_path / "model", endpoint="serving_default").dim == dim
        return
    with pytest.raises(BadModel, match="gives 8,193 numbers for an image, more than the 8,192 that an index holds"):
        import_model(tmp_path / "wide", tmp_path / "model", endpoint="serving_default")
    assert not (tmp_path / "model").exists()


def test_a_released_network_too_wide_for_an_index_is_refused(tmp_path):
    (tmp_path / "wide").mkdir()
    architecture = Architecture((1, 1, 1, 1), 8.0, 32, "average", None)
    config = {"format": 1, "name": "wide", "architecture": architecture.to_json(), "input_size": 32, "thresholds": {},
              "files": {"weights.npz": "0" * 64}}  # fmt: skip
    (tmp_path / "wide" / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadModel, match="16,384 numbers"):
        read_model(tmp_path / "wide")


def test_a_folder_that_is_no_saved_model(tensorflow, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadModel, match=r"saved_model\.pb"):
        import_model(tmp_path / "empty", tmp_path / "model")


def test_a_keras_file(tensorflow, tmp_path):
    keras = pytest.importorskip("keras")
    images = keras.Input((SIZE, SIZE, 3))
    rows = keras.layers.Dense(12)(keras.layers.Flatten()(keras.layers.AveragePooling2D(SIZE // 4)(images)))
    network = keras.Model(images, rows)
    network.save(tmp_path / "dense.keras")
    model = import_model(tmp_path / "dense.keras", tmp_path / "dense", input_range=(0, 255))
    assert (model.input_size, model.dim) == (SIZE, 12)
    pixels = draw_samples(SIZE, 5)[[0, 2, 3, 4]]
    expected = unit(network.predict(pixels.astype(np.float32), verbose=0))
    assert np.abs(load_embedder(str(tmp_path / "dense")).embed_prepared(pixels) - expected).max() < 1e-5


def test_code_in_a_keras_file_is_not_run(tensorflow, tmp_path):
    keras = pytest.importorskip("keras")
    images = keras.Input((SIZE, SIZE, 3))
    trap = str(tmp_path / "trap")
    code = keras.layers.Lambda(lambda x: (__import__("pathlib").Path(trap).touch(), x)[1], output_shape=(SIZE, SIZE, 3))
    network = keras.Model(images, keras.layers.GlobalAveragePooling2D()(code(images)))
    Path(trap).unlink(missing_ok=True)
    network.save(tmp_path / "lambda.keras")
    with zipfile.ZipFile(tmp_path / "lambda.keras") as archive:
        assert b"lambda" in archive.read("config.json").lower()
    with pytest.raises(BadModel, match="safely"):
        import_model(tmp_path / "lambda.keras", tmp_path / "lambda")
    assert not Path(trap).exists()


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("NEARDUP_MODELS", str(tmp_path / "models"))

    def run(*arguments, code=0):
        result = CliRunner().invoke(main, ["models", *map(str, arguments)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


def test_the_commands(models, tmp_path):
    write_released(tmp_path / "Small.npz")
    row = json.loads(models("import", tmp_path / "Small.npz", "--input-size", SIZE, "--format", "json").stdout)
    assert (row["name"], row["kind"], row["dim"]) == ("small", "bit", RELEASED.features)
    listed = json.loads(models("list", "--format", "json").stdout)
    assert {"copy-r26x05", "small"} <= {each["name"] for each in listed["models"]}
    assert "bit-m-r50x1" in {each["name"] for each in listed["downloadable"]}
    assert "small: " in models("list").stdout
    assert "small,bit," in models("list", "--format", "csv").stdout
    [check] = json.loads(models("verify", "small", "--format", "json").stdout)["models"]
    assert check == {"name": "small", "engine": "onnx", "error": None, "valid": True}

    weights = tmp_path / "models" / "small" / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-1])
    checks = json.loads(models("verify", "--format", "json", code=1).stdout)["models"]
    assert [each["valid"] for each in checks if each["name"] == "small"] == [False]
    (tmp_path / "models" / "small" / "config.json").write_text("{}")
    assert "small: unusable: " in models("list").stdout


def test_names_that_would_leave_the_folder(models, tmp_path):
    write_released(tmp_path / "w.npz")
    for name in ("../x", "a/b", ".", "A", "default"):
        assert "use lower-case letters" in models("import", tmp_path / "w.npz", "--name", name, code=1).stderr
