"""Downloads against a server here: cut connections, wrong digests, missing files, full disks."""

import base64
import hashlib
import io
import json
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from neardup.embedding import download
from neardup.embedding.download import download_model, fetch, unpack_saved_model
from neardup.errors import BadInput, DownloadFailed
from tests.embedding.lookalikes import SIZE, save_example
from tests.embedding.test_importing import RELEASED, write_released

CONTENT = bytes(range(256)) * 4000


def md5_of(content):
    return base64.b64encode(hashlib.md5(content).digest()).decode()


class Server(ThreadingHTTPServer):
    """Serves one file as Google's storage does; `cuts` are the byte counts after which a connection is dropped."""

    def __init__(self, content=CONTENT):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.cuts, self.ranges = content, '"1"', [], []
        self.hash_header = f"crc32c=AAAAAA==,md5={md5_of(content)}"
        self.status, self.honours_ranges, self.content_md5 = 200, True, None
        self.url = f"http://127.0.0.1:{self.server_port}/weights.npz"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        if self.path == "/short":  # as a link shortener, and GitHub's releases, lead on
            self.send_response(302)
            self.send_header("Location", server.url)
            self.end_headers()
            return
        wanted = self.headers.get("Range")
        server.ranges.append(wanted)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = 0
        if wanted and server.honours_ranges and self.headers.get("If-Range") == server.etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        body = server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.etag)
        if server.hash_header:
            self.send_header("x-goog-hash", server.hash_header)
        if server.content_md5:
            self.send_header("Content-MD5", server.content_md5)
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def get(server, tmp_path):
    def run():
        fetch(server.url, tmp_path / "weights.npz", tmp_path / "pins.json")
        return (tmp_path / "weights.npz").read_bytes()

    return run


def test_a_whole_file_is_checked_and_pinned(server, get, tmp_path):
    assert get() == CONTENT
    assert json.loads((tmp_path / "pins.json").read_text()) == {server.url: hashlib.sha256(CONTENT).hexdigest()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pins.json", "weights.npz"]


def test_a_cut_connection_is_gone_on_with(server, get):
    server.cuts = [300_000, 200_000]
    assert get() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_run_goes_on_where_the_first_gave_up(server, get, tmp_path):
    server.cuts = [300_000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadFailed, match=r"cut off after 300,000 of 1,024,000 bytes; run the same command again"):
        get()
    server.cuts = []
    assert not (tmp_path / "weights.npz").exists()
    assert get() == CONTENT
    assert server.ranges[-1] == "bytes=300000-"


@pytest.mark.parametrize("change", ["etag", "ranges"])
def test_a_file_that_changed_or_cannot_be_resumed_is_begun_anew(server, get, change):
    server.cuts = [300_000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        get()
    server.cuts = []
    if change == "etag":
        server.etag, server.content = '"2"', CONTENT[::-1]
        server.hash_header = f"md5={md5_of(server.content)}"
    else:
        server.honours_ranges = False
    assert get() == server.content


def test_a_wrong_digest_is_refused_and_nothing_is_kept(server, get, tmp_path):
    server.hash_header = f"md5={md5_of(b'something else')}"
    with pytest.raises(DownloadFailed, match=r"is not the .* that the server states"):
        get()
    assert list(tmp_path.iterdir()) == []


# The check value of CRC-32C, and RFC 3720's for 32 zeros.
@pytest.mark.parametrize(("content", "crc"), [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA)])
def test_crc32c_alone_is_enough(server, get, content, crc):
    server.content = content
    good = base64.b64encode(crc.to_bytes(4, "big")).decode()
    server.hash_header = "crc32c=AAAAAA=="
    with pytest.raises(DownloadFailed, match=re.escape(f"crc32c {good} is not the AAAAAA== that the server states")):
        get()
    server.hash_header = f"crc32c={good}"
    assert get() == content


def test_a_pinned_file_must_not_change(server, get):
    get()
    server.content = CONTENT[::-1]
    server.hash_header = f"md5={md5_of(server.content)}"
    with pytest.raises(
        DownloadFailed, match=f"not what was downloaded from there before .*{hashlib.sha256(CONTENT).hexdigest()}"
    ):
        get()


@pytest.mark.parametrize(("header", "reason"), [(None, "states no digest"), ("sha1=abc", "states no digest")])
def test_a_server_that_states_no_digest(server, get, header, reason):
    server.hash_header = header
    with pytest.raises(DownloadFailed, match=reason):
        get()


@pytest.mark.parametrize("status", [404, 403, 500])
def test_what_the_server_answers_is_said(server, get, status):
    server.status = status
    with pytest.raises(DownloadFailed, match=f"the server answered {status}"):
        get()


def test_no_server(tmp_path):
    with pytest.raises(DownloadFailed, match="not reached"):
        fetch("http://127.0.0.1:9/x", tmp_path / "x", tmp_path / "pins.json")


def test_too_little_room_is_said_before(server, get, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000})())
    with pytest.raises(DownloadFailed, match=r"1,000 bytes free, 1,024,000 needed"):
        get()


