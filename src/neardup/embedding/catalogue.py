"""The models that are here, and whether each is what its config says."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neardup.embedding import load_embedder
from neardup.embedding.conversion.verify import draw_samples
from neardup.embedding.model import Model, find_model, model_folders, read_model
from neardup.errors import BadModel, NeardupError


@dataclass(frozen=True)
class Found:
    """A folder with a config.json; `model` is None where that is wrong, and `error` says how."""

    name: str  # what finds it
    folder: Path
    model: Model | None
    error: str | None = None


@dataclass(frozen=True)
class Check:
    """Whether a model's files are whole and give embeddings."""

    name: str
    engine: str | None
    error: str | None


def find_models() -> list[Found]:
    """Every model in the folders that are searched, shipped ones first, one of each name."""
    found: dict[str, Found] = {}
    for folder in model_folders():
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.name in found or path.name.startswith(".") or not (path / "config.json").is_file():
                continue
            try:
                found[path.name] = Found(path.name, path, read_model(path))
            except NeardupError as error:
                found[path.name] = Found(path.name, path, None, str(error))
    return list(found.values())


def verify_model(name: str) -> Check:
    """Check every file's digest, and that pictures come out as different unit rows; never raises for a bad model."""
    try:
        model = find_model(name)
        for file in model.files:
            model.file(file)
        samples = draw_samples(model.input_size, 8)
        embedder = load_embedder(name, images=len(samples))
        rows = embedder.embed_prepared(samples)
        if rows.shape != (8, model.dim) or not np.isfinite(rows).all():
            raise BadModel(f"model {name}: gives {rows.shape} for 8 images, or numbers that are not finite")
        if np.abs(np.linalg.norm(rows, axis=1) - 1).max() > 1e-3 or np.abs(rows - rows[0]).max() < 1e-4:
            raise BadModel(f"model {name}: does not tell pictures apart by unit rows; fetch or train it again")
    except NeardupError as error:
        return Check(name, None, str(error))
    return Check(name, embedder.engine.name, None)
