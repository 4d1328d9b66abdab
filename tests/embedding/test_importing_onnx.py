"""ONNX files that map pictures to vectors: what is done to pixels is said and done, and strangers' files are tried."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from neardup.cli import main
from neardup.embedding import load_embedder, trial
from neardup.embedding.conversion.verify import draw_samples
from neardup.embedding.importing import import_model
from neardup.embedding.importing_onnx import Channels
from neardup.embedding.model import OnnxNetwork, find_model
from neardup.errors import BadInput, BadModel
from neardup.packages import is_installed

onnx = pytest.importorskip("onnx")
helper, numpy_helper, kinds = onnx.helper, onnx.numpy_helper, onnx.TensorProto

SIZE, DIM = 32, 6
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KERNEL = np.random.default_rng(0).standard_normal((DIM, 3, 8, 8)).astype(np.float32)


def network(layout="nchw", kind=kinds.FLOAT, batch="n", size=SIZE, nodes=None, outputs=None, **fields):
    """A convolution of stride 8, and the mean of its squares: its names are those that neardup gives to its own."""
    before = [] if layout == "nchw" else [helper.make_node("Transpose", ["images"], ["planes"], perm=[0, 3, 1, 2])]
    start = "images" if layout == "nchw" else "planes"
    nodes = nodes or [
        *before,
        helper.make_node("Cast", [start], ["float pixels"], to=kinds.FLOAT),
        helper.make_node("Conv", ["float pixels", "scale"], ["maps"], strides=[8, 8]),
        helper.make_node("Mul", ["maps", "maps"], ["squares"]),
        helper.make_node("GlobalAveragePool", ["squares"], ["embedding"]),
    ]
    shape = [batch, 3, size, size] if layout == "nchw" else [batch, size, size, 3]
    graph = helper.make_graph(
        nodes,
        "stranger",
        [helper.make_tensor_value_info("images", kind, shape)],
        outputs or [helper.make_tensor_value_info("embedding", kinds.FLOAT, [batch, DIM, 1, 1])],
        [numpy_helper.from_array(KERNEL, "scale")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in fields.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key.replace("_", ".", 1), value
    return model


@pytest.fixture
def write(tmp_path):
    def to(model, name="x.onnx"):
        onnx.save(model, tmp_path / name)
        return tmp_path / name

    return to


def expected(pixels, scale, offset, order=(0, 1, 2)):
    """What the network says of pixels * scale + offset, in NumPy."""
    x = (pixels.astype(np.float64) * scale + offset)[..., list(order)]
    blocks = x.reshape(len(x), SIZE // 8, 8, SIZE // 8, 8, 3).transpose(0, 1, 3, 5, 2, 4).reshape(len(x), -1, 3 * 64)
    rows = ((blocks @ KERNEL.reshape(DIM, -1).T.astype(np.float64)) ** 2).mean(axis=1)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("made", "options", "scale", "offset"),
    [
        ({}, {"input_range": (-1, 1)}, 2 / 255, -1),
        ({"layout": "nhwc"}, {"input_range": (0, 1)}, 1 / 255, 0),
        ({}, {"channels": Channels(mean=MEAN, std=STD)}, 1 / 255 / np.array(STD), -np.array(MEAN) / np.array(STD)),
        ({"kind": kinds.FLOAT16}, {"input_range": (0, 1)}, 1 / 255, 0),
        ({"kind": kinds.UINT8, "layout": "nhwc"}, {}, 1, 0),
        ({"size": None}, {"input_range": (0, 1), "input_size": SIZE}, 1 / 255, 0),
        ({"Image_NominalPixelRange": "Normalized_1_1"}, {}, 2 / 255, -1),
    ],
    ids=["range", "nhwc", "mean and std", "float16", "uint8", "any size", "metadata"],
)
def test_it_embeds_as_it_was_said(write, tmp_path, made, options, scale, offset):
    model = import_model(write(network(**made)), tmp_path / "imported", **options)
    assert isinstance(model.network, OnnxNetwork)
    assert (model.dim, model.input_size) == (DIM, SIZE)
    pixels = draw_samples(SIZE, 5)
    embedder = load_embedder(str(model.folder), images=5)
    assert embedder.engine.name == "onnx"
    tolerance = 2e-3 if made.get("kind") == kinds.FLOAT16 else 1e-5
    kept = [0, 2, 3, 4]  # black has no direction, where 0 stays 0
    assert np.abs(embedder.embed_prepared(pixels)[kept] - expected(pixels[kept], scale, offset)).max() < tolerance


def test_what_the_file_says_of_colours_is_done(write, tmp_path):
    said = {"Image_BitmapPixelFormat": "Bgr8", "Image_NominalPixelRange": "NominalRange_0_255"}
    model = import_model(write(network(**said)), tmp_path / "imported")
    pixels = draw_samples(SIZE, 5)[2:]
    rows = load_embedder(str(model.folder), "onnx").embed_prepared(pixels)
    assert np.abs(rows - expected(pixels, 1, 0, (2, 1, 0))).max() < 1e-5


@pytest.mark.parametrize("folder", ["", "onnx"])
def test_a_preprocessors_config_beside_it_is_read(write, tmp_path, folder):
    (tmp_path / "onnx").mkdir()
    config = {"image_mean": MEAN, "image_std": STD, "rescale_factor": 1 / 255, "do_normalize": True,
              "size": {"height": SIZE, "width": SIZE}}  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    model = import_model(write(network(size=None), f"{folder}/x.onnx".lstrip("/")), tmp_path / "imported")
    assert model.input_size == SIZE
    assert model.network.preprocessing["mean"] == list(MEAN)
    pixels = draw_samples(SIZE, 4)
    rows = load_embedder(str(model.folder), "onnx").embed_prepared(pixels)
    assert np.abs(rows - expected(pixels, 1 / 255 / np.array(STD), -np.array(MEAN) / np.array(STD))).max() < 1e-5
    for wrong in ("no", '{"image_mean": [1], "image_std": [1]}', '{"image_mean": 1}', "[]", '{"size": "x"}'):
        (tmp_path / "preprocessor_config.json").write_text(wrong)
        with pytest.raises(BadModel, match="not a preprocessor's config"):
            import_model(tmp_path / folder / "x.onnx", tmp_path / "again")


def outside():
    model = network()
    [kernel] = model.graph.initializer
    onnx.external_data_helper.set_external_data(kernel, "/etc/passwd", 0, 100)
    kernel.ClearField("raw_data")
    return model


def outside_in_an_attribute():
    """Where nobody looks for it: a constant's tensor in a branch of an If."""
    hidden = numpy_helper.from_array(np.zeros(4, np.float32), "hidden")
    onnx.external_data_helper.set_external_data(hidden, "../secret", 0, 16)
    hidden.ClearField("raw_data")
    out = helper.make_tensor_value_info("y", kinds.FLOAT, [4])
    branch = helper.make_graph([helper.make_node("Constant", [], ["y"], value=hidden)], "branch", [], [out])
    model = network()
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch))
    return model


