"""Embeddings in two dimensions, to look at: by openTSNE where it is installed, else by principal components."""

import numpy as np
from numpy.typing import NDArray

from neardup.packages import is_installed, load_package

# Fewer rows have no neighbourhoods that t-SNE could keep.
FEWEST = 20


def project(rows: NDArray[np.float32], *, seed: int = 0) -> tuple[NDArray[np.float64], str]:
    """(n, 2) places of embeddings (n, dim), and how they were found: "t-SNE" or "PCA"; the same for one seed."""
    places = _principal(rows)
    if len(rows) < FEWEST or not is_installed("openTSNE"):
        return places, "PCA"
    tsne = load_package("openTSNE", "t-SNE").TSNE(
        perplexity=min(30, (len(rows) - 1) / 3), metric="cosine", initialization=places / places[:, 0].std() * 1e-4,
        random_state=seed, n_jobs=1,
    )  # fmt: skip
    return np.array(tsne.fit(rows), np.float64), "t-SNE"


def _principal(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """The two directions of most variance; of each the sign with which its largest entry is positive."""
    centred = rows.astype(np.float64) - rows.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    first = directions[:2]
    largest = first[np.arange(len(first)), np.abs(first).argmax(axis=1)]
    places: NDArray[np.float64] = centred @ (first * np.sign(largest)[:, None]).T
    return places
