"""A model's ONNX graph in another precision, for ONNX Runtime's TensorRT, CUDA and CPU providers.

TensorRT 11 has no switch for FP16 any more, and 10 may move normalisation to FP16 where it is told to; so the
precision is in the graph: convolutions (of imported models, products of matrices, too) in FP16, the rest in float32.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.architecture import Architecture
from neardup.embedding.conversion.tensorflow_graph import write_graph
from neardup.embedding.engines.onnx import open_session
from neardup.embedding.engines.tensorflow import load_saved
from neardup.embedding.engines.tensorrt import GRAPH
from neardup.embedding.model import GRAPH as MODEL_GRAPH
from neardup.embedding.model import Model
from neardup.embedding.weights import load_weights
from neardup.errors import BadInput

PRODUCTS = ["Conv", "ConvTranspose", "Gemm", "MatMul"]


def prepare_graph(model: Model, folder: Path, precision: str, photos: NDArray[np.uint8] | None) -> Path:
    """Write graph.onnx in f32, f16 or int8: images (n, size, size, 3) uint8 to embedding (n, dim) float32.

    photos: (n, size, size, 3) uint8, to calibrate int8 with
    Raises BadInput for int8 without photos, MissingPackage or ConversionFailed where there is no graph of the model.
    """
    if precision == "int8" and photos is None:
        raise BadInput("INT8 is calibrated on photos; give a folder of them with --photos")
    folder.mkdir(parents=True, exist_ok=True)
    target, written = folder / GRAPH, folder / "written.onnx"
    _write(model, written, half=precision == "f16")
    if precision == "f16" and isinstance(model.network, Architecture):
        # Not through a session: on the CPU that would write float32 convolutions between casts.
        return written.replace(target)
    # Constants folded: the standardised kernels themselves, which is what there is to quantise, or to halve.
    open_session(written, ["CPUExecutionProvider"], folded=target)
    written.unlink()
    if precision == "f16":
        _halve(target)
    if photos is not None and precision == "int8":
        _quantize(target, photos, ["Conv"] if isinstance(model.network, Architecture) else PRODUCTS)
    return target


def _write(model: Model, target: Path, *, half: bool) -> None:
    """The graph that the model comes with, or one that is made now; half: of a BiT, convolutions in FP16."""
    if isinstance(model.network, Architecture):
        import onnx

        from neardup.embedding.onnx_graph import build_onnx

        weights = load_weights(model.file("weights.npz"), model.network.parameters())
        onnx.save(build_onnx(model.network, weights, model.input_size, half=half), target)
    elif MODEL_GRAPH in model.files:
        shutil.copyfile(model.file(MODEL_GRAPH), target)
    else:
        write_graph(load_saved(model), model.input_size, target)


def _halve(path: Path) -> None:
    """Products in FP16, their kernels stored so, between casts; what passes between other nodes stays float32.

    ONNX Runtime's own converter casts all values in between to FP16, too: sums of squares overflow there.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    kernels = {each.name: each for each in graph.initializer if each.data_type == TensorProto.FLOAT}
    known = onnx.shape_inference.infer_shapes(model).graph
    floats = {v.name for v in (*known.value_info, *known.input) if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    nodes: list[Any] = []
    halved: dict[str, Any] = {}
    for node in graph.node:
        is_product = node.op_type in PRODUCTS and all(n in kernels or n in floats for n in node.input if n)
        for place, name in enumerate(node.input if is_product else ()):
            if not name:
                continue
            half = f"{name}/half"
            if half not in halved and name in kernels:
                content = numpy_helper.to_array(kernels[name]).astype(np.float16)
                halved[half] = numpy_helper.from_array(content, half)
            elif half not in halved:
                halved[half] = None
                nodes.append(helper.make_node("Cast", [name], [half], to=TensorProto.FLOAT16))
            node.input[place] = half
        nodes.append(node)
        if is_product:
            single, node.output[0] = node.output[0], f"{node.output[0]}/half"
            nodes.append(helper.make_node("Cast", [node.output[0]], [single], to=TensorProto.FLOAT))
    used = {name for node in nodes for name in node.input} | {output.name for output in graph.output}
    kept = [each for each in graph.initializer if each.name in used or _has_subgraphs(graph)]
    new = [each for each in halved.values() if each is not None]
    for field, values in ((graph.node, nodes), (graph.initializer, [*kept, *new])):
        copies = [type(each).FromString(each.SerializeToString()) for each in values]
        del field[:]
        field.extend(copies)
    del graph.value_info[:]  # of kinds that they no longer have
    onnx.save(model, path)


def _has_subgraphs(graph: Any) -> bool:
    """Whether some node may use a kernel from within."""
    return any(each.HasField("g") or each.graphs for node in graph.node for each in node.attribute)


class _Photos:
    """Hands calibration photos to ONNX Runtime's quantiser, one at a time."""

    def __init__(self, photos: NDArray[np.uint8]) -> None:
        self._batches: Iterator[NDArray[np.uint8]] = iter(photos[:, None])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}


def _quantize(path: Path, photos: NDArray[np.uint8], operators: list[str]) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    CalibrationDataReader.register(_Photos)
    quantized = path.with_suffix(".int8.onnx")
    quantize_static(
        path,
        quantized,
        _Photos(photos),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=operators,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        # TensorRT takes zero points of zero only.
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
    )
    quantized.replace(path)
