"""Pictures with labels, from folders or from a data set; batches read them in any order, so that each is a file."""

import re
from pathlib import Path

from neardup.durable import replace_file
from neardup.images import find_images
from neardup.sources import ImageFile
from neardup.sources.datasets import is_dataset, open_dataset
from neardup.training.labels.split import Labelled


def labelled_pictures(path: str, folder: Path, without: str | None = None) -> list[Labelled]:
    """Pictures of a folder, with the names of the folders that they lie in, or of tfds:NAME[:SPLIT] with its labels.

    folder:  where records of a data set are written to
    without: pictures whose name begins so are left out
    What has no label is left out: pictures in no folder below `path`, records without one.
    """
    if is_dataset(path):
        return _records(path, folder / re.sub(r"[^\w.-]+", "_", path))
    found = [each for each in find_images(Path(path)) if each.parent != Path(path)]
    return [Labelled(each, each.parent.name) for each in found if not (without and each.name.startswith(without))]


def _records(name: str, folder: Path) -> list[Labelled]:
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, record in enumerate(open_dataset(name)):
        if record.label is None:
            continue
        if isinstance(record, ImageFile):
            pictures.append(Labelled(record.path, record.label))
            continue
        path = folder / f"{number:08d}"
        if not path.exists():  # as it is when a run is gone on with
            replace_file(path, record.read())
        pictures.append(Labelled(path, record.label))
    return pictures
