"""Relations in the review: what the page is told of them, and what is decided by them at once."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from neardup.actions import load_plan
from neardup.groups import DuplicateGroup
from neardup.review.pictures import Pictures
from neardup.review.server import create_app
from tests.browser import open_browser
from tests.conftest import draw_scene
from tests.duplicate_groups import group_of, member_of, save_photo
from tests.review.conftest import serving
from tests.review.test_browser import Page
from tests.review.test_security import ask as ask

WRITING = "writing or other content on 3.0 %"


@pytest.fixture
def related(tmp_path) -> list[DuplicateGroup]:
    """A group of one image of each relation, and one whose copy lies in a folder of its own."""
    photos = tmp_path / "photos"
    keeper = member_of(save_photo(photos / "first.jpg", seed=1))
    others = [
        member_of(
            save_photo(photos / f"{relation}.jpg", seed=1, size=(200 - n, 150)),
            0.9,
            relation,
            change=f"made {relation}",
            shows_more=WRITING if relation == "edited" else None,
        )
        for n, relation in enumerate(("exact", "copy", "edited", "similar", None))
    ]
    second = member_of(save_photo(photos / "second.jpg", seed=2))
    away = member_of(save_photo(photos / "Backup" / "second.jpg", seed=2, size=(160, 120)), 0.95, "copy")
    return [group_of(keeper, *others), group_of(second, away)]


@pytest.fixture
def client(open_review, related, guard):
    review = open_review(groups=related)
    client = create_app(review, guard).test_client()
    client.review = review
    return client


def test_relation_change_and_what_only_it_shows_are_told(ask):
    answer = ask("/api/groups").json
    assert answer["groups"][0]["kinds"] == {"exact": 1, "copy": 1, "edited": 1, "similar": 1, "near": 1}
    assert [group["kind"] for group in answer["groups"]] == ["near", "copy"]
    keeper, _, _, edited, _, unseen = ask("/api/groups/0").json["images"]
    assert (edited["relation"], edited["change"], edited["shows_more"]) == ("edited", "made edited", WRITING)
    assert (keeper["change"], keeper["shows_more"]) == (None, None)
    assert unseen["relation"] is None


def test_copies_are_accepted_and_nothing_that_shows_more(ask, client):
    assert [group["group"] for group in ask("/api/accept-copies", {}).json["changed"]] == [0, 1]
    assert client.review.marks(0) == (None, "drop", "drop", None, None, None)
    assert client.review.marks(1) == (None, "drop")
    assert ask("/api/accept-copies", {}).json["changed"] == []
    ask("/api/undo", {})
    assert client.review.marks(0) == (None,) * 6
    ask("/api/accept-exact", {})
    assert client.review.marks(0) == (None, "drop", None, None, None, None)
    assert client.review.marks(1) == (None, None)


def test_accepting_is_held_to_a_part_of_the_path(ask, client):
    assert ask("/api/find?path=BACKUP").json == {"groups": [1]}
    assert ask("/api/find?path=first").json == {"groups": [0]}
    assert ask("/api/find?path=nowhere").json == {"groups": []}
    assert [group["group"] for group in ask("/api/accept-copies", {"path": "backup"}).json["changed"]] == [1]
    assert client.review.marks(0) == (None,) * 6
    for wrong in ({"path": 3}, [], "backup"):
        assert ask("/api/accept-copies", wrong).status_code == 409


def test_one_image_is_kept_and_the_rest_dropped(ask, client):
    ask("/api/marks", {"group": 0, "member": 4, "mark": "not"})
    answer = ask("/api/keep-only", {"group": 0, "member": 3}).json
    assert answer["changed"][0]["marks"] == ["drop", "drop", "drop", "keep", "not", "drop"]
    ask("/api/undo", {})
    assert client.review.marks(0) == (None, None, None, None, "not", None)
    for wrong in ({"group": 0, "member": 9}, {"group": 7, "member": 0}, {"group": 0, "member": None}):
        assert ask("/api/keep-only", wrong).status_code == 404
    assert ask("/api/keep-only", {"group": 0}).status_code == 409


def test_what_a_person_drops_is_planned_whatever_its_relation(ask, client):
    ask("/api/marks", {"group": 0, "member": 3, "mark": "drop"})
    ask("/api/marks", {"group": 0, "member": 4, "mark": "drop"})
    assert ask("/api/plan", {}).json["kept"] == []
    steps = load_plan(client.review.plan_path).steps
    assert [(step.path.name, step.relation) for step in steps] == [("edited.jpg", "edited"), ("similar.jpg", "similar")]
    assert WRITING in steps[0].lost


@pytest.fixture
def written(tmp_path) -> DuplicateGroup:
    """A scene, a cropped copy of it with writing, and a byte copy."""
    paths = [tmp_path / name for name in ("scene.png", "written.png", "same.png")]
    scene = draw_scene(7)
    scene.save(paths[0])
    scene.save(paths[2])
    changed = scene.crop((60, 45, 480, 360))
    ImageDraw.Draw(changed).text((40, 200), "look at this!", fill="white", stroke_width=4, stroke_fill="black",
                                 font_size=44)  # fmt: skip
    changed.save(paths[1])
    return group_of(member_of(paths[0]), member_of(paths[1], 0.9, "edited"), member_of(paths[2]))


def test_the_aligned_view_shows_the_other_picture_in_the_first_ones_frame(written):
    first, second, _ = (member.path for member in written.members)
    found = Pictures().difference(first, second)
    assert found.relation == "edited"
    aligned, keeper, other = (_grey(source) for source in (found.aligned, first, second))
    assert aligned.shape == keeper.shape != other.shape
    beyond, inside = (slice(None), slice(0, 50)), (slice(60, 200), slice(80, 460))
    assert aligned[beyond].max() < 12  # black: the other picture shows nothing of it
    assert abs(aligned[inside] - keeper[inside]).mean() < 6
    written_at = (slice(250, 285), slice(105, 380))
    assert abs(aligned[written_at] - keeper[written_at]).mean() > 30  # its writing, which the first has not
    red = _red(found.jpeg)
    assert red.shape == other.shape
    assert red[200:245, 40:330].mean() > 0.3
    assert red[:150].mean() < 0.01


def test_the_difference_of_byte_copies_is_told_exact(open_review, written, guard, ask, client):
    client = create_app(open_review(groups=[written]), guard).test_client()
    client.get(guard.url)
    assert client.get("/differences/0/0/2", base_url=f"http://{guard.host}").json["relation"] == "exact"
    assert client.get("/differences/0/0/1", base_url=f"http://{guard.host}").json["relation"] == "edited"


def _grey(source: Path | bytes | None):
    return _pixels(source).mean(axis=2)


def _red(source: bytes | None):
    pixels = _pixels(source)
    return pixels[..., 0] - pixels[..., 1] > 60


def _pixels(source: Path | bytes | None):
    import io

    import numpy as np

    assert source is not None
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        return np.asarray(image.convert("RGB")).astype(np.float32)


def test_relations_in_the_page(open_review, related, tmp_path):
    review = open_review(groups=related)
    with open_browser(tmp_path / "profile") as browser, serving(review) as guard:
        browser.get(guard.url)
        page = Page(browser)
        page.sees("#heading", "Group 1 of 2")
        page.sees("#kind", "1 edited")
        page.sees("#right .said", "made exact")
        choose = (
            "const [id, value, event] = arguments; const field = document.getElementById(id);"
            " field.value = value; field.dispatchEvent(new Event(event))"
        )
        browser.execute_script(choose, "relation", "edited", "change")
        page.sees("#right .name", "edited.jpg")
        page.sees("#right .badge.edited", "edited")
        page.sees("#right .said .more", f"Only here: {WRITING}")
        page.sees("#pages", "1–1 of 1")
        browser.execute_script(choose, "relation", "any", "change")
        page.sees("#pages", "1–2 of 2")
        page.press("/")
        browser.switch_to.active_element.send_keys("backup")
        page.sees("#accept-copies", "Accept copies here")
        page.sees("#heading", "Group 2 of 2")
        page.press("\ue007")  # Enter leaves the field
        page.press("c")
        page.sees("#toast", "Copies of 1 group with “backup” in their path")
        assert review.marks(0) == (None,) * 6
        assert review.marks(1) == (None, "drop")
        browser.execute_script(choose, "find", "", "input")
        page.sees("#right .name", "exact.jpg")
        page.click("#accept-copies")
        page.sees("#right .name", "edited.jpg")
        page.click("#keep-only")
        page.wait(lambda: review.marks(0) == ("drop", "drop", "drop", "keep", "drop", "drop"), "the rest dropped")


def test_both_pictures_are_seen_closer_in_step(open_review, related, tmp_path):
    with open_browser(tmp_path / "profile") as browser, serving(open_review(groups=related)) as guard:
        browser.get(guard.url)
        page = Page(browser)
        page.sees("#heading", "Group 1 of 2")
        page.is_loaded()
        page.click("#left img")
        scale = (
            "return [...document.querySelectorAll('.stage img')]"
            ".map(picture => picture.getBoundingClientRect().width / picture.clientWidth)"
        )
        assert browser.execute_script(scale) == pytest.approx([3, 3])
        page.press("\ue00c")
        assert browser.execute_script(scale) == pytest.approx([1, 1])
