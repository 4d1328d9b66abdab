"""Optional packages: which extra brings each, and what is said where one is missing."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from neardup.cli import main
from neardup.embedding.architecture import Architecture
from neardup.embedding.weights import save_weights
from neardup.errors import MissingPackage
from neardup.packages import EXTRAS, how_to_install, is_installed, load_package
from tests.conftest import random_weights

# Imported under another name than the one that is installed.
DISTRIBUTION = {"pillow_jxl": "pillow-jxl-plugin", "tensorflow_datasets": "tensorflow-datasets", "keras": "tensorflow"}


def test_every_optional_package_is_in_the_extra_that_its_message_names():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = {
        name: {re.match(r"[\w.-]+", requirement)[0] for requirement in requirements}
        for name, requirements in project["optional-dependencies"].items()
    }
    for package, extra in EXTRAS.items():
        assert DISTRIBUTION.get(package, package) in extras[extra]
    core = {re.match(r"[\w.-]+", requirement)[0] for requirement in project["dependencies"]}
    assert not core & {DISTRIBUTION.get(package, package) for package in EXTRAS}


def test_a_missing_package_is_one_line_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(
        MissingPackage,
        match=r"^training: the package openvino is not installed; pip install 'neardup\[openvino\]'$",
    ):
        load_package("openvino", "training")
    assert how_to_install("faiss") == "pip install faiss"


def test_a_package_that_cannot_be_imported_says_why(tmp_path, monkeypatch):
    (tmp_path / "pdqhash_broken.py").write_text("raise ImportError('libx.so: no such file\\nmore')")
    monkeypatch.syspath_prepend(tmp_path)
    assert is_installed("pdqhash_broken")
    with pytest.raises(MissingPackage, match=r"cannot be imported \(libx.so: no such file\); pip install pdqhash_b"):
        load_package("pdqhash_broken")
    assert not is_installed("no_such_package_at_all")


@pytest.mark.parametrize(
    ("command", "package"),
    [
        ("train photos trained", "keras"),
        ("train photos trained --labelled", "keras"),
        ("models download bit-m-r50x1", "onnx"),
        ("models import weights.npz", "onnx"),
        ("models import model.keras", "tensorflow"),
        ("models import saved", "tensorflow"),
        ("convert-trt --route onnx", "onnx"),
        ("index tfds:tf_flowers", "tensorflow_datasets"),
        ("index photos --engine tensorflow", "tensorflow"),
    ],
)
def test_a_plain_installation_says_what_a_command_needs(tmp_path, photos, monkeypatch, command, package):
    photos(2)
    (tmp_path / "model.keras").write_bytes(b"")
    (tmp_path / "saved").mkdir()
    architecture = Architecture((1, 1, 1, 1), 0.5, 32, "average", None)
    save_weights(tmp_path / "weights.npz", random_weights(architecture))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEARDUP_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache"))
    for name, extra in EXTRAS.items():
        if extra == "tensorflow":
            monkeypatch.setitem(sys.modules, name, None)
    result = CliRunner().invoke(main, command.split())
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    [line] = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert f"the package {package} is not installed; pip install 'neardup[tensorflow]'" in line
    assert not list((tmp_path / "models").glob("*"))
