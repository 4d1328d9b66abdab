"""`LSH`: embeddings and their hash tables in memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neardup.errors import BadInput
from neardup.lsh.hyperplanes import MAX_BITS, draw_hyperplanes, signatures
from neardup.lsh.pairs import PairBlock, find_pairs
from neardup.lsh.tables import HashTables, candidate_blocks, find_candidates
from neardup.lsh.tuning import STORED_BITS, Tuning, choose_tables, tune, tune_probes
from neardup.search import best_first, similarities_of

# float16 rounds a unit row's norm by up to 5e-4.
NORM_TOLERANCE = 1e-3
# A part is merged into the one before it unless that is so many times larger: few parts to search, few rows re-sorted.
MERGE_RATIO = 4
VALIDATED_ROWS = 1 << 14


class LSH:
    """Approximate nearest neighbours by cosine similarity: random hyperplanes, multi-probe, exact re-rank.

    tables, bits: as given; without, chosen from the number of rows so that a row at cosine `similarity` is expected to
                  be found with probability `recall`. Bits then grow with the rows; tables do only for a goal that 12
                  cannot reach. The buckets that a query probes in each table are always chosen so.
    seed:         of the hyperplanes: the same rows and arguments give the same answers
    raises:       BadInput, here and in the methods, for what does not fit: shape, dtype, NaN, rows that are not unit
    """

    def __init__(
        self,
        dim: int,
        *,
        tables: int | None = None,
        bits: int | None = None,
        seed: int = 0,
        recall: float = 0.99,
        similarity: float = 0.9,
    ) -> None:
        if dim < 1 or (tables is not None and tables < 1) or (bits is not None and not 1 <= bits <= MAX_BITS):
            raise BadInput(
                f"dim={dim}, tables={tables}, bits={bits}: each must be at least 1, and bits at most {MAX_BITS}"
            )
        self.dim = dim
        self.recall = recall
        self.similarity = similarity
        self._seed = seed
        self._given_tables = tables
        self._bits = bits
        self._storage = np.empty((0, dim), np.float32)
        self._rows = 0
        self._parts: list[HashTables] = []
        self._hyperplanes = np.empty((0, bits or STORED_BITS, dim), np.float32)
        self._retune()

    def __len__(self) -> int:
        return self._rows

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(n, dim) float32: the rows in the order they were added, read-only."""
        view = self._storage[: self._rows]
        view.flags.writeable = False
        return view

    @property
    def hyperplanes(self) -> NDArray[np.float32]:
        """(tables, bits, dim) float32, those in use for the present rows; a bit is set where the dot product is > 0."""
        return self._hyperplanes[:, self._hyperplanes.shape[1] - self.tuning.bits :]

    @property
    def tuning(self) -> Tuning:
        """The bits and probes in use, and the recall expected of them at cosine `similarity`."""
        return self._tuning

    def add(self, embeddings: ArrayLike) -> None:
        """Add rows, numbered on from those there are; nothing is added when any is refused.

        embeddings: (n, dim) floating unit rows, finite; a copy is kept
        """
        added = self._validated(embeddings, ndim=2)
        if not len(added):
            return
        self._append(added)
        if not self._retune():
            self._parts.append(self._build(added))
        while len(self._parts) > 1 and len(self._parts[-2]) < MERGE_RATIO * len(self._parts[-1]):
            self._parts[-2:] = [HashTables.merge(self._parts[-2:])]
        self._refresh_directories()

    def query(
        self, embedding: ArrayLike, k: int = 4
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64]]:
        """The k most similar rows that the tables find, best first: by similarity, then Jaccard score, then row.

        returns: rows (r,) int64, cosine similarities (r,) float32, Jaccard scores (r,) float64, r <= k: m / (2L - m)
                 for a row that shares the query's own bucket in m of L tables
        """
        query = self._validated(embedding, ndim=1)
        _check_k(k)
        rows, shared = self._candidates(query, self.tuning.probes)
        similarities = similarities_of(query, self._storage, rows)
        best = best_first(similarities, -shared, rows, k=k)
        tables = len(self._hyperplanes)
        return rows[best], similarities[best], shared[best] / (2 * tables - shared[best])

    def query_batch(self, embeddings: ArrayLike, k: int = 4) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """`query` for many at once.

        embeddings: (q, dim)
        returns:    rows (q, k) int64, -1 where fewer were found, and similarities (q, k) float32, there -1 too
        """
        batch = self._validated(embeddings, ndim=2)
        _check_k(k)
        all_rows = np.full((len(batch), k), -1, np.int64)
        all_similarities = np.full((len(batch), k), -1, np.float32)
        blocks = candidate_blocks(
            self._parts, batch, self._hyperplanes, bits=self.tuning.bits, probes=self.tuning.probes
        )
        for queries, rows, shared in blocks:
            ends = np.append(np.flatnonzero(np.diff(queries)) + 1, len(queries)) if len(queries) else queries
            start = 0
            for end in ends.tolist():
                query = queries[start]
                similarities = similarities_of(batch[query], self._storage, rows[start:end])
                best = best_first(similarities, -shared[start:end], rows[start:end], k=k)
                all_rows[query, : len(best)] = rows[start:end][best]
                all_similarities[query, : len(best)] = similarities[best]
                start = end
        return all_rows, all_similarities

    def candidates(self, embedding: ArrayLike, probes: int = 1) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Before re-ranking: rows in a bucket that the query looks into.

        probes:  buckets looked into in each table; 1: the query's own only
        returns: rows (c,) int64 ascending, and in how many tables each shares the query's own bucket (c,) int64: 0
                 when only a probed neighbour bucket held it
        """
        return self._candidates(self._validated(embedding, ndim=1), probes)

    def pairs(self, min_similarity: float = 0.9) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Every pair found at this similarity or above, each once, a < b, ascending by a, then b.

        Expected recall is at least 0.99 at `min_similarity`, whatever this object's own tables. Of a crowd of more than
        64 rows that resemble one row, only the pairs with that row are returned: see `neardup.lsh.pairs`.
        returns: a, b (p,) int64, similarities (p,) float32
        """
        blocks = list(self.pair_blocks(min_similarity))
        a = np.concatenate([np.empty(0, np.int64), *(block[0] for block in blocks)])
        b = np.concatenate([np.empty(0, np.int64), *(block[1] for block in blocks)])
        similarities = np.concatenate([np.empty(0, np.float32), *(block[2] for block in blocks)])
        order = np.lexsort((b, a))
        return a[order], b[order], similarities[order]

    def pair_blocks(self, min_similarity: float = 0.9) -> Iterator[PairBlock]:
        """`pairs` as they are found, in bounded blocks of (a, b, similarities)."""
        return find_pairs(self.embeddings, min_similarity=min_similarity, seed=self._seed)

    def _candidates(self, query: NDArray[np.float32], probes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return find_candidates(self._parts, query, self._hyperplanes, bits=self.tuning.bits, probes=probes)

    def _append(self, added: NDArray[np.float32]) -> None:
        total = self._rows + len(added)
        if total > len(self._storage):
            # Room to grow from the second add on, so that many small ones copy each row only a few times.
            room = total if not self._rows else max(total, self._rows + self._rows // 2)
            grown = np.empty((room, self.dim), np.float32)
            grown[: self._rows] = self._storage[: self._rows]
            self._storage = grown
        self._storage[self._rows : total] = added
        self._rows = total

    def _retune(self) -> bool:
        """Choose bits, probes and, if they must grow, tables; true when that re-hashed all rows."""
        goal = {"recall": self.recall, "similarity": self.similarity}
        tables = self._given_tables or max(len(self._hyperplanes), choose_tables(self._rows, bits=self._bits, **goal))
        if self._bits is None:
            self._tuning = tune(self._rows, tables=tables, stored_bits=STORED_BITS, **goal)
        else:
            self._tuning = tune_probes(tables=tables, bits=self._bits, **goal)
        if tables == len(self._hyperplanes):
            return False
        stored = self._hyperplanes.shape[1]
        self._hyperplanes = draw_hyperplanes(tables=tables, bits=stored, dim=self.dim, seed=self._seed)
        self._parts = [self._build(self._storage[: self._rows])] if self._rows else []
        return True

    def _build(self, embeddings: NDArray[np.float32]) -> HashTables:
        return HashTables.build(signatures(embeddings, self._hyperplanes), bits=self._hyperplanes.shape[1])

    def _refresh_directories(self) -> None:
        """A directory for each part that is not much smaller than one, made anew only when the bits have changed."""
        bits, stored = self.tuning.bits, self._hyperplanes.shape[1]
        if bits <= STORED_BITS:
            self._parts = [
                part.with_directory(bits, stored)
                if len(part) >= 2**bits // 8 and not part.has_directory(bits)
                else part
                for part in self._parts
            ]

    def _validated(self, embeddings: ArrayLike, *, ndim: int) -> NDArray[np.float32]:
        array = np.asarray(embeddings)
        shape = f"({self.dim},)" if ndim == 1 else f"(n, {self.dim})"
        if array.ndim != ndim or array.shape[-1] != self.dim:
            raise BadInput(f"embeddings of shape {array.shape}: this LSH takes {shape}")
        if not np.issubdtype(array.dtype, np.floating):
            raise BadInput(f"embeddings of dtype {array.dtype}: float32 is wanted")
        result: NDArray[np.float32] = np.ascontiguousarray(array, np.float32)
        rows = result.reshape(-1, self.dim)
        for start in range(0, len(rows), VALIDATED_ROWS):
            part = rows[start : start + VALIDATED_ROWS]
            norms = np.sqrt(np.einsum("ij,ij->i", part, part)) if ndim == 2 else np.sqrt(part @ part.T)[0]
            # Also false for NaN and infinity.
            good = np.abs(norms - 1) <= NORM_TOLERANCE
            if not good.all():
                bad = int(np.argmin(good))
                raise BadInput(
                    f"embedding {start + bad} has norm {norms[bad]:.4g}: unit rows are wanted; divide each by its norm"
                )
        return result


def _check_k(k: int) -> None:
    if k < 1:
        raise BadInput(f"k={k}: at least 1")
