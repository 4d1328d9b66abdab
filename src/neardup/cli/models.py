"""`neardup models`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from neardup.cli import Suggesting, options

if TYPE_CHECKING:
    from neardup.embedding.importing_onnx import Layout


@click.group(cls=Suggesting)
def models() -> None:
    """List, download, import and verify models."""


@models.command("list")
@options.output_format
def list_(format: str) -> None:
    """Print the models that are here, and those that can be downloaded."""
    from neardup.embedding.catalogue import find_models
    from neardup.embedding.download import RELEASES
    from neardup.output import emit
    from neardup.output.models import render_models

    emit(render_models(find_models(), RELEASES), format)


@models.command()
@click.argument("name")
@options.output_format
def download(name: str, format: str) -> None:
    """Fetch a released model, check it against the digest that the server states, and import it."""
    from neardup.embedding.download import download_model
    from neardup.output import emit, note
    from neardup.output.models import DownloadProgress, render_model

    with DownloadProgress(name) as progress:
        model = download_model(name, progress.update, note)
    emit(render_model(model), format)


@models.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="What to call it.  [default: from the file's name]")
@click.option(
    "--input-size", type=click.IntRange(32, 1024), help="Edge of its input.  [default: the model's, else 224]"
)
@click.option(
    "--input-range", type=float, nargs=2, metavar="LOW HIGH",
    help="Where pixel values 0 and 255 go.  [default: -1 1 for .npz, 0 1 for TensorFlow's, what an .onnx file says]",
)  # fmt: skip
@click.option(
    "--endpoint",
    help="Of a SavedModel: the attribute or signature to call.  [default: bit_model, else serving]  Of an .onnx file"
    " with several outputs: the one to take.",
)
@click.option("--layout", type=click.Choice(("nchw", "nhwc")), help="Of an .onnx file: colours before or after edges.")
@click.option(
    "--mean", type=float, nargs=3, metavar="R G B", help="Of an .onnx file: taken away from pixels in the input range."
)
@click.option("--std", type=float, nargs=3, metavar="R G B", help="Of an .onnx file: what is left is divided by it.")
@options.output_format
def import_(
    path: Path,
    name: str | None,
    input_size: int | None,
    input_range: tuple[float, float] | None,
    endpoint: str | None,
    layout: "Layout | None",
    mean: tuple[float, float, float] | None,
    std: tuple[float, float, float] | None,
    format: str,
) -> None:
    """Make a model of released BiT weights (.npz), a TensorFlow SavedModel's folder, a .keras or an .onnx file.

    An .onnx file must say how its pixels are scaled, or you must: --input-range, or --mean and --std of pixels from 0
    to 1 (ImageNet's: --mean 0.485 0.456 0.406 --std 0.229 0.224 0.225). A preprocessor_config.json beside it is read.

    Nothing is unpickled, and code inside a .keras file is not run (safe mode). A SavedModel's graph can read and write
    files: import only what comes from people you trust.
    """
    from neardup.embedding.importing import check_name, import_model, name_of
    from neardup.embedding.importing_onnx import Channels
    from neardup.embedding.model import user_models
    from neardup.output import emit, note
    from neardup.output.models import render_model

    chosen = check_name(name_of(path) if name is None else name)
    model = import_model(
        path, user_models() / chosen, input_size=input_size, input_range=input_range, endpoint=endpoint,
        channels=Channels(layout, mean, std), say=note,
    )  # fmt: skip
    emit(render_model(model), format)


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@options.output_format
@click.pass_context
def verify(ctx: click.Context, names: tuple[str, ...], format: str) -> None:
    """Check the files of models against their digests, and run each on pictures; all models without a NAME."""
    from neardup.embedding.catalogue import find_models, verify_model
    from neardup.output import emit
    from neardup.output.models import render_checks

    checks = [verify_model(name) for name in names or [found.name for found in find_models()]]
    emit(render_checks(checks), format)
    if any(check.error for check in checks):
        ctx.exit(1)