def test_a_disk_that_fills_up_meanwhile(server, get, tmp_path):
    """A limit on the size of files fails a write as a full disk does; what is there is gone on with afterwards."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        with pytest.raises(DownloadFailed, match="make room and run the same command again"):
            get()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert get() == CONTENT


def test_more_than_was_stated_and_too_much(server, get, monkeypatch):
    monkeypatch.setattr(download, "LARGEST_BYTES", 1000)
    with pytest.raises(DownloadFailed, match="too many"):
        get()


def test_a_released_model_is_fetched_and_imported(server, tmp_path, monkeypatch):
    monkeypatch.setenv("NEARDUP_MODELS", str(tmp_path / "models"))
    write_released(tmp_path / "released.npz")
    server.content = (tmp_path / "released.npz").read_bytes()
    server.hash_header = f"md5={md5_of(server.content)}"
    monkeypatch.setitem(download.RELEASES, "bit-m-r50x1", server.url)
    seen = []
    model = download_model("bit-m-r50x1", lambda done, total: seen.append((done, total)))
    assert (model.name, model.architecture, model.input_size) == ("bit-m-r50x1", RELEASED, 224)
    assert seen[-1] == (len(server.content),) * 2
    assert not (tmp_path / "models" / ".downloads" / "bit-m-r50x1.npz").exists()
    with pytest.raises(BadInput, match="is here already"):
        download_model("bit-m-r50x1")
    with pytest.raises(BadInput, match="no model named 'resnet' to download; there are bit-m-r50x1"):
        download_model("resnet")
    assert np.isfinite(list(model.thresholds.values())).all()


def zipped(folder, change=lambda archive: None):
    """A zip with the folder in it, and what `change` adds."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
        change(archive)
    return content.getvalue()


@pytest.fixture
def flower_zip(server, tmp_path, monkeypatch):
    """The server has the example's artefact behind a redirect, and states no digest."""
    tensorflow = pytest.importorskip("tensorflow")
    monkeypatch.setenv("NEARDUP_MODELS", str(tmp_path / "models"))
    save_example(tensorflow, tmp_path / "flower_model_bit")
    server.content, server.hash_header = zipped(tmp_path / "flower_model_bit"), None
    monkeypatch.setitem(download.RELEASES, "flower-bit", server.url.replace("weights.npz", "short"))
    monkeypatch.setattr("neardup.embedding.importing.INPUT_SIZE", SIZE)
    return server


@pytest.mark.parametrize("states", [False, True])
def test_the_examples_model_is_fetched_unpacked_and_imported(flower_zip, tmp_path, states):
    flower_zip.content_md5 = md5_of(flower_zip.content) if states else None
    flower_zip.cuts = [len(flower_zip.content) // 2]  # gone on with all the same
    model = download_model("flower-bit")
    assert (model.name, model.dim, model.network.endpoint) == ("flower-bit", 24, "bit_model")
    assert list((tmp_path / "models" / ".downloads").glob("*.zip*")) == []
    pins = json.loads((tmp_path / "models" / "pins.json").read_text())
    assert pins == {download.RELEASES["flower-bit"]: hashlib.sha256(flower_zip.content).hexdigest()}


def test_a_zip_that_is_not_what_the_server_states(flower_zip, tmp_path):
    flower_zip.content_md5 = md5_of(b"another")
    with pytest.raises(DownloadFailed, match="that the server states"):
        download_model("flower-bit")


def link(archive):
    member = zipfile.ZipInfo("flower_model_bit/link")
    member.external_attr = 0o120777 << 16
    archive.writestr(member, "/etc")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda archive: archive.writestr("../outside", b"x"), "leads elsewhere"),
        (lambda archive: archive.writestr("/outside", b"x"), "leads elsewhere"),
        (link, "leads elsewhere"),
        (lambda archive: archive.writestr("other/saved_model.pb", b"x"), "holds 2 SavedModels"),
        (lambda archive: archive.writestr("zeros", bytes(2_000_000)), "too much"),
    ],
    ids=["above", "absolute", "link", "two", "bomb"],
)
def test_zips_that_are_not_unpacked(tmp_path, monkeypatch, change, reason):
    monkeypatch.setattr(download, "LARGEST_BYTES", 1_000_000)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"x")
    (tmp_path / "it.zip").write_bytes(zipped(tmp_path / "model", change))
    (tmp_path / "in").mkdir()
    with pytest.raises(DownloadFailed, match=reason):
        unpack_saved_model(tmp_path / "it.zip", tmp_path / "in")
    assert not (tmp_path / "outside").exists()


def test_a_damaged_zip_is_refused_by_its_own_checksums(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("model/saved_model.pb", bytes(range(256)))
    damaged = content.getvalue().replace(bytes(range(60, 90)), bytes(30))
    (tmp_path / "it.zip").write_bytes(damaged)
    with pytest.raises(DownloadFailed, match="not a sound zip"):
        unpack_saved_model(tmp_path / "it.zip", tmp_path / "in")
    assert not (tmp_path / "it.zip").exists()
