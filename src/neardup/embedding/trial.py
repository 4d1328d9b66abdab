"""A stranger's ONNX graph, run for the first time: in a process of its own, whose time and memory come to an end.

Run as `python -m neardup.embedding.trial FOLDER` by `try_graph`.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neardup.embedding.agreement import smallest_similarity, with_direction
from neardup.errors import BadModel, NeardupError
from neardup.scratch import temporary_folder
from neardup.text import said

SECONDS = 120
# Beside what the file itself holds, several times over: ONNX Runtime copies weights when it prepares them.
MEMORY_BYTES = 8 << 30
COPIES = 4


def try_graph(graph: Path, samples: NDArray[np.uint8], source: Path) -> NDArray[np.float32]:
    """Rows of the samples at once, (n, dim) float32, if they are what embeddings are.

    graph:  images (n, size, size, 3) uint8 to embedding
    source: what to call it
    Raises BadModel where it fails, takes too long or too much, or gives other rows one by one.
    """
    with temporary_folder("neardup-trial-") as scratch:
        np.save(scratch / "samples.npy", samples, allow_pickle=False)
        command = [sys.executable, "-m", "neardup.embedding.trial", str(scratch), str(graph.absolute())]
        try:
            ran = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            raise BadModel(f"{source}: {len(samples)} pictures took more than {SECONDS} s") from error
        if ran.returncode:
            lines = [line for line in ran.stderr.decode(errors="replace").splitlines() if line.strip()]
            raise BadModel(f"{source}: does not run ({lines[-1][:300] if lines else f'ended by {-ran.returncode}'})")
        together, alone = (np.load(scratch / f"{name}.npy", allow_pickle=False) for name in ("together", "alone"))
    if together.ndim != 2 or len(together) != len(samples) or together.shape[1] < 2:
        raise BadModel(f"{source}: gives {together.shape} for {len(samples)} pictures, not a vector for each")
    if not np.isfinite(together).all():
        raise BadModel(f"{source}: gives numbers that are not finite; say otherwise how its pixels are scaled")
    kept = with_direction(together)
    if kept.sum() < len(samples) // 2 or np.abs(together[kept] - together[kept][0]).max() < 1e-4:
        raise BadModel(f"{source}: does not tell pictures apart; say otherwise how its pixels are scaled")
    if smallest_similarity(alone[kept], together[kept]) < 0.9999:
        raise BadModel(f"{source}: gives a picture another vector among others; export it for inference")
    return np.asarray(together, np.float32)


def main(scratch: Path, graph: Path) -> None:
    from neardup.embedding.engines.onnx import OnnxEngine, open_session

    _limit_memory(MEMORY_BYTES + COPIES * graph.stat().st_size)
    engine = OnnxEngine(open_session(graph, ["CPUExecutionProvider"], threads=1))
    samples = np.load(scratch / "samples.npy", allow_pickle=False)
    np.save(scratch / "alone.npy", np.concatenate([engine.run(image[None]) for image in samples]), allow_pickle=False)
    try:
        together = engine.run(samples)
    except Exception as error:  # those of ONNX Runtime share no base class
        raise BadModel(f"takes one picture at a time: export it with a batch of any size ({said(error)})") from error
    np.save(scratch / "together.npy", together, allow_pickle=False)


def _limit_memory(most_bytes: int) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    except (ImportError, ValueError, OSError):  # not to be had here, or a lower limit is in force
        pass


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except NeardupError as error:
        sys.exit(str(error))
