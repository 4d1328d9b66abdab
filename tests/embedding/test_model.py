import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neardup.embedding import Embedder, load_embedder
from neardup.embedding.engines.onnx import open_session
from neardup.embedding.model import check_recorded, find_model, model_folders, read_model
from neardup.embedding.thresholds import false_match_rate
from neardup.embedding.weights import check_weights, load_weights, read_shapes, save_weights
from neardup.errors import BadInput, BadModel, BadWeights, EngineFailed
from tests.conftest import TINY, random_weights


@pytest.fixture
def copied(tiny_model, tmp_path):
    return shutil.copytree(tiny_model.folder, tmp_path / "copied")


def edit(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_the_default_model_is_shipped_whole():
    model = find_model()
    assert model.folder.parent == model_folders()[0]
    assert sum(file.stat().st_size for file in model.folder.iterdir()) < 20e6
    for name in model.files:
        assert model.file(name).is_file()
    assert -1 < model.threshold("loose") < model.threshold("default") < model.threshold("strict") < 1


def test_a_name_that_is_nowhere():
    with pytest.raises(BadModel, match="neardup models list"):
        find_model("resnet")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"format": 99}, "upgrade neardup"),
        ({"input_size": 5}, "input size 5"),
        ({"input_size": "x"}, "not a model's config"),
        ({"files": {}}, "not a model's config"),
        ({"files": {"weights.npz": "0", "../x": "0"}}, "outside"),
        ({"thresholds": {"strict": 2}}, "not a model's config|similarity"),
        ({"architecture": {}}, "architecture"),
        ({"architecture": TINY.to_json() | {"groups": 0}}, "groups"),
        ({"architecture": TINY.to_json() | {"groups": -4}}, "groups"),
        ({"architecture": TINY.to_json() | {"width": 1e-9}}, "groups"),
        ({"input_size": float("inf")}, "not a model's config"),
    ],
)
def test_a_damaged_config_is_refused(copied, fields, reason):
    edit(copied, **fields)
    with pytest.raises((BadModel, BadInput), match=reason):
        read_model(copied)


def test_changed_weights_are_refused(copied):
    content = bytearray((copied / "model.onnx").read_bytes())
    content[-1] ^= 1
    (copied / "model.onnx").write_bytes(content)
    with pytest.raises(BadModel, match="sha256"):
        load_embedder(str(copied))


def test_thresholds_by_name_and_number(tiny_model):
    assert tiny_model.threshold("strict") == 0.99
    assert tiny_model.threshold("0.25") == 0.25
    for wrong in ("tight", "1.5", "nan", 7):
        with pytest.raises(BadInput, match="from -1 to 1"):
            tiny_model.threshold(wrong)


def test_the_rate_of_false_matches_that_a_similarity_keeps(tiny_model):
    rates = [false_match_rate(tiny_model.thresholds, s) for s in (0.99, 0.96, 0.95, 0.93, 0.5)]
    assert rates == [1e-9, 1e-7, 1e-7, 1e-5, None]


def test_loading_is_exact_or_names_what_is_wrong(tmp_path):
    weights = random_weights(TINY)
    path = tmp_path / "weights.npz"
    save_weights(path, weights)
    loaded = load_weights(path, TINY.parameters())
    assert all((loaded[name] == weights[name].astype(np.float16)).all() for name in weights)

    gone = weights.pop("projection/bias")
    weights["resnet/head/conv2d/kernel"] = gone
    save_weights(path, weights)
    with pytest.raises(BadWeights, match=r"missing \['projection/bias'\], unused \['resnet/head/conv2d/kernel'\]"):
        load_weights(path, TINY.parameters())
    weights["projection/bias"] = gone
    save_weights(path, weights)
    assert load_weights(path, TINY.parameters(), ignore=("resnet/head/",)).keys() == TINY.parameters().keys()


def test_shapes_and_numbers_are_checked():
    weights = random_weights(TINY)
    weights["projection/bias"][0] = np.nan
    with pytest.raises(BadWeights, match=r"projection/bias .* not finite"):
        check_weights(weights, TINY.parameters(), "here")
    weights["projection/bias"] = np.zeros(3, np.float32)
    with pytest.raises(BadWeights, match=r"projection/bias has shape \(3,\)"):
        check_weights(weights, TINY.parameters(), "here")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_a_file_that_is_no_npz(tmp_path, content):
    path = tmp_path / "weights.npz"
    path.write_bytes(content)
    with pytest.raises(BadWeights, match="fetch the file again"):
        load_weights(path, TINY.parameters())


