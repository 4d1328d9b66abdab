"""The order that says which image of a group stays: criterion by criterion, and in words."""

import os
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from neardup.errors import BadInput
from neardup.groups.images import UNKNOWN
from neardup.groups.keep import BEST, CRITERIA, Candidates, KeepPolicy, Ranking, rank
from neardup.groups.members import Member
from neardup.groups.standing import MANY
from neardup.groups.why import in_words
from neardup.images.exif import CAMERA, DATE, PLACE, SIZE
from neardup.matching.evidence import SEAM, Evidence


@dataclass(frozen=True)
class File:
    path: str
    width: int = 4000
    height: int = 3000
    size_bytes: int = 3_000_000
    mtime_ns: int = 1_500_000_000_000_000_000
    taken_ms: int = UNKNOWN
    camera: int = 0
    quality: int = 90
    damaged: bool = False
    derived: bool = False
    coarse: bool = False
    finest: int = MANY


def ranked(files: list[File], order: str = "best", under: tuple[Path, ...] = ()) -> Ranking:
    def column(name: str, kind: type = np.int64) -> np.ndarray:
        return np.array([getattr(file, name) for file in files], kind)

    candidates = Candidates(
        paths=[os.fsencode(file.path) for file in files],
        widths=column("width"),
        heights=column("height"),
        margins=np.zeros(len(files)),
        sizes=column("size_bytes"),
        times=column("mtime_ns"),
        taken=column("taken_ms"),
        camera=column("camera", np.uint8),
        quality=column("quality", np.int16),
        damaged=column("damaged", bool),
        containers=np.zeros(len(files), bool),
        derived=column("derived", bool),
        coarse=column("coarse", bool),
        finest=column("finest"),
        components=np.zeros(len(files), np.int64),
    )
    return rank(KeepPolicy(order, under), candidates)


def kept(files: list[File], order: str = "best") -> str:
    return files[int(ranked(files, order).order[0])].path


EVERYTHING = CAMERA | DATE | PLACE | SIZE
# Each has everything over the next but what came before decides.
FALLING = [
    ("origin", File("/z/z/original.jpg", 3000, 2250, quality=70)),
    ("detail", File("/z/z/detailed.jpg", quality=70, derived=True)),
    ("metadata", File("/z/z/camera.jpg", 1600, 1200, quality=70, derived=True, camera=EVERYTHING)),
    ("pixels", File("/z/z/larger.jpg", 1600, 1200, quality=70, derived=True)),
    ("compression", File("/z/z/better.jpg", 1500, 1125, quality=92, derived=True)),
    ("oldest", File("/z/z/older.jpg", 1500, 1125, quality=70, derived=True, mtime_ns=1)),
    ("path", File("/short.jpg", 1500, 1125, quality=70, derived=True)),
    (None, File("/a/longer/path.jpg", 1500, 1125, quality=70, derived=True)),
]


@pytest.mark.parametrize("first", range(len(FALLING) - 1))
def test_best_in_its_order(first: int) -> None:
    files = [file for _, file in FALLING[first:]]
    ranking = ranked(files)
    assert ranking.order.tolist() == list(range(len(files)))
    assert ranking.reason(0, 1) == FALLING[first][0]
    assert ranking.reason(1, 0) is None


@pytest.mark.parametrize(
    ("original", "rival"),
    [
        # What the camera wrote, against what programs make of it.
        (File("/o.jpg", camera=EVERYTHING, quality=88), File("/r.png", quality=0, size_bytes=30_000_000)),
        (File("/o.jpg", camera=EVERYTHING, quality=88), File("/r.jpg", quality=98, size_bytes=9_000_000)),
        (File("/o.jpg", camera=EVERYTHING, quality=88), File("/r.jpg", 4400, 3300, quality=98)),
        # An enlargement, sure, and perhaps.
        (File("/o.jpg", 2000, 1500), File("/r.jpg", coarse=True, camera=EVERYTHING)),
        (File("/o.jpg", 2000, 1500, camera=EVERYTHING), File("/r.jpg", finest=2000 * 1500)),
        (File("/o.jpg", 2000, 1500, camera=EVERYTHING), File("/r.jpg", camera=CAMERA | DATE, finest=2000 * 1500)),
        # What is smaller keeps what the camera wrote, and does not win by it.
        (File("/o.jpg"), File("/r.jpg", 1600, 1200, camera=EVERYTHING)),
        (File("/o.jpg", quality=90), File("/r.jpg", quality=60, mtime_ns=1)),
        (File("/o.jpg", taken_ms=1000), File("/r.jpg", taken_ms=2000, mtime_ns=1)),
        # A JPEG's tables tell no more than this, and files saved later are no older.
        (File("/o.jpg", quality=88, mtime_ns=1), File("/r.jpg", quality=90)),
    ],
)
def test_the_original_is_kept(original: File, rival: File) -> None:
    for files in permutations((original, rival, File("/thumb.jpg", 160, 120, camera=EVERYTHING))):
        assert kept(list(files)) == "/o.jpg"


