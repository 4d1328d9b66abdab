"""`convert-trt`: choose a route, convert, verify, register."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.agreement import smallest_similarity, with_direction
from neardup.embedding.conversion.onnx import prepare_graph
from neardup.embedding.conversion.tf_trt import Job, convert_in_other_process
from neardup.embedding.conversion.verify import (
    MINIMUM_SIMILARITY,
    load_samples,
    reference_embeddings,
)
from neardup.embedding.engines.tensorrt import BATCHES, GRAPH, open_graph, this_machine
from neardup.embedding.engines.tf_trt import SAVED_MODEL, this_target
from neardup.embedding.model import Model, OnnxNetwork
from neardup.embedding.runtimes import missing_for_onnx_tensorrt, missing_for_tf_trt
from neardup.embedding.variants import (
    PRECISIONS,
    Variant,
    cache_folder,
    digest_of,
    register,
    unregister,
)
from neardup.errors import BadInput, ConversionFailed, EngineUnavailable
from neardup.packages import require_packages
from neardup.scratch import temporary_folder

ROUTES = ("auto", "tf-trt", "onnx")


@dataclass(frozen=True)
class Conversion:
    """What was made, and what the machine lacked for better."""

    route: str
    variant: Variant
    reference: str  # the engine that it was verified against
    missing: list[str]  # for TensorRT; empty where it is TensorRT that runs


def convert(
    model: Model,
    *,
    route: str = "auto",
    precision: str = "FP16",
    max_engines: int = 16,
    out: Path | None = None,
    photos: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Conversion:
    """Make a variant of a model, verify it, register it as an engine of this machine.

    out:    where to put it; None takes this user's cache folder
    photos: a folder of images to verify with, and to calibrate INT8 with; drawn ones otherwise
    Raises EngineUnavailable where TensorRT is asked for and cannot run (nothing is written then), ConversionFailed
    where what was made does not give the reference's embeddings (it is taken away again).
    """
    if precision == "INT8" and photos is None:
        raise BadInput("INT8 is calibrated on photos; give a folder of them with --photos")
    chosen = _choose(route, model)
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out}: exists and is not an empty folder; give another, or none for the cache")
    samples = load_samples(photos, model.input_size)
    reference, rows = reference_embeddings(model, samples)
    convert_by = _by_tf_trt if chosen == "tf-trt" else _by_onnx
    return convert_by(model, precision, max_engines, out, samples, photos is not None, (reference, rows), say)


def _choose(route: str, model: Model) -> str:
    if route == "onnx":
        return route
    if isinstance(model.network, OnnxNetwork):
        missing = [f"a model of TensorFlow's, and {model.name} came as an ONNX graph"]
    else:
        missing = missing_for_tf_trt()
    if not missing:
        return "tf-trt"
    text = f"no usable TensorRT, nothing was built. TF-TRT needs {'; '.join(missing)}"
    if route == "auto":
        missing = missing_for_onnx_tensorrt()
        if not missing:
            return "onnx"
        text += f". ONNX Runtime's TensorRT needs {'; '.join(missing)}"
    raise EngineUnavailable(f"{text}. '--route onnx' prepares the graph and falls back to CUDA or the CPU")


def _by_onnx(
    model: Model,
    precision: str,
    max_engines: int,
    out: Path | None,
    samples: NDArray[np.uint8],
    are_photos: bool,
    reference: tuple[str, NDArray[np.float32]],
    say: Callable[[str], None],
) -> Conversion:
    short = PRECISIONS[precision]
    require_packages("--route onnx", "onnx")
    machine = this_machine()
    target = machine.target
    unregister(model, target, short)
    folder = (out or cache_folder(model) / target.key(short)).absolute()
    if machine.missing:
        where = "on CUDA" if target.provider == "cuda" else "on the CPU"
        say(f"TensorRT cannot run here, for want of: {'; '.join(machine.missing)}.")
        say(f"The graph is prepared all the same, and engine tensorrt falls back to running it {where}.")
    graph = prepare_graph(model, folder, short, samples if are_photos else None)
    if target.provider == "tensorrt":
        say(f"Building TensorRT {target.tensorrt} engines for {target.gpu}: this takes minutes.")
    try:
        engine = open_graph(graph, model.input_size, target, short)
        batch = BATCHES["max"]
        parts = [samples[:1], *(samples[n : n + batch] for n in range(1, len(samples), batch))]
        rows = np.concatenate([engine.run(part) for part in parts])
        similarity = _verified(rows, reference, short)
    except Exception:
        graph.unlink(missing_ok=True)
        raise
    variant = Variant(
        target.engine, target.provider, short, str(folder), similarity, len(samples), {GRAPH: digest_of(graph)}
    )
    register(model, target, variant)
    return Conversion("onnx", variant, reference[0], machine.missing)


def _by_tf_trt(
    model: Model,
    precision: str,
    max_engines: int,
    out: Path | None,
    samples: NDArray[np.uint8],
    are_photos: bool,
    reference: tuple[str, NDArray[np.float32]],
    say: Callable[[str], None],
) -> Conversion:
    short = PRECISIONS[precision]
    target = this_target()
    unregister(model, target, short)
    folder = (out or cache_folder(model) / target.key(short)).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    say(f"Building TensorRT {target.tensorrt} engines for {target.gpu}: this takes minutes.")
    with temporary_folder("neardup-trt-") as scratch:
        np.save(scratch / "samples.npy", samples, allow_pickle=False)
        job = Job(
            str(model.folder.absolute()), str(folder), precision, max_engines,
            str(scratch / "samples.npy"), str(scratch / "embeddings.npy"),
        )  # fmt: skip
        try:
            similarity = _verified(convert_in_other_process(job, scratch), reference, short)
        except Exception:
            shutil.rmtree(folder / SAVED_MODEL, ignore_errors=True)
            raise
    files = {
        path.relative_to(folder).as_posix(): digest_of(path)
        for path in sorted((folder / SAVED_MODEL).rglob("*"))
        if path.is_file()
    }
    variant = Variant(target.engine, target.provider, short, str(folder), similarity, len(samples), files)
    register(model, target, variant)
    return Conversion("tf-trt", variant, reference[0], [])


def _verified(rows: NDArray[np.float32], reference: tuple[str, NDArray[np.float32]], precision: str) -> float:
    name, wanted = reference
    kept = with_direction(wanted)
    similarity = smallest_similarity(rows[kept], wanted[kept]) if rows.shape == wanted.shape and kept.any() else -1.0
    if similarity < MINIMUM_SIMILARITY[precision]:
        raise ConversionFailed(
            f"verification failed: smallest cosine to engine {name} is {similarity:.6f} over {len(rows)} images,"
            f" {MINIMUM_SIMILARITY[precision]} is wanted; nothing was registered, try --precision FP32"
        )
    return similarity
