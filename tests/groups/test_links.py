"""Which candidates are looked at, what is remembered of it, and what confirmed links join together."""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from neardup.groups import DuplicateGroup, Totals, find_groups
from neardup.groups.images import Images
from neardup.groups.links import _BATCH, MOST_REFUSED, Links, confirm
from neardup.groups.looking import Looker
from neardup.groups.neighbours import Pairs
from neardup.index import Index
from neardup.index.store import write_lock
from neardup.matching.judge import MATCHER
from tests.conftest import draw_scene
from tests.groups.a_gallery import MODEL, index_files, numbers_of, pairs_of, save_gallery


class CountingLooker(Looker):
    """Knows which pairs it was asked to look at."""

    def __init__(self, images: Images) -> None:
        super().__init__(images)
        self.asked: list[tuple[int, int]] = []

    def look(self, a, b, likely=None):
        self.asked.append((a, b))
        return super().look(a, b, likely)


def scene(seed: int) -> Image.Image:
    return draw_scene(seed, 240, 180)


def confirmed(images: Images, pairs: Pairs, threads: int = 2) -> tuple[Links, CountingLooker]:
    with CountingLooker(images) as looker, ThreadPoolExecutor(threads) as pool:
        links = confirm(images, pairs, looker, pool, floor=0.4)
    totals = links.totals
    gone_through = totals.linked + totals.confirmed + totals.refused + totals.unread + totals.left_out
    assert gone_through == totals.candidates == len(pairs)
    assert len(looker.asked) == totals.confirmed + totals.refused + totals.unread
    return links, looker


def by_name(groups: Iterator[DuplicateGroup]) -> list[list[tuple[str, str | None]]]:
    return [[(member.path.stem, member.relation) for member in group.members] for group in groups]


@pytest.fixture
def copies(tmp_path: Path) -> Index:
    """Six copies of one scene that do not share a byte."""
    original = scene(1)
    pictures = {f"{n}.png": original.resize((240 - 8 * n, 180 - 6 * n)) for n in range(6)}
    return index_files(tmp_path / "index", save_gallery(tmp_path / "photos", pictures))


def test_what_links_join_is_not_looked_at(copies):
    images = Images(copies)
    everything = pairs_of(images, *combinations("012345", 2))
    links, looker = confirmed(images, everything)
    assert (links.totals.confirmed, links.totals.linked) == (5, 10)
    assert len(looker.asked) == 5
    assert len({links.roots.find(content) for content in range(6)}) == 1


def test_looks_that_are_spared_do_not_depend_on_the_threads(copies):
    images = Images(copies)
    everything = pairs_of(images, *combinations("012345", 2))
    asked = []
    for threads in (1, 4):
        _, looker = confirmed(images, everything, threads)
        asked.append(sorted(looker.asked))
    assert asked[0] == asked[1]


def plain_colours(count: int) -> dict[str, Image.Image]:
    """Different enough to be different, and next to nothing to look at."""
    steps = np.stack(np.meshgrid(*[np.arange(0, 256, 36)] * 3), axis=-1).reshape(-1, 3)
    return {f"{n}.png": Image.new("RGB", (8, 8), tuple(steps[n].tolist())) for n in range(count)}


def test_what_resembles_many_and_is_none_of_them_is_left_in_the_end(tmp_path):
    """Work for one picture is bounded: after so many refusals, by whole batches, its other candidates are left out,
    where they were looked at with others."""
    count = 3 * _BATCH
    paths = save_gallery(tmp_path / "photos", plain_colours(count))
    images = Images(index_files(tmp_path / "index", paths))
    ring = [(str(n), str((n + 1) % count)) for n in range(count)] + [
        (str(n), str((n + 2) % count)) for n in range(count)
    ]
    links, looker = confirmed(images, pairs_of(images, *ring, *(("0", str(n)) for n in range(3, count - 2))))
    assert links.totals.confirmed == 0
    refused = links.totals.refused - len(ring)
    assert MOST_REFUSED - 4 <= refused <= _BATCH + MOST_REFUSED
    assert links.totals.left_out == count - 5 - refused
    assert len(looker.asked) == links.totals.refused


def test_what_was_hardly_looked_at_is_not_left_because_of_its_neighbour(tmp_path):
    """The best candidate of a picture may be one that many strangers resemble."""
    colours = plain_colours(_BATCH + 2 * MOST_REFUSED)
    colours["same.png"] = Image.new("RGB", (12, 9), colours["0.png"].getpixel((0, 0)))
    images = Images(index_files(tmp_path / "index", save_gallery(tmp_path / "photos", colours)))
    named = [("0", str(n)) for n in range(1, len(colours) - 1)]
    links, _ = confirmed(images, pairs_of(images, *named, ("0", "same")))
    assert (links.totals.confirmed, links.totals.left_out) == (1, 0)


