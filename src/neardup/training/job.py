"""Pictures to a model of one's own."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neardup.embedding.architecture import Architecture
from neardup.embedding.weights import Weights, load_weights
from neardup.errors import BadInput
from neardup.images import find_images
from neardup.packages import require_packages
from neardup.sources.datasets import find_stored
from neardup.text import show_count

if TYPE_CHECKING:
    from neardup.training.labels.split import Labelled
    from neardup.training.log import Row
    from neardup.training.recipe import CopyRecipe, LabelRecipe, Recipe
    from neardup.training.trainer import Objective, Validation

SAY_EVERY = 50  # steps
SCRATCH = "none"

Say = Callable[[str], None]
OnStep = Callable[["Row", int], None]  # a row of the log, and how many steps there are to be


def nothing(*told: object) -> None:
    pass


@dataclass(frozen=True)
class Trained:
    model: Path  # a model's folder
    log: "list[Row]"
    figures: "dict[str, float | None]"  # of the model's weights, by the validation that found them best

    @property
    def last(self) -> "Row":
        return self.log[-1]


def train_copies(
    path: str | Path,
    output: Path,
    recipe: "CopyRecipe",
    *,
    start: str = SCRATCH,
    without: str | None = None,
    validate_on: Path | None = None,
    say: Say = nothing,
    on_step: OnStep = nothing,
) -> Trained:
    """Train an encoder on the photos under a folder, or of tfds:NAME[:SPLIT], to tell copies from everything else,
    or go on where a run stopped.

    output:      a folder for checkpoints, a log and the model
    start:       a model by name or folder, or an .npz of weights to begin with
    without:     photos whose name begins so are left out
    validate_on: a folder of photos to attack and search for while training
    say, on_step: called with lines for a person, and after each step
    Raises BadInput for too few photos, and where `output` holds another run.
    """
    require_packages("training", "keras", "onnx")
    from neardup.training.copies.objective import Copies
    from neardup.training.copies.validation import validation_on

    paths = _photos(output, _found(path, without), say)
    if len(paths) < recipe.photos:
        raise BadInput(
            f"{path}: {len(paths)} photos, fewer than the {recipe.photos} of a batch; give more, or --photos"
        )
    architecture, weights = starting_point(start)
    validation = validation_on(list(find_images(validate_on)), recipe.tested_size) if validate_on else None
    return _run(Copies(recipe, paths, architecture, weights), output, validation, say, on_step)


def train_labelled(
    path: str, output: Path, recipe: "LabelRecipe", *, start: str = "default", without: str | None = None,
    say: Say = nothing, on_step: OnStep = nothing,
) -> Trained:  # fmt: skip
    """Train an encoder to put pictures of one label together.

    path: a folder, in which the folder that a picture lies in is its label, or tfds:NAME[:SPLIT]
    Other arguments, and what is raised: as for `train_copies`.
    """
    require_packages("training", "keras", "onnx")
    from neardup.training.labels.records import labelled_pictures

    found = {Path(os.path.abspath(p.path)): p for p in labelled_pictures(path, without)}
    return train_on([found[each] for each in _photos(output, list(found), say)], output, recipe, start, say, on_step)


def train_on(
    pictures: "Sequence[Labelled]", output: Path, recipe: "LabelRecipe", start: str = "default", say: Say = nothing,
    on_step: OnStep = nothing,
) -> Trained:  # fmt: skip
    """`train_labelled` of these pictures."""
    from neardup.training.labels.objective import Labels
    from neardup.training.labels.split import split
    from neardup.training.labels.validation import validation_on

    parts = split(pictures, recipe.held_out, recipe.seed)
    architecture, weights = starting_point(start)
    say(
        f"{show_count(len(parts.training[0]), 'picture')} of {len(parts.classes)} classes to train on,"
        f" {len(parts.held_out[0]):,} held out"
    )
    return _run(Labels(recipe, parts, architecture, weights), output, validation_on(parts, recipe), say, on_step)


def starting_point(start: str) -> tuple[Architecture, Weights | None]:
    """What a training begins with: the default architecture and no weights, a model's, or those of an .npz file."""
    from neardup.embedding.model import find_model

    architecture = Architecture()
    if start == SCRATCH:
        return architecture, None
    if start.endswith(".npz"):
        return architecture, load_weights(Path(start), architecture.parameters())
    model = find_model(start)
    return model.architecture, load_weights(model.file("weights.npz"), model.architecture.parameters())


def _found(path: str | Path, without: str | None) -> list[Path]:
    return [photo for photo in find_stored(path) if not (without and photo.name.startswith(without))]


def _photos(output: Path, found: Sequence[Path], say: Say) -> list[Path]:
    """Those that the run in `output` was begun with, where there is one; else those found."""
    from neardup.training.beginning import photos_begun_with

    begun = photos_begun_with(output, found)
    if begun is None:
        return list(found)
    if added := len(found) - len(begun):
        say(
            f"{output}: going on with the {show_count(len(begun), 'photo')} that its run began with; {added} added"
            " since are left out (a run in another OUTPUT takes them in)"
        )
    return begun


def _run(objective: "Objective", output: Path, validation: "Validation | None", say: Say, on_step: OnStep) -> Trained:
    from neardup.embedding.export import export_model
    from neardup.training.log import best_row, read_log
    from neardup.training.trainer import train

    recipe = objective.recipe

    def report(row: "Row") -> None:
        _tell(row, recipe, say)
        on_step(row, recipe.steps)

    best = train(objective, output, validation=validation, report=report)
    weights = load_weights(best, objective.architecture.parameters())
    model = export_model(output / "model", output.name, objective.architecture, weights, recipe.tested_size)
    log = read_log(output / "log.csv")
    figures = validation.figures if validation else ()
    found = best_row(log, figures[0], validation.lower_is_better) if validation else {}
    return Trained(model.folder, log, {name: found.get(name) for name in figures})


def _tell(row: "Row", recipe: "Recipe", say: Say) -> None:
    from neardup.training.log import ALWAYS

    step = int(row["step"])
    figures = "".join(f", {name.replace('_', ' ')} {row[name]:.3f}" for name in row if name not in ALWAYS)
    if step % SAY_EVERY == 0 or figures:
        validated = f"; validation{figures[1:]}" if figures else ""
        say(f"step {step}/{recipe.steps}: loss {row['loss']:.3f}, {row['views_per_second']:.0f} images/s{validated}")
