"""Which of two pictures of one size was sharpened.

Of a sharpened picture and its source the one has more of what is fine, as the source has of a blurred copy. But
sharpening raises all that is finer than its radius by about as much, and keeps it, while blur takes away the more the
finer it is, and compression swallows what is left: the gain from octave to octave tells the two apart, where what the
two show is the same (coherent) that far.
"""

import numpy as np
from numpy.typing import NDArray

from neardup.matching.agreement import blocks
from neardup.matching.evidence import Side

_BLOCK, _MOST_BLOCKS = 32, 600
# Cycles a pixel: what neither changes, and two octaves of what both do.
_BANDS = ((0.02, 0.07), (0.12, 0.18), (0.26, 0.34))
# Gain of the coarser of the two, from which on it is one; how many times its logarithm that of the finer one is at the
# most: 1 to 2.7 for unsharp masks, 3.5 to 4 for Gaussian blur; and how coherent both have to be.
_GAIN, _RISE, _COHERENT = 1.15, 3.0, 0.8
# Blocks with something to see.
_FEWEST = 20


def sharpened(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Side | None:
    """a, b: (h, w) in grey, one laid over the other"""
    cut_a, cut_b = _blocks(a), _blocks(b)
    if len(cut_a) < _FEWEST:
        return None
    waves_a, waves_b = np.fft.rfft2(cut_a), np.fft.rfft2(cut_b)
    both = np.real(waves_a * waves_b.conj()).sum(axis=0)
    own_a, own_b = (np.square(np.abs(waves)).sum(axis=0) for waves in (waves_a, waves_b))
    bands = [(both[band].sum(), own_a[band].sum(), own_b[band].sum()) for band in _BANDS_OF_BLOCK]
    if any(shared <= 0 or shared**2 < _COHERENT * one * other for shared, one, other in bands):
        return None
    base, coarse, fine = (np.log([shared / other, shared / one]) for shared, one, other in bands)
    for side, gain, finer in zip(("a", "b"), coarse - base, fine - base, strict=True):
        if gain >= np.log(_GAIN) and finer <= _RISE * gain:
            return "a" if side == "a" else "b"
    return None


def _blocks(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Blocks spread over the picture, faded out towards their edges: (blocks, 32, 32)."""
    cut = blocks(grey, _BLOCK)
    cut = cut[:: -(-len(cut) // _MOST_BLOCKS) or 1].reshape(-1, _BLOCK, _BLOCK)
    fade = np.hanning(_BLOCK).astype(np.float32)
    return np.asarray((cut - cut.mean(axis=(1, 2), keepdims=True)) * np.outer(fade, fade), np.float32)


def _bands_of_block() -> list[NDArray[np.bool_]]:
    frequencies = np.hypot(np.fft.fftfreq(_BLOCK)[:, None], np.fft.rfftfreq(_BLOCK)[None])
    return [(low <= frequencies) & (frequencies < high) for low, high in _BANDS]


_BANDS_OF_BLOCK = _bands_of_block()