def test_a_copy_found_late_begins_the_counting_anew(tmp_path):
    """Refusals in a row are what counts."""
    colours = plain_colours(MOST_REFUSED + 4)
    colours["same.png"] = Image.new("RGB", (12, 9), colours["0.png"].getpixel((0, 0)))
    images = Images(index_files(tmp_path / "index", save_gallery(tmp_path / "photos", colours)))
    named = [("0", str(n)) for n in range(1, MOST_REFUSED)]
    others = [("0", str(MOST_REFUSED + n)) for n in range(4)]
    links, _ = confirmed(images, pairs_of(images, *named, ("0", "same"), *others))
    assert (links.totals.confirmed, links.totals.left_out) == (1, 0)


@pytest.fixture
def collage(tmp_path: Path) -> list[Path]:
    """Two scenes, and both pasted into a third, out of focus."""
    ground = draw_scene(9, 700, 500).filter(ImageFilter.GaussianBlur(3))
    for number, place in ((3, (60, 120)), (5, (390, 200))):
        ground.paste(scene(number), place)
    pictures = {"one.png": scene(3), "two.png": scene(5), "collage.png": ground}
    return save_gallery(tmp_path / "photos", pictures)


def test_a_collage_joins_nothing_together(collage, tmp_path):
    index = index_files(tmp_path / "index", collage)
    images = Images(index)
    number = numbers_of(images)
    links, _ = confirmed(images, pairs_of(images, ("one", "collage"), ("two", "collage"), ("one", "two")))
    pairs = [sorted((number[name], number["collage"])) for name in ("one", "two")]
    evidence = [links.evidence[a, b] for a, b in pairs]
    assert [found.relation for found in evidence] == ["edited", "edited"]
    assert len({links.roots.find(content) for content in range(3)}) == 3
    # It resembles one of the two at least, and never is what is kept for them.
    for group in by_name(find_groups(index)):
        names = [name for name, _ in group]
        assert names[0] != "collage"
        assert not {"one", "two"} <= set(names)
        assert dict(group)["collage"] == "edited"


@pytest.fixture
def gallery(tmp_path: Path) -> list[Path]:
    """Two scenes with copies and edited ones, two that are alone, and a byte copy."""
    pictures: dict[str, Image.Image] = {}
    for seed in (1, 2):
        original = scene(seed)
        written = original.copy()
        ImageDraw.Draw(written).text((20, 60), "for sale!", "yellow", font_size=36, stroke_width=2, stroke_fill="black")
        pictures |= {
            f"{seed} original.png": original,
            f"{seed} half.png": original.resize((120, 90)),
            f"{seed} crop.png": original.crop((20, 10, 220, 170)),
            f"{seed} mirrored.png": original.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            f"{seed} written.png": written,
        }
    pictures |= {"alone.png": scene(3)}
    paths = save_gallery(tmp_path / "photos", pictures)
    copy = tmp_path / "photos" / "z copy.png"
    copy.write_bytes(paths[0].read_bytes())
    return [*paths, copy]


def expected(groups: list[list[tuple[str, str | None]]]) -> bool:
    found = [dict(group) for group in groups]
    return [set(group) for group in found] == [
        {"1 original", "1 half", "1 crop", "1 mirrored", "1 written", "z copy"},
        {"2 original", "2 half", "2 crop", "2 mirrored", "2 written"},
    ]


def test_groups_are_the_same_whatever_the_order_and_the_threads(gallery, tmp_path):
    found = []
    for attempt, threads in enumerate((1, 4, 2)):
        order = np.random.default_rng(attempt).permutation(len(gallery))
        index = index_files(tmp_path / f"index{attempt}", [gallery[i] for i in order])
        groups = list(find_groups(index, threads=threads))
        found.append(groups)
    assert found[0] == found[1] == found[2]
    assert expected(by_name(iter(found[0])))
    first = dict(by_name(iter(found[0]))[0])
    assert first["1 written"] == "edited"
    assert {first[name] for name in ("1 half", "1 crop", "1 mirrored")} == {"copy"}
    assert first["z copy"] == "exact"
    assert found[0][0].keeper.path.stem in ("1 original", "1 mirrored")
    for group in found[0]:
        assert all((member.change is None) == (member is group.keeper) for member in group.members)


