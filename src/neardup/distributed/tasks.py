"""Tasks on Ray: many at a time and no more, and work that costs its process is tried again in smaller pieces."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from neardup.distributed.session import total
from neardup.errors import ClusterFailed, NeardupError

RETRIES = 1

Item = TypeVar("Item")
Result = TypeVar("Result")


def run(
    ray: Any, blocks: Iterable[Sequence[Item]], work: Callable[[Sequence[Item]], Callable[[Sequence[Item]], Result]]
) -> Iterator[tuple[Sequence[Item], Result | None]]:
    """Each block of items with its result, as they come; None for a single item that ends whatever process takes it.

    work: of a block, what does it, and can be pickled; called here, so that each is sent only what it needs
    Raises what the work raises; ClusterFailed where that is none of neardup's errors.
    """
    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_do)
    at_once = 2 * max(1, int(total(ray, "CPU")))
    waiting: deque[Sequence[Item]] = deque()
    coming = iter(blocks)
    running: dict[Any, Sequence[Item]] = {}
    while True:
        while len(running) < at_once and (block := waiting.popleft() if waiting else next(coming, None)) is not None:
            running[remote.remote(work(block), block)] = block
        if not running:
            return
        [ready], _ = ray.wait(list(running), num_returns=1)
        block = running.pop(ready)
        try:
            yield block, ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, NeardupError):
                raise error.cause from error
            raise ClusterFailed(f"Ray: a worker failed ({type(error.cause).__name__}: {error.cause})") from error
        except ray.exceptions.RayError:  # its process is gone, and so is what lay there
            if len(block) == 1:
                yield block, None
            half = len(block) // 2
            waiting.extend(part for part in (block[:half], block[half:]) if half)


def _do(work: Any, items: Any) -> Any:
    return work(items)
