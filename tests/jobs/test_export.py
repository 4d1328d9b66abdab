"""An index as Parquet: what stands in the file, and that databases take it as it is."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from neardup.cli import main
from neardup.errors import BadInput, DamagedIndex, MissingPackage
from neardup.index import Index, Model
from neardup.jobs import export
from neardup.jobs.export import export_embeddings

pa = pytest.importorskip("pyarrow", reason="export writes with pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

DIM = 16
MODEL = Model("tiny", "ab" * 32, "onnx", "f32", "pillow", DIM)
NAMES = [
    b"/p/plain.jpg",
    b"/p/\xff\xfe.jpg",
    b"/p/two\nlines.jpg",
    b"/p/a \\xff.jpg",
    "/p/ü.jpg".encode(),
    b"/p/\r.jpg",
]


def vectors(count: int, seed: int = 0):
    drawn = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def fill(folder: Path, names, rows, commits: int = 1) -> None:
    with Index.write(folder, MODEL) as writer:
        for number, (name, row) in enumerate(zip(names, rows, strict=True)):
            facts = {"size_bytes": 10, "mtime_ns": 5, "width": 40 + number, "height": 30}
            label = None if number % 3 else f"label {number}"
            digest = bytes([number % 256, number // 256] * 16)
            writer.add(Path(os.fsdecode(name)), digest=digest, label=label, embedding=row, **facts)
            if (number + 1) % (len(names) // commits) == 0:
                writer.commit()


@pytest.fixture
def folder(tmp_path):
    """Three hundred pictures, in several segments, one of them a byte copy, one gone."""
    names = [*NAMES, *(f"/p/{number:03d}.jpg".encode() for number in range(294))]
    fill(tmp_path / "index", names, vectors(300), commits=3)
    with Index.write(tmp_path / "index", MODEL) as writer:
        digest = bytes([7, 0] * 16)
        writer.add(Path("/p/copy.jpg"), size_bytes=10, mtime_ns=5, digest=digest, width=47, height=30)
        writer.saw(Path("/p/003.jpg"))
        writer.remove_vanished([Path("/p/005.jpg")])
    return tmp_path / "index"


def test_every_image_is_a_row_with_what_the_index_says(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "VALUES_AT_A_TIME", 64 * DIM)
    report = export_embeddings(folder, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    with Index.open(folder) as index:
        images = list(index)
        rows = np.concatenate(index.embeddings)
    assert report.images == len(images) == table.num_rows == 300
    for image, row in zip(images, table.to_pylist(), strict=True):
        name = row["path_bytes"] if row["path_bytes"] is not None else row["path"].encode()
        assert name == os.fsencode(image.path)
        assert (bytes.fromhex(row["digest"]), row["label"]) == (image.digest, image.label)
        assert (row["width"], row["height"]) == (image.width, image.height)
        assert np.array_equal(np.array(row["embedding"], np.float16), rows[image.row])
    assert sum(value is not None for value in table["path_bytes"].to_pylist()) == 1
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 5  # 64 rows in memory, never more


def test_the_file_says_what_made_it(folder, tmp_path):
    export_embeddings(folder, tmp_path / "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    facts = {"model": b"tiny", "model_digest": b"ab" * 32, "dim": b"16", "similarity": b"cosine"}
    assert {key: schema.metadata[f"neardup.{key}".encode()] for key in facts} == facts
    assert schema.field("embedding").type == pa.list_(pa.float16(), DIM)


def test_the_command_replaces_a_file_and_says_so(folder, tmp_path):
    out = tmp_path / "out.parquet"
    out.write_bytes(b"what was there")
    arguments = ["export", str(out), "--index", str(folder), "--format", "json"]
    said = json.loads(CliRunner().invoke(main, arguments).stdout)
    assert (said["file"], said["images"], said["dim"]) == (str(out), 300, DIM)
    assert said["size_bytes"] == out.stat().st_size
    assert pq.read_metadata(out).num_rows == 300


def test_what_cannot_be_written_leaves_the_file_as_it_was(folder, tmp_path, monkeypatch):
    out = tmp_path / "out.parquet"
    out.write_bytes(b"what was there")
    first = min((folder / "segments").iterdir(), key=lambda path: int(path.name))
    damaged = np.load(first / "embeddings.npy")
    damaged[3] = np.nan
    np.save(first / "embeddings.npy", damaged)
    with pytest.raises(DamagedIndex, match="not a number"):
        export_embeddings(folder, out)
    assert out.read_bytes() == b"what was there"
    assert {path.name for path in tmp_path.iterdir()} == {"index", "out.parquet"}
    with pytest.raises(BadInput, match="nowhere"):
        export_embeddings(folder, tmp_path / "nowhere" / "out.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackage, match=r"neardup\[parquet\]"):
        export_embeddings(folder, out)


def exact_neighbours(folder, query, k):
    """neardup's own, by `query --exact`: digests, each once, and similarities."""
    with Index.open(folder) as index:
        matches = index.query(query, 2 * k, exact=True)
    return list(dict.fromkeys(match.digest.hex() for match in matches))[:k]


def test_lancedb_loads_it_and_finds_the_same_neighbours(folder, tmp_path):
    lancedb = pytest.importorskip("lancedb", reason="pip install lancedb")
    export_embeddings(folder, tmp_path / "out.parquet")
    table = lancedb.connect(tmp_path / "lance").create_table("images", pq.read_table(tmp_path / "out.parquet"))
    for query in vectors(5, seed=1):
        found = table.search(query, vector_column_name="embedding").distance_type("cosine").limit(12).to_list()
        digests = list(dict.fromkeys(row["digest"] for row in found))[:10]
        assert digests == exact_neighbours(folder, query, 10)


def test_qdrant_loads_it_and_finds_the_same_neighbours(folder, tmp_path):
    qdrant = pytest.importorskip("qdrant_client", reason="pip install qdrant-client")
    models = qdrant.models
    export_embeddings(folder, tmp_path / "out.parquet")
    client = qdrant.QdrantClient(":memory:")
    client.create_collection("images", models.VectorParams(size=DIM, distance=models.Distance.COSINE))
    first = 0
    for batch in pq.ParquetFile(tmp_path / "out.parquet").iter_batches(128):
        rows = np.stack(batch.column("embedding").to_numpy(zero_copy_only=False)).astype(np.float32)
        payload = batch.drop_columns(["embedding", "path_bytes"]).to_pylist()
        client.upload_collection("images", rows, payload, ids=range(first, first + len(rows)))
        first += len(rows)
    for query in vectors(5, seed=1):
        points = client.query_points("images", query.tolist(), limit=12).points
        digests = list(dict.fromkeys(point.payload["digest"] for point in points))[:10]
        assert digests == exact_neighbours(folder, query, 10)
