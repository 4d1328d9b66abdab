"""What can be indexed besides files: splits of TensorFlow Datasets, named tfds:NAME[:SPLIT].

A record has no file of its own. Its path is the folder that the data set lies in, and below it the shard and the
record's number there, `~/tensorflow_datasets/tf_flowers/3.0.1/tf_flowers-train.tfrecord-00000-of-00002__17`: the same
whatever part of a split is read, and another for another version. Nothing lies at that path; `records` reads it again.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from http.client import HTTPException
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from neardup.errors import BadInput, UnreadableImage
from neardup.images import MAX_FILE_BYTES, FileStat, OnError, find_images, modified_ns
from neardup.packages import load_package
from neardup.sources.source import ImageFile, StoredSource
from neardup.text import said

PREFIX = "tfds:"
_NUMBER = re.compile(r"-\d+-of-\d+$")  # of a shard
WAIT_S = 10.0  # for an answer of a server that a data set is to come from
LONGEST_LABEL = 1000  # characters; a feature of text may hold a book


def is_dataset(path: str) -> bool:
    return path.startswith(PREFIX)


@dataclass(frozen=True)
class Record:
    """An image of a data set, its bytes as they are stored there."""

    path: Path
    label: str | None
    content: bytes = field(repr=False)
    mtime_ns: int  # of the data set: prepared anew, it is read anew

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def most_bytes(self) -> int:
        return len(self.content)

    def stat(self) -> FileStat:
        return FileStat(len(self.content), self.mtime_ns)

    def read(self) -> bytes:
        if len(self.content) > MAX_FILE_BYTES:
            raise UnreadableImage(f"more than {MAX_FILE_BYTES} bytes")
        return self.content


class Dataset(Iterable[StoredSource]):
    """The images of a data set's splits, with their labels, in the order that they are stored in."""

    def __init__(self, builder: Any, splits: list[str]) -> None:
        self._builder, self._splits = builder, splits
        self._image, self._label = _image_feature(builder), _label_feature(builder)

    def __len__(self) -> int:
        return sum(self._builder.info.splits[split].num_examples for split in self._splits)

    @property
    def roots(self) -> list[Path]:
        """Of an image folder, the folders of the splits that were asked for, be it in part; else none."""
        return [self._folder / name for name in self._whole_splits] if self._is_folder else []

    @property
    def splits(self) -> list[Path]:
        """What the paths of all records of the splits that were asked for begin with; of an image folder none."""
        known = self._builder.info.splits
        shards = [] if self._is_folder else [shard for name in self._whole_splits for shard in known[name].filenames]
        return [self._folder / begin for begin in dict.fromkeys(_NUMBER.sub("", shard) for shard in sorted(shards))]

    @property
    def _whole_splits(self) -> list[str]:
        known = self._builder.info.splits
        return list(dict.fromkeys(part.splitname for split in self._splits for part in _absolute(split, known)))

    @property
    def _is_folder(self) -> bool:
        import tensorflow_datasets as tfds

        return isinstance(self._builder, tfds.ImageFolder)

    @property
    def _folder(self) -> Path:
        return Path(os.path.abspath(self._builder.data_dir))

    def __iter__(self) -> Iterator[StoredSource]:
        folder = self._folder
        described = folder / "dataset_info.json"
        mtime_ns = modified_ns(described.stat()) if described.is_file() else 0
        label = self._builder.info.features[self._label] if self._label else None
        for split in self._splits:
            for record in self._read(self._records(split)):
                text = _label_text(label, record[self._label]) if self._label else None
                if "image/filename" in record and "tfds_id" not in record:  # an image folder's records are files
                    yield ImageFile(Path(os.path.abspath(os.fsdecode(record["image/filename"]))), text)
                else:
                    place = folder / record["tfds_id"].decode()
                    yield Record(place, text, bytes(record[self._image]), mtime_ns)

    def _records(self, split: str) -> Any:
        import tensorflow_datasets as tfds

        def of(split: str) -> Any:
            return self._builder.as_dataset(
                split=split,
                decoders={self._image: tfds.decode.SkipDecoding()},
                # Ids name shard and number; the order is the one on disk, and memory stays small.
                read_config=tfds.ReadConfig(add_tfds_id=True, interleave_cycle_length=1, try_autocache=False),
                shuffle_files=False,
            )

        if not self._is_folder:
            return of(split)
        # It knows whole splits only.
        parts = _absolute(split, self._builder.info.splits)
        records = [of(part.splitname).take(-1 if part.to is None else part.to).skip(part.from_ or 0) for part in parts]
        return reduce(lambda first, second: first.concatenate(second), records)

    def _read(self, records: Any) -> Iterator[dict[str, Any]]:
        """The records as NumPy has them; raises BadInput where the files are damaged."""
        iterator = records.as_numpy_iterator()
        while True:
            try:
                record = next(iterator)
            except StopIteration:
                return
            except Exception as error:  # TensorFlow's errors share no base class with Python's
                raise BadInput(f"{self._builder.data_dir}: cannot be read ({said(error)}); prepare it anew") from error
            yield record


