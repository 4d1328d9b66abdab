"""What training on labels brings: neighbours of pictures that nobody trained on, before and after.

    python scripts/flowers_labelled.py FOLDER OUTPUT [options of `neardup train --labelled`]

FOLDER holds a folder for each class, as tf_flowers does. Before anything else a share of every class is put aside by
the seed; training pictures that the model to begin with takes for copies of one of these (its `default` threshold) are
left out. The rest is the gallery, and what is trained on, less what training itself holds out to stop by. The same
command goes on where it was stopped.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from neardup.cli.train import recipe_options
from neardup.embedding import load_embedder
from neardup.evaluation.labels import LabelScores, score_labels
from neardup.images import find_images, load_image
from neardup.training.job import train_on
from neardup.training.labels.split import Labelled, Split, split
from neardup.training.recipe import LabelRecipe

BATCH = 64


def embed(pictures: list[Path], model: str) -> NDArray[np.float32]:
    """(n, dim) float32, unit rows."""
    embedder = load_embedder(model)
    size = embedder.model.input_size
    parts = [pictures[first : first + BATCH] for first in range(0, len(pictures), BATCH)]
    return np.concatenate([embedder.embed([load_image(path, size=size) for path in part]) for part in parts])


def without_copies(parts: Split, model: str) -> tuple[list[Labelled], int]:
    """What is left to train on, and how many pictures the model takes for copies of one that is put aside."""
    embedder = load_embedder(model)
    aside, there = (embed(part[0], model) for part in (parts.held_out, parts.training))
    is_copy = (aside @ there.T).max(axis=0) >= embedder.model.threshold("default")
    training = [each for each, held in zip(parts.pictures, parts.is_held_out, strict=True) if not held]
    return [each for each, copied in zip(training, is_copy, strict=True) if not copied], int(is_copy.sum())


def score(model: str, gallery: list[Labelled], parts: Split) -> LabelScores:
    queries, truth = parts.held_out
    numbers = {name: number for number, name in enumerate(parts.classes)}
    labels = np.array([numbers[each.label] for each in gallery])
    rows = embed([each.path for each in gallery], model)
    return score_labels(embed(queries, model), rows, truth.astype(np.int64), labels, len(numbers))


def show(name: str, scores: LabelScores) -> None:
    figures = [scores.knn_accuracy, scores.recall_at_1, scores.recall_at_5, scores.mean_average_precision]
    print(f"| {name} | " + " | ".join(f"{each:.3f}" for each in figures) + " |")


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
@click.option("--init", default="default", show_default=True, help="Model to begin with; none: from scratch.")
@click.option("--aside", default=0.15, show_default=True, help="Share of every class that is put aside.")
@click.option("--split-seed", default=0, show_default=True)
@recipe_options(LabelRecipe)
def main(folder: Path, output: Path, init: str, aside: float, split_seed: int, **settings: Any) -> None:
    parts = split([Labelled(path, path.parent.name) for path in find_images(folder)], aside, split_seed)
    before = "default" if init == "none" else init
    gallery, copies = without_copies(parts, before)
    print(f"{len(parts.held_out[0])} put aside; {copies} copies of these left out; {len(gallery)} to train on")
    recipe = LabelRecipe(**{name: value for name, value in settings.items() if value is not None})
    print("| encoder | 5-NN accuracy | recall@1 | recall@5 | mAP |\n|---|---|---|---|---|")
    scores = {before: score(before, gallery, parts)}
    show(before, scores[before])
    trained = train_on(gallery, output, recipe, init, say=lambda text: click.echo(text, err=True))
    scores["trained"] = score(str(trained.model.absolute()), gallery, parts)
    show(f"trained from {init}", scores["trained"])
    print(f"confusion, {', '.join(parts.classes)}:\n{scores['trained'].confusion}")
    found = {name: {**asdict(each), "confusion": each.confusion.tolist()} for name, each in scores.items()}
    (output / "scores.json").write_text(json.dumps({"copies": copies, "recipe": recipe.to_json(), **found}, indent=2))


if __name__ == "__main__":
    main()
