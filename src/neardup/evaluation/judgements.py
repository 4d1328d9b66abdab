"""How high a model ranks what a person said is relevant: recall@k and mean average precision over judged queries.

Pictures are known by their content: byte copies count once, and a file that was moved is found where it is now.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neardup.embedding import Embedder
from neardup.errors import BadInput
from neardup.jobs.judgements import Judged
from neardup.prepare import embed_images
from neardup.sources import StoredImage

RANKS = (1, 5, 10)


@dataclass(frozen=True)
class JudgedScores:
    images: int  # different contents searched among
    queries: int  # with something relevant among them
    recall: dict[int, float]  # by k: share of a query's relevant images that are among its first k; the mean
    mean_average_precision: float
    left_out: tuple[tuple[str, str], ...]  # queries, and why

    def as_json(self) -> dict[str, Any]:
        fields = asdict(self)
        recall = fields.pop("recall")
        return {**fields, **{f"recall_at_{k}": recall[k] for k in RANKS}}


def score_judgements(
    judged: Sequence[Judged],
    pictures: Iterable[Path],
    embedder: Embedder,
    threads: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> JudgedScores:
    """Search for each judged query among the pictures, exactly; raises BadInput where none can be searched for."""
    places, rows = _embed(pictures, embedder, threads, on_progress)
    if not places:
        raise BadInput("no images to search among that can be read; give the collection that the judgements are of")
    found, precisions = [], []
    left_out: list[tuple[str, str]] = []
    asked = _queries(judged, places, rows, embedder, threads, left_out)
    for query, embedding in asked:
        wanted = query.relevant - {query.digest}
        relevant = np.array(sorted(places[digest] for digest in wanted if digest in places), np.int64)
        if not len(relevant):
            left_out.append((query.query, "nothing that is relevant to it is among the images"))
            continue
        similarities = rows @ embedding
        if query.digest in places:
            similarities[places[query.digest]] = -np.inf  # itself is no answer
        ranks = ranks_of(similarities, relevant)
        found.append([(ranks <= k).mean() for k in RANKS])
        precisions.append((np.arange(1, len(ranks) + 1) / ranks).mean())
    if not found:
        raise BadInput("no judged query has something relevant among the images; tick some in 'neardup review'")
    recall = dict(zip(RANKS, np.mean(found, axis=0).tolist(), strict=True))
    return JudgedScores(len(places), len(found), recall, float(np.mean(precisions)), tuple(left_out))


def ranks_of(similarities: NDArray[np.float32], relevant: NDArray[np.int64]) -> NDArray[np.int64]:
    """(r,) places of the relevant rows in the order of similarity, from 1 on, ascending; of equals the earlier row is
    before the later."""
    place = np.empty(len(similarities), np.int64)
    place[np.argsort(-similarities, kind="stable")] = np.arange(1, len(similarities) + 1)
    return np.sort(place[relevant])


def _embed(
    pictures: Iterable[Path], embedder: Embedder, threads: int, on_progress: Callable[[int], None]
) -> tuple[dict[str, int], NDArray[np.float32]]:
    """Rows by digest, in hex, and the rows; unreadable pictures are passed over."""
    places: dict[str, int] = {}
    rows = [np.empty((0, embedder.dim), np.float32)]
    for done, image in enumerate(embed_images((StoredImage(path, None) for path in pictures), embedder, threads), 1):
        digest = image.digest.hex()
        if image.embeddings is not None and digest not in places:
            places[digest] = len(places)
            rows.append(image.embeddings[:1])
        on_progress(done)
    return places, np.concatenate(rows)


def _queries(
    judged: Sequence[Judged],
    places: dict[str, int],
    rows: NDArray[np.float32],
    embedder: Embedder,
    threads: int,
    left_out: list[tuple[str, str]],
) -> list[tuple[Judged, NDArray[np.float32]]]:
    """Those with a relevant image, each with its embedding: of the collection, or of its own file as it was judged."""
    wanted = [query for query in judged if query.relevant]
    found = [(query, rows[places[query.digest]]) for query in wanted if query.digest in places]
    elsewhere = [query for query in wanted if query.digest not in places]
    sources = [StoredImage(Path(query.query), None) for query in elsewhere]
    for query, image in zip(elsewhere, embed_images(sources, embedder, threads), strict=True):
        if image.embeddings is None:
            left_out.append((query.query, image.error or "cannot be read"))
        elif image.digest.hex() != query.digest:
            left_out.append((query.query, "is another picture than the one that was judged"))
        else:
            found.append((query, image.embeddings[0]))
    return found
