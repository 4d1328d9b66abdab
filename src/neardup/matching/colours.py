"""How the colours of two pictures differ where they lie over each other, and what no change of tone explains."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neardup.matching.agreement import Laid, means_of_cells

# Rec. 601 luma of RGB, as JPEG and grey scale conversions take it.
LIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)
# Mean chroma, of 255, below which a picture is grey, and above which it is coloured.
GREY, COLOURED = 2.5, 5.0
_CELL = 16
# Saturations that are tried, and levels of 255 beyond which a cell has another colour.
_SATURATIONS = (1.0, 0.0, 0.3, 0.6, 1.4, 2.0, 3.0)
_OTHER_COLOUR = 45.0
_QUANTILES = np.linspace(0, 100, 17)


@dataclass(frozen=True)
class Colours:
    """Of B against A, where the two overlap."""

    brightness: float  # mean of B minus mean of A, in shares of full white, -1 to 1
    contrast: float  # standard deviation of B over that of A, in lightness
    saturation: float | None  # mean chroma of B over that of A; None where A has none
    grey: Literal["a", "b"] | None  # where only that one has no colour
    other: float  # share of the overlap in other colours than tone and saturation explain

    def reversed(self) -> "Colours":
        """Of A against B."""
        swapped: dict[str | None, Literal["a", "b"]] = {"a": "b", "b": "a"}
        return Colours(
            -self.brightness,
            1 / max(self.contrast, 1e-3),
            1 / self.saturation if self.saturation else None,
            swapped.get(self.grey),
            self.other,
        )


def compare_colours(laid: Laid) -> Colours:
    """laid: in RGB, with some overlap"""
    import cv2

    mask = laid.inside.astype(np.uint8)
    chroma_a, chroma_b = (cv2.mean(_chroma(side), mask)[0] for side in (laid.a, laid.b))
    lights = [cv2.meanStdDev(cv2.cvtColor(side, cv2.COLOR_RGB2GRAY), mask=mask) for side in (laid.a, laid.b)]
    (mean_a, spread_a), (mean_b, spread_b) = ((float(mean[0, 0]), float(spread[0, 0])) for mean, spread in lights)
    grey: Literal["a", "b"] | None = None
    if chroma_a > COLOURED and chroma_b < GREY:
        grey = "b"
    elif chroma_b > COLOURED and chroma_a < GREY:
        grey = "a"
    return Colours(
        brightness=(mean_b - mean_a) / 255,
        contrast=spread_b / max(spread_a, 1e-3),
        saturation=chroma_b / chroma_a if chroma_a > GREY else None,
        grey=grey,
        other=0.0 if grey else _other_colours(laid),
    )


def _chroma(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The range of the three channels: (h, w)."""
    import cv2

    red, green, blue = cv2.split(pixels)
    largest, smallest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return np.asarray(cv2.subtract(largest, smallest), np.uint8)


def _other_colours(laid: Laid) -> float:
    """Share of cells whose mean colour is not the one that tone curves and a saturation make of the other's."""
    whole = _means(laid.inside.astype(np.float32)) > 0.99
    if not whole.any():
        return 0.0
    a, b = (_means(side.astype(np.float32))[whole] for side in (laid.a, laid.b))
    return _residual(a, b) and min(_residual(a, b), _residual(b, a))


def _residual(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    grey = (a @ LIGHTNESS)[:, None]
    wanted = np.percentile(b, _QUANTILES, axis=0)
    least = 1.0
    for saturation in _SATURATIONS:
        mixed = grey + saturation * (a - grey)
        given = np.percentile(mixed, _QUANTILES, axis=0)
        toned = np.stack([_toned(mixed[:, i], given[:, i], wanted[:, i]) for i in range(3)], axis=1)
        least = min(least, float((np.abs(toned - b).max(axis=1) > _OTHER_COLOUR).mean()))
        if not least:
            break
    return least


def _toned(
    values: NDArray[np.floating], given: NDArray[np.floating], wanted: NDArray[np.floating]
) -> NDArray[np.float64]:
    """The values with other quantiles than they have."""
    x, kept = np.unique(given, return_index=True)
    last = np.append(kept[1:] - 1, len(wanted) - 1)
    return np.asarray(np.interp(values, x, (wanted[kept] + wanted[last]) / 2))


def _means(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of square cells of (h, w[, c]): (cells[, c])."""
    cell = _CELL if min(values.shape[:2]) >= 4 * _CELL else max(1, min(values.shape[:2]) // 8)
    means = means_of_cells(values, cell)
    return means.reshape(means.shape[0] * means.shape[1], *values.shape[2:])
