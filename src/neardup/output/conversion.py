"""What `convert-trt` made."""

from pathlib import Path

from neardup.embedding.conversion.convert import Conversion
from neardup.output import write_csv, write_json, write_line
from neardup.text import show_path

_WHERE = {"tensorrt": "TensorRT", "cuda": "CUDA, without TensorRT", "cpu": "the CPU, without TensorRT"}


def write_conversion(model: str, result: Conversion, format: str) -> None:
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
    if format == "json":
        write_json(fields)
    elif format == "csv":
        write_csv(tuple(fields), [{**fields, "missing": "; ".join(result.missing)}])
    else:
        write_line(f"Model {model} in {variant.precision}, route {result.route}: {show_path(Path(variant.folder))}")
        write_line(
            f"Verified: smallest cosine to engine {result.reference} is {variant.similarity:.6f},"
            f" over {variant.images} images"
        )
        write_line(f"Registered: --engine {variant.engine} runs it on {_WHERE[variant.provider]}")
