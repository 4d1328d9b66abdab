"""Pictures with labels, from folders or from a data set."""

from pathlib import Path

from neardup.images import find_images
from neardup.sources.datasets import is_dataset, open_dataset
from neardup.training.labels.split import Labelled


def labelled_pictures(path: str, without: str | None = None) -> list[Labelled]:
    """Pictures of a folder, with the names of the folders that they lie in, or of tfds:NAME[:SPLIT] with its labels;
    `read_stored` reads both.

    without: pictures whose name begins so are left out
    What has no label is left out: pictures in no folder below `path`, records without one.
    """
    if is_dataset(path):
        found = ((record.path, record.label) for record in open_dataset(path))
    else:
        found = ((each, each.parent.name) for each in find_images(Path(path)) if each.parent != Path(path))
    return [
        Labelled(each, label)
        for each, label in found
        if label is not None and not (without and each.name.startswith(without))
    ]
