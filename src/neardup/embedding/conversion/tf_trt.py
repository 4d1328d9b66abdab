"""A model to TF-TRT, in a process of its own: TensorFlow ends the process where TensorRT lets it down.

Run as `python -m neardup.embedding.conversion.tf_trt JOB.json` by `convert`, which reads what it leaves behind.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.engines.tensorflow import load_keras, load_saved
from neardup.embedding.engines.tf_trt import SAVED_MODEL, SIGNATURE, open_saved_model
from neardup.embedding.model import SavedModel, read_model
from neardup.embedding.runtimes import import_tensorflow
from neardup.embedding.variants import PRECISIONS
from neardup.errors import ConversionFailed

# Of the engines that TensorFlow keeps, one for each of these is built now, rather than during the first query.
BATCHES = (1, 32)
WORKSPACE_BYTES = 4 << 30


@dataclass(frozen=True)
class Job:
    """What the other process is to do, in plain values."""

    model: str  # folder
    folder: str  # for the SavedModel
    precision: str  # FP32, FP16 or INT8
    max_engines: int
    samples: str  # .npy, (n, size, size, 3) uint8: to calibrate with, and to embed afterwards
    embeddings: str  # .npy to write


def convert_in_other_process(job: Job, scratch: Path) -> NDArray[np.float32]:
    """Convert and save, load what was saved, and embed the samples with it: (n, dim) float32.

    Raises ConversionFailed with TensorFlow's last words.
    """
    path = scratch / "job.json"
    path.write_text(json.dumps(asdict(job)), encoding="utf-8")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "1"}
    command = [sys.executable, "-m", "neardup.embedding.conversion.tf_trt", str(path)]
    ran = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    if ran.returncode:
        said = [line for line in ran.stderr.decode(errors="replace").splitlines() if line.strip()]
        ended = f"signal {-ran.returncode}" if ran.returncode < 0 else f"exit code {ran.returncode}"
        raise ConversionFailed(f"TF-TRT: the conversion ended with {ended}: {said[-1] if said else 'no message'}")
    embeddings: NDArray[np.float32] = np.load(job.embeddings, allow_pickle=False)
    return embeddings


def save_reference(model_folder: Path, target: Path) -> None:
    """The embedding model as a SavedModel: uint8 images to unit rows through `serving_default`."""
    tensorflow = import_tensorflow()
    model = read_model(model_folder)
    if isinstance(model.network, SavedModel):
        network: Any = load_saved(model)
        owner = network.loaded
    else:
        owner = load_keras(model)
        network = partial(owner, training=False)
    size = model.input_size
    module = tensorflow.Module()
    # Tracked, so that its variables are saved.
    module.network = owner

    images_spec = tensorflow.TensorSpec((None, size, size, 3), tensorflow.uint8, name="images")

    @tensorflow.function(input_signature=[images_spec])  # type: ignore[untyped-decorator,unused-ignore]
    def serve(images: Any) -> dict[str, Any]:
        return {"embedding": network(images)}

    tensorflow.saved_model.save(module, str(target), signatures={SIGNATURE: serve})


def convert_saved_model(
    source: Path, target: Path, precision: str, max_engines: int, samples: NDArray[np.uint8]
) -> None:
    """Replace what TensorRT can run, build its engines for the batches that neardup uses, and save."""
    tensorflow = import_tensorflow()
    parameters = tensorflow.experimental.tensorrt.ConversionParams(
        precision_mode=precision,
        maximum_cached_engines=max_engines,
        max_workspace_size_bytes=WORKSPACE_BYTES,
        use_calibration=precision == "INT8",
    )
    # Engines of a fixed batch: calibration takes no other, and `index` and `query` send few different ones.
    converter = tensorflow.experimental.tensorrt.Converter(
        input_saved_model_dir=str(source), conversion_params=parameters, use_dynamic_shape=False
    )

    def of_size(batch: int, images: NDArray[np.uint8]) -> tuple[Any]:
        return (tensorflow.constant(np.resize(images, (batch, *images.shape[1:]))),)

    def calibration() -> Iterator[tuple[Any]]:
        # One shape throughout: in INT8 there can be only one engine, and smaller batches go through it, too.
        for first in range(0, len(samples), BATCHES[-1]):
            yield (
                tensorflow.constant(np.resize(samples[first : first + BATCHES[-1]], (BATCHES[-1], *samples.shape[1:]))),
            )

    def shapes() -> Iterator[tuple[Any]]:
        for batch in BATCHES if precision != "INT8" else BATCHES[-1:]:
            yield of_size(batch, samples)

    converter.convert(calibration_input_fn=calibration if precision == "INT8" else None)
    converter.build(input_fn=shapes)
    converter.save(str(target))


def main(path: Path) -> None:
    job = Job(**json.loads(path.read_text(encoding="utf-8")))
    samples = np.load(job.samples, allow_pickle=False)
    reference = path.parent / "reference"
    target = Path(job.folder) / SAVED_MODEL
    save_reference(Path(job.model), reference)
    convert_saved_model(reference, target, job.precision, job.max_engines, samples)
    engine = open_saved_model(target, PRECISIONS[job.precision])
    # Half of them one by one, half at once: both engines that were built are looked at.
    half = len(samples) // 2
    rows = np.concatenate([*(engine.run(image[None]) for image in samples[:half]), engine.run(samples[half:])])
    np.save(job.embeddings, rows, allow_pickle=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
