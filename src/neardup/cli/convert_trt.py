"""`neardup convert-trt`."""

from pathlib import Path

import click

from neardup.cli import options


@click.command("convert-trt")
@click.argument("out", required=False, type=click.Path(path_type=Path))
@click.option(
    "--route", type=click.Choice(("auto", "tf-trt", "onnx")), default="auto", show_default=True,
    help="tf-trt: TensorFlow 2.17 with TensorRT 8.6. onnx: ONNX Runtime with TensorRT 10, or without.",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(("FP32", "FP16", "INT8"), case_sensitive=False), default="FP16", show_default=True,
    help="What it computes in.",
)  # fmt: skip
@click.option(
    "--max-engines", type=click.IntRange(1, 1024), default=16, show_default=True, metavar="N",
    help="With tf-trt: TensorRT engines kept, one for each batch size.",
)  # fmt: skip
@click.option(
    "--photos", type=click.Path(path_type=Path), metavar="DIR",
    help="Photos to verify with, and to calibrate INT8 with.  [default: drawn pictures]",
)  # fmt: skip
@options.model
@options.output_format
def convert_trt(
    out: Path | None,
    route: str,
    precision: str,
    max_engines: int,
    photos: Path | None,
    model: str,
    format: str,
) -> None:
    """Build the TensorRT variant of a model in OUT, or in the cache folder.

    It is verified against the reference, and then is what --engine tensorrt or --engine tf-trt runs. Where no TensorRT
    can be used nothing is built, and what is missing is named; only --route onnx makes do with CUDA or the CPU.
    """
    from neardup.embedding import find_model
    from neardup.embedding.conversion.convert import convert
    from neardup.output import emit, note
    from neardup.output.conversion import render_conversion

    found = find_model(model)
    result = convert(
        found, route=route, precision=precision.upper(), max_engines=max_engines, out=out, photos=photos, say=note
    )
    emit(render_conversion(found.name, result), format)
