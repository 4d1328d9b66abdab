"""What a run was begun with, beside its checkpoints: recipe.json for people, photos.json for going on.

A batch follows from the recipe and its step, as numbers of photos in a fixed order: so a run goes on as if it had never
stopped only where all of that is as it was.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neardup.durable import replace_file
from neardup.embedding.architecture import Architecture
from neardup.embedding.weights import Weights
from neardup.errors import BadInput
from neardup.reading import read_json
from neardup.text import said
from neardup.training.recipe import Recipe

CHECKPOINT = "checkpoint.npz"
_MOST_BYTES = 1 << 28
ANEW = "give another OUTPUT to begin anew"


def digest(weights: Weights | None) -> str | None:
    """Names weights, whatever file they were read from."""
    if weights is None:
        return None
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode() + weights[name].astype("<f4").tobytes())
    return found.hexdigest()


@dataclass(frozen=True)
class Beginning:
    objective: str
    recipe: dict[str, Any]
    architecture: dict[str, Any]
    start: str | None  # digest of the weights that it began with
    photos: tuple[str, ...] = field(repr=False)  # absolute paths, in order
    labels: tuple[str, ...] = ()  # of the photos, where there are any

    @classmethod
    def of(
        cls, objective: str, recipe: Recipe, architecture: Architecture, start: Weights | None,
        photos: Sequence[Path], labels: Sequence[str] = (),
    ) -> "Beginning":  # fmt: skip
        paths = tuple(os.path.abspath(path) for path in photos)
        return cls(objective, recipe.to_json(), architecture.to_json(), digest(start), paths, tuple(labels))

    def write(self, output: Path) -> None:
        fields = asdict(self)
        listed = {name: fields.pop(name) for name in ("photos", "labels")}
        replace_file(output / "photos.json", _json(listed))
        replace_file(output / "recipe.json", _json(fields))

    @classmethod
    def read(cls, output: Path) -> "Beginning":
        try:
            described, listed = (read_json(output / name, _MOST_BYTES) for name in ("recipe.json", "photos.json"))
            photos, labels = tuple(map(str, listed["photos"])), tuple(map(str, listed["labels"]))
            recipe, architecture = dict(described["recipe"]), dict(described["architecture"])
            return cls(str(described["objective"]), recipe, architecture, described["start"], photos, labels)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{output}: holds a checkpoint, but not what its run was begun with ({said(error)}); remove the"
                f" checkpoint, or {ANEW}"
            ) from error


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def is_begun(output: Path) -> bool:
    """Whether there is a run to go on with."""
    return (output / CHECKPOINT).exists()


def agree(wanted: Beginning, output: Path) -> None:
    """Write down what a run is begun with; raise BadInput where one was begun with something else."""
    if not is_begun(output):
        wanted.write(output)
        return
    found = Beginning.read(output)
    if wanted.objective != found.objective:
        raise BadInput(f"{output}: holds a run for {found.objective}, not for {wanted.objective}; {ANEW}")
    for what in ("recipe", "architecture"):
        # As JSON has them: a tuple has become a list.
        then, now = (json.loads(json.dumps(getattr(each, what))) for each in (found, wanted))
        changed = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        if changed:
            was = ", ".join(f"{name} {then.get(name)} (now {now.get(name)})" for name in changed)
            raise BadInput(f"{output}: holds a run begun with {was}; give what it began with to go on, or {ANEW}")
    if wanted.start != found.start:
        raise BadInput(f"{output}: holds a run that began with other weights; give those again to go on, or {ANEW}")
    if (wanted.photos, wanted.labels) != (found.photos, found.labels):
        raise BadInput(f"{output}: holds a run on other photos; give those again to go on, or {ANEW}")


def photos_begun_with(output: Path, found: Sequence[Path]) -> list[Path] | None:
    """The photos of the run in this folder, in its order, None where there is no run; those added since are left out.

    found: the photos there are now
    Raises BadInput where some of the run's are gone.
    """
    if not is_begun(output):
        return None
    there = {os.path.abspath(path) for path in found}
    begun = Beginning.read(output).photos
    gone = [path for path in begun if path not in there]
    if gone:
        raise BadInput(
            f"{output}: {len(gone)} of the {len(begun)} photos of its run are not among those given now, first"
            f" {gone[0]}; give them again to go on, or {ANEW}"
        )
    return [Path(path) for path in begun]
