"""What runs a model: one file per runtime, each with its SPEC; a runtime is imported when an engine is loaded."""

from neardup.embedding.engines import keras_example, onnx, onnx_cuda, openvino, tensorflow, tensorrt, tf_trt
from neardup.embedding.engines.spec import Engine, EngineSpec
from neardup.embedding.model import Model
from neardup.errors import BadInput, EngineFailed, EngineUnavailable, MissingPackage, NeardupError
from neardup.text import said

ENGINES: dict[str, EngineSpec] = {
    module.SPEC.name: module.SPEC for module in (keras_example, tensorflow, onnx, openvino, onnx_cuda, tensorrt, tf_trt)
}

__all__ = ["ENGINES", "Engine", "EngineSpec", "load_engine"]


def load_engine(name: str, model: Model, threads: int | None = None, precision: str | None = None) -> Engine:
    """Load a model on an engine; see `Load` for what the arguments mean.

    Raises BadInput for an unknown name, EngineUnavailable, with what is missing, where the engine cannot run here,
    EngineFailed where it should and does not.
    """
    if name not in ENGINES:
        raise BadInput(f"no engine named {name!r}; there are {', '.join(ENGINES)}")
    spec = ENGINES[name]
    if precision is not None and precision not in spec.precisions:
        others = [each.name for each in ENGINES.values() if precision in each.precisions]
        hint = f"; {' and '.join(others)} can" if others else ""
        raise EngineUnavailable(f"engine {name} computes in {' or '.join(spec.precisions)}, not {precision}{hint}")
    try:
        return spec.load(model, threads, precision)
    except (EngineUnavailable, MissingPackage) as error:
        raise EngineUnavailable(f"engine {name}: {error}") from error
    except NeardupError:
        raise
    except MemoryError as error:
        raise EngineFailed(f"engine {name}: not enough memory to load model {model.name}") from error
    except Exception as error:  # those of runtimes share no base class
        raise EngineFailed(
            f"engine {name}: cannot load model {model.name} ({said(error)}); try another engine"
        ) from error
