"""Find near-duplicate images: index folders of photos, query by image, group copies.

The library in a few names; each is loaded when first used, so that `import neardup` stays instant.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neardup.embedding import load_embedder as load_embedder
    from neardup.errors import NeardupError as NeardupError
    from neardup.groups import find_groups as find_groups
    from neardup.index import Index as Index
    from neardup.index import Match as Match
    from neardup.jobs.compare import compare as compare
    from neardup.lsh import LSH as LSH

__version__ = "0.3.0"

_HOME = {
    "Index": "neardup.index",
    "LSH": "neardup.lsh",
    "Match": "neardup.index",
    "NeardupError": "neardup.errors",
    "compare": "neardup.jobs.compare",
    "find_groups": "neardup.groups",
    "load_embedder": "neardup.embedding",
}
__all__ = ["LSH", "Index", "Match", "NeardupError", "compare", "find_groups", "load_embedder"]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'neardup' has no attribute {name!r}")
