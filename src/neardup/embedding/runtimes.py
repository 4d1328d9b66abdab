"""TensorFlow, ONNX Runtime and OpenVINO: imported quietly, and what they lack here for CUDA and TensorRT, in words.

TensorFlow's own question for the loaded TensorRT aborts where the library is missing; so TensorFlow is asked in a
process of its own, where its files do not tell, and libraries are looked for by ctypes.
"""

import ast
import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from neardup.embedding.hardware import library_version, missing_gpu
from neardup.errors import EngineUnavailable, MissingPackage
from neardup.packages import load_package

# TensorFlow 2.17.1 opens this file by name; ONNX Runtime 1.23 to 1.31 is linked to any TensorRT of the 10 line.
TF_TRT_LIBRARY = "libnvinfer.so.8.6.1"
ONNX_TRT_LIBRARY = "libnvinfer.so.10"
LAST_TF_TRT = "2.17"
SET_UP_TF_TRT = "scripts/gpu_setup --tf-trt makes such an environment"
PROBE_SECONDS = 120

_PROBE = """
import json
found = {"version": None, "error": None, "built": False, "enabled": False}
try:
    import tensorflow
    found["version"] = tensorflow.__version__
    found["built"] = bool(tensorflow.sysconfig.get_build_info().get("is_tensorrt_build"))
    from tensorflow.compiler.tf2tensorrt import _pywrap_py_utils
    found["enabled"] = bool(_pywrap_py_utils.is_tensorrt_enabled())
except Exception as error:
    found["error"] = (str(error).splitlines() or [type(error).__name__])[0]
print(json.dumps(found), flush=True)
"""


def import_onnxruntime() -> Any:
    """ONNX Runtime, told to keep to itself; raises MissingPackage."""
    # Releases such as 1.31 give the machine an id on import, and collect events and errors to send to their maker.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return load_package("onnxruntime")


def import_openvino() -> Any:
    """OpenVINO, told to keep to itself; raises MissingPackage."""
    # Its import gives the user an id in ~/intel and reports itself to Intel by way of Google Analytics. Without the
    # package that does this, which no variable stops, it does neither.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return load_package("openvino")


def import_tensorflow(threads: int | None = None, wanted_by: str = "") -> Any:
    """TensorFlow, told to be quiet and how many threads to use; raises MissingPackage."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    tensorflow = load_package("tensorflow", wanted_by)
    if threads and not tensorflow.config.threading.get_intra_op_parallelism_threads():
        with suppress(RuntimeError):  # it is at work already, and keeps the threads that it has
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    return tensorflow


@dataclass(frozen=True)
class TensorFlowBuild:
    """TensorFlow as a process of its own found it."""

    version: str | None
    error: str | None
    built: bool = False  # with TensorRT
    enabled: bool = False  # built with it, and its library loads


@cache
def probe_tensorflow() -> TensorFlowBuild:
    """What TensorFlow is here: by its own files, else imported in another process and asked; never raises."""
    built_without = _built_without_tensorrt()
    if built_without is not None:
        return built_without
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        ran = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, env=environment, timeout=PROBE_SECONDS
        )
        return TensorFlowBuild(**json.loads(ran.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        return TensorFlowBuild(None, f"its import took more than {PROBE_SECONDS} s")
    except (IndexError, ValueError, TypeError, OSError):
        return TensorFlowBuild(None, "its import ended the process")


def _built_without_tensorrt() -> TensorFlowBuild | None:
    """The installed TensorFlow, where its files say that it was built without TensorRT: its import takes 10 s."""
    try:
        spec = find_spec("tensorflow")
        if spec is None or spec.origin is None:
            return None
        tree = ast.parse((Path(spec.origin).parent / "python" / "platform" / "build_info.py").read_text("utf-8"))
        # build_info = collections.OrderedDict([(name, value), ...])
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) == 1]
        build = dict(ast.literal_eval(calls[0].args[0]))
    except (OSError, ValueError, TypeError, SyntaxError, LookupError, ImportError):
        return None
    version = _installed_version("tensorflow") or _installed_version("tensorflow-cpu")
    return TensorFlowBuild(version, None) if version and build.get("is_tensorrt_build") is False else None


def missing_for_tf_trt() -> list[str]:
    """What TF-TRT lacks here, in words; empty where it can run."""
    missing = []
    build = probe_tensorflow()
    wanted = f"TensorFlow {LAST_TF_TRT}, the last with TensorRT ({SET_UP_TF_TRT})"
    if build.version is None:
        missing.append(f"{wanted}: no TensorFlow can be imported here ({build.error})")
    elif not build.built:
        missing.append(f"{wanted}: {build.version} is here, which was built without it")
    if not build.enabled:
        # Also where the file loads here, for TensorFlow wants its own release of it.
        missing.append(f"TensorRT 8.6.1 ({TF_TRT_LIBRARY} on the library path: pip install tensorrt==8.6.1)")
    return missing + missing_gpu()


def require_provider(provider: str) -> None:
    """Load what a provider of ONNX Runtime needs; raises EngineUnavailable or MissingPackage where there is none."""
    onnxruntime = import_onnxruntime()
    if provider not in onnxruntime.get_available_providers():
        installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed_version(name)]
        why = f"{' and '.join(installed) or 'onnxruntime'} {onnxruntime.__version__} has no {provider}"
        if len(installed) == 2:
            why += ", for they overwrite each other"
        raise EngineUnavailable(f"{why}; scripts/gpu_setup puts onnxruntime-gpu in its place")
    with suppress(Exception):  # what could not be loaded early is looked for again, and named, by the session
        onnxruntime.preload_dlls()
    if provider.startswith("Tensorrt"):
        with suppress(Exception):
            import tensorrt  # noqa: F401  (loads libnvinfer from its own folder)


def missing_for_onnx_cuda() -> list[str]:
    """What ONNX Runtime's CUDA provider lacks here, in words; empty where it can run."""
    return _missing_provider("CUDAExecutionProvider") + missing_gpu()


def missing_for_onnx_tensorrt() -> list[str]:
    """What ONNX Runtime's TensorRT provider lacks here, in words; empty where it can run."""
    missing = _missing_provider("TensorrtExecutionProvider")
    if library_version(ONNX_TRT_LIBRARY) is None:
        missing.append(f"TensorRT 10.13.2 or later of the 10 line ({ONNX_TRT_LIBRARY} on the library path)")
    return missing + missing_gpu()


def _missing_provider(provider: str) -> list[str]:
    try:
        require_provider(provider)
    except (EngineUnavailable, MissingPackage) as error:
        return [str(error)]
    return []


def _installed_version(name: str) -> str | None:
    """Of a distribution."""
    from importlib import metadata  # which imports much

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
