"""What scripts/fuzz attacks: each reader of strangers' bytes, its seeds, and what must hold whatever it is given.

`attack` returns where the reader gave an answer, or refused by a NeardupError; all else is a finding.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import socket
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from neardup.errors import BadInput, BadModel, NeardupError, UnreadableImage
from neardup.images import decode_image
from neardup.index import Index, Model

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Target:
    """One reader, between `with Target() as target:` and its end."""

    words: ClassVar[tuple[bytes, ...]] = ()

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.home = Path(tempfile.mkdtemp(prefix="neardup-fuzz-", dir=IN_MEMORY))
        self.stack.callback(shutil.rmtree, self.home, ignore_errors=True)
        os.environ["NEARDUP_STATE"] = str(self.home / "state")

    def __enter__(self) -> "Target":
        self.seeds = list(self.make_seeds())
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def make_seeds(self) -> Iterator[bytes]:
        raise NotImplementedError

    def attack(self, content: bytes) -> None:
        raise NotImplementedError


def in_one_line(error: NeardupError) -> None:
    assert "\n" not in str(error)


def a_picture(seed: int = 0, size: tuple[int, int] = (24, 16)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, kind: str, **how: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **how)
    return content.getvalue()


class Pictures(Target):
    """Any bytes are upright RGB pixels within limits, or an UnreadableImage."""

    words = (b"Exif\0\0", b"\xff\xd8\xff", b"IHDR", b"acTL", b"RIFF", b"ftyp", b"http://ns.adobe.com/xap/1.0/\0")

    def make_seeds(self) -> Iterator[bytes]:
        picture = a_picture()
        exif = Image.Exif()
        exif[0x0112], exif[0x0132], exif[0x010F] = 6, "2020:01:02 03:04:05", "maker"
        for kind in ("PNG", "GIF", "BMP", "TIFF", "WEBP", "JPEG2000", "TGA", "ICO", "PPM", "DDS", "PCX", "SGI", "ICNS"):
            with contextlib.suppress(OSError, ValueError):
                yield encoded(picture.resize((16, 16)) if kind == "ICNS" else picture, kind)
        yield encoded(picture, "JPEG", quality=60, exif=exif)
        yield encoded(picture, "JPEG", progressive=True, subsampling=0)
        yield encoded(picture.convert("CMYK"), "JPEG")
        yield encoded(picture.convert("P"), "PNG", transparency=3)
        yield encoded(picture.convert("RGBA"), "PNG", exif=exif)
        yield encoded(picture.convert("L"), "TIFF", compression="tiff_lzw")
        yield encoded(picture, "GIF", save_all=True, append_images=[a_picture(1)])
        yield encoded(picture, "PNG", save_all=True, append_images=[a_picture(1)])
        yield encoded(picture, "WEBP", save_all=True, append_images=[a_picture(1)], exif=exif)
        with contextlib.suppress(Exception):
            import pillow_heif

            pillow_heif.register_heif_opener()
            yield encoded(picture, "HEIF")
        with contextlib.suppress(Exception):
            yield encoded(picture, "AVIF")

    def attack(self, content: bytes) -> None:
        try:
            decoded = decode_image(content, size=32)
        except UnreadableImage as error:
            in_one_line(error)
            return
        assert decoded.pixels.dtype == np.uint8
        assert decoded.pixels.ndim == 3
        assert decoded.pixels.shape[2] == 3
        assert decoded.width > 0
        assert decoded.height > 0


DIM = 16
TINY = Model(name="tiny", digest="ab" * 32, engine="onnx", precision="f32", decoder="pillow", dim=DIM)


def unit(seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal(DIM)
    return (values / np.linalg.norm(values)).astype(np.float32)


def small_index(folder: Path) -> None:
    from neardup.index.notes import record_found, record_verdicts

    digests = [hashlib.sha256(bytes([n])).digest() for n in range(30)]
    with Index.write(folder, TINY) as writer:
        for n, digest in enumerate(digests):
            writer.add(
                Path(f"/photos/{n}.jpg"), size_bytes=9, mtime_ns=9, digest=digest, width=4, height=3, embedding=unit(n)
            )
            if n == 20:
                writer.commit()
        writer.forget(Path("/photos/3.jpg"))
        writer.fail(Path("/photos/x.jpg"), size_bytes=1, mtime_ns=1, error="broken")
    pair = (min(digests[:2]), max(digests[:2]))
    record_verdicts(folder, {pair: "not"})
    record_found(folder, pixels={digests[0]: digests[5]}, links={pair: "{}"}, matcher=1)
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class IndexFolder(Target):
    """A file of an index with any bytes: answers or a NeardupError; verify names what changed in a segment; after
    repair all promises hold again. The first byte says which file, the rest is what it holds."""

    def make_seeds(self) -> Iterator[bytes]:
        self.whole, self.folder = self.home / "whole", self.home / "index"
        small_index(self.whole)
        small_index(self.folder)
        self.files = sorted(p.relative_to(self.whole) for p in self.whole.rglob("*") if p.suffix in (".npy", ".sqlite"))
        self.files += [Path("owner.json"), Path("catalog.sqlite-wal")]
        for number, file in enumerate(self.files):
            path = self.whole / file
            yield bytes([number]) + (path.read_bytes() if path.exists() else b"7\x7f\x06\x82")

    def attack(self, content: bytes) -> None:
        from neardup.index.repair import repair_index
        from neardup.index.verify import find_damage

        file = self.files[(content[0] if content else 0) % len(self.files)]
        self._restore()
        (self.folder / file).write_bytes(content[1:])
        self._use()
        findings, _ = find_damage(self.folder)
        is_changed = not (self.whole / file).exists() or content[1:] != (self.whole / file).read_bytes()
        assert not (is_changed and file.suffix == ".npy") or any(f.path.name == file.name for f in findings), file
        with contextlib.suppress(NeardupError):
            repair_index(self.folder, trust=True)
            left = [finding for finding in find_damage(self.folder)[0] if finding.is_damage]
            assert not left, left
            with Index.open(self.folder) as index:
                assert len(list(index)) == index.images
            with Index.write(self.folder, TINY) as writer:
                writer.forget(Path("/photos/4.jpg"))

    def _restore(self) -> None:
        for entry in self.folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        shutil.copytree(self.whole, self.folder, dirs_exist_ok=True)

    def _use(self) -> None:
        with contextlib.suppress(NeardupError), Index.open(self.folder) as index:
            index.query(unit(1), k=5)
            index.query(unit(1), k=5, exact=True)
            index.buckets(3)
            index.notes.verdicts()
            list(index)


class ModelFolder(Target):
    """A file of a model's folder with any bytes, and a digest that fits: it embeds, or a NeardupError."""

    words = (b'"dim"', b'"input_size"', b'"files"', b"model.onnx", b"..", b"null", b"-1", b"1e400", b"[[[[", b"NaN")

    def make_seeds(self) -> Iterator[bytes]:
        from tests.conftest import TINY as ARCHITECTURE
        from tests.conftest import TINY_SIZE, random_weights

        from neardup.embedding.export import export_model

        self.whole, self.folder = self.home / "whole", self.home / "model"
        thresholds = {"strict": 0.99, "default": 0.95, "loose": 0.9}
        export_model(self.whole, "tiny", ARCHITECTURE, random_weights(ARCHITECTURE), TINY_SIZE, thresholds)
        self.files = ["config.json", "model.onnx", "weights.npz"]
        for number, name in enumerate(self.files):
            yield bytes([number]) + (self.whole / name).read_bytes()

    def attack(self, content: bytes) -> None:
        from neardup.embedding import load_embedder

        name = self.files[(content[0] if content else 0) % len(self.files)]
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.whole, self.folder)
        (self.folder / name).write_bytes(content[1:])
        if name != "config.json":
            config = json.loads((self.whole / "config.json").read_text())
            config["files"][name] = hashlib.sha256(content[1:]).hexdigest()
            (self.folder / "config.json").write_text(json.dumps(config))
        with contextlib.suppress(NeardupError):
            embedder = load_embedder(str(self.folder), "onnx")
            embedder.embed([np.asarray(a_picture())])
        if name == "weights.npz":
            from tests.conftest import TINY as ARCHITECTURE

            from neardup.embedding.weights import load_weights

            with contextlib.suppress(BadModel):
                load_weights(self.folder / name, ARCHITECTURE.parameters())


