"""`auto`: the engine that is fastest here and gives the reference's embeddings.

OpenVINO in bfloat16 embeds 1.5 times as fast as ONNX Runtime on a processor with AVX-512 BF16, and twice as fast on one
with AMX, but takes 0.5 s longer to start. So few images are for ONNX Runtime, and many for OpenVINO where it agrees.
"""

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.agreement import AGREEMENT, similarities
from neardup.embedding.engines import Engine, load_engine
from neardup.embedding.hardware import has_bfloat16
from neardup.embedding.model import Model, SavedModel
from neardup.errors import EngineFailed, EngineUnavailable
from neardup.packages import is_installed

AUTO = "auto"
# From so many images on the faster engine makes up for its start: measured between 200 and 400.
MANY = 256
# A batch of this size says that there are many: what is left of a batch when known images are taken out is smaller.
LARGE_BATCH = 16
COMPARED = 8


def load_auto(
    model: Model, threads: int | None = None, precision: str | None = None, images: int | None = None
) -> Engine:
    """The best engine here for about so many images; None where that is not known."""
    if isinstance(model.network, SavedModel):
        return load_engine("tensorflow", model, threads, precision)
    few = images is not None and images < MANY
    if precision or few or not has_bfloat16() or not is_installed("openvino"):
        return load_engine("onnx", model, threads, precision)
    return AutoEngine(model, threads)


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
