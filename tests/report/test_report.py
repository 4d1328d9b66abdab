"""The HTML report: what it says of groups, names that try to break out, files that are gone, and the page at work."""

import os
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from neardup.errors import BadInput, UnreadableImage
from neardup.groups import DuplicateGroup
from neardup.report import Totals, html, write_report
from neardup.report.thumbnails import make_thumbnail
from tests.browser import complaints, open_browser, requested_urls
from tests.duplicate_groups import exact_group, group_of, member_of, near_group, save_photo

NASTY = "</script><img src=x onerror=alert(1)> &amp; \"q\" 'a' \n\u202e.jpg"


class Page(HTMLParser):
    """The tags of a page, and the text of each element with a class."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "input", "br", "link"):
            self._open.append(dict(attributes).get("class"))
            if self._open[-1]:
                self.texts.setdefault(self._open[-1], []).append("")

    def handle_endtag(self, tag):
        self._open.pop()

    def handle_data(self, data):
        if self._open and self._open[-1]:
            self.texts[self._open[-1]][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_totals_and_groups_are_told(tmp_path):
    groups = [near_group(tmp_path, seed=1, members=3), exact_group(tmp_path, seed=2)]
    freed = sum(member.path.stat().st_blocks * 512 for group in groups for member in group.members[1:])
    report = tmp_path / "report.html"
    totals = write_report(groups, report, title="Holiday", facts=["index /photos"])
    assert totals == Totals(groups=2, images=5, exact=1, copy=2, freed_bytes=freed)
    page = read(report)
    templates = page.all("template")
    assert [template["data-kind"] for template in templates] == ["copy", "exact"]
    assert [template["data-images"] for template in templates] == ["3", "2"]
    assert float(templates[0]["data-least"]) == pytest.approx(0.97, abs=0.011)
    assert sum(int(template["data-freed"]) for template in templates) == freed
    text = report.read_text()
    assert "<h1>Holiday</h1>" in text
    assert "index /photos" in text
    assert text.count(">keep</span>") == 2
    assert "320 × 240" in text
    assert page.texts["name"][:2] == ["photo1.jpg", "photo1_1.jpg"]
    [similarity] = {t for t in re.findall(r"<span>(\d\.\d{3})</span>", text) if t.startswith("0.98")}
    assert similarity == "0.980"


def test_relations_and_changes_are_told(tmp_path):
    keeper, *others = near_group(tmp_path, seed=1, members=4).members
    found = [("copy", "scaled to 62 %"), ("edited", "other content on <2 %>"), (None, None)]
    members = [replace(m, relation=r, change=c) for m, (r, c) in zip(others, found, strict=True)]
    write_report([group_of(keeper, *members)], tmp_path / "report.html")
    page = read(tmp_path / "report.html")
    assert [page.texts[f"badge {name}"] for name in ("copy", "edited")] == [["1 copy", "copy"], ["1 edited", "edited"]]
    assert page.texts["badge near"] == ["1 near", "near"]  # the group, and the one that nobody looked at
    assert page.texts["change"] == ["scaled to 62 %", "other content on <2 %>"]


def test_thumbnails_are_inside_and_byte_copies_are_decoded_once(tmp_path, monkeypatch):
    decoded = []
    monkeypatch.setattr(html, "make_thumbnail", lambda path, **o: decoded.append(path) or make_thumbnail(path, **o))
    write_report([exact_group(tmp_path, seed=2, members=5)], tmp_path / "report.html")
    assert len(decoded) == 1
    images = read(tmp_path / "report.html").all("img")
    assert len(images) == 5
    for image in images:
        with Image.open(BytesIO(b64decode(image["src"].removeprefix("data:image/webp;base64,")))) as thumbnail:
            assert thumbnail.size == (240, 180) == (int(image["width"]), int(image["height"]))


@pytest.mark.parametrize(
    ("size", "shown"),
    [((1000, 100), (240, 24)), ((60, 600), (24, 240)), ((90, 70), (90, 70)), ((3000, 2000), (240, 160))],
)
def test_thumbnails_keep_proportions_and_never_grow(tmp_path, size, shown):
    thumbnail = make_thumbnail(save_photo(tmp_path / "photo.jpg", seed=1, size=size), edge=240)
    assert (thumbnail.width, thumbnail.height) == shown


def test_names_cannot_break_out(tmp_path):
    path = save_photo(tmp_path / "plain.jpg", seed=3)
    nasty = path.rename(tmp_path / NASTY.replace("/", "∕"))
    surrogates = tmp_path / os.fsdecode(b"caf\xe9 \xff.jpg")
    surrogates.write_bytes(nasty.read_bytes())
    group = group_of(member_of(nasty), member_of(surrogates))
    report = tmp_path / "report.html"
    write_report([group], report, title="<b>title</b>", facts=["</style><script>"])
    page = read(report)
    assert len(page.all("script")) == 1
    assert len(page.all("style")) == 1
    assert not page.all("b") or all(not attributes for attributes in page.all("b"))
    assert len(page.all("img")) == 2
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.texts["name"] == [
        nasty.name.replace("\n", "\\n").replace("\u202e", "\\u202e"),
        "caf\\udce9 \\udcff.jpg",
    ]
    links = [link["href"] for link in page.all("a")]
    assert links == [nasty.as_uri(), surrogates.as_uri()]
    assert links[1].endswith("caf%E9%20%FF.jpg")


def test_the_policy_names_exactly_what_is_inline(tmp_path):
    report = tmp_path / "report.html"
    write_report([near_group(tmp_path, seed=1)], report)
    text = report.read_text(encoding="utf-8")
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        [inline] = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = b64encode(sha256(inline.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert not re.search(r"\sstyle=", text)
    assert not re.search(r"""(src|href)=["'](https?:)?//""", text)
    assert "@import" not in text
    assert "url(" not in text