@contextmanager
def counted_looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many pairs each run of find_groups compared."""
    counts: list[int] = []
    leave = Looker.__exit__

    def note(self: Looker, *how: object) -> None:
        counts.append(self.looked_at)
        leave(self, *how)

    with monkeypatch.context() as patched:
        patched.setattr(Looker, "__exit__", note)
        yield counts


def test_what_was_found_is_remembered(gallery, tmp_path, monkeypatch):
    index_files(tmp_path / "index", gallery)
    told: list[Totals] = []
    with counted_looks(monkeypatch) as counts:
        first, second = (
            list(find_groups(Index.open(tmp_path / "index"), on_totals=told.append, threads=4)) for _ in range(2)
        )
    assert counts[0] > 0
    assert counts[1] == 0
    assert first == second
    assert told[0].remembered == 0
    assert told[1].remembered == told[1].confirmed + told[1].refused == told[0].confirmed + told[0].refused
    # A new file is all that is looked at.
    scene(5).save(gallery[0].with_name("new.png"))
    index_files(tmp_path / "index", [*gallery, gallery[0].with_name("new.png")])
    with counted_looks(monkeypatch) as counts:
        list(find_groups(Index.open(tmp_path / "index"), on_totals=told.append))
    assert 0 < counts[0] < len(gallery)


def links_of(folder: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        return connection.execute("SELECT matcher, found FROM links ORDER BY first, second").fetchall()


@pytest.mark.parametrize(
    "found",
    [
        "'nonsense'", "''", "'[]'", "'null'", "'{}'", "x'00ff'", "7", "'{\"relation\": \"copy\"}'",
        "'{\"relation\": \"copy\", \"confidence\": 7}'",
        "'{\"relation\": \"copy\", \"confidence\": 1, \"matrix\": [0, 0, 0, 0, 0, 0, 0, 0, 0]}'",
        f"'{'[' * 100_000}'",
    ],
)  # fmt: skip
def test_garbage_in_the_index_is_found_again(copies, found):
    """Indexes come from anywhere."""
    before = by_name(find_groups(Index.open(copies.folder)))
    kept = links_of(copies.folder)
    with closing(sqlite3.connect(copies.folder / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute(f"UPDATE links SET found = {found}")
    assert links_of(copies.folder) != kept
    assert by_name(find_groups(Index.open(copies.folder))) == before
    assert links_of(copies.folder) == kept


def test_links_that_lie_lead_to_no_crash(gallery, tmp_path):
    """A map that cannot be, kept as if it had been found: composed with others, it is passed over."""
    index_files(tmp_path / "index", gallery)
    list(find_groups(Index.open(tmp_path / "index")))
    lie = {"relation": "copy", "confidence": 1.0, "matrix": [1e9, 0, 0, 0, 1e-9, 0, 0.9, -0.9, 1], "seam_a": 1e9}
    with closing(sqlite3.connect(tmp_path / "index" / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE links SET found = ?", (json.dumps(lie),))
    for group in find_groups(Index.open(tmp_path / "index")):
        assert len(group.members) >= 2


def test_what_another_matcher_found_is_passed_over(copies, monkeypatch):
    list(find_groups(copies))
    assert {matcher for matcher, _ in links_of(copies.folder)} == {MATCHER}
    with counted_looks(monkeypatch) as counts:
        monkeypatch.setattr("neardup.groups.looking.MATCHER", MATCHER + 1)
        list(find_groups(Index.open(copies.folder)))
    assert counts[0] > 0
    assert {matcher for matcher, _ in links_of(copies.folder)} == {MATCHER + 1}


def test_a_writer_at_work_is_in_nobodys_way(copies):
    """Then what was found is not kept, and found anew the next time."""
    with write_lock(copies.folder, None):
        assert len(list(find_groups(copies))) == 1
    assert links_of(copies.folder) == []
    with Index.write(copies.folder, MODEL):
        assert len(list(find_groups(Index.open(copies.folder)))) == 1


def test_what_cannot_be_read_is_not_confirmed_and_said(gallery, tmp_path):
    index_files(tmp_path / "index", gallery)
    by_stem = {path.stem: path for path in gallery}
    by_stem["1 half"].unlink()
    by_stem["1 crop"].write_bytes(b"changed")
    by_stem["2 half"].write_bytes(by_stem["2 half"].read_bytes()[:-1] + b"x")
    told: list[Totals] = []
    groups = by_name(find_groups(Index.open(tmp_path / "index"), on_totals=told.append))
    names = {name for group in groups for name, _ in group}
    assert names.isdisjoint({"1 half", "1 crop", "2 half"})
    assert {"1 written", "2 written", "2 crop"} <= names
    [totals] = told
    assert totals.unread > 0
    assert dict(totals.unreadable) == {
        str(by_stem["1 half"]): "the file is gone",
        str(by_stem["1 crop"]): "changed since it was indexed; the next 'neardup index' sees to it",
        str(by_stem["2 half"]): "changed since it was indexed; the next 'neardup index' sees to it",
    }
    # Another file with the same bytes will do.
    by_stem["1 original"].unlink()
    assert "1 written" in {name for group in by_name(find_groups(Index.open(tmp_path / "index"))) for name, _ in group}


def test_each_stage_says_how_far_it_is(copies):
    """And none begins before the one before it is at its end."""
    seen: dict[str, list[tuple[int, int]]] = {}
    told: list[Totals] = []
    groups = list(
        find_groups(
            copies,
            on_progress=lambda stage, done, total: seen.setdefault(stage, []).append((done, total)),
            on_totals=told.append,
        )
    )
    assert list(seen) == ["propose", "look", "settle", "describe"]
    for steps in seen.values():
        done, [total] = [done for done, _ in steps], {total for _, total in steps}
        assert done == sorted(done)
        assert done[-1] == total
    assert seen["look"][-1][1] == told[0].candidates
    assert seen["describe"] == [(number, len(groups)) for number in range(1, len(groups) + 1)]
    assert seen["settle"][-1][1] >= sum(len({member.digest for member in group.members}) for group in groups)
