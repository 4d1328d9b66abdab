"""A rolling index: only what changed lately is taken, and what has grown old leaves at the commit."""

import os
import time
from datetime import timedelta

import pytest
from click.testing import CliRunner

from neardup.cli import main
from neardup.index import Index
from neardup.jobs.index import index_images

DAY = 86_400


def aged(path, days):
    moment = time.time() - days * DAY
    os.utime(path, (moment, moment))


def names(folder):
    with Index.open(folder) as index:
        return {image.path.name for image in index}


@pytest.fixture
def run(tiny_model, tmp_path):
    def run(*paths, days=None):
        newer_than = None if days is None else timedelta(days=days)
        report = index_images(paths, tmp_path / "index", model=str(tiny_model.folder), newer_than=newer_than)
        return (report.indexed, report.unchanged, report.removed, report.too_old), names(tmp_path / "index")

    return run


def test_only_what_is_new_enough_is_taken(photos, tmp_path, run):
    for days, path in zip((1, 50, 100), photos(3), strict=True):
        aged(path, days)
    assert run(tmp_path / "photos", days=90) == ((2, 0, 0, 1), {"000.jpg", "001.jpg"})
    assert run(tmp_path / "photos", days=30) == ((0, 1, 1, 2), {"000.jpg"})
    assert run(tmp_path / "photos") == ((2, 1, 0, 0), {"000.jpg", "001.jpg", "002.jpg"})


def test_what_is_old_leaves_wherever_it_lies(photos, tmp_path, run):
    [old] = photos(1, folder="elsewhere")
    aged(old, 100)
    photos(2, first=1)
    run(tmp_path / "elsewhere")
    assert run(tmp_path / "photos", days=90) == ((2, 0, 1, 0), {"001.jpg", "002.jpg"})


@pytest.mark.parametrize("age", ["90", "d", "0d", "-3d", "1.5h", "9y", "9999999d"])
def test_an_age_that_is_none_is_a_usage_error(age, tmp_path):
    result = CliRunner().invoke(main, ["index", str(tmp_path), "--newer-than", age])
    assert (result.exit_code, "as in 12h, 90d or 8w" in result.output) == (2, True)