def test_missing_and_broken_files_are_shown_as_such(tmp_path):
    gone = near_group(tmp_path, seed=1)
    gone.members[1].path.unlink()
    broken = near_group(tmp_path, seed=2)
    broken.members[1].path.write_bytes(b"no image")
    copies = exact_group(tmp_path, seed=3, members=3)
    copies.members[0].path.unlink()
    report = tmp_path / "report.html"
    write_report([gone, broken, copies], report)
    page = read(report)
    assert page.texts["absent"] == ["no longer there", "not an image of a known format", "no longer there"]
    assert len(page.all("img")) == 1 + 1 + 2


def test_unreadable_images_have_no_thumbnail(tmp_path):
    with pytest.raises(UnreadableImage):
        make_thumbnail(tmp_path, edge=240)


def test_a_crowd_is_told_from_its_first_images(tmp_path, monkeypatch):
    monkeypatch.setattr(html, "MOST_IMAGES", 5)
    report = tmp_path / "report.html"
    totals = write_report([exact_group(tmp_path, seed=1, members=9)], report)
    assert totals.images == 9
    assert len(read(report).all("img")) == 5
    assert "4 more are left out here" in report.read_text()


def test_thumbnails_are_smaller_in_a_larger_report(tmp_path, monkeypatch):
    """All of one report have one size, and those of pictures that have more pixels are shown at one size."""
    monkeypatch.setattr(html, "THUMBNAILS", ((240, 60, 3), (64, 45, 4), (32, 45, 1 << 62)))
    groups = [near_group(tmp_path, seed=seed) for seed in range(3)]
    for shown, widths, reduced in (
        (1, [240, 199], [True, False]),
        (2, [64] * 4, [True] * 4),
        (3, [32] * 6, [True] * 6),
    ):
        write_report(groups[:shown], tmp_path / "report.html")
        images = read(tmp_path / "report.html").all("img")
        assert [int(image["width"]) for image in images] == widths
        assert ["class" in image for image in images] == reduced


