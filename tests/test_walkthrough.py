"""The product as a story, with the model that is shipped: photos, copies of them, an index, queries."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageFont, ImageOps

skimage = pytest.importorskip("skimage", reason="the dev extra's scikit-image carries the photographs")

from pathlib import Path  # noqa: E402

from neardup import Index, load_embedder  # noqa: E402
from neardup.cli import main  # noqa: E402
from neardup.images import load_image  # noqa: E402

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "retina.jpg")


def photo(name):
    image = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
    image.thumbnail((500, 500))
    return image


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_person_with_a_folder_of_photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEARDUP_INDEX", raising=False)

    # She has photos of six things, in folders by year.
    for number, name in enumerate(PHOTOS):
        folder = tmp_path / "photos" / str(2020 + number % 3)
        folder.mkdir(parents=True, exist_ok=True)
        photo(name).save(folder / f"{Path(name).stem}.jpg", quality=90)

    # She points neardup at them, and it counts what it found.
    report = json.loads(run("index", "photos", "--label-from-folder", "--format", "json"))
    assert (report["indexed"], report["failed"], report["images"]) == (6, [], 6)
    assert json.loads(run("info", "--format", "json"))["images"] == 6

    # Friends have sent some of them back, each changed in another way.
    changed = {
        "astronaut": photo("astronaut.png").resize((128, 200)),
        "chelsea": ImageOps.mirror(photo("chelsea.png")),
        "coffee": ImageOps.grayscale(photo("coffee.png")),
        "rocket": photo("rocket.jpg").crop((60, 40, 440, 400)),
        "motorcycle_left": photo("motorcycle_left.png"),
    }
    draw = ImageDraw.Draw(changed["motorcycle_left"])
    draw.text((40, 40), "for sale!", fill="yellow", font=ImageFont.load_default(60))
    (tmp_path / "received").mkdir()
    for name, image in changed.items():
        image.save(tmp_path / "received" / f"{name}.jpg", quality=40)

    # Each one finds its original, whose folder is its label.
    answers = [json.loads(line) for line in run("query", "received", "--top", 1, "--format", "json").splitlines()]
    assert [Path(answer["matches"][0]["path"]).stem for answer in answers] == sorted(changed)
    assert {answer["matches"][0]["label"] for answer in answers} == {"2020", "2021", "2022"}

    # And all of that is there in Python, too.
    embedder = load_embedder("default")
    [embedding] = embedder.embed([load_image(tmp_path / "received" / "chelsea.jpg")])
    best = Index.open(tmp_path / ".neardup").query(embedding, k=2)
    assert best[0].path.name == "chelsea.jpg"
    assert best[0].similarity > best[1].similarity + 0.2

    # She adds what she got, deletes a photo, and runs index again: only that is done.
    (tmp_path / "photos" / "2020" / "rocket.jpg").unlink()
    report = json.loads(run("index", "photos", "received", "--format", "json"))
    assert (report["indexed"], report["unchanged"], report["removed"], report["images"]) == (5, 5, 1, 10)