JSON_WORDS = (
    b"null", b"true", b"-1", b"1e400", b"NaN", b"[", b"{", b"[[[[[[[[", b'"\\ud800"', b'"../../x"', b'"/\\u0000"',
    b"9223372036854775808", b'""', b"0.5", b'"path"', b'"digest"', b"," , b":",
)  # fmt: skip


class Plans(Target):
    """A plan of any bytes is loaded, with absolute paths and numbers that fit, or refused."""

    words = JSON_WORDS

    def make_seeds(self) -> Iterator[bytes]:
        from tests.actions.a_collection import make_groups

        from neardup.actions import make_plan
        from neardup.actions.plan_files import save_plan

        groups = make_groups(self.home / "photos", 2, 3, same_bytes=False)
        for action, to in (("trash", None), ("move", self.home / "moved"), ("delete", None)):
            save_plan(make_plan(groups, action, to=to), self.home / "plan.json")
            yield (self.home / "plan.json").read_bytes()

    def attack(self, content: bytes) -> None:
        from neardup.actions import load_plan

        path = self.home / "plan.json"
        path.write_bytes(content)
        with contextlib.suppress(BadInput):
            for step in load_plan(path).steps:
                assert step.path.is_absolute()
                assert 0 <= step.size_bytes < 2**63
                os.fsencode(step.path)