def open_dataset(name: str) -> Dataset:
    """Open tfds:NAME[:SPLIT], and prepare it, downloading where need be.

    NAME:  as TensorFlow Datasets knows it (tf_flowers, caltech101, imagenette/160px), or the path of a folder that it
           prepared, or of images sorted as split/label/image.jpg; a path has a slash at its start, or a dot
    SPLIT: a split or a part of one, such as train[:85%]; without, all splits
    Raises BadInput with the reason, MissingPackage without tensorflow-datasets.
    """
    wanted, _, split = name.removeprefix(PREFIX).partition(":")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    tfds = load_package("tensorflow_datasets", name)
    try:
        return from_builder(_builder(tfds, wanted), split)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error
    except Exception as error:  # a registry, downloads and file formats: their errors share no base class
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise BadInput(f"{name}: cannot be opened ({said[:300]}); check name, split and network") from error


def find_stored(name: str | Path, *, on_error: OnError | None = None) -> Iterator[Path]:
    """Paths of the images below a folder (see `find_images`), or of the records of tfds:NAME[:SPLIT]; `read_stored`
    reads both."""
    if is_dataset(str(name)):
        return (source.path for source in open_dataset(str(name)))
    return find_images(Path(name), on_error=on_error)


def find_labelled(name: str) -> Iterator[tuple[Path, str]]:
    """Images with labels: below a folder, with the names of the folders that they lie in, or of tfds:NAME[:SPLIT] with
    its labels. Left out is what has none: images in no folder below it, records without one."""
    if is_dataset(name):
        return ((source.path, source.label) for source in open_dataset(name) if source.label is not None)
    root = Path(os.path.abspath(name))
    return ((path, path.parent.name) for path in find_images(root) if path.parent != root)


def from_builder(builder: Any, split: str = "") -> Dataset:
    """The data set that a tfds builder has prepared: one split, a part of one, or all of them."""
    known = list(builder.info.splits)
    if not known:
        raise BadInput("has no splits; prepare it anew")
    splits = [split] if split else known
    for each in splits:
        try:
            builder.info.splits[each]
            _absolute(each, builder.info.splits)  # an image folder's own may be named as no split can be
        except Exception as error:  # ValueError, KeyError, AssertionError, by what is wrong with it
            raise BadInput(f"no split {each!r}; there are {', '.join(known)}, and parts such as train[:85%]") from error
    return Dataset(builder, splits)


def _builder(tfds: Any, name: str) -> Any:
    if name.startswith(("/", ".", "~")):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise BadInput("no such folder")
        if (folder / "dataset_info.json").is_file():
            return tfds.builder_from_directory(str(folder))
        return tfds.ImageFolder(str(folder))
    builder = tfds.builder(name)
    if not builder.is_prepared():
        check_download(builder)
    builder.download_and_prepare()
    return builder


def check_download(builder: Any, wait_s: float = WAIT_S) -> None:
    """Raise BadInput where none of the servers that a builder downloads from answers within `wait_s`: TFDS itself goes
    on trying for minutes. What was downloaded before is not asked for."""
    root = Path(builder.data_dir).parents[2 if builder.builder_config else 1]
    here = {file.stat().st_size for file in (root / "downloads").glob("**/*") if file.is_file()}
    urls = {urlsplit(url).netloc: url for url, info in builder.url_infos.items() if info.size not in here}
    answers: Queue[str] = Queue()
    for url in urls.values():
        # Daemons: the look-up of a name knows no timeout, and is not waited for.
        Thread(target=lambda url=url: answers.put(_answer(url, wait_s)), daemon=True).start()
    reasons, deadline = [], time.monotonic() + wait_s
    for _ in urls:
        try:
            reasons.append(answers.get(timeout=max(0.0, deadline - time.monotonic())))
        except Empty:
            reasons.append(f"{', '.join(urls)}: no answer within {wait_s:g} s")
        if not reasons[-1]:  # others may be of configurations that are not asked for
            return
    if reasons:
        raise BadInput(
            f"cannot be downloaded ({reasons[0]}); prepare it where there is a network, or give a folder of images,"
            " a folder for each label"
        )


def _answer(url: str, wait_s: float) -> str:
    """Why a file cannot be had, nothing where its server has it."""
    try:
        with urlopen(Request(url, headers={"User-Agent": "neardup"}), timeout=wait_s):
            return ""
    except (OSError, ValueError, HTTPException) as error:
        return f"{urlsplit(url).netloc}: {said(getattr(error, 'reason', None) or error)}"


def _absolute(split: str, known: Any) -> list[Any]:
    """A split as parts of whole ones: each with `splitname`, `from_` and `to`."""
    import tensorflow_datasets as tfds

    return list(tfds.core.ReadInstruction.from_spec(split).to_absolute(known))


def _image_feature(builder: Any) -> str:
    import tensorflow_datasets as tfds

    found = [name for name, each in builder.info.features.items() if isinstance(each, tfds.features.Image)]
    if "image" not in found and len(found) != 1:
        raise BadInput(f"has {len(found)} image features ({', '.join(found)}), and none is called image")
    return "image" if "image" in found else found[0]


def _label_feature(builder: Any) -> str | None:
    """The feature that says what a record shows, where there is one: `label`, else what is to be predicted."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    keys = builder.info.supervised_keys
    for name in ("label", keys[1] if keys and isinstance(keys[1], str) else None):
        if name in features and isinstance(features[name], tfds.features.ClassLabel | tfds.features.Text):
            return str(name)
    return None


def _label_text(feature: Any, value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(feature.int2str(int(value)))
    return text[:LONGEST_LABEL]
