"""Attack photos, search for their originals, and report how many were found.

The photos are dealt, by the seed, into four parts: **originals** (in the gallery; each is attacked in every way),
**distractors** (in the gallery only), **negatives** (not in the gallery; each is attacked once, the attacks taking
turns) and **grounds** (never in the gallery: the second photo of attacks that put two together, so that finding the
ground is never a right answer).

Near-duplicates inside the collection would turn right answers into wrong ones and true alarms into false. So of
photos that look alike as 8 × 8 thumbnails only the first takes part; the thumbnails favour no model. What they
miss (two frames of one scene, one photo a crop of the other) shows in `Report.false_matches`, the most similar wrong
answers with their paths, to be looked at; `draw` leaves known pairs out.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neardup.embedding.hardware import cores
from neardup.errors import BadInput, BadModel, UnreadableImage
from neardup.evaluation.attacks import ATTACKS, Photo, attack
from neardup.evaluation.baselines import Embed
from neardup.evaluation.metrics import (
    Answers,
    best_matches,
    false_alarm_threshold,
    micro_average_precision,
    recall_above,
    recall_at_1,
)
from neardup.reading import read_regular
from neardup.sources import load_stored

OnProgress: TypeAlias = Callable[[int, int], None]

# Photos are attacked at this size of the long side at most: about that at which pictures are passed on.
LONG_SIDE = 640
FEWEST_PHOTOS = 20
GROUNDS = 50
# Images embedded together, while as many are being made.
CHUNK = 32
# Cosine of two thumbnails with their means taken off. Copies in other sizes and qualities are above it.
SAME_THUMBNAIL = 0.995
FALSE_MATCHES_KEPT = 20
MOST_PAIRS_BYTES = 1 << 26

# For validation while training: 10 attacks from easy to hard, one of each family.
QUICK_ATTACKS = (
    "jpeg_8",
    "colour",
    "text",
    "crop_50",
    "crop_30",
    "rotate_20",
    "turn_90",
    "border_12",
    "screenshot",
    "paste_third",
)


@dataclass(frozen=True)
class Split:
    """Paths of the four parts; the gallery is originals, then distractors."""

    originals: list[Path]
    distractors: list[Path]
    negatives: list[Path]
    grounds: list[Path]
    failed: list[tuple[Path, str]]
    lookalikes: int  # photos left out for another one that looks the same

    @property
    def gallery(self) -> list[Path]:
        return self.originals + self.distractors


@dataclass(frozen=True)
class AttackScores:
    recall_at_1: float
    recall_at_1pct_false_alarms: float


@dataclass(frozen=True)
class Scores:
    """One embedder's figures; intervals hold 95 % of resampled sets of photos."""

    uap: float
    recall_at_1: float
    recall_at_1pct_false_alarms: float
    threshold_at_1pct_false_alarms: float
    intervals: dict[str, tuple[float, float]]
    attacks: dict[str, AttackScores]


@dataclass(frozen=True)
class Queries:
    """Every attacked photo, in the order of the embeddings: positives by photo, then negatives."""

    paths: list[Path]
    attacks: list[str]
    photos: NDArray[np.int64]  # (q,) number of the photo that was attacked, over originals and then negatives
    originals: NDArray[np.int64]  # (q,) its gallery row, -1 for negatives

    @property
    def is_positive(self) -> NDArray[np.bool_]:
        return self.originals >= 0


@dataclass(frozen=True)
class FalseMatch:
    """A wrong answer, with its similarity: perhaps a near-duplicate in the collection."""

    query: Path
    attack: str
    match: Path
    similarity: float


