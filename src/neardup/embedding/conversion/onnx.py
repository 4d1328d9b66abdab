"""The exported ONNX graph in another precision, for ONNX Runtime's TensorRT, CUDA and CPU providers.

TensorRT 11 has no switch for FP16 any more, and 10 may move normalisation to FP16 where it is told to; so the
precision is in the graph: convolutions in FP16, normalisation, pooling and the projection in float32.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.engines.onnx import open_session
from neardup.embedding.engines.tensorrt import GRAPH
from neardup.embedding.model import Model
from neardup.embedding.weights import load_weights
from neardup.errors import BadInput


def prepare_graph(model: Model, folder: Path, precision: str, photos: NDArray[np.uint8] | None) -> Path:
    """Write graph.onnx in f32, f16 or int8: images (n, size, size, 3) uint8 to embedding (n, dim) float32.

    photos: (n, size, size, 3) uint8, to calibrate int8 with
    Raises BadInput for int8 without photos, BadModel where the model is no BiT.
    """
    import onnx

    from neardup.embedding.onnx_graph import build_onnx

    folder.mkdir(parents=True, exist_ok=True)
    target, written = folder / GRAPH, folder / "written.onnx"
    weights = load_weights(model.file("weights.npz"), model.architecture.parameters())
    if precision == "f16":
        # Not through a session: on the CPU that would write float32 convolutions between casts.
        onnx.save(build_onnx(model.architecture, weights, model.input_size, half=True), target)
        return target
    onnx.save(build_onnx(model.architecture, weights, model.input_size), written)
    # Constants folded: the standardised kernels themselves, which is what there is to quantise.
    open_session(written, ["CPUExecutionProvider"], folded=target)
    written.unlink()
    if precision == "int8":
        if photos is None:
            raise BadInput("INT8 is calibrated on photos; give a folder of them with --photos")
        _quantize(target, photos)
    return target


class _Photos:
    """Hands calibration photos to ONNX Runtime's quantiser, one at a time."""

    def __init__(self, photos: NDArray[np.uint8]) -> None:
        self._batches: Iterator[NDArray[np.uint8]] = iter(photos[:, None])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}


def _quantize(path: Path, photos: NDArray[np.uint8]) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    CalibrationDataReader.register(_Photos)
    quantized = path.with_suffix(".int8.onnx")
    quantize_static(
        path,
        quantized,
        _Photos(photos),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        # TensorRT takes zero points of zero only.
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
    )
    quantized.replace(path)
