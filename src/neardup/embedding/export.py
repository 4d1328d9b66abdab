"""Weights to a model folder."""

import hashlib
import json
from pathlib import Path

import numpy as np

from neardup.durable import replace_file
from neardup.embedding.architecture import Architecture
from neardup.embedding.model import FORMAT, Model, read_model
from neardup.embedding.weights import Weights, save_weights
from neardup.packages import require_packages


def export_model(
    folder: Path,
    name: str,
    architecture: Architecture,
    weights: Weights,
    input_size: int,
    thresholds: dict[str, float] | None = None,
) -> Model:
    """Write weights.npz and model.onnx, both rounded to float16, and config.json with their digests.

    The rounded weights are the model: every engine computes from them, in float32. Raises MissingPackage without onnx.
    """
    require_packages(f"writing {folder / 'model.onnx'}", "onnx")
    from neardup.embedding.onnx_graph import build_onnx

    folder.mkdir(parents=True, exist_ok=True)
    save_weights(folder / "weights.npz", weights)
    rounded = {key: value.astype(np.float16) for key, value in weights.items()}
    replace_file(folder / "model.onnx", build_onnx(architecture, rounded, input_size).SerializeToString())
    files = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in ("weights.npz", "model.onnx")}
    config = {
        "format": FORMAT,
        "name": name,
        "architecture": architecture.to_json(),
        "input_size": input_size,
        "preprocessing": "upright RGB, squashed to a square, bicubic with antialiasing",
        "dim": architecture.dim,
        "thresholds": thresholds or {},
        "files": files,
    }
    replace_file(folder / "config.json", f"{json.dumps(config, indent=2)}\n".encode())
    return read_model(folder)