@dataclass(frozen=True)
class Report:
    """What `evaluate` found. `answers` are the model's, one for each of `queries`."""

    images: int
    gallery: int
    originals: int
    negatives: int
    seed: int
    lookalikes: int
    failed: list[tuple[Path, str]]
    model: Scores
    baselines: dict[str, Scores]
    false_matches: list[FalseMatch]
    queries: Queries
    answers: Answers

    def as_json(self) -> dict[str, Any]:
        """The fields of the command's JSON object, of plain types."""
        return {
            "images": self.images,
            **asdict(self.model),
            "baselines": {name: asdict(scores) for name, scores in self.baselines.items()},
            "gallery": self.gallery,
            "originals": self.originals,
            "negatives": self.negatives,
            "queries": len(self.queries.paths),
            "seed": self.seed,
            "lookalikes_left_out": self.lookalikes,
            "failed": [{"path": str(path), "error": error} for path, error in self.failed],
            "false_matches": [
                {"query": str(m.query), "attack": m.attack, "match": str(m.match), "similarity": m.similarity}
                for m in self.false_matches
            ],
        }


def evaluate(
    photos: Sequence[Path],
    embed: Embed,
    *,
    baselines: Mapping[str, Embed] | None = None,
    attacks: Sequence[str] = ATTACKS,
    gallery: int = 2000,
    queries: int = 150,
    negatives: int = 350,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Report:
    """Attack `queries` photos in every way and search for them among `gallery` photos.

    photos:    at least 20 paths, in any order
    embed:     list of (H, W, 3) uint8 to (n, dim) float32 unit rows
    baselines: other embedders, judged on the same images in the same run
    gallery:   photos to search in, the originals among them; with fewer photos everything shrinks
    on_progress: called with the number of images embedded so far, and with that of all

    Raises BadInput with too few photos or an unknown attack, BadModel where an embedder returns no finite rows.
    Holds 64 images at a time, 50 grounds and the embeddings in memory.
    """
    unknown = set(attacks) - set(ATTACKS)
    if unknown or not attacks:
        raise BadInput(f"attacks {sorted(unknown)}: not in the suite; choose from {', '.join(ATTACKS)}")
    split = split_photos(photos, gallery=gallery, queries=queries, negatives=negatives, seed=seed)
    embedders = {"": embed, **(baselines or {})}
    attacked = _queries(split, attacks)
    make_query = attacker(attacked, split.grounds, seed)

    def make(job: int) -> Photo:
        """The gallery, then the queries."""
        return load_photo(split.gallery[job]) if job < len(split.gallery) else make_query(job - len(split.gallery))

    rows = embed_all(len(split.gallery) + len(attacked.paths), make, embedders, on_progress)
    answers = {
        name: best_matches(rows[name][len(split.gallery) :], rows[name][: len(split.gallery)], attacked.originals)
        for name in embedders
    }
    scores = {name: _scores(answers[name], attacked, seed) for name in embedders}
    return Report(
        images=len(split.gallery) + len(split.negatives) + len(split.grounds),
        gallery=len(split.gallery),
        originals=len(split.originals),
        negatives=len(split.negatives),
        seed=seed,
        lookalikes=split.lookalikes,
        failed=split.failed,
        model=scores.pop(""),
        baselines=scores,
        false_matches=_false_matches(answers[""], attacked, split.gallery),
        queries=attacked,
        answers=answers[""],
    )


def draw(
    photos: Iterable[Path], seed: int, *, limit: int | None = None, same: Iterable[tuple[Path, Path]] = ()
) -> list[Path]:
    """At most `limit` of the photos, shuffled: the same for the same photos and seed, in whatever order they come.

    same: near-duplicates known as such: the second photo of each pair is left out
    """
    ordered = sorted(set(photos) - {second for _, second in same})
    return [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))[:limit]]


def read_pairs(path: Path, photos: Path) -> set[tuple[Path, Path]]:
    """Pairs of paths from a CSV file with two columns and no header; relative ones start at the folder `photos`."""
    try:
        text = read_regular(path, MOST_PAIRS_BYTES).decode("utf-8")
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: {error}; give a CSV file with two paths a line") from error
    for row in rows:
        if len(row) != 2:
            raise BadInput(f"{path}: {len(row)} columns in {','.join(row)!r}; give two paths a line")
    pairs = {(photos / a, photos / b) for a, b in rows}
    for photo in sorted({photo for pair in pairs for photo in pair}):
        if not os.path.isfile(photo):  # noqa: PTH113 (answers no where Path.is_file raises)
            raise BadInput(f"{path}: {photo} is no file; correct the path or remove its line")
    return {(a.resolve(), b.resolve()) for a, b in pairs}