class Journals(Target):
    """A journal of any bytes, trusted or not, is read, or refused; untrusted never, unless it is what was written."""

    words = JSON_WORDS

    def make_seeds(self) -> Iterator[bytes]:
        from tests.actions.a_collection import make_groups

        from neardup.actions import apply_plan, make_plan, undo_last
        from neardup.index.owner import claim, trust_index

        self.index = self.home / "index"
        self.index.mkdir()
        trust_index(self.index, trust=True)
        for action, to in (("move", self.home / "moved"), ("delete", None)):
            groups = make_groups(self.home / f"photos {action}", 2, 3, same_bytes=False)
            apply_plan(self.index, make_plan(groups, action, to=to))
        with contextlib.suppress(NeardupError):
            undo_last(self.index)
        self.owner = claim(self.index)
        self.written = sorted(path.read_bytes() for path in (self.index / "actions").glob("*.jsonl"))
        yield from self.written

    def attack(self, content: bytes) -> None:
        from neardup.actions.journal import Journal

        path = self.index / "actions" / "000001.jsonl"
        path.write_bytes(content)
        for trust in (False, True):
            with contextlib.suppress(NeardupError):
                journal = Journal.read(path, self.owner, trust=trust)
                if journal is None or not journal.is_signed:
                    continue
                # Cut short is what a crash leaves; anything else that verifies was written here.
                whole = content[: content.rfind(b"\n") + 1]
                assert any(written.startswith(whole) for written in self.written), "signed, and not by us"


class Verdicts(Target):
    """A file of verdicts of any bytes is imported whole, or refused and nothing is recorded."""

    words = (*JSON_WORDS, b'"duplicate"', b'"verdict"', b'"format"')

    def make_seeds(self) -> Iterator[bytes]:
        from neardup.index.notes import export_verdicts

        self.index = self.home / "index"
        small_index(self.index)
        export_verdicts(self.index, self.home / "out.json")
        yield (self.home / "out.json").read_bytes()

    def attack(self, content: bytes) -> None:
        from neardup.index.notes import import_verdicts, load_verdicts, record_verdicts

        path = self.home / "in.json"
        path.write_bytes(content)
        before = load_verdicts(self.index)
        try:
            imported = import_verdicts(self.index, path)
        except BadInput as error:
            in_one_line(error)
            assert load_verdicts(self.index) == before
            return
        after = load_verdicts(self.index)
        assert len(after) <= len(before) + imported
        record_verdicts(self.index, {pair: before.get(pair) for pair in after})


class Urls(Target):
    """Any text is a target of http or https without anything that ends a line of a request, or refused."""

    words = (b"http://", b"@", b"%0d%0a", b"[::1]", b"\\", b"#", b"?", b"//", b"xn--", b"\xe2\x80\xae", b"127.1", b":0")

    def make_seeds(self) -> Iterator[bytes]:
        yield b"http://example.org/a%20b/photo.jpg?key=1&x=y#part"
        yield b"https://[2001:db8::1]:8443/\xc3\xa4.png"
        yield b"http://b\xc3\xbccher.example:80/../x"
        yield b"//host/relative"

    def attack(self, content: bytes) -> None:
        from neardup.sources.fetch import _Target

        text = content.decode("utf-8", "surrogateescape")
        for base in ("", "https://example.org/a/b"):
            try:
                target = _Target.parse(text, base)
            except BadInput as error:
                in_one_line(error)
                continue
            sent = target.host + target.path
            assert target.scheme in ("http", "https")
            assert sent.isascii()
            assert not any(character <= " " or character == "\x7f" for character in sent), repr(sent)
            assert 0 <= target.port < 65536


