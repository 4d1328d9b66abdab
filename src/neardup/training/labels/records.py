"""Pictures with labels, from folders or from a data set."""

from neardup.sources.datasets import find_labelled
from neardup.training.labels.split import Labelled


def labelled_pictures(path: str, without: str | None = None) -> list[Labelled]:
    """Those that `find_labelled` finds; without: less those whose name begins so."""
    found = (Labelled(each, label) for each, label in find_labelled(path))
    return [each for each in found if not (without and each.path.name.startswith(without))]
