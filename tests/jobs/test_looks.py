"""What a person said of two pictures holds when a tag is written into a file, and only then."""

import shutil

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from neardup.index import Index
from neardup.index.looks import missing_looks
from neardup.index.notes import load_verdicts, pair_of, record_verdicts
from neardup.jobs import looks
from neardup.jobs.index import index_images
from tests.conftest import draw_photo
from tests.mean_colour import mean_colour


def write_rating(path, stars):
    """The same pixels in other bytes, as a photo manager writes them."""
    content = path.read_bytes()
    if path.suffix == ".jpg":
        path.write_bytes(content[:2] + b"\xff\xfe\0\x03" + bytes([stars]) + content[2:])
    elif path.suffix == ".heic":  # a box that says nothing of the picture
        path.write_bytes(content + b"\0\0\0\x0cfree" + bytes([stars] * 4))
    else:
        info = PngInfo()
        info.add_text("Rating", str(stars))
        with Image.open(path) as image:
            image.load()
        image.save(path, pnginfo=info)


def save(picture, path):
    if path.suffix == ".heic":
        import pillow_heif

        pillow_heif.from_pillow(picture).save(path, quality=90)
    else:
        picture.save(path, **({"quality": 90} if path.suffix == ".jpg" else {}))


@pytest.fixture
def run(tmp_path):
    def run():
        return index_images([tmp_path / "photos"], tmp_path / "index", model=mean_colour(), threads=2)

    return run


@pytest.fixture
def told(tmp_path, run, request):
    """Two pictures of which a person said that they are no duplicates."""
    ending = getattr(request, "param", ".jpg")
    (tmp_path / "photos").mkdir()
    paths = [tmp_path / "photos" / f"{name}{ending}" for name in "ab"]
    for number, path in enumerate(paths):
        save(draw_photo(number).convert("RGBA" if ending == ".png" else "RGB"), path)
    run()
    record_verdicts(tmp_path / "index", {verdict_of(tmp_path, "ab")[0]: "not"})
    run()
    return paths


def verdict_of(tmp_path, names):
    with Index.open(tmp_path / "index") as index:
        first, second = (image.digest for image in index if image.path.stem in names)
    pair = pair_of(first, second)
    return pair, load_verdicts(tmp_path / "index").get(pair)


@pytest.mark.parametrize("told", [".jpg", ".png", ".heic"], indirect=True)
@pytest.mark.parametrize("tagged", ["a", "ab"])
def test_a_verdict_holds_when_a_rating_is_written_into_a_file(tmp_path, run, told, tagged):
    """Also where transparency or the format keep two files from being called equal."""
    for stars in (3, 5):
        for path in told:
            if path.stem in tagged:
                write_rating(path, stars)
        assert run().indexed == len(tagged)
        assert verdict_of(tmp_path, "ab")[1] == "not"
    assert len(load_verdicts(tmp_path / "index")) == 1  # what is said of contents that are gone does not pile up


def test_a_verdict_ends_with_the_pixels(tmp_path, run, told):
    draw_photo(7).save(told[0], quality=90)
    run()
    assert verdict_of(tmp_path, "ab")[1] is None
    assert len(load_verdicts(tmp_path / "index")) == 1  # as it was said, in case the file comes back


def test_a_verdict_follows_a_file_that_is_tagged_and_moved(tmp_path, run, told):
    write_rating(told[0], 5)
    (tmp_path / "photos" / "best").mkdir()
    told[0].rename(tmp_path / "photos" / "best" / told[0].name)
    run()
    assert verdict_of(tmp_path, "ab")[1] == "not"


def test_a_tagged_copy_has_the_verdict_too(tmp_path, run, told):
    """And the old content keeps it while it is there."""
    (tmp_path / "photos" / "copy").mkdir()
    copy = tmp_path / "photos" / "copy" / "a.jpg"
    shutil.copy(told[0], copy)
    write_rating(copy, 5)
    run()
    assert set(load_verdicts(tmp_path / "index").values()) == {"not"}
    assert len(load_verdicts(tmp_path / "index")) == 2


def test_a_rebuild_keeps_it(tmp_path, run, told):
    write_rating(told[1], 4)
    index_images([tmp_path / "photos"], tmp_path / "index", model=mean_colour(), threads=2, rebuild=True)
    assert verdict_of(tmp_path, "ab")[1] == "not"


def test_pictures_are_looked_at_once_and_few_of_them(tmp_path, run, told, monkeypatch):
    """Those that verdicts are about, and those with the name and the size of one."""
    looked = []
    digest = looks.look_digest
    monkeypatch.setattr(looks, "look_digest", lambda content: looked.append(content) or digest(content))
    for number in range(5):
        draw_photo(20 + number).save(tmp_path / "photos" / f"{number}.jpg")
    (tmp_path / "photos" / "other").mkdir()
    draw_photo(40, width=200).save(tmp_path / "photos" / "other" / "a.jpg")
    run()
    assert (looked, missing_looks(tmp_path / "index")) == ([], [])
    write_rating(told[0], 1)
    run()
    assert looked == [told[0].read_bytes()]


def test_what_cannot_be_decoded_is_not_tried_again(tmp_path, run, told, monkeypatch):
    def refuse(content):
        raise looks.UnreadableImage("no")

    for stem in "cd":
        draw_photo(ord(stem)).save(tmp_path / "photos" / f"{stem}.jpg")
    run()
    record_verdicts(tmp_path / "index", {verdict_of(tmp_path, "cd")[0]: "not"})
    assert len(missing_looks(tmp_path / "index")) == 2
    monkeypatch.setattr(looks, "look_digest", refuse)
    assert looks.remember_looks(tmp_path / "index") == 2
    assert missing_looks(tmp_path / "index") == []


def test_looking_takes_only_so_long(tmp_path, run, told):
    for stem in "cd":
        draw_photo(ord(stem)).save(tmp_path / "photos" / f"{stem}.jpg")
    run()
    record_verdicts(tmp_path / "index", {verdict_of(tmp_path, "cd")[0]: "not"})
    assert looks.remember_looks(tmp_path / "index", longest_s=-1) == 0
    assert looks.remember_looks(tmp_path / "index") == 2
