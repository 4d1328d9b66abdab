"""`neardup models`."""

from pathlib import Path

import click

from neardup.cli import Suggesting, options


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
    """Fetch released weights, check them against the digest that the server states, and import them."""
    from neardup.embedding.download import download_model
    from neardup.output import emit
    from neardup.output.models import DownloadProgress, render_model

    with DownloadProgress(name) as progress:
        model = download_model(name, progress.update)
    emit(render_model(model), format)


@models.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="What to call it.  [default: from the file's name]")
@click.option(
    "--input-size", type=click.IntRange(32, 1024), help="Edge of its input.  [default: the model's, else 224]"
)
@click.option(
    "--input-range", type=float, nargs=2, metavar="LOW HIGH",
    help="Where pixel values 0 and 255 go.  [default: -1 1 for .npz, else 0 1]",
)  # fmt: skip
@click.option(
    "--endpoint", help="Of a SavedModel: the attribute or signature to call.  [default: bit_model, else serving]"
)
@options.output_format
def import_(
    path: Path,
    name: str | None,
    input_size: int | None,
    input_range: tuple[float, float] | None,
    endpoint: str | None,
    format: str,
) -> None:
    """Make a model of released BiT weights (.npz), a TensorFlow SavedModel's folder or a .keras file.

    Nothing is unpickled, and code inside a .keras file is not run (safe mode). A SavedModel's graph can read and write
    files: import only what comes from people you trust.
    """
    from neardup.embedding.importing import check_name, import_model, name_of
    from neardup.embedding.model import user_models
    from neardup.output import emit
    from neardup.output.models import render_model

    chosen = check_name(name_of(path) if name is None else name)
    model = import_model(
        path, user_models() / chosen, input_size=input_size, input_range=input_range, endpoint=endpoint
    )
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
