"""Losses of self-supervised copy detection, in Keras operations: the same on TensorFlow, JAX and PyTorch."""

from typing import Any

from keras import ops

# Below any cosine divided by any temperature, and within float32 after the exponential.
MASKED = -1e9

COPIES = 0.75
"""Similarity from which two training photos are taken for copies of each other, which are no negatives: near the
`default` threshold of the released weights (their model card)."""


def info_nce(embeddings: Any, photos: Any, temperature: float) -> Any:
    """InfoNCE between the first view of each photo and its other views (van den Oord et al., arXiv 1807.03748).

    embeddings: (n, dim) float32 unit rows
    photos:     (n,) int32, the photo that each row is a view of
    returns:    scalar, the mean over rows of the cross-entropy of telling a positive from all rows of other photos;
                for two views a photo that is NT-Xent (arXiv 2002.05709, eq. 1)
    """
    # Edited views of one photo are no positives of each other: two small crops may have nothing in common.
    # No memory of earlier batches (arXiv 1912.06798): its rows are of older weights, and the network soon learned to
    # move all embeddings together, away from where they had been, until everything was within a cosine of 0.8.
    similarities, same = _compare(embeddings, photos)
    logits = similarities / temperature
    negatives = ops.logsumexp(ops.where(same, MASKED, logits), axis=1, keepdims=True)
    return _cross_entropy(logits, negatives, same)


def pooled_info_nce(embeddings: Any, photos: Any, temperature: float, margin: float = 0.0) -> Any:
    """InfoNCE with one sum of negatives for all rows, the mean of each row's own, and an additive cosine margin.

    Where every row has its own negatives, a positive need only be above those, at whatever similarity that is. A
    threshold is one for all rows, as is the ranking that micro average precision takes; so this asks of every
    positive to be above the hardest negatives of the whole batch, by the margin (CosFace, arXiv 1801.09414, eq. 4):
    among more photos than a batch holds, negatives are harder.

    margin: cosine, added to every negative; other arguments and returns as for `info_nce`
    """
    similarities, same = _compare(embeddings, photos)
    logits = similarities / temperature
    # One unknown copy among the negatives would outweigh all others here; `info_nce` still pushes it away.
    left_out = ops.logical_or(same, similarities >= COPIES)
    rows = ops.cast(ops.shape(logits)[0], "float32")
    negatives = ops.logsumexp(ops.where(left_out, MASKED, logits)) - ops.log(rows) + margin / temperature
    return _cross_entropy(logits, negatives, same)


def _compare(embeddings: Any, photos: Any) -> tuple[Any, Any]:
    """Cosines of all rows, and which rows are views of one photo: (n, n) each."""
    return ops.matmul(embeddings, ops.transpose(embeddings)), ops.equal(photos[:, None], photos[None, :])


def _cross_entropy(logits: Any, negatives: Any, same: Any) -> Any:
    """Of each first view with its photo's later views, and back, the mean over rows; `negatives` are logs of sums."""
    earlier = ops.sum(ops.tril(ops.cast(same, "int32"), -1), axis=1)
    first = ops.equal(earlier, 0)
    positive = ops.cast(ops.logical_and(same, ops.logical_xor(first[:, None], first[None, :])), "float32")
    losses = (ops.logaddexp(logits, negatives) - logits) * positive
    return ops.mean(ops.sum(losses, axis=1) / ops.maximum(ops.sum(positive, axis=1), 1.0))


def entropy(embeddings: Any, photos: Any) -> Any:
    """Kozachenko-Leonenko entropy term of SSCD (arXiv 2202.10261, eq. 4): pushes rows from their nearest stranger.

    returns: scalar, the mean of -log of the distance to the nearest row of another photo
    """
    similarities, same = _compare(embeddings, photos)
    nearest = ops.max(ops.where(same, -2.0, similarities), axis=1)
    squared_distance = ops.maximum(2.0 - 2.0 * nearest, 1e-6)
    return -0.5 * ops.mean(ops.log(squared_distance))
