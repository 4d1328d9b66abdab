"""Photos to a model of one's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from neardup.embedding.architecture import Architecture
from neardup.embedding.weights import Weights, load_weights
from neardup.errors import BadInput
from neardup.images import find_images
from neardup.text import show_count

if TYPE_CHECKING:
    from neardup.training.log import Row
    from neardup.training.recipe import CopyRecipe, Recipe
    from neardup.training.trainer import Objective, Validation

SAY_EVERY = 50  # steps


@dataclass(frozen=True)
class Trained:
    model: Path  # a model's folder
    log: "list[Row]"

    @property
    def last(self) -> "Row":
        return self.log[-1]


def train_copies(
    path: Path,
    output: Path,
    recipe: "CopyRecipe",
    *,
    start: str | None = None,
    without: str | None = None,
    validate_on: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Trained:
    """Train an encoder on the photos under `path` to tell copies from everything else, or go on where a run stopped.

    output:      a folder for checkpoints, a log and the model
    start:       a model by name or folder, or an .npz of weights to begin with
    without:     photos whose name begins so are left out
    validate_on: a folder of photos to attack and search for while training
    Raises BadInput for too few photos, and where `output` holds another run.
    """
    from neardup.training.copies.objective import Copies
    from neardup.training.copies.validation import validation_on

    found = [p for p in find_images(path) if not (without and p.name.startswith(without))]
    paths = _photos(output, found, say)
    if len(paths) < recipe.photos:
        raise BadInput(
            f"{path}: {len(paths)} photos, fewer than the {recipe.photos} of a batch; give more, or --photos"
        )
    architecture, weights = starting_point(start)
    validation = validation_on(list(find_images(validate_on)), recipe.tested_size) if validate_on else None
    return _run(Copies(recipe, paths, architecture, weights), output, validation, say)


def starting_point(start: str | None) -> tuple[Architecture, Weights | None]:
    """What a training begins with: the default architecture and no weights, a model's, or those of an .npz file."""
    from neardup.embedding.model import find_model

    architecture = Architecture()
    if start is None:
        return architecture, None
    if start.endswith(".npz"):
        return architecture, load_weights(Path(start), architecture.parameters())
    model = find_model(start)
    return model.architecture, load_weights(model.file("weights.npz"), model.architecture.parameters())


def _photos(output: Path, found: Sequence[Path], say: Callable[[str], None]) -> list[Path]:
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


def _run(objective: "Objective", output: Path, validation: "Validation | None", say: Callable[[str], None]) -> Trained:
    from neardup.embedding.export import export_model
    from neardup.training.log import read_log
    from neardup.training.trainer import train

    recipe = objective.recipe
    best = train(objective, output, validation=validation, report=lambda row: _tell(row, recipe, say))
    weights = load_weights(best, objective.architecture.parameters())
    model = export_model(output / "model", output.name, objective.architecture, weights, recipe.tested_size)
    return Trained(model.folder, read_log(output / "log.csv"))


def _tell(row: "Row", recipe: "Recipe", say: Callable[[str], None]) -> None:
    from neardup.training.log import ALWAYS

    step = int(row["step"])
    figures = "".join(f", {name.replace('_', ' ')} {row[name]:.3f}" for name in row if name not in ALWAYS)
    if step % SAY_EVERY == 0 or figures:
        validated = f"; validation{figures[1:]}" if figures else ""
        say(f"step {step}/{recipe.steps}: loss {row['loss']:.3f}, {row['views_per_second']:.0f} images/s{validated}")