def two_inputs():
    model = network()
    model.graph.input.append(helper.make_tensor_value_info("more", kinds.FLOAT, [1]))
    return model


def reshaped():
    """Only ever one picture: a shape in the graph says so."""
    model = network()
    model.graph.node.append(helper.make_node("Reshape", ["embedding", "one"], ["flat"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, DIM], np.int64), "one"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("flat", kinds.FLOAT, [1, DIM]))
    return model


def over_the_batch():
    """Every vector less the mean of those beside it."""
    model = network()
    model.graph.node.extend([
        helper.make_node("ReduceMean", ["embedding"], ["mean"], axes=[0]),
        helper.make_node("Sub", ["embedding", "mean"], ["alone"]),
        helper.make_node("Add", ["alone", "scale of one"], ["less"]),
    ])  # fmt: skip
    model.graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "scale of one"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("less", kinds.FLOAT, ["n", DIM, 1, 1]))
    return model


def vast():
    """A few bytes that ask for a terabyte."""
    model = network()
    model.graph.node.extend([
        helper.make_node("ConstantOfShape", ["edges"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Add", ["embedding", "zero"], ["sum"]),
    ])  # fmt: skip
    model.graph.initializer.append(numpy_helper.from_array(np.array([1 << 19, 1 << 19], np.int64), "edges"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("sum", kinds.FLOAT, ["n", DIM, 1, 1]))
    return model


def unknown():
    model = network()
    model.graph.node[1].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    return model


def tokens():
    model = network()
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("embedding", kinds.FLOAT, ["n", 197, DIM]))
    return model


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (outside, "in other files, which are not read"),
        (outside_in_an_attribute, "in other files, which are not read"),
        (two_inputs, "not one batch of pictures"),
        (tokens, "not a vector for each picture"),
        (reshaped, "takes one picture at a time"),
        (over_the_batch, "another vector among others"),
        (vast, "does not run"),
        (unknown, "does not run"),
        (lambda: network(kind=kinds.INT64), "neither float, float16 nor uint8"),
        (lambda: network(Image_BitmapPixelFormat="Gray8"), "asks for pixels in Gray8"),
    ],
    ids=["outside", "outside, hidden", "two inputs", "tokens", "one", "batch", "vast", "unknown", "integers", "grey"],
)
def test_files_that_are_refused(write, tmp_path, made, reason):
    with pytest.raises(BadModel, match=reason):
        import_model(write(made()), tmp_path / "imported", input_range=(0, 1))
    assert not (tmp_path / "imported").exists()


