"""Packages that only some commands need: imported where they are used, or said to be missing in one line."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from neardup.errors import MissingPackage
from neardup.text import said

# The extra of pyproject.toml that brings each.
EXTRAS = {
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "tensorflow_datasets": "tensorflow",
    "onnx": "tensorflow",
    "tf2onnx": "tensorflow",
    "openvino": "openvino",
    "pyarrow": "parquet",
    "watchfiles": "watch",
    "openTSNE": "tsne",
    "ray": "ray",
    "pebble": "isolate",
    "imagehash": "baselines",
    "pdqhash": "baselines",
    "pillow_jxl": "jxl",
    "rawpy": "raw",
}


def load_package(name: str, wanted_by: str = "") -> Any:
    """Import a package; raises MissingPackage with the command that installs it.

    wanted_by: what cannot go on without it, such as `training`, or a file's name
    """
    try:
        return import_module(name)
    except ImportError as error:
        why = f"cannot be imported ({said(error)})" if is_installed(name) else "is not installed"
        raise MissingPackage(_message(name, wanted_by, why)) from error


def require_packages(wanted_by: str, *names: str) -> None:
    """Raise MissingPackage now, rather than after a long download or computation; imports nothing."""
    for name in names:
        if not is_installed(name):
            raise MissingPackage(_message(name, wanted_by, "is not installed"))


def is_installed(name: str) -> bool:
    """Whether a package can be found, without importing it."""
    try:
        return find_spec(name) is not None
    except ValueError:  # a stand-in without a specification
        return False


def how_to_install(name: str) -> str:
    extra = EXTRAS.get(name)
    return f"pip install 'neardup[{extra}]'" if extra else f"pip install {name}"


def _message(name: str, wanted_by: str, why: str) -> str:
    return f"{wanted_by}{': ' if wanted_by else ''}the package {name} {why}; {how_to_install(name)}"
