"""What covers the edges of a picture: the bars of a screen around a crop, the bar of a caption.

A crop that was set into something shows less than its source where a bar begins, and its source has no edge there: the
map between the two lays the whole source over the screen.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.matching.agreement import blocks

# Pixels of a place's side; shares of a row of places that disagree, and that agree where the picture begins.
_PLACE, _DISAGREE, _AGREE = 8, 0.75, 0.5
# Correlation from which on a place agrees, levels of spread from which on there is something to see in one, and places.
_ALIKE, _SOMETHING, _FEWEST = 0.5, 6.0, 3
# Step along the whole line where a bar ends, over the steps of the rows near it and over the same in the other picture,
# and levels that those have at the least.
_EDGE, _LEAST_STEP = 1.7, 3.0


@dataclass(frozen=True)
class Bars:
    mask: NDArray[np.bool_]  # (h, w), where they lie
    edge: float = 0.0  # the clearest step where one ends, over the usual step; 0: there is none
    more: float = 0.0  # share of the frame that they take and that has something to see


def bars_over(own: NDArray[np.uint8], other: NDArray[np.uint8], inside: NDArray[np.bool_]) -> Bars:
    """Bars of a picture that cover what the other shows there: (h, w) in the picture's own frame, in grey.

    inside: where both show something
    """
    mask = np.zeros(inside.shape, bool)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if len(rows) < 4 * _PLACE or len(columns) < 4 * _PLACE:
        return Bars(mask)
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    first, second = own[box].astype(np.float32), other[box].astype(np.float32)
    edge, more = 0.0, 0.0
    for turns in range(4):
        one, two = np.rot90(first, turns), np.rot90(second, turns)
        depth, seen = _bar(one, two, np.rot90(inside[box], turns))
        step = _edge(one, depth) if depth else 0.0
        if step >= _EDGE and step >= _EDGE * _edge(two, depth):
            edge, more = max(edge, step), more + seen * _PLACE**2 / inside.size
            np.rot90(mask[box], turns)[:depth] = True
    return Bars(mask, edge, more)


def _bar(own: NDArray[np.float32], other: NDArray[np.float32], inside: NDArray[np.bool_]) -> tuple[int, int]:
    """Pixels from the upper edge on in which the two do not agree, where they do below, else 0; and places in them in
    which the first has something to see."""
    first, second = (side - side.mean(axis=2, keepdims=True) for side in map(_places, (own, other)))
    spread_a, spread_b = (np.sqrt(np.square(side).mean(axis=2)) for side in (first, second))
    whole = np.asarray(_places(inside).min(axis=2) > 0)
    seen = (np.maximum(spread_a, spread_b) >= _SOMETHING) & whole
    alike = (first * second).mean(axis=2) / np.maximum(spread_a * spread_b, (_SOMETHING / 2) ** 2) >= _ALIKE
    counts, agreeing = seen.sum(axis=1), (seen & alike).sum(axis=1)
    agrees = (counts >= _FEWEST) & (agreeing >= _AGREE * counts)
    begins = int(agrees.argmax()) if agrees.any() else 0
    if counts[:begins].sum() < _FEWEST or (agreeing[:begins] > (1 - _DISAGREE) * counts[:begins]).any():
        return 0, 0
    return begins * _PLACE, int(((spread_a[:begins] >= _SOMETHING) & whole[:begins]).sum())


def _places(values: NDArray[Any]) -> NDArray[np.float32]:
    """(rows, columns, pixels of a place)"""
    height, width = (side // _PLACE for side in values.shape)
    return blocks(values, _PLACE).reshape(height, width, _PLACE**2)


def _edge(side: NDArray[np.float32], depth: int) -> float:
    """The largest step from row to row near this depth, over those of the rows near it."""
    near = side[max(0, depth - 2 * _PLACE) : depth + _PLACE]
    steps = np.abs(np.diff(near, axis=0)).mean(axis=1)
    place = int(steps.argmax())
    beside = np.delete(steps, slice(max(0, place - 1), place + 2))
    return float(steps[place] / max(float(np.median(beside)), _LEAST_STEP))