def test_a_graph_without_an_end_is_ended(write, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 0.01)
    with pytest.raises(BadModel, match=r"8 pictures took more than 0\.01 s"):
        import_model(write(network()), tmp_path / "imported", input_range=(0, 1))


@pytest.mark.parametrize(
    ("made", "options", "reason"),
    [
        ({}, {}, "does not say how its pixels are scaled; give --input-range"),
        ({"size": 3}, {"input_range": (0, 1)}, "--layout"),
        ({"layout": "nhwc"}, {"input_range": (0, 1), "channels": Channels("nchw")}, "squares"),
        ({}, {"input_range": (0, 1), "input_size": 64}, "squares"),
        ({}, {"input_range": (1, 0)}, "a range that"),
        ({}, {"input_range": (0, 1), "channels": Channels(std=(1, 0, 1))}, "std above 0"),
        ({}, {"input_range": (0, float("nan"))}, "finite"),
        ({}, {"input_range": (0, 1), "endpoint": "nothing"}, "gives no 'nothing'; there are embedding"),
    ],
)  # fmt: skip
def test_what_is_not_said_or_cannot_be(write, tmp_path, made, options, reason):
    with pytest.raises((BadInput, BadModel), match=reason):
        import_model(write(network(**made)), tmp_path / "imported", **options)


def test_of_several_outputs_one_is_named(write, tmp_path):
    outputs = [helper.make_tensor_value_info(name, kinds.FLOAT, ["n", DIM, "h", "w"]) for name in ("maps", "embedding")]
    path = write(network(outputs=outputs))
    with pytest.raises(BadInput, match=r"maps .*, embedding .*--endpoint"):
        import_model(path, tmp_path / "imported", input_range=(0, 1))
    assert import_model(path, tmp_path / "imported", input_range=(0, 1), endpoint="embedding").dim == DIM


def test_the_command_and_every_engine(write, tmp_path, monkeypatch):
    monkeypatch.setenv("NEARDUP_MODELS", str(tmp_path / "models"))
    words = ["models", "import", str(write(network())), "--mean", *map(str, MEAN), "--std", *map(str, STD)]
    ran = CliRunner().invoke(main, [*words, "--name", "own", "--format", "json"])
    assert ran.exit_code == 0, ran.output
    assert {"name": "own", "kind": "onnx", "dim": DIM}.items() <= json.loads(ran.stdout).items()
    assert "from an ONNX file" in CliRunner().invoke(main, ["models", "list"]).stdout
    pixels = draw_samples(SIZE, 4)
    rows = load_embedder("own", "onnx").embed_prepared(pixels)
    if is_installed("openvino"):
        assert np.abs(load_embedder("own", "openvino").embed_prepared(pixels) - rows).max() < 1e-4
    with pytest.raises(BadModel, match="model own is an ONNX graph, and a BiT-ResNet is needed"):
        _ = find_model("own").architecture
    (tmp_path / "w.npz").write_bytes(b"")
    said = CliRunner().invoke(main, ["models", "import", str(tmp_path / "w.npz"), "--layout", "nchw"])
    assert "are said of .onnx files" in said.stderr
