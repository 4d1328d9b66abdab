"""TF-TRT: a SavedModel that TensorFlow 2.17 runs with TensorRT 8.6, made and verified by `neardup convert-trt`."""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.engines.spec import EngineSpec
from neardup.embedding.hardware import find_gpu, library_version
from neardup.embedding.model import Model
from neardup.embedding.runtimes import TF_TRT_LIBRARY, import_tensorflow, missing_for_tf_trt
from neardup.embedding.variants import PRECISIONS, Target, find_variant
from neardup.errors import BadModel, EngineUnavailable
from neardup.text import said

SAVED_MODEL = "saved_model"
SIGNATURE = "serving_default"


@dataclass(frozen=True)
class TfTrtEngine:
    loaded: Any  # owns what the function uses
    function: Any
    precision: str
    name: str = "tf-trt"

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        import tensorflow

        # A signature names its output as Keras did: `embedding`, `output_0`.
        [rows] = self.function(images=tensorflow.constant(pixels)).values()
        return np.asarray(rows, np.float32)


def this_target() -> Target:
    return Target("tf-trt", "tensorrt", find_gpu(), library_version(TF_TRT_LIBRARY))


def load(model: Model, threads: int | None = None, precision: str | None = None) -> TfTrtEngine:
    """What was converted for this machine last, or last in this precision."""
    if missing := missing_for_tf_trt():
        raise EngineUnavailable(f"missing here: {'; '.join(missing)}")
    variant = find_variant(model, this_target(), precision)
    if variant is None:
        raise EngineUnavailable(
            f"no variant of model {model.name} is registered; 'neardup convert-trt --route tf-trt' makes one"
        )
    for name in variant.files:
        variant.file(name)
    import_tensorflow(threads)
    return open_saved_model(Path(variant.folder) / SAVED_MODEL, variant.precision)


def open_saved_model(folder: Path, precision: str) -> TfTrtEngine:
    """Load a converted SavedModel; raises BadModel where TensorFlow cannot."""
    import tensorflow

    # Loading asks TensorRT for its version, which ends the process where the library is gone by now.
    try:
        ctypes.CDLL(TF_TRT_LIBRARY)
    except OSError as error:
        raise EngineUnavailable(f"{TF_TRT_LIBRARY} cannot be loaded ({error})") from error
    try:
        loaded = tensorflow.saved_model.load(str(folder))
        return TfTrtEngine(loaded, loaded.signatures[SIGNATURE], precision)
    except Exception as error:  # its errors share no base class
        raise BadModel(f"{folder}: TensorFlow cannot load it ({said(error)})") from error


SPEC = EngineSpec("tf-trt", "tensorflow", tuple(PRECISIONS.values()), load)