def npz_of(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy(shape, *, version=b"\x01\x00", data=b""):
    header = str({"descr": "<f4", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    size = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + size + header + data


@pytest.mark.parametrize(
    "content",
    [
        npy((10**11,)),  # 400 GB
        npy((-1,)),
        npy((2,), data=bytes(4)),
        npy((1,), version=b"\x02\x00", data=bytes(4)),  # whose headers may have 4 GiB
        b"hello",
        b"",
    ],
)
def test_headers_are_believed_only_where_the_file_agrees(tmp_path, content):
    path = tmp_path / "weights.npz"
    npz_of(path, {"resnet/root_block/standardized_conv2d/kernel.npy": content})
    for read in (read_shapes, lambda path: load_weights(path, TINY.parameters())):
        with pytest.raises(BadWeights, match="not a readable"):
            read(path)


def test_damage_within_a_compressed_array(tmp_path):
    path = tmp_path / "weights.npz"
    npz_of(path, {"a.npy": npy((1000,), data=np.arange(1000, dtype="<f4").tobytes())})
    content = bytearray(path.read_bytes())
    content[300:340] = bytes(40)
    path.write_bytes(content)
    with pytest.raises(BadWeights):
        load_weights(path, {"a": (1000,)})


def test_a_deep_config_is_refused(copied):
    (copied / "config.json").write_text("[" * 100_000)
    with pytest.raises(BadModel, match="not a model's config"):
        read_model(copied)


def test_what_an_index_asks_for_is_not_run_where_it_could_do_anything(copied, monkeypatch):
    """A SavedModel may write files; one in a folder that an index names was chosen by whoever made the index."""
    fields = {"endpoint": "", "dim": 4, "input_range": [0, 1]}
    edit(copied, saved_model=fields)
    with pytest.raises(BadModel, match="models import"):
        check_recorded(str(copied), Path("photos/.neardup"))
    monkeypatch.setenv("NEARDUP_MODELS", str(copied.parent))
    check_recorded(copied.name, Path("photos/.neardup"))  # imported by this user


def test_a_model_in_a_folder_of_its_own_may_be_asked_for(copied):
    check_recorded(str(copied), Path("photos/.neardup"))


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, **{name: np.array([None], object) for name in TINY.parameters()})
    with pytest.raises(BadWeights, match="not a readable"):
        load_weights(path, TINY.parameters())


def test_weights_beyond_float16_are_not_written(tmp_path):
    with pytest.raises(BadWeights, match="float16"):
        save_weights(tmp_path / "w.npz", {"a": np.array([1e6], np.float32)})


def zipped(path, arrays, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, version=(1, 0))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"more": np.zeros(30_000_000, np.float16)}, "unpacks to 6|unused"),
        ({"projection/bias": np.zeros(33, np.float16)}, r"projection/bias has shape \(33,\)"),
        ({"projection/bias": np.zeros(32, np.int64)}, "projection/bias is int64"),
        ({f"more{n}": np.zeros(1, np.float16) for n in range(50)}, r"unused \[.*'more17'\] and 40 more"),
    ],
)
def test_nothing_of_an_npz_is_unpacked_before_its_heads_are_as_wanted(tmp_path, monkeypatch, change, reason):
    arrays = {name: array.astype(np.float16) for name, array in random_weights(TINY).items()} | change
    zipped(tmp_path / "w.npz", arrays)
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("unpacked"))
    with pytest.raises(BadWeights, match=reason):
        load_weights(tmp_path / "w.npz", TINY.parameters())


def test_an_npz_that_unpacks_to_many_times_its_size_is_refused(tmp_path):
    """Even where names and shapes are those wanted: the config that wants them came with it."""
    zipped(tmp_path / "w.npz", {"huge": np.zeros(30_000_000, np.float16)})
    with pytest.raises(BadWeights, match="unpacks to 60,000,128 bytes"):
        load_weights(tmp_path / "w.npz", {"huge": (30_000_000,)})


def test_a_model_that_lies_about_its_input_is_a_line(copied):
    edit(copied, input_size=64)
    with pytest.raises(EngineFailed, match="engine onnx: cannot run model tiny") as caught:
        load_embedder(str(copied), "onnx").embed([np.zeros((9, 9, 3), np.uint8)])
    assert "\n" not in str(caught.value)


def test_a_model_that_lies_about_its_output_is_a_line(copied):
    edit(copied, architecture=TINY.to_json() | {"projection": 16})
    with pytest.raises(BadModel, match=r"gives \(1, 32\) for 1 images, its config says dim 16"):
        load_embedder(str(copied), "onnx").embed([np.zeros((9, 9, 3), np.uint8)])


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("bad alloc\nmore"), ValueError("x")])
def test_whatever_an_engine_raises_is_a_line(tiny_model, error):
    class Failing:
        name, precision = "failing", "f32"

        def run(self, pixels):
            raise error

    with pytest.raises(EngineFailed, match="engine failing") as caught:
        Embedder(tiny_model, Failing()).embed([np.zeros((9, 9, 3), np.uint8)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields", [{"name": "\ud800"}, {"files": {"weights.npz": "0", "\udcff": "0"}}, {"name": "a\0"}]
)
def test_half_a_character_names_nothing(copied, fields):
    edit(copied, **fields)
    with pytest.raises(BadModel, match="not a model's config"):
        read_model(copied)


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "\ud800"])
def test_a_name_that_no_folder_can_have(name):
    with pytest.raises(BadModel, match="neardup models list"):
        find_model(name)


def test_what_a_strangers_graph_says_stays_out_of_our_results(tiny_model, tmp_path, capfd):
    """ONNX Runtime's own fallback prints what went wrong, to stdout."""
    content = tiny_model.file("model.onnx").read_bytes()
    path = tmp_path / "model.onnx"
    path.write_bytes(content.replace(b"Conv", b"\xf5onv"))
    with pytest.raises(BadModel, match="ONNX Runtime cannot load it"):
        open_session(path, ["CPUExecutionProvider"])
    assert capfd.readouterr().out == ""
