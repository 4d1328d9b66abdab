"""`neardup train`."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import click

from neardup.cli import options
from neardup.interrupts import sigterm_interrupts
from neardup.training.recipe import CopyRecipe, LabelRecipe, Recipe, choices, limits


def recipe_options(*recipes: type[Recipe]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option for every setting of the recipes that has words for it; what is not given is None: their default."""
    settings = {each.name: recipe for recipe in recipes for each in fields(recipe) if each.metadata.get("help")}

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name, recipe in reversed(settings.items()):
            option = click.option(
                f"--{name.replace('_', '-')}",
                type=_type(recipe, name),
                show_default=_default(name, recipes),
                help=recipe.__dataclass_fields__[name].metadata["help"],
            )
            command = option(command)
        return command

    return add


def _names(recipe: type[Recipe]) -> set[str]:
    return {each.name for each in fields(recipe)}


def _type(recipe: type[Recipe], name: str) -> "click.ParamType[Any]":
    if known := choices(recipe, name):
        return click.Choice(known)
    low, high = limits(recipe.__dataclass_fields__[name])
    if get_type_hints(recipe)[name] is float:
        return click.FloatRange(low, high)
    return click.IntRange(None if low is None else int(low), None if high is None else int(high))


def _default(name: str, recipes: Sequence[type[Recipe]]) -> str | None:
    """As help shows it: the default, or what it is with --labelled and without."""
    known = {recipe: recipe.__dataclass_fields__[name].default for recipe in recipes if name in _names(recipe)}
    values = set(known.values())
    if len(values) > 1:
        return f"{known[LabelRecipe]} with --labelled, else {known[CopyRecipe]}"
    return None if None in values else str(values.pop())


def _source(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """A folder, or a data set."""
    from neardup.sources.datasets import is_dataset

    if is_dataset(value):
        return value
    folder = click.Path(exists=True, file_okay=False)
    return str(folder.convert(value, parameter, ctx))


@click.command()
@click.argument("path", callback=_source)
@click.argument("output", type=click.Path(file_okay=False, path_type=Path), default=Path("trained"))
@click.option("--labelled", is_flag=True, help="Learn classes: the folders that pictures lie in, or labels of tfds:.")
@click.option(
    "--start", "--init", "start", metavar="MODEL", show_default="the default model with --labelled, else none",
    help="Begin with the weights of this model, by name or folder, or of this .npz file; none: from scratch.",
)  # fmt: skip
@recipe_options(LabelRecipe, CopyRecipe)
@click.option("--without", metavar="PREFIX", help="Leave out photos whose name begins so, to validate on for instance.")
@click.option(
    "--validate-on", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="PATH",
    help="Photos to attack and search for while training; not with --labelled.",
)  # fmt: skip
@options.output_format
def train(
    path: str,
    output: Path,
    labelled: bool,
    start: str | None,
    without: str | None,
    validate_on: Path | None,
    format: str,
    **settings: Any,
) -> None:
    """Train an encoder on the photos under PATH, without labels, to tell copies from everything else.

    PATH is a folder or tfds:NAME[:SPLIT]. With --labelled the folder has one for each class, and pictures of one class
    come together. OUTPUT (default: ./trained) receives checkpoints, a log, a curve and the model; the same command goes
    on where a run was stopped. It runs in Keras on $KERAS_BACKEND: tensorflow (the default), jax or torch.
    """
    recipe_of: type[Recipe] = LabelRecipe if labelled else CopyRecipe
    start = start or ("default" if labelled else "none")
    foreign = [name for name, value in settings.items() if value is not None and name not in _names(recipe_of)]
    if labelled and validate_on:
        foreign.append("validate_on")
    if foreign:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(foreign))
        raise click.UsageError(f"{names}: {'not with' if labelled else 'only with'} --labelled")
    if settings["frozen_blocks"] and start == "none":
        raise click.UsageError("--frozen-blocks keeps weights as they were at the start; give some with --start")
    from neardup.output import emit, note
    from neardup.output.figures.training import plot_curve
    from neardup.output.progress import Bar, own_words_only
    from neardup.output.train import render_training, show_step
    from neardup.training import job

    given = {name: value for name, value in settings.items() if value is not None}
    with own_words_only(), sigterm_interrupts(), Bar() as bar:
        bar.begin("Training")
        shared: dict[str, Any] = {"start": start, "without": without, "say": note, "on_step": show_step(bar)}
        if labelled:
            trained = job.train_labelled(path, output, LabelRecipe(**given), **shared)
        else:
            trained = job.train_copies(path, output, CopyRecipe(**given), validate_on=validate_on, **shared)
    plot_curve(trained.log, output / "curve.png")
    emit(render_training(trained, output / "curve.png"), format)
