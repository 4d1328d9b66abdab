"""What `convert-trt` made."""

from pathlib import Path

from neardup.embedding.conversion.convert import Conversion
from neardup.output import Rendering, one_record
from neardup.text import show_path

_WHERE = {"tensorrt": "TensorRT", "cuda": "CUDA, without TensorRT", "cpu": "the CPU, without TensorRT"}


def render_conversion(model: str, result: Conversion) -> Rendering:
    variant = result.variant
    fields = {
        "model": model,
        "route": result.route,
        "engine": variant.engine,
        "provider": variant.provider,
        "precision": variant.precision,
        "folder": variant.folder,
        "similarity": variant.similarity,
        "images": variant.images,
        "reference": result.reference,
        "missing": result.missing,
    }
    lines = [
        f"Model {model} in {variant.precision}, route {result.route}: {show_path(Path(variant.folder))}",
        f"Verified: smallest cosine to engine {result.reference} is {variant.similarity:.6f},"
        f" over {variant.images} images",
        f"Registered: --engine {variant.engine} runs it on {_WHERE[variant.provider]}",
    ]
    return one_record(fields, lines, row={"missing": "; ".join(result.missing)})
