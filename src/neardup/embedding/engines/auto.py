"""`auto`: the engine that is fastest here and gives the reference's embeddings.

What `convert-trt` made for this machine's GPU goes first. Without it,
OpenVINO in bfloat16 embeds 1.5 times as fast as ONNX Runtime on a processor with AVX-512 BF16, and twice as fast on one
with AMX, but takes 0.5 s longer to start. So few images are for ONNX Runtime, and many for OpenVINO where it agrees.
"""

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.agreement import AGREEMENT, similarities
from neardup.embedding.engines import Engine, load_engine
from neardup.embedding.hardware import find_gpu, has_bfloat16
from neardup.embedding.model import GRAPH, Model
from neardup.embedding.variants import cache_folder
from neardup.errors import BadModel, EngineFailed, EngineUnavailable
from neardup.packages import is_installed

AUTO = "auto"
# From so many images on the faster engine makes up for its start: measured between 200 and 400.
MANY = 256
# A batch of this size says that there are many: what is left of a batch when known images are taken out is smaller.
LARGE_BATCH = 16
COMPARED = 8
# Of a converted variant, those that give the reference's embeddings, best first; INT8 does not.
CONVERTED = ("f16", "f32")
ON_GPU = ("tensorrt", "onnx-cuda", "tf-trt")


def load_auto(
    model: Model,
    threads: int | None = None,
    precision: str | None = None,
    images: int | None = None,
    recorded: str | None = None,
) -> Engine:
    """The best engine here for about so many images; None where that is not known.

    recorded: the precision of embeddings that it is to be compared with; a variant of that precision comes first
    """
    if precision is None and (converted := _converted(model, threads, recorded)):
        return converted
    if GRAPH not in model.files:  # a SavedModel of which none could be made
        return load_engine("tensorflow", model, threads, precision)
    few = images is not None and images < MANY
    if precision or few or not has_bfloat16() or not is_installed("openvino"):
        return load_engine("onnx", model, threads, precision)
    return AutoEngine(model, threads)


def _converted(model: Model, threads: int | None, recorded: str | None) -> Engine | None:
    """What `convert-trt` made, where this machine can run it: of the recorded precision, or on the GPU."""
    if not cache_folder(model).is_dir():
        return None
    if recorded is not None and recorded not in ("f16", "int8"):
        return None  # made without a variant
    if recorded is None and find_gpu() is None:
        return None
    names = [name for name in ("tensorrt", "tf-trt") if any(cache_folder(model).glob(f"{name}-*"))]
    for precision in (recorded,) if recorded else CONVERTED:
        for name in names:
            try:
                engine = load_engine(name, model, threads, precision)
            except (EngineUnavailable, EngineFailed, BadModel):
                continue
            if recorded or engine.name in ON_GPU:
                return engine
    return None


class AutoEngine:
    """ONNX Runtime until a large batch comes, and OpenVINO in bfloat16 from then on.

    OpenVINO is loaded by that batch: a run that finds nothing new, or one new picture, does not wait for it. Where it
    cannot be loaded, or gives other embeddings of the batch, ONNX Runtime goes on.
    """

    def __init__(self, model: Model, threads: int | None) -> None:
        self._model, self._threads = model, threads
        self._start = load_engine("onnx", model, threads)
        self._chosen: Engine | None = None

    @property
    def name(self) -> str:
        return self._chosen.name if self._chosen else "openvino"

    @property
    def precision(self) -> str:
        return self._chosen.precision if self._chosen else "bf16"

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._chosen is None and len(pixels) >= LARGE_BATCH:
            self._chosen = self._choose(pixels[:COMPARED])
        return (self._chosen or self._start).run(pixels)

    def _choose(self, pixels: NDArray[np.uint8]) -> Engine:
        try:
            faster = load_engine("openvino", self._model, self._threads, "bf16")
        except (EngineUnavailable, EngineFailed):
            return self._start
        # The median: a picture of one colour among them says nothing about the model.
        similarity = np.median(similarities(faster.run(pixels), self._start.run(pixels)))
        return faster if similarity >= AGREEMENT else self._start
