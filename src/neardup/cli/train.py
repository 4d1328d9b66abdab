"""`neardup train`."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import click

from neardup.cli import options
from neardup.interrupts import sigterm_interrupts
from neardup.training.recipe import CopyRecipe, Recipe, choices, limits


def recipe_options(*recipes: type[Recipe]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option for every setting of the recipes that has words for it; what is not given is None: their default."""
    settings = {each.name: (recipe, each) for recipe in recipes for each in fields(recipe) if each.metadata.get("help")}

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name, (recipe, each) in reversed(settings.items()):
            shown = None if each.default is None else str(each.default)
            option = click.option(
                f"--{name.replace('_', '-')}", type=_type(recipe, name), show_default=shown, help=each.metadata["help"]
            )
            command = option(command)
        return command

    return add


def _type(recipe: type[Recipe], name: str) -> "click.ParamType[Any]":
    if known := choices(recipe, name):
        return click.Choice(known)
    low, high = limits(recipe.__dataclass_fields__[name])
    if get_type_hints(recipe)[name] is float:
        return click.FloatRange(low, high)
    return click.IntRange(None if low is None else int(low), None if high is None else int(high))


@click.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("output", type=click.Path(file_okay=False, path_type=Path), default=Path("trained"))
@recipe_options(CopyRecipe)
@click.option(
    "--start", metavar="MODEL", help="Begin with the weights of this model, by name or folder, or of this .npz file."
)
@click.option("--without", metavar="PREFIX", help="Leave out photos whose name begins so, to validate on for instance.")
@click.option(
    "--validate-on", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="PATH",
    help="Photos to attack and search for while training.",
)  # fmt: skip
@options.output_format
def train(
    path: Path,
    output: Path,
    start: str | None,
    without: str | None,
    validate_on: Path | None,
    format: str,
    **settings: Any,
) -> None:
    """Train an encoder on the photos under PATH, without labels, to tell copies from everything else.

    OUTPUT (default: ./trained) receives checkpoints, a log, a curve and the model; the same command goes on where a
    run was stopped. It runs in Keras on $KERAS_BACKEND: tensorflow (the default), jax or torch.
    """
    if settings["frozen_blocks"] and start is None:
        raise click.UsageError("--frozen-blocks keeps weights as they were at the start; give some with --start")
    from neardup.jobs.train import train_copies
    from neardup.output import note
    from neardup.output.figures.training import plot_curve
    from neardup.output.train import write_training

    recipe = CopyRecipe.of(**settings)
    with sigterm_interrupts():
        trained = train_copies(path, output, recipe, start=start, without=without, validate_on=validate_on, say=note)
    plot_curve(trained.log, output / "curve.png")
    write_training(trained, output / "curve.png", format)