class Answers(Target):
    """Any bytes that a server sends are a body within its limit, or refused, within the time allowed."""

    words = (b"\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"-1\r\n", b"Location: ", b"302", b"gzip")

    def make_seeds(self) -> Iterator[bytes]:
        import gzip

        self.answer = b""
        server = socket.create_server(("127.0.0.1", 0))
        self.port = server.getsockname()[1]
        self.stack.callback(server.close)
        threading.Thread(target=self._serve, args=(server,), daemon=True).start()
        zipped = gzip.compress(b"x" * 100)
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"
        yield b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(zipped) + zipped
        yield b"HTTP/1.1 302 Found\r\nLocation: ftp://example.org/x\r\n\r\n"
        yield b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 Not Found\r\n\r\n"
        yield b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + encoded(a_picture(), "PNG")

    def _serve(self, server: socket.socket) -> None:
        while True:
            try:
                connected, _ = server.accept()
            except OSError:
                return
            with connected, contextlib.suppress(OSError):
                connected.recv(65536)
                connected.sendall(self.answer)

    def attack(self, content: bytes) -> None:
        from neardup.sources.fetch import fetch_image

        # A redirect would go wherever the bytes say: only the first answer is looked at.
        self.answer = content if b"ocation" not in content.lower() else content.replace(b"http", b"ftpx")
        try:
            body = fetch_image(
                f"http://127.0.0.1:{self.port}/x", allow_private=True, limit_bytes=10_000, timeout_seconds=3
            )
            assert len(body) <= 10_000
        except BadInput as error:
            in_one_line(error)


class Requests(Target):
    """Any bytes to the review page: no stranger gets or changes anything, and whoever is let in never breaks it. The
    first byte says which: 0 a stranger at the socket, else JSON of one who is let in, to one of the addresses."""

    words = (*JSON_WORDS, b"\r\n", b"Host: ", b"Cookie: ", b"Content-Length: ", b"chunked", b"POST /api/marks HTTP/1.1")
    posts = ("/api/marks", "/api/accept-exact", "/api/accept-copies", "/api/undo", "/api/plan")

    def make_seeds(self) -> Iterator[bytes]:
        from tests.duplicate_groups import exact_group, near_group
        from tests.review.conftest import serving

        from neardup.index.owner import trust_index
        from neardup.review import Review
        from neardup.review.server import create_app

        small_index(self.home / "index")
        trust_index(self.home / "index", trust=True)
        groups = [near_group(self.home / "photos", seed=1), exact_group(self.home / "photos", seed=3, members=3)]
        self.review = Review(self.home / "index", groups, plan_path=self.home / "plan.json")
        self.stack.callback(self.review.close)
        self.guard = self.stack.enter_context(serving(self.review))
        self.client = create_app(self.review, self.guard).test_client()
        self.own = {"Host": self.guard.host}
        self.client.get(f"/?token={self.guard.token}", headers=self.own, base_url=f"http://{self.guard.host}")
        host = self.guard.host.encode()
        yield b"\0GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
        yield b"\0GET /images/0/0/small HTTP/1.1\r\nHost: " + host + b"\r\nCookie: a=b\r\n\r\n"
        yield b"\0POST /api/marks HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 2\r\n\r\n{}"
        yield (
            b"\0POST /api/plan HTTP/1.1\r\nHost: "
            + host
            + b"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        )
        for number in range(len(self.posts)):
            yield bytes([1 + number]) + b'{"group": 0, "member": 1, "mark": "drop", "groups": [0, 1]}'
            yield bytes([1 + number]) + b"{}"

    def attack(self, content: bytes) -> None:
        if not content or not content[0]:
            self._as_stranger(content[1:])
        else:
            self._as_user(self.posts[content[0] % len(self.posts)], content[1:])

    def _as_stranger(self, content: bytes) -> None:
        host, port = self.guard.host.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connected:
            connected.sendall(content)
            connected.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while block := connected.recv(65536):
                    answer += block
        for status in re.findall(rb"^HTTP/1\.[01] (\d+) ", answer, re.MULTILINE):
            assert status[:1] != b"2", answer[:200]
            assert status != b"500", answer[:200]

    def _as_user(self, path: str, body: bytes) -> None:
        from neardup.review.security import CSRF_HEADER

        sent = self.own | {CSRF_HEADER: self.guard.csrf, "Origin": f"http://{self.guard.host}"}
        answer = self.client.post(
            path, data=body, content_type="application/json", headers=sent, base_url=f"http://{self.guard.host}"
        )
        assert answer.status_code < 500, (path, answer.status_code)


TARGETS: dict[str, type[Target]] = {
    "pictures": Pictures,
    "index": IndexFolder,
    "model": ModelFolder,
    "plans": Plans,
    "journals": Journals,
    "verdicts": Verdicts,
    "urls": Urls,
    "answers": Answers,
    "requests": Requests,
}