def split_photos(photos: Sequence[Path], *, gallery: int, queries: int, negatives: int, seed: int) -> Split:
    """Deal the photos into parts; fewer than were asked for shrink every part."""
    if min(gallery, queries, negatives) < 1 or 2 * queries > gallery:
        raise BadInput("gallery, queries and negatives must be positive, and queries at most half of the gallery")
    shuffled = draw(photos, seed)
    kept, failed, lookalikes = without_lookalikes(shuffled, gallery + negatives + GROUNDS)
    if len(kept) < FEWEST_PHOTOS:
        raise BadInput(
            f"{len(kept)} different photos that can be read, of {len(shuffled)}: "
            f"an evaluation needs at least {FEWEST_PHOTOS}; add photos"
        )
    grounds = GROUNDS
    if len(kept) < gallery + negatives + GROUNDS:
        grounds = min(GROUNDS, max(1, len(kept) // 20))
        negatives = min(negatives, len(kept) // 4)
        gallery = min(gallery, len(kept) - grounds - negatives)
        queries = min(queries, gallery // 2)
    return Split(
        originals=kept[:queries],
        distractors=kept[queries:gallery],
        negatives=kept[gallery : gallery + negatives],
        grounds=kept[gallery + negatives : gallery + negatives + grounds],
        failed=failed,
        lookalikes=lookalikes,
    )


def load_photo(path: Path) -> Photo:
    """A photo at its own resolution, reduced to 640 px on the long side if it is larger."""
    photo = load_stored(path, size=LONG_SIDE // 2)
    scale = LONG_SIDE / max(photo.shape[:2])
    if scale >= 1:
        return photo
    height, width = (max(1, round(scale * side)) for side in photo.shape[:2])
    return np.array(Image.fromarray(photo).resize((width, height), Image.Resampling.LANCZOS))


def attacker(queries: Queries, grounds: Sequence[Path], seed: int) -> Callable[[int], Photo]:
    """A function that makes the attacked photo of a query number."""
    photo_of = lru_cache(maxsize=8)(load_photo)
    ground_of = lru_cache(maxsize=GROUNDS)(load_photo)

    def attacked(query: int) -> Photo:
        name, number = queries.attacks[query], int(queries.photos[query])
        ground = grounds[ground_number(seed, number, name, len(grounds))]
        return attack(name, photo_of(queries.paths[query]), ground_of(ground), seed=(seed, number))

    return attacked


def ground_number(seed: int, number: int, name: str, grounds: int) -> int:
    return int(np.random.default_rng([seed, number, ATTACKS.index(name)]).integers(grounds))


def _queries(split: Split, attacks: Sequence[str]) -> Queries:
    positives = [(path, name, i, i) for i, path in enumerate(split.originals) for name in attacks]
    negatives = [
        (path, attacks[i % len(attacks)], len(split.originals) + i, -1) for i, path in enumerate(split.negatives)
    ]
    paths, names, photos, originals = zip(*positives, *negatives, strict=True)
    return Queries(list(paths), list(names), np.array(photos, np.int64), np.array(originals, np.int64))


def embed_all(
    jobs: int, make: Callable[[int], Photo], embedders: Mapping[str, Embed], on_progress: OnProgress | None = None
) -> dict[str, NDArray[np.float32]]:
    """One row for each job number and embedder. The next images are made while these are embedded.

    Raises BadModel where an embedder does not return a finite row for each image.
    """
    rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in embedders}
    with ThreadPoolExecutor(cores()) as pool:
        waiting = pool.map(make, range(min(CHUNK, jobs)))
        for first in range(0, jobs, CHUNK):
            images = list(waiting)
            waiting = pool.map(make, range(first + CHUNK, min(first + 2 * CHUNK, jobs)))
            for name, embed in embedders.items():
                embedded = embed(images)
                if len(embedded) != len(images) or not np.isfinite(embedded).all():
                    judged = name or "the model"
                    raise BadModel(f"{judged}: returned no finite embedding for each image; check its weights")
                rows[name].append(embedded)
            if on_progress:
                on_progress(first + len(images), jobs)
    return {name: np.concatenate(blocks) for name, blocks in rows.items()}


def without_lookalikes(paths: Sequence[Path], wanted: int) -> tuple[list[Path], list[tuple[Path, str]], int]:
    """The first `wanted` photos of which no earlier one looks the same; unreadable files; photos left out."""
    kept: list[Path] = []
    thumbnails = np.zeros((wanted, 192), np.float32)
    failed: list[tuple[Path, str]] = []
    lookalikes = 0

    def thumbnail(path: Path) -> NDArray[np.float32] | str:
        try:
            small = Image.fromarray(load_stored(path, size=32)).resize((8, 8), Image.Resampling.BOX)
        except UnreadableImage as error:
            return str(error)
        levels = np.asarray(small, dtype=np.float32).ravel()
        levels -= levels.mean()
        # A plain image has no contrast to compare: a length of at least one level keeps it away from noise.
        return levels / max(float(np.linalg.norm(levels)), 14.0)

    with ThreadPoolExecutor(cores()) as pool:
        for first in range(0, len(paths), CHUNK):
            chunk = paths[first : first + CHUNK]
            for path, row in zip(chunk, pool.map(thumbnail, chunk), strict=True):
                if isinstance(row, str):
                    failed.append((path, row))
                elif (thumbnails[: len(kept)] @ row > SAME_THUMBNAIL).any():
                    lookalikes += 1
                elif len(kept) < wanted:
                    thumbnails[len(kept)] = row
                    kept.append(path)
            if len(kept) == wanted:
                break
    return kept, failed, lookalikes


def _scores(answers: Answers, queries: Queries, seed: int) -> Scores:
    positive = queries.is_positive
    names = np.array(queries.attacks)
    threshold = false_alarm_threshold(answers.similarities[~positive])
    attacks = {}
    for name in dict.fromkeys(queries.attacks):
        these = positive & (names == name)
        correct = answers.correct[these]
        attacks[name] = AttackScores(
            recall_at_1(correct), recall_above(answers.similarities[these], correct, threshold)
        )
    figures = _figures(answers, positive)
    rng = np.random.default_rng(seed)
    by_photo = [np.flatnonzero(queries.photos == number) for number in range(int(queries.photos.max()) + 1)]
    originals = int(queries.originals.max()) + 1
    resampled = []
    for _ in range(200):
        chosen = [
            *rng.integers(0, originals, originals),
            *rng.integers(originals, len(by_photo), len(by_photo) - originals),
        ]
        rows = np.concatenate([by_photo[number] for number in chosen])
        resampled.append(_figures(Answers(*(field[rows] for field in _fields(answers))), positive[rows]))
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    keys = ("uap", "recall_at_1", "recall_at_1pct_false_alarms")
    intervals = {key: (float(a), float(b)) for key, a, b in zip(keys, low, high, strict=True)}
    return Scores(*figures, threshold, intervals, attacks)


def _fields(answers: Answers) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.int64]]:
    return answers.similarities, answers.correct, answers.rows


def _figures(answers: Answers, positive: NDArray[np.bool_]) -> tuple[float, float, float]:
    """uAP, mean recall@1, recall at 1 % false alarms."""
    correct, similarities = answers.correct[positive], answers.similarities[positive]
    threshold = false_alarm_threshold(answers.similarities[~positive])
    return (
        micro_average_precision(answers.similarities, answers.correct, int(positive.sum())),
        recall_at_1(correct),
        recall_above(similarities, correct, threshold),
    )


def _false_matches(answers: Answers, queries: Queries, gallery: Sequence[Path]) -> list[FalseMatch]:
    """The most similar wrong answers, one for each pair of photos."""
    found: dict[tuple[Path, Path], FalseMatch] = {}
    for query in np.argsort(-answers.similarities, kind="stable"):
        if len(found) == FALSE_MATCHES_KEPT:
            break
        pair = queries.paths[query], gallery[answers.rows[query]]
        if answers.correct[query] == 0 and pair not in found:
            found[pair] = FalseMatch(pair[0], queries.attacks[query], pair[1], float(answers.similarities[query]))
    return list(found.values())
