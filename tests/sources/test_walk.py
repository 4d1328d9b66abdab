"""Several roots at once: every file that was asked for, once, and what was not looked at is known."""

import os
import shutil
from pathlib import Path

import pytest

from neardup.errors import BadInput
from neardup.images import find
from neardup.images.globs import Globs
from neardup.sources import ImageFile
from neardup.sources.walk import Walk


@pytest.fixture
def tree(tmp_path):
    """`tree("a/b.jpg", ...)` makes empty files; returns the folder."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
        return tmp_path

    return make


def found(walk, folder):
    return [str(source.path.relative_to(folder)) for source in walk]


def walked(folder, *roots, **options):
    return found(Walk([folder / root for root in roots], **options), folder)


def test_roots_below_each_other_give_every_file_once(tree):
    folder = tree("a/1.jpg", "a/b/2.jpg", "a/b/3.jpg", "c/4.jpg")
    assert walked(folder, "a", "a/b", "a/b/2.jpg", "a/../a", "c/4.jpg", "c") == [
        "a/1.jpg", "a/b/3.jpg", "a/b/2.jpg", "c/4.jpg",
    ]  # fmt: skip
    with pytest.raises(BadInput, match="nowhere"):
        Walk([folder / "a", folder / "nowhere"])


def test_a_root_that_another_would_pass_over_is_a_root_all_the_same(tree):
    folder = tree(
        "a/1.jpg", "a/.hidden/2.jpg", "a/.hidden/.more/3.jpg", "a/@eaDir/4.jpg", "a/odd.xyz", "a/.5.jpg", "b/6.jpg"
    )
    (folder / "a" / "link").symlink_to(folder / "b")
    (folder / "a" / "link.jpg").symlink_to(folder / "b" / "6.jpg")
    assert walked(folder, "a") == ["a/1.jpg"]
    assert walked(folder, "a", "a/.hidden", "a/.5.jpg", "a/@eaDir", "a/odd.xyz") == [
        "a/1.jpg", "a/.5.jpg", "a/.hidden/2.jpg", "a/@eaDir/4.jpg", "a/odd.xyz",
    ]  # fmt: skip
    assert walked(folder, "a", "a/link") == ["a/1.jpg", "a/link/6.jpg"]
    assert walked(folder, "a", "a/link.jpg") == ["a/1.jpg", "a/link.jpg"]


def test_what_a_link_leads_to_as_well_comes_under_its_own_path(tree):
    folder = tree("a/1.jpg", "a/2.jpg")
    (folder / "A-link").symlink_to("a")  # sorts before it
    (folder / "one.jpg").symlink_to("a/1.jpg")
    (folder / "two.jpg").symlink_to("a/1.jpg")
    (folder / "through").symlink_to(".")
    assert walked(folder, "A-link", "a", "one.jpg") == ["a/1.jpg", "a/2.jpg"]
    assert walked(folder, "a/1.jpg", "one.jpg", "through/a/1.jpg") == ["a/1.jpg"]
    assert walked(folder, "one.jpg", "two.jpg", "A-link/2.jpg") in (
        ["one.jpg", "A-link/2.jpg"],
        ["A-link/2.jpg", "one.jpg"],
    )
    assert walked(folder, "through/a", "through/a/2.jpg") == ["through/a/1.jpg", "through/a/2.jpg"]


def test_hard_links_are_files_of_their_own(tree):
    folder = tree("a/1.jpg")
    os.link(folder / "a/1.jpg", folder / "other.jpg")
    assert walked(folder, "a", "other.jpg") == ["a/1.jpg", "other.jpg"]


def test_labels_are_folders_names(tree):
    folder = tree("roses/1.jpg", "2.jpg")
    walk = Walk([folder / "roses", folder / "2.jpg"], label_from_folder=True)
    assert list(walk) == [ImageFile(folder / "2.jpg", folder.name), ImageFile(folder / "roses/1.jpg", "roses")]


def test_the_index_is_left_out_though_it_was_made_after_the_walk(tree):
    folder = tree("a/1.jpg")
    walk = Walk([folder], leave_out=folder / "index")
    tree("index/2.jpg")
    assert found(walk, folder) == ["a/1.jpg"]


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ((), ("*.png",), "a/1.jpg a/cache/3.jpg b/cache/5.jpg b/trips/2019/raw/6.jpg"),
        ((), ("cache",), "a/1.jpg a/2.png b/trips/2019/raw/6.jpg"),
        ((), ("cache/",), "a/1.jpg a/2.png b/trips/2019/raw/6.jpg"),
        ((), ("a/cache",), "a/1.jpg a/2.png b/cache/5.jpg b/trips/2019/raw/6.jpg"),
        ((), ("trips/*/raw", "?.png"), "a/1.jpg a/cache/3.jpg b/cache/5.jpg b/trips/2019/raw/6.jpg"),
        ((), ("b/trips/*/raw", "[1-3].jpg"), "a/2.png a/cache/4.png b/cache/5.jpg"),
        ((), ("b/*6.jpg",), "a/1.jpg a/2.png a/cache/3.jpg a/cache/4.png b/cache/5.jpg"),
        (("*.png",), (), "a/2.png a/cache/4.png"),
        (("*.PNG",), (), ""),
        (("cache",), (), "a/cache/3.jpg a/cache/4.png b/cache/5.jpg"),
        (("b", "2.png"), (), "a/2.png b/cache/5.jpg b/trips/2019/raw/6.jpg"),
        (("b",), ("cache",), "b/trips/2019/raw/6.jpg"),
    ],
)  # fmt: skip
def test_globs_match_names_paths_and_folders_above(tree, include, exclude, wanted):
    folder = tree("a/1.jpg", "a/2.png", "a/cache/3.jpg", "a/cache/4.png", "b/cache/5.jpg", "b/trips/2019/raw/6.jpg")
    assert " ".join(walked(folder, ".", globs=Globs(include, exclude))) == wanted


def test_globs_and_roots(tree):
    folder = tree("cache/1.jpg", "cache/2.png", "3.jpg", "4.png")
    without = Globs(exclude=("cache", "*.png"))
    assert walked(folder, "cache", "3.jpg", "4.png", globs=without) == ["3.jpg", "cache/1.jpg"]
    listed = [folder / "cache/1.jpg", folder / "cache/2.png", folder / "gone.jpg"]
    sources = Walk([], globs=without).listed(listed)
    assert [source.path for source in sources] == [folder / "cache/1.jpg", folder / "gone.jpg"]


def test_an_excluded_folder_is_not_looked_into(tree, monkeypatch):
    folder = tree("a/1.jpg", "slow/2.jpg")
    looked = []
    scandir = os.scandir
    monkeypatch.setattr(find.os, "scandir", lambda path: looked.append(Path(os.fsdecode(path)).name) or scandir(path))
    assert walked(folder, ".", globs=Globs(exclude=("slow",))) == ["a/1.jpg"]
    assert "slow" not in looked


def test_what_looks_like_a_picture_and_is_not_read_is_counted_by_kind(tree):
    folder = tree(
        "a/1.jpg", "a/1.CR2", "a/2.cr2", "a/2.dng", "b/3.jxl", "b/4.SVG", "b/5.mov", "b/notes.txt", "b/.6.dng",
        "cache/7.dng", "a/paper.pdf", "noending",
    )  # fmt: skip
    (folder / "8.nef").mkdir()
    (folder / "9.nef").symlink_to("a/2.dng")
    walk = Walk([folder], globs=Globs(exclude=("cache",)))
    assert found(walk, folder) == ["a/1.jpg"]
    assert list(walk.passed_over.items()) == [(".cr2", 2), (".dng", 1), (".jxl", 1), (".mov", 1), (".svg", 1)]
    walk = Walk([])
    assert not list(walk.listed([folder / "a/1.CR2", folder / "b/notes.txt", folder / "b/5.mov"]))
    assert walk.passed_over == {".cr2": 1, ".mov": 1}


def test_a_file_of_such_a_kind_that_was_named_is_offered(tree):
    folder = tree("1.cr2")
    walk = Walk([folder / "1.cr2"])
    assert found(walk, folder) == ["1.cr2"]
    assert walk.passed_over == {}


def test_a_root_that_holds_only_links_is_known(tree):
    folder = tree("real/1.jpg", "some/2.jpg", "words/notes.txt")
    (folder / "links").mkdir()
    for name, target in [("links/1.jpg", "real/1.jpg"), ("links/album", "real"), ("some/1.jpg", "real/1.jpg")]:
        (folder / name).symlink_to(folder / target)
    (folder / "words" / "link.txt").symlink_to("notes.txt")
    walk = Walk([folder / name for name in ("links", "some", "words")])
    assert found(walk, folder) == ["some/2.jpg"]
    assert walk.only_links == [folder / "links"]


def test_roots_with_something_unreadable_below_are_not_whole(tree, monkeypatch):
    folder = tree("a/1.jpg", "a/closed/2.jpg", "a/b/3.jpg", "c/4.jpg")
    scandir = os.scandir

    def refusing(path):
        if os.fsencode(path).endswith(b"closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(find.os, "scandir", refusing)
    walk = Walk([folder / "a", folder / "a/b", folder / "a/b/3.jpg", folder / "c"])
    assert found(walk, folder) == ["a/1.jpg", "a/b/3.jpg", "c/4.jpg"]
    assert [(path, error.strerror) for path, error in walk.errors] == [(folder / "a/closed", "Permission denied")]
    assert walk.whole_roots() == [folder / "a/b", folder / "c"]


def test_the_outermost_roots_are_enough(tree):
    folder = tree("a/1.jpg", "a/b/2.jpg")
    walk = Walk([folder / "a", folder / "a/b", folder / "a/1.jpg"])
    assert found(walk, folder) == ["a/b/2.jpg", "a/1.jpg"]
    assert walk.whole_roots() == [folder / "a"]


@pytest.mark.parametrize("back", [False, True])
def test_a_root_that_goes_away_on_the_way_was_not_looked_at(tree, back):
    """A disk that is pulled: its photos are elsewhere, not gone. The place where it was may be an empty folder."""
    folder = tree("disk/1.jpg", "disk/2.jpg", "disk/deep/3.jpg", "other/4.jpg")
    walk = Walk([folder / "disk", folder / "other"])
    sources = iter(walk)
    next(sources)
    shutil.move(folder / "disk", folder / "elsewhere")
    if back:
        (folder / "disk").mkdir()
    assert found(sources, folder)[-1] == "other/4.jpg"
    assert walk.whole_roots() == [folder / "other"]


def test_a_root_that_is_gone_when_the_walk_begins_was_not_looked_at(tree):
    folder = tree("disk/1.jpg")
    walk = Walk([folder / "disk"])
    shutil.rmtree(folder / "disk")
    assert found(walk, folder) == []
    assert walk.whole_roots() == []
