"""On a cluster of two nodes: the same index and the same groups as without Ray, whatever dies on the way."""

import os
from dataclasses import dataclass

import pytest
from PIL import Image

from neardup.distributed.groups import workers_on_ray
from neardup.distributed.index import LOST, EngineChoice, RayPlace, on_ray
from neardup.distributed.session import open_ray
from neardup.distributed.shards import Recipe, Store
from neardup.embedding import load_embedder
from neardup.groups import find_groups
from neardup.index import Index
from neardup.jobs.index import Here, Indexer, Known, index_images, recorded
from neardup.prepare import Decode, Threads, prepare_in_order
from neardup.sources import ImageFile
from neardup.sources.walk import Walk
from tests.conftest import draw_photo, draw_scene
from tests.distributed.conftest import files_of, rows_of

NOTHING = Known(lambda digest: False, lambda: iter(()))


@dataclass(frozen=True)
class Deadly(ImageFile):
    """Whoever reads it is gone, without a word."""

    def read(self) -> bytes:
        os._exit(9)


@pytest.fixture
def collection(photos, tmp_path):
    """Pictures, byte copies, a name that is no text, and files that are broken, empty, or links to nothing."""
    paths = photos(60)
    folder = tmp_path / "photos"
    (folder / "copy.jpg").write_bytes(paths[0].read_bytes())
    (folder / os.fsdecode(b"\xff.jpg")).write_bytes(paths[1].read_bytes())
    (folder / "broken.jpg").write_bytes(paths[2].read_bytes()[:500])
    (folder / "empty.jpg").touch()
    return folder


def run(folder, index, place):
    """One run of `index`, with one commit, at its end."""
    walk = Walk([folder], leave_out=index)
    with Index.write(index, place.model, commit_interval_s=1e9) as writer:
        report = Indexer(writer, place).run(walk, walk.whole_roots)
    report.seconds = 0
    return report


def test_the_index_is_the_one_made_without_ray(cluster, collection, tmp_path, tiny_model):
    embedder = load_embedder(str(tiny_model.folder), "onnx")
    with on_ray(cluster.address, tmp_path / "ray", model=str(tiny_model.folder), engine="onnx")(None) as place:
        for change in ("none", "more"):
            if change == "more":
                draw_photo(901).save(collection / "new.png")
                draw_photo(902).save(collection / "000.jpg")
                (collection / "001.jpg").rename(collection / "moved.jpg")
            with Threads(2) as executor:
                plain = run(collection, tmp_path / "plain", Here(embedder, executor))
            assert run(collection, tmp_path / "ray", place) == plain
            assert files_of(tmp_path / "plain") == files_of(tmp_path / "ray")
    assert not (tmp_path / "ray" / "ray").exists()


def test_a_picture_that_ends_its_process_fails_alone(cluster, photos, tmp_path, tiny_model, capfd):
    paths = photos(20)
    sources = [ImageFile(path) for path in paths]
    sources[7] = Deadly(paths[7])
    with open_ray(cluster.address) as ray, Threads(2) as executor:
        choice = EngineChoice(str(tiny_model.folder), "onnx", many=False)
        recipe = Recipe(recorded(load_embedder(choice.model, "onnx")), parts=False)
        place = RayPlace(ray, choice, recipe, Store(tmp_path / "work", recipe))
        found = list(place.prepare(sources, NOTHING))
        others = [source for source in sources if not isinstance(source, Deadly)]
        here = dict(prepare_in_order(others, executor, Decode(tiny_model.input_size)))
    assert capfd.readouterr().out == ""  # where results go
    assert [source for source, _ in found] == sources
    assert [source for source, image in found if image.error == LOST] == [sources[7]]
    for source, image in found:
        if source is not sources[7]:
            expected = here[source]
            assert (image.digest, image.width, image.margin) == (expected.digest, expected.width, expected.margin)
            assert image.embeddings.shape == (1, 32)


@pytest.fixture
def gallery(tmp_path):
    """Versions of scenes, strangers, and one file that goes away after it was indexed."""
    folder = tmp_path / "gallery"
    folder.mkdir()
    for seed in range(6):
        scene = draw_scene(seed)
        scene.save(folder / f"{seed}.png")
        scene.save(folder / f"{seed}.jpg", quality=70)
        scene.resize((240, 180), Image.Resampling.LANCZOS).save(folder / f"{seed}_small.jpg", quality=85)
        scene.crop((40, 30, 440, 330)).save(folder / f"{seed}_crop.jpg", quality=85)
    scene.save(folder / "same_pixels.bmp")
    return folder


def groups_of(index, workers=None):
    totals = []
    with Index.open(index) as opened:
        groups = list(find_groups(opened, workers=workers, on_totals=totals.append))
    return groups, totals


def test_groups_are_those_found_without_ray(cluster, gallery, tmp_path):
    for name in ("plain", "ray"):
        index_images([gallery], tmp_path / name, engine="onnx", threads=1)
    (gallery / "2_crop.jpg").unlink()
    plain = groups_of(tmp_path / "plain")
    with workers_on_ray(cluster.address) as workers:
        ray = groups_of(tmp_path / "ray", workers)
    assert len(plain[0]) >= 6
    assert ray == plain
    assert workers.looks > 0
    assert rows_of(tmp_path / "plain") == rows_of(tmp_path / "ray")


def test_a_node_that_dies_on_the_way_changes_nothing(cluster, collection, gallery, tmp_path, tiny_model, capfd):
    """Last here: from now on the cluster has one node."""
    killed = []

    def kill(report):
        if not killed and report.indexed:
            killed.append(report.indexed)
            cluster.remove_node(cluster.second, allow_graceful=False)

    index_images([collection, gallery], tmp_path / "plain", model=str(tiny_model.folder), engine="onnx")
    elsewhere = on_ray(cluster.address, tmp_path / "ray", model=str(tiny_model.folder), engine="onnx")
    report = index_images([collection, gallery], tmp_path / "ray", elsewhere=elsewhere, on_progress=kill)
    assert 0 < killed[0] < report.indexed
    assert rows_of(tmp_path / "plain") == rows_of(tmp_path / "ray")
    assert "raylet" not in capfd.readouterr().out  # where results go
