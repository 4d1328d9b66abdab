"""How strongly a JPEG is compressed, by the tables that it was quantised with, whatever its bytes come to."""

from collections.abc import Mapping, Sequence

import numpy as np

# The luminance table of ITU-T T.81, annex K, which libjpeg scales; in rows.
_STANDARD = np.array(
    [
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
        14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ],
    np.float64,
)  # fmt: skip


def jpeg_quality(tables: Mapping[int, Sequence[int]]) -> int | None:
    """The quality, 1 to 100, at which libjpeg's first table is about as coarse as a file's; None where it has none.

    tables: by number, 64 steps each
    """
    table = np.array(tables.get(0, ()), np.float64)
    if table.shape != (64,) or table.min() < 1:
        return None
    # No step is below 1: there the scale cannot be read off, but where all are 1 it is the best there is.
    told = table > 1
    if not told.any():
        return 100
    scale = float(np.median(100 * table[told] / _STANDARD[told]))
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return int(np.clip(round(quality), 1, 100))
