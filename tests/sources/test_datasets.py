"""tfds: sources, from data sets that TensorFlow Datasets itself writes here; nothing is downloaded."""

import io
import json
import shutil
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from neardup.cli import main
from neardup.errors import BadInput
from neardup.index import Index
from neardup.sources import ImageFile
from neardup.sources.datasets import Record, check_download, from_builder, is_dataset, open_dataset
from tests.conftest import draw_photo, draw_scene

tfds = pytest.importorskip("tensorflow_datasets")
LABELS = ("daisy", "tulips")


def jpeg(number):
    file = io.BytesIO()
    draw_photo(number).save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Twelve photos in train, three in test, in TFDS's own format on disk."""
    root = tmp_path_factory.mktemp("tfds")
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=LABELS)}
    )

    def records(first, count):
        return [(n, {"image": io.BytesIO(jpeg(n)), "label": LABELS[n % 2]}) for n in range(first, first + count)]

    return tfds.dataset_builders.store_as_tfds_dataset(
        name="small_flowers", version="1.2.3", features=features, data_dir=root,
        split_datasets={"train": records(0, 12), "test": records(12, 3)}, disable_shuffling=True,
    )  # fmt: skip


def test_what_is_a_dataset():
    assert is_dataset("tfds:tf_flowers:train[:85%]")
    assert not is_dataset("photos/tfds:x")


def test_records_keep_bytes_labels_and_order(prepared):
    dataset = open_dataset(f"tfds:{prepared.data_dir}:train")
    records = list(dataset)
    assert len(dataset) == len(records) == 12
    assert all(isinstance(record, Record) for record in records)
    assert [record.read() for record in records] == [jpeg(n) for n in range(12)]
    assert [record.label for record in records] == [LABELS[n % 2] for n in range(12)]
    assert all(record.path.is_absolute() and record.path.parent.name == "1.2.3" for record in records)
    assert len({record.path for record in records}) == 12


def test_a_record_keeps_its_path_in_every_slice(prepared):
    whole = [(r.path, r.read()) for r in open_dataset(f"tfds:{prepared.data_dir}:train")]
    parts = [open_dataset(f"tfds:{prepared.data_dir}:train[{part}]") for part in (":75%", "75%:")]
    assert [len(part) for part in parts] == [9, 3]
    assert [(r.path, r.read()) for part in parts for r in part] == whole


def test_without_a_split_all_of_them(prepared):
    records = list(open_dataset(f"tfds:{prepared.data_dir}"))
    assert sorted(record.read() for record in records) == sorted(jpeg(n) for n in range(15))


def test_a_damaged_shard_is_said(prepared, tmp_path):
    copied = Path(shutil.copytree(prepared.data_dir, tmp_path / "1.2.3"))
    [shard] = copied.glob("*train*")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    with pytest.raises(BadInput, match=r"cannot be read .*; prepare it anew"):
        list(open_dataset(f"tfds:{copied}:train"))


def image_folder(root, count):
    for number in range(count):
        path = root / "train" / LABELS[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(number))


def test_an_image_folder_gives_files(tmp_path):
    image_folder(tmp_path, 4)
    for dataset in (from_builder(tfds.ImageFolder(str(tmp_path))), open_dataset(f"tfds:{tmp_path}:train")):
        files = sorted(dataset, key=lambda source: source.path.name)
        assert files == [ImageFile(tmp_path / "train" / LABELS[n % 2] / f"{n}.jpg", LABELS[n % 2]) for n in range(4)]
        assert len(dataset) == 4


@pytest.mark.parametrize(
    ("split", "wanted"),
    [
        ("train[:50%]", slice(0, 3)),
        ("train[2:]", slice(2, 6)),
        ("train[-1:]", slice(5, 6)),
        ("train[1:3]", slice(1, 3)),
    ],
)
def test_a_part_of_an_image_folder(tmp_path, split, wanted):
    image_folder(tmp_path, 6)
    whole = [source.path for source in open_dataset(f"tfds:{tmp_path}:train")]
    part = open_dataset(f"tfds:{tmp_path}:{split}")
    assert [source.path for source in part] == whole[wanted]
    assert len(part) == len(whole[wanted])
    parts = open_dataset(f"tfds:{tmp_path}:train[:2]+train[4:]+all")
    assert [source.path for source in parts] == whole[:2] + whole[4:] + whole


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tfds:/nowhere/at/all", "no such folder"),
        ("tfds:no_such_data_set_anywhere", "cannot be opened"),
        ("tfds:{}:validation", "no split 'validation'; there are train, test"),
        ("tfds:{}:train[:x%]", "no split"),
    ],
)
def test_what_cannot_be_opened_says_why(prepared, name, reason):
    with pytest.raises(BadInput, match=reason):
        open_dataset(name.format(prepared.data_dir))


