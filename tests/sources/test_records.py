"""Records of data sets are read again by their path; nothing but UnreadableImage comes of whatever lies in a shard."""

import io
import os
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.errors import UnreadableImage
from neardup.images import MAX_FILE_BYTES
from neardup.sources import is_record, load_stored, read_stored
from tests.conftest import draw_photo

SHARD = "flowers-train.tfrecord-00000-of-00001"


def jpeg(number):
    file = io.BytesIO()
    draw_photo(number).save(file, "JPEG")
    return file.getvalue()


def varint(value):
    head = b""
    while value > 127:
        head, value = head + bytes([value & 127 | 128]), value >> 7
    return head + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(**features):
    """A tf.train.Example written by hand; what is an int is a feature of whole numbers."""
    entries = b""
    for name, value in features.items():
        feature = field(3, field(1, varint(value))) if isinstance(value, int) else field(1, field(1, value))
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def shard(folder, *records, name=SHARD):
    path = folder / name
    path.write_bytes(b"".join(struct.pack("<QI", len(r), 0) + r + b"crc!" for r in records))
    return path


def record(path, number):
    return path.with_name(f"{path.name}__{number}")


def test_every_record_of_a_shard(tmp_path):
    path = shard(tmp_path, *(example(label=n, image=jpeg(n), note=b"x" * n) for n in range(5)))
    assert [read_stored(record(path, number)) for number in (4, 0, 2)] == [jpeg(4), jpeg(0), jpeg(2)]
    assert load_stored(record(path, 1)).shape == (90, 120, 3)


def test_the_only_image_where_none_is_called_so(tmp_path):
    path = shard(tmp_path, example(png=jpeg(1), text=b"no image"), example(a=jpeg(1), b=jpeg(2)))
    assert read_stored(record(path, 0)) == jpeg(1)
    with pytest.raises(UnreadableImage, match="2 images in one record"):
        read_stored(record(path, 1))


def test_a_file_of_such_a_name_is_a_file(tmp_path):
    path = record(tmp_path / SHARD, 3)
    assert is_record(path)
    path.write_bytes(b"a file")
    assert not is_record(path)
    assert read_stored(path) == b"a file"


def unreadable(path, why):
    with pytest.raises(UnreadableImage, match=why):
        read_stored(path)


def test_what_cannot_be_read_says_why(tmp_path):
    path = shard(tmp_path, example(image=jpeg(0)))
    unreadable(record(path, 7), "1 records, and none of number 7")
    unreadable(record(tmp_path / "x-train.tfrecord-00000-of-00001", 0), "a data set that is gone")
    unreadable(record(tmp_path / "x-train.array_record-00000-of-00001", 0), "only tfrecord files")
    (tmp_path / "y-train.tfrecord-00000-of-00001").mkdir()
    unreadable(record(tmp_path / "y-train.tfrecord-00000-of-00001", 0), "damaged|cannot be read")


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, MAX_FILE_BYTES + 1, 1000])
def test_a_length_beyond_the_end_is_never_allocated(tmp_path, length):
    path = tmp_path / SHARD
    path.write_bytes(struct.pack("<QI", length, 0) + b"few bytes")
    unreadable(record(path, 0), "ends in the middle")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / SHARD)
    unreadable(record(tmp_path / SHARD, 0), "no regular file")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("shards")


@given(st.binary(max_size=300), st.integers(0, 250), st.integers(0, 255))
def test_damage_of_any_kind(folder, noise, place, value):
    changed = bytearray(example(label=3, image=b"\xff\xd8\xff\xe0" + bytes(200)))
    changed[place % len(changed)] = value
    for content in (noise, bytes(changed)):
        path = shard(folder, content)
        path.touch()
        with suppress(UnreadableImage):
            assert isinstance(read_stored(record(path, 0)), bytes)
        path.unlink()


def test_read_again_as_tensorflow_datasets_wrote_them(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")
    from neardup.sources.datasets import from_builder

    features = tfds.features.FeaturesDict(
        {"picture": tfds.features.Image(), "label": tfds.features.ClassLabel(names=["a"]), "note": tfds.features.Text()}
    )
    records = [(n, {"picture": io.BytesIO(jpeg(n)), "label": "a", "note": "long " * n}) for n in range(6)]
    builder = tfds.dataset_builders.store_as_tfds_dataset(
        name="small", version="1.0.0", features=features, data_dir=tmp_path, split_datasets={"train": records}
    )
    found = list(from_builder(builder, "train[1:]"))
    assert len(found) == 5
    assert all(is_record(Path(each.path)) and read_stored(each.path) == each.read() for each in found)


def test_what_an_index_calls_an_object_is_read_neither_there_nor_here(tmp_path, monkeypatch):
    """A file of that name in the current folder is another."""
    monkeypatch.chdir(tmp_path)
    path = Path("s3://photos/trip/0.jpg")
    path.parent.mkdir(parents=True)
    draw_photo(1).save(path)
    with pytest.raises(UnreadableImage, match="object storage"):
        read_stored(path)
