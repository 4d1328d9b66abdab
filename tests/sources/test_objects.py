"""Pictures in object storage: an S3 server that runs here, really listed and read."""

import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from neardup.actions.plan import make_plan
from neardup.errors import BadInput
from neardup.groups import find_groups
from neardup.images.globs import Globs
from neardup.index import Index
from neardup.jobs.index import index_images
from neardup.sources.objects import Objects, is_object_path
from tests.conftest import draw_photo

pytest.importorskip("pyarrow", reason="object storage is read with pyarrow")
pytest.importorskip("moto.server", reason="pip install 'moto[server]' flask-cors")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Its address."""
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", "0"], stderr=output, stdout=output)
        try:
            yield _address(log, process)
        finally:
            process.terminate()
            process.wait()


def _address(log: Path, process: subprocess.Popen) -> str:
    for _ in range(600):
        found = [line for line in log.read_text().splitlines() if "Running on http" in line]
        if found:
            return found[0].rpartition(" ")[2].strip()
        assert process.poll() is None, log.read_text()
        time.sleep(0.2)
    raise TimeoutError(log.read_text())


@pytest.fixture
def bucket(server, monkeypatch):
    """`put(key, bytes)` into an empty bucket called photos, and `put.delete(key)`."""
    for name, value in {
        "AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    def call(method: str, place: str, data: bytes | None = None) -> None:
        headers = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request",
            "Content-Type": "application/octet-stream",
        }
        request = urllib.request.Request(f"{server}{place}", data, headers, method=method)
        urllib.request.urlopen(request).close()

    call("POST", "/moto-api/reset")
    call("PUT", "/photos")

    def put(key: str, content: bytes) -> None:
        call("PUT", f"/photos/{key}", content)

    put.delete = lambda key: call("DELETE", f"/photos/{key}")
    return put


@pytest.fixture
def filled(bucket, tmp_path):
    for number in range(4):
        draw_photo(number).save(tmp_path / "a.jpg", quality=90)
        bucket(f"trip/{number}.jpg", (tmp_path / "a.jpg").read_bytes())
    bucket("trip/deep/copy.jpg", (tmp_path / "a.jpg").read_bytes())
    bucket("trip/broken.jpg", b"no image")
    bucket("trip/raw.cr2", b"raw")
    bucket("trip/notes.txt", b"text")
    bucket("other/9.jpg", (tmp_path / "a.jpg").read_bytes())
    return bucket


def listed(url: str, **options: object) -> list[str]:
    return [source.name for source in Objects(url, **options)]


def test_what_is_below_a_url_is_listed_by_name(filled):
    names = [f"s3://photos/trip/{name}" for name in ("0.jpg", "1.jpg", "2.jpg", "3.jpg", "broken.jpg", "deep/copy.jpg")]
    assert listed("s3://photos/trip/") == listed("s3://photos/trip") == names
    assert listed("s3://photos/trip", globs=Globs(exclude=("deep", "broken*"))) == names[:4]
    assert listed("s3://photos/other/9.jpg") == ["s3://photos/other/9.jpg"]
    for nothing in ("s3://photos/nowhere", "s3://nowhere"):
        with pytest.raises(BadInput, match="nowhere"):
            listed(nothing)


def test_objects_are_indexed_and_never_acted_on(filled, tmp_path, tiny_model):
    def run(*urls):
        return index_images(urls, tmp_path / "index", model=str(tiny_model.folder), engine="onnx")

    report = run("s3://photos/trip")
    assert (report.indexed, report.embedded, report.images) == (5, 4, 5)
    assert [(str(f.path), f.error) for f in report.failed] == [("s3:/photos/trip/broken.jpg", report.failed[0].error)]
    assert report.passed_over == {".cr2": 1}
    filled.delete("trip/0.jpg")
    again = run("s3://photos/trip")
    assert (again.indexed, again.unchanged, again.removed) == (0, 4, 1)
    assert run("s3://photos/other").images == 5

    with Index.open(tmp_path / "index") as index:
        assert all(is_object_path(image.path) for image in index)
        groups = list(find_groups(index))  # byte copies, which need no look
    plan = make_plan(groups, "delete")
    assert not plan.steps
    assert {kept.reason.partition(",")[0] for kept in plan.kept} == {"its keeper is in object storage"}


def test_an_object_that_vanishes_or_changes_fails_alone(filled):
    sources = list(Objects("s3://photos/trip"))
    filled.delete("trip/1.jpg")
    filled("trip/2.jpg", b"other bytes")
    errors = {}
    for source in sources:
        try:
            assert source.read()
        except Exception as error:
            errors[source.name.rpartition("/")[2]] = str(error)
    assert errors == {"1.jpg": "the object is gone", "2.jpg": "changed since it was listed"}
