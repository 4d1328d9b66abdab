"""The review page in a real browser: keys and buttons, what they decide, and that nothing is loaded from elsewhere."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from neardup.actions import load_plan
from neardup.index.notes import load_verdicts
from tests.browser import complaints, open_browser, requested_urls
from tests.conftest import draw_scene
from tests.duplicate_groups import exact_group, group_of, member_of, near_group
from tests.review.conftest import serving

LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"


class Page:
    """The page as a person sees it."""

    def __init__(self, browser) -> None:
        self.browser = browser

    def wait(self, is_true: Callable[[], object], what: str):
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        waiting = WebDriverWait(self.browser, 30, 0.03, ignored_exceptions=(StaleElementReferenceException,))
        return waiting.until(lambda _: is_true(), what)

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.browser).send_keys(key).perform()

    def all(self, selector: str):
        return self.browser.find_elements("css selector", selector)

    def text(self, selector: str) -> str:
        """Of the first such element; nothing where there is none, yet or any more."""
        return "".join(element.text for element in self.all(selector)[:1])

    def click(self, selector: str) -> None:
        self.browser.find_element("css selector", selector).click()

    def sees(self, selector: str, text: str) -> None:
        self.wait(lambda: text in self.text(selector), f"{text!r} in {selector}")

    def is_loaded(self) -> None:
        script = "return [...document.images].every(i => i.loading === 'lazy' || (i.complete && i.naturalWidth > 0))"
        self.wait(lambda: self.browser.execute_script(script), "all pictures")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def reviewed(tmp_path, open_review, browser):
    """(page, review) of 70 groups: 0 of a scene, its mirror image and two more; 1 to 67 near, 68 and 69 exact."""
    scene = draw_scene(7)
    photos = tmp_path / "album"
    photos.mkdir()
    changes = [
        scene,
        scene.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((240, 180)),
        scene.convert("L"),
        draw_scene(8),
    ]
    for number, changed in enumerate(changes):
        changed.save(photos / f"scene {number}.png")
    members = [member_of(photos / f"scene {number}.png", 1 - number / 20, "copy") for number in range(4)]
    groups = [group_of(*members)]
    groups += [near_group(photos, seed=seed) for seed in range(1, 68)]
    groups += [exact_group(photos, seed=seed, members=3) for seed in (68, 69)]
    review = open_review(groups=groups)
    with serving(review) as guard:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        requested_urls(browser)
        complaints(browser)
        browser.get(guard.url)
        page = Page(browser)
        page.sees("#heading", "Group 1 of 70")
        page.is_loaded()
        yield page, review
        assert complaints(browser) == []
        assert {url.split("/")[2] for url in requested_urls(browser)} == {guard.host}


def test_deciding_with_the_keyboard(reviewed, folder):
    page, review = reviewed
    assert "token" not in page.browser.current_url
    assert page.browser.execute_script("return document.cookie") == ""
    assert page.text("#left .name") == "scene 0.png"
    assert page.text("#right .name") == "scene 1.png"
    assert page.text("#right .likeness").startswith("0.950")
    assert "480 × 360" in page.text("#left .facts")
    page.press("d")
    page.sees("#right .name", "scene 2.png")
    page.press("n")
    page.sees("#right .name", "scene 3.png")
    page.press("l")
    # The group is decided, so the next one comes.
    page.sees("#heading", "Group 2 of 70")
    assert review.marks(0) == (None, "drop", "not", "later")
    assert sorted(load_verdicts(folder).values()) == ["duplicate", "later", "not"]
    page.sees("#decided", "1 of 70 groups decided")
    page.sees("#dropped", "1 image to drop")
    page.press("k")
    page.sees("#heading", "Group 3 of 70")
    page.press(DOWN)
    page.sees("#heading", "Group 4 of 70")
    page.press(UP, UP)
    page.sees("#heading", "Group 2 of 70")
    assert page.text("#right .badge") == "keep"
    page.press("k")  # again: takes the mark away
    page.sees("#decided", "1 of 70")
    page.press("u")
    page.sees("#decided", "2 of 70")
    assert review.marks(1) == (None, "keep")
    page.press("u", "u")
    page.sees("#right .name", "scene 3.png")
    assert review.marks(1) == (None, None)
    assert review.marks(0) == (None, "drop", "not", None)
    page.press(RIGHT, RIGHT)
    page.sees("#right .name", "scene 1.png")
    page.press(LEFT, LEFT)
    page.sees("#right .name", "scene 3.png")


def test_the_keeper_can_be_dropped(reviewed):
    page, review = reviewed
    page.press("D")
    page.sees("#left .badge", "drop")
    page.sees("#right .badge", "keep")
    assert review.marks(0) == ("drop", "keep", None, None)
    page.press(RIGHT)
    page.sees("#left .name", "scene 1.png")
    page.press("d")
    page.sees("#right .name", "scene 3.png")
    page.press("a")
    page.sees("#heading", "Group 2 of 70")
    assert review.marks(0) == ("drop", "keep", "drop", "drop")


def test_the_last_image_cannot_be_dropped(reviewed):
    page, review = reviewed
    page.press("d", "d", "d")  # faster than the answers come
    page.sees("#heading", "Group 2 of 70")
    page.press(UP)
    page.sees("#heading", "Group 1 of 70")
    page.press("D")
    page.sees("#toast", "One image of a group stays")
    assert review.marks(0) == (None, "drop", "drop", "drop")
    [complaint] = complaints(page.browser)
    assert "409" in complaint


def test_buttons_bulk_and_the_plan(reviewed):
    page, review = reviewed
    page.click("[data-mark=keep]")
    page.sees("#right .name", "scene 2.png")
    page.click("[data-all=not]")
    page.sees("#heading", "Group 2 of 70")
    assert review.marks(0) == (None, "not", "not", "not")
    page.click("#accept-exact")
    page.sees("#toast", "Exact copies of 2 groups")
    page.sees("#dropped", "4 images to drop")
    page.click("#undo")
    page.sees("#heading", "Group 69 of 70")
    page.press("e")
    page.sees("#dropped", "4 images to drop")
    page.press("w")
    page.sees("#command", f"neardup dedup --index {review.folder} --plan {review.plan_path} --apply")
    assert len(load_plan(review.plan_path).steps) == 4
    assert all(member.path.exists() for group in review.groups for member in group.members)
    page.press("\ue00c")  # Escape
    page.press("d")
    page.wait(lambda: not page.browser.execute_script("return document.getElementById('written').open"), "closed")


def test_accepting_exact_copies_goes_on_to_what_is_open(open_review, tmp_path, browser):
    keeper, copy = exact_group(tmp_path / "album", seed=1).members
    near = near_group(tmp_path / "album", seed=1).members[1]
    review = open_review(groups=[group_of(keeper, copy, near), near_group(tmp_path / "album", seed=2)])
    with serving(review) as guard:
        browser.get(guard.url)
        page = Page(browser)
        page.sees("#right .name", copy.path.name)
        page.press("e")
        page.sees("#right .name", near.path.name)
        page.press("d")  # not the copy, whose mark it would take away
        page.sees("#heading", "Group 2 of 2")
    assert review.marks(0) == (None, "drop", "drop")


def test_the_difference_view(reviewed):
    page, _ = reviewed
    page.press("x")
    page.sees("#explained", "mirrored left to right; scaled to 50 %")
    page.is_loaded()
    assert "/differences/0/0/1/difference" in page.all("#right img")[0].get_attribute("src")
    page.press("x")
    page.is_loaded()
    assert "/differences/0/0/1/aligned" in page.all("#right img")[0].get_attribute("src")
    page.press(RIGHT)
    page.sees("#explained", "turned grey")
    page.press(RIGHT)
    page.sees("#explained", "No reliable alignment")
    page.sees("#right .absent", "No reliable alignment")
    page.press("x")
    page.wait(lambda: page.text("#explained") == "", "no explanation of a picture")
    page.is_loaded()
    # The one complaint is the picture of a difference that there is none of.
    assert all("/differences/0/0/3/" in line for line in complaints(page.browser))


def test_filters_pages_and_themes(reviewed):
    page, _ = reviewed
    assert len(page.all("#list li")) == 60
    page.sees("#pages", "1–60 of 70")
    page.click("#later-page")
    page.sees("#heading", "Group 61 of 70")
    assert len(page.all("#list li")) == 10
    choose = "const s = document.getElementById('filter'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))"
    page.browser.execute_script(choose.replace("filter", "relation"), "exact")
    page.sees("#pages", "1–2 of 2")
    page.sees("#heading", "Group 69 of 70")
    assert page.text("#kind") == "exact"
    page.browser.execute_script(choose, "drops")
    page.sees("#nothing-title", "No group is like that")
    page.browser.execute_script(choose, "all")
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = page.browser.execute_script(colour)
    page.press("t")
    assert page.browser.execute_script(colour) != light
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.press("t")
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    assert page.browser.execute_script(colour) == light  # what the person chose stays
    page.press("?")
    assert page.browser.execute_script("return document.getElementById('help').open")


def test_a_review_is_taken_up_again_in_the_page(open_review, browser):
    review = open_review()
    review.mark_all(0, "drop")
    with serving(open_review()) as guard:
        browser.get(guard.url)
        page = Page(browser)
        page.sees("#heading", "Group 2 of 3")
        browser.refresh()  # without the token: the cookie is enough
        page.sees("#heading", "Group 2 of 3")
        assert Path(browser.current_url.removeprefix(f"http://{guard.host}")) == Path("/")
