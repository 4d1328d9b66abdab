"""What a run on Ray would take: `--dry-run`. Pictures are listed and nothing else is done.

The figures are CPU time of one thread, by `scripts/measure_costs PHOTOS 120`: 121 pictures of 11 kB, on two cores that
were busy with other work, which makes them too high rather than too low. What a GPU takes was not measured.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from neardup.distributed.index import ON_GPU
from neardup.embedding import find_model
from neardup.embedding.parts import PLACES
from neardup.images.globs import Globs
from neardup.sources.objects import Objects, is_objects
from neardup.sources.walk import Walk

DECODE_SECONDS = 0.0074
EMBED_SECONDS = 0.0254
# What comes back beside an embedding: digest, sizes, margin, and what pickling adds.
FACT_BYTES = 120


@dataclass(frozen=True)
class IndexPlan:
    """What indexing takes at most: pictures that the index knows already are among them."""

    pictures: int
    decode_hours: float  # of a core
    embed_hours: float | None  # of a core; None where a GPU does it
    gpu_hours: float | None  # None where it is not known: it takes one of that kind to measure it
    shuffle_bytes: int  # between machines, where decoders and embedders are on different ones
    result_bytes: int  # to the machine that has the index

    @property
    def cpu_hours(self) -> float:
        return self.decode_hours + (self.embed_hours or 0.0)


def plan_index(
    paths: Iterable[str],
    index: Path,
    *,
    listed: Iterable[Path] | None = None,
    globs: Globs | None = None,
    model: str = "default",
    engine: str = "auto",
    parts: bool = False,
) -> IndexPlan:
    """List the pictures, as `index_images` would; raises BadInput, BadModel."""
    names = list(paths)
    walk = Walk([Path(name) for name in names if not is_objects(name)], leave_out=index, globs=globs)
    stored = [Objects(name, globs=globs) for name in names if is_objects(name)]
    pictures = sum(1 for _ in chain(walk, *stored, walk.listed(listed or ())))
    found = find_model(model)
    views = 1 + len(PLACES) if parts else 1
    embed_hours = pictures * views * EMBED_SECONDS / 3600
    return IndexPlan(
        pictures,
        decode_hours=pictures * DECODE_SECONDS / 3600,
        embed_hours=None if engine in ON_GPU else embed_hours,
        gpu_hours=None if engine in ON_GPU else 0.0,
        shuffle_bytes=pictures * views * found.input_size**2 * 3,
        result_bytes=pictures * (views * found.dim * 2 + FACT_BYTES),
    )