def test_groups_are_taken_one_by_one(tmp_path, monkeypatch):
    """A bounded number is in memory: the last group is asked for after the first has been written."""
    monkeypatch.setattr(html, "THUMBNAILS", ((240, 60, 20), (64, 45, 1 << 62)))
    group, taken = near_group(tmp_path, seed=1), []

    def many():
        for number in range(200):
            taken.append(number)
            yield group
        assert len(taken) == 200

    seen = []
    original = html._shown
    try:
        html._shown = lambda *what: seen.append(len(taken)) or original(*what)
        assert write_report(many(), tmp_path / "report.html", threads=2).groups == 200
    finally:
        html._shown = original
    assert seen[0] <= html.AHEAD
    assert len(read(tmp_path / "report.html").all("template")) == 200


def test_an_empty_report_says_so(tmp_path):
    assert write_report([], tmp_path / "report.html") == Totals()
    assert "No near-duplicates were found." in (tmp_path / "report.html").read_text()


def test_a_failure_leaves_the_old_report(tmp_path):
    report = tmp_path / "report.html"
    report.write_text("old")

    def broken():
        yield near_group(tmp_path, seed=1)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_report(broken(), report)
    assert report.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copies", "photo1.jpg", "report.html"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere.*choose another place"):
        write_report([], tmp_path / "nowhere" / "report.html")


@pytest.mark.parametrize("mtime_ns", [-(1 << 62), (1 << 62) * 4, 10**30])
def test_times_out_of_every_calendar(tmp_path, mtime_ns):
    keeper, copy = near_group(tmp_path, seed=1).members
    odd = member_of(copy.path, 0.9, "copy", mtime_ns=mtime_ns)
    assert write_report([DuplicateGroup((keeper, odd))], tmp_path / "report.html").groups == 1


def test_in_a_browser(tmp_path):
    groups = [near_group(tmp_path, seed=seed, members=2 + seed % 3) for seed in range(24)]
    groups.append(exact_group(tmp_path, seed=100, members=16))
    nasty = save_photo(tmp_path / "plain.jpg", seed=200).rename(tmp_path / NASTY.replace("/", "∕"))
    groups.append(group_of(member_of(nasty), groups[0].members[1]))
    report = tmp_path / "report.html"
    write_report(groups, report)
    with open_browser(tmp_path / "profile") as browser:
        from selenium.webdriver import ActionChains

        find = browser.find_elements
        browser.get(report.as_uri())
        assert requested_urls(browser) == [report.as_uri()]
        assert complaints(browser) == []

        def shown() -> list[str]:
            return [element.text for element in find("css selector", ".card h2")]

        def pager() -> str:
            return browser.find_element("css selector", ".pager output").text

        def press(key: str) -> None:
            ActionChains(browser).send_keys(key).perform()

        # The most space first; 20 a page.
        assert pager() == "1–20 of 26"
        assert shown()[0] == "Group 25"
        # Sixteen images, of which the last ones are folded.
        assert sum(image.is_displayed() for image in find("css selector", ".card:first-child .image")) == 12
        find("css selector", ".card:first-child .more")[0].click()
        assert sum(image.is_displayed() for image in find("css selector", ".card:first-child .image")) == 16
        press("\ue014")  # right
        assert pager() == "21–26 of 26"
        assert len(shown()) == 6
        press("\ue012")  # left
        find("css selector", "[data-kind=exact].card, button[data-kind=exact]")[0].click()
        assert shown() == ["Group 25"]
        find("css selector", "button[data-kind=all]")[0].click()
        browser.execute_script(
            "const s = document.getElementById('sort'); s.value = 'given'; s.dispatchEvent(new Event('change'))"
        )
        assert shown()[:2] == ["Group 1", "Group 2"]
        press("j")
        press("j")
        assert browser.switch_to.active_element.get_attribute("aria-label") == "Group 2"
        press("/")
        browser.switch_to.active_element.send_keys("ONERROR")
        browser.execute_async_script("setTimeout(arguments[0], 300)")
        assert shown() == ["Group 26"]
        assert "onerror=alert(1)" in find("css selector", ".card .name")[0].text
        before = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        find("id", "theme")[0].click()
        assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") != before
        assert find("id", "theme")[0].text == "Light"
        assert browser.execute_script(
            "return [...document.images].every(image => image.complete && image.naturalWidth > 0)"
        )
        assert complaints(browser) == []