def test_a_data_set_without_images(tmp_path):
    features = tfds.features.FeaturesDict({"x": tfds.features.Scalar(dtype=np.int64)})
    found = tfds.dataset_builders.store_as_tfds_dataset(
        name="numbers", version="1.0.0", features=features, data_dir=tmp_path, split_datasets={"train": [(0, {"x": 1})]}
    )
    with pytest.raises(BadInput, match="0 image features"):
        open_dataset(f"tfds:{found.data_dir}")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        result = CliRunner().invoke(main, [*arguments, "--format", "json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


def test_indexing_a_data_set_twice_embeds_it_once(prepared, tiny_model, tmp_path, run):
    name, model = f"tfds:{prepared.data_dir}:train", str(tiny_model.folder)
    first, second = (run("index", name, "--model", model) for _ in range(2))
    assert (first["indexed"], first["images"], first["failed"]) == (12, 12, [])
    assert (second["indexed"], second["unchanged"], second["removed"]) == (0, 12, 0)
    (tmp_path / "query.jpg").write_bytes(jpeg(5))
    [match] = run("query", "query.jpg", "--top", "1")["matches"]
    assert match["label"] == "tulips"
    assert match["path"].startswith(str(prepared.data_dir))
    assert match["similarity"] > 0.999


@pytest.mark.parametrize("splits", [("train", "train"), ("train[:75%]", "train[25%:]"), ("", "train", "test[:1]")])
def test_records_that_are_asked_for_twice_count_once(prepared, tiny_model, run, splits):
    names = [f"tfds:{prepared.data_dir}:{split}".removesuffix(":") for split in splits]
    report = run("index", *names, "--model", str(tiny_model.folder))
    assert report["indexed"] == report["images"] == (15 if "" in splits else 12)


def test_a_folder_as_such_and_as_a_data_set_counts_once_and_has_labels(tiny_model, tmp_path, run):
    image_folder(tmp_path / "photos", 4)
    for names in (("photos", "tfds:./photos"), ("tfds:./photos:train[:50%]", "tfds:./photos")):
        report = run("index", *names, "--model", str(tiny_model.folder), "--rebuild")
        assert (report["indexed"], report["images"]) == (4, 4)
        with Index.open(tmp_path / ".neardup") as index:
            assert sorted(image.label for image in index) == ["daisy", "daisy", "tulips", "tulips"]


def test_a_shorter_split_shrinks_the_index(prepared, tiny_model, tmp_path, run):
    """Each command with what it removes, and what is there then."""
    image_folder(tmp_path / "photos", 6)
    steps = [
        ((":train", ":test"), 0, 15),
        ((":train[:50%]",), 6, 9),  # of the other split nothing goes
        ((":train[3:7]",), 3, 7),
        (("",), 0, 15),
        ((":test[:1]+train[:2]",), 12, 3),
    ]
    for splits, removed, images in steps:
        report = run("index", *(f"tfds:{prepared.data_dir}{s}" for s in splits), "--model", str(tiny_model.folder))
        assert (report["removed"], report["images"]) == (removed, images), splits
    for split, removed, images in (("", 0, 9), (":train[:2]", 4, 5)):
        report = run("index", f"tfds:./photos{split}", "--model", str(tiny_model.folder))
        assert (report["removed"], report["images"]) == (removed, images), split


def test_queries_from_a_data_set_have_labels_and_pictures(prepared, tiny_model, tmp_path, run, monkeypatch):
    from neardup.output.figures import matches

    drawn = []
    monkeypatch.setattr(matches, "draw_cell", lambda axis, pixels, name, caption, ink: drawn.append((pixels, caption)))
    run("index", f"tfds:{prepared.data_dir}:train", "--model", str(tiny_model.folder))
    found = run("query", f"tfds:{prepared.data_dir}:train[2:3]", "--top", "3", "--plot", str(tmp_path / "grid.png"))
    assert (found["query_label"], found["matches"][0]["relation"]) == ("daisy", "exact")
    assert found["matches"][0]["path"] == found["query"]
    assert len(drawn) == 4
    assert all(pixels is not None for pixels, _ in drawn)
    assert drawn[0][1] == "daisy"
    again = run("query", found["query"], "--top", "3")  # by the path that was printed
    assert [m["path"] for m in again["matches"]] == [m["path"] for m in found["matches"]]


@pytest.fixture
def with_copies(tmp_path):
    """Two photos in a data set, each with a copy there; the first, recompressed, also as a file beside it."""
    features = tfds.features.FeaturesDict({"image": tfds.features.Image()})
    records = []
    for number in range(2):
        for quality in (95, 60):
            file = io.BytesIO()
            draw_scene(number).save(file, "JPEG", quality=quality)
            records.append((len(records), {"image": io.BytesIO(file.getvalue())}))
    builder = tfds.dataset_builders.store_as_tfds_dataset(
        name="copies", version="1.0.0", features=features, data_dir=tmp_path / "tfds", split_datasets={"train": records}
    )
    (tmp_path / "files").mkdir()
    draw_scene(0).save(tmp_path / "files" / "photo.jpg", quality=50)
    return f"tfds:{builder.data_dir}"


def test_groups_of_records_are_confirmed_and_shown(with_copies, tmp_path, run):
    run("index", with_copies, "files")
    groups = [json.loads(line) for line in raw("groups").splitlines()]
    assert [len(group["images"]) for group in groups] == [3, 2]
    assert {image["relation"] for group in groups for image in group["images"]} <= {"keeper", "copy"}
    raw("groups", "--output", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/webp;base64,") == 5
    first, second = (image["path"] for image in groups[1]["images"])
    assert run("explain", first, second, "--plot", str(tmp_path / "why.png"))["relation"] == "copy"
    assert run("compare", first, second)["duplicate"]


def test_dedup_says_that_records_are_no_files(with_copies, tmp_path, run):
    run("index", with_copies, "files")
    plan = run("dedup", "--action", "trash")
    assert plan["steps"] == []
    reasons = {kept["reason"].partition(" data set")[0] for kept in plan["kept"]}
    assert reasons == {"is a record of a", "its keeper is a record of a"}
    assert len(plan["kept"]) == 3


def raw(*arguments):
    result = CliRunner().invoke(main, [*arguments, "--format", "json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_pictures_to_evaluate_and_to_train_on(prepared):
    from neardup.sources import load_stored
    from neardup.sources.datasets import find_stored
    from neardup.training.labels.records import labelled_pictures

    name = f"tfds:{prepared.data_dir}:test"
    assert [load_stored(path).shape for path in find_stored(name)] == [(90, 120, 3)] * 3
    assert [(each.path.name[-1], each.label) for each in labelled_pictures(name)] == [
        ("0", "daisy"), ("1", "tulips"), ("2", "daisy"),
    ]  # fmt: skip


def builder_from(tmp_path, url, size=5):
    infos = {url: SimpleNamespace(size=size)}
    return SimpleNamespace(data_dir=str(tmp_path / "flowers" / "1.0.0"), builder_config=None, url_infos=infos)


def test_a_download_that_cannot_work_says_so_at_once(tmp_path):
    silent = socket.create_server(("127.0.0.1", 0))  # accepts, and never answers
    urls = ("http://nowhere.invalid/x.tgz", "http://127.0.0.1:9/x.tgz", f"http://127.0.0.1:{silent.getsockname()[1]}/x")
    started = time.monotonic()
    for url in urls:
        with pytest.raises(BadInput, match="cannot be downloaded"):
            check_download(builder_from(tmp_path, url), wait_s=2)
    assert time.monotonic() - started < 12
    silent.close()


def test_what_was_downloaded_before_is_not_asked_for(tmp_path):
    (tmp_path / "downloads" / "flowers").mkdir(parents=True)
    (tmp_path / "downloads" / "flowers" / "x.tgz").write_bytes(b"12345")
    check_download(builder_from(tmp_path, "http://nowhere.invalid/x.tgz"), wait_s=2)