@pytest.mark.parametrize("order", ["best", "largest", "oldest", "newest", "path-order", "pixels,metadata"])
def test_a_damaged_file_comes_last_whatever_the_policy(order: str, tmp_path: Path) -> None:
    damaged = File(
        f"{tmp_path}/a.jpg", 9000, 9000, 9**9, 2**60 if order == "newest" else 1, 5, EVERYTHING, 100, damaged=True
    )
    whole = File("/whole.jpg", 300, 200, 9000, derived=True, coarse=True)
    assert kept([damaged, whole], order) == "/whole.jpg"
    ranking = ranked([damaged, whole], order, under=(tmp_path,))
    assert ranking.order.tolist() == [1, 0]
    assert ranking.reason(1, 0) == "damage"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("oldest", "/taken-first.jpg"),
        ("newest", "/taken-last.jpg"),
        ("largest", "/heavy.jpg"),
        ("path-order", "/a.jpg"),
        ("path", "/b.jpg"),
        ("metadata,newest", "/taken-last.jpg"),
        ("metadata,oldest", "/taken-first.jpg"),
        ("detail, metadata, oldest", "/wide.jpg"),
        ("path,path-order", "/a.jpg"),
        ("format", "/scan.png"),
    ],
)
def test_orders_of_ones_own(order: str, expected: str) -> None:
    files = [
        File("/a.jpg", mtime_ns=1_400_000_000_000_000_000),
        File("/b.jpg", mtime_ns=1_600_000_000_000_000_000, size_bytes=10),
        File("/heavy.jpg", size_bytes=9_000_000),
        File("/wide.jpg", 8000, 6000),
        File("/scan.png", 400, 300, quality=0),
        File("/taken-first.jpg", taken_ms=1_300_000_000_000, camera=EVERYTHING),
        File("/taken-last.jpg", taken_ms=1_700_000_000_000, camera=EVERYTHING),
    ]
    if order == "path":  # /a.jpg is as short, and older
        files = files[1:]
    assert kept(files, order) == expected


def test_what_is_left_open_is_decided_as_in_best() -> None:
    assert KeepPolicy("best").criteria == BEST
    assert KeepPolicy("oldest,best,path-order").criteria == (
        "oldest",
        *(c for c in BEST if c != "oldest"),
        "path-order",
    )
    for name in CRITERIA:
        assert set(BEST) <= set(KeepPolicy(name).criteria)
        assert KeepPolicy(name).criteria[0] == name


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("worst", "'worst'"),
        ("detial", "did you mean 'detail'"),
        ("best,", "''"),
        ("meta data", "'metadata'"),
        ("", "''"),
    ],
)
def test_a_criterion_that_is_none(order: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        KeepPolicy(order)


def member(**facts: object) -> Member:
    return Member(Path("/x.jpg"), 0.9, "copy", **({"width": 40, "height": 30, "size_bytes": 1, "mtime_ns": 1,
                                                   "digest": b"x" * 32} | facts))  # type: ignore[arg-type]  # fmt: skip


CROP = Evidence("copy", 1.0, (1, 0, 0, 0, 1, 0, 0, 0, 1), more_a=0.3)


@pytest.mark.parametrize(
    ("reason", "keeper", "other", "words"),
    [
        ("origin", {}, {"evidence": CROP}, "shows more: the other is a crop"),
        ("origin", {}, {"evidence": Evidence("copy", 1.0, framed="b")}, "without the other's border"),
        ("origin", {}, {"evidence": Evidence("copy", 1.0, more_b=0.3, seam_b=2 * SEAM)}, "put around the other"),
        ("origin", {}, {"evidence": Evidence("copy", 1.0, enlarged="b")}, "the other was enlarged"),
        ("origin", {}, {"evidence": Evidence("copy", 1.0, blurred="b")}, "the other was blurred"),
        ("origin", {}, {"evidence": Evidence("copy", 1.0, saved_again="b")}, "saved again"),
        ("origin", {}, {"evidence": Evidence("edited", 1.0, differing=0.1, clean="a")}, "written over the other"),
        ("origin", {}, {"evidence": None}, "made from one like it"),
        ("metadata", {"camera": CAMERA | DATE}, {}, "camera and date; the other has nothing of it"),
        ("metadata", {"camera": CAMERA | DATE | PLACE}, {"camera": DATE}, "camera, date and place; the other has date"),
        ("compression", {"quality": 92}, {"quality": 75}, "less compressed: JPEG quality 92 against 75"),
        ("compression", {}, {"quality": 75}, "less compressed"),
        ("damage", {}, {"damaged": "breaks off at 61 %"}, "whole: the other is damaged, breaks off at 61 %"),
        ("damage", {}, {}, "whole: the other is damaged, its data"),
        ("detail", {}, {"width": 20, "height": 15}, "more detail: 40 x 30 against 20 x 15 pixels"),
        ("detail", {}, {}, "more detail in as many pixels"),
        ("oldest", {"taken_ms": 1}, {}, "taken earlier"),
        ("newest", {}, {}, "written later"),
    ],
)
def test_the_reason_in_words(reason: str, keeper: dict, other: dict, words: str) -> None:
    assert words in in_words(reason, member(**keeper), member(**other))  # type: ignore[arg-type]
