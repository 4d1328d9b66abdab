"""Images from URLs, against a server on this machine."""

import gzip
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from neardup.errors import BadInput, UnreadableImage
from neardup.sources import fetch
from neardup.sources.fetch import fetch_image
from neardup.sources.url import Download

BODY = bytes(range(256)) * 400


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers["Host"]))
        with suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, "serve_" + self.path.split("?")[0].strip("/").split("/")[0])()

    def answer(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def serve_image(self) -> None:
        self.answer(body=BODY, Content_Length=str(len(BODY)), Content_Type="text/html")

    def serve_unsized(self) -> None:
        self.answer(body=BODY)

    def serve_chunked(self) -> None:
        self.protocol_version = "HTTP/1.1"
        self.answer(body=b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n", Transfer_Encoding="chunked")

    def serve_gzip(self) -> None:
        self.answer(body=gzip.compress(BODY), Content_Encoding="gzip")

    def serve_bomb(self) -> None:
        self.answer(body=gzip.compress(bytes(50_000_000)), Content_Encoding="gzip")

    def serve_halfgzip(self) -> None:
        self.answer(body=gzip.compress(BODY)[:-20], Content_Encoding="gzip")

    def serve_brotli(self) -> None:
        self.answer(body=BODY, Content_Encoding="br")

    def serve_missing(self) -> None:
        self.answer(404)

    def serve_large(self) -> None:
        self.answer(body=BODY, Content_Length="99999999999")

    def serve_short(self) -> None:
        self.answer(body=BODY[:-5], Content_Length=str(len(BODY)))

    def serve_endless(self) -> None:
        self.answer()
        while True:
            self.wfile.write(BODY)

    def serve_slow(self) -> None:
        self.answer(Content_Length="1000")
        self.drip()

    def serve_slowheader(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        self.drip()

    def drip(self) -> None:
        while not self.server.done.wait(0.05):
            self.wfile.write(b"x")
            self.wfile.flush()

    def serve_to(self) -> None:
        self.answer(302, Location=self.server.targets[self.path])

    def serve_loop(self) -> None:
        self.answer(301, Location=f"/loop/{len(self.path)}x")

    def serve_nowhere(self) -> None:
        self.answer(302)

    def serve_nonsense(self) -> None:
        self.wfile.write(b"this is not HTTP\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """A server that answers every request with these bytes, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:

        def answer(content: bytes) -> str:
            def serve() -> None:
                connected, _ = listening.accept()
                with connected, suppress(OSError):
                    connected.recv(65536)
                    for _ in range(1 if len(content) < 100_000 else 200):
                        connected.sendall(content)

            pool.submit(serve)
            return f"http://127.0.0.1:{listening.getsockname()[1]}/a.jpg"

        yield answer


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.seen, running.targets, running.done = [], {}, threading.Event()
        running.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.done.set()
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["image", "unsized", "chunked", "gzip", "image?key=1#part", "image/a%20b c/ä"])
def test_the_body_arrives_whole(server, path):
    assert fetch_image(f"{server.url}/{path}", allow_private=True) == BODY


def test_the_path_is_encoded_and_the_host_named(server):
    fetch_image(f"http://localhost:{server.server_port}/image/a%20b c/ä?q=ü&r=%C3#part", allow_private=True)
    assert server.seen == [("/image/a%20b%20c/%C3%A4?q=%C3%BC&r=%C3", f"localhost:{server.server_port}")]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing", "the server answered 404 Not Found; check the address"),
        ("nowhere", "the server answered 302 Found"),
        ("large", "more than 1000000 bytes; give a smaller image"),
        ("endless", "more than 1000000 bytes"),
        ("bomb", "more than 1000000 bytes"),
        ("short", "the connection ended 5 bytes too early"),
        ("halfgzip", "the compressed body ends too early"),
        ("brotli", "an encoding that was not asked for"),
        ("loop", "more than 5 redirects"),
        ("nonsense", "cannot be fetched"),
    ],
)
def test_what_cannot_be_fetched_says_why(server, path, reason):
    with pytest.raises(BadInput, match=reason) as caught:
        fetch_image(f"{server.url}/{path}?token=secret", allow_private=True, limit_bytes=1_000_000)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "content",
    [
        CHUNKED + b"-5\r\nabcde\r\n0\r\n\r\n",
        CHUNKED + b"-1\r\n" + b"x" * 100_000,
        CHUNKED + b"zz\r\nabc",
        CHUNKED + b"f" * 70_000,
        CHUNKED + b"f" * 60_000 + b"\r\nabc",
        CHUNKED + b"\r\n\r\n",
        CHUNKED + b"5\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\nabc" + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nabc" + b"x" * 200_000,
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\xed\xa0\x80\xff/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: //a:99999999/\r\n\r\n",
        b"HTTP/1.1 99999999999 OK\r\n\r\n",
        b"HTTP/1.1 -1 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
        b"",
    ],
)
def test_whatever_a_server_answers_costs_one_query(answering, content):
    with pytest.raises(UnreadableImage) as caught:
        Download(answering(content), allow_private=True, most_bytes=150_000).read()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://a/\udcff", "http://a\udcff/", "http://a/?\ud800", "http://[/", "http://a:x/"])
def test_a_url_that_is_no_text_costs_one_query(url):
    with pytest.raises(UnreadableImage, match="cannot be understood"):
        Download(url, allow_private=True).read()


def test_the_limit_itself_is_allowed(server):
    assert len(fetch_image(f"{server.url}/unsized", allow_private=True, limit_bytes=len(BODY))) == len(BODY)
    with pytest.raises(BadInput, match="more than"):
        fetch_image(f"{server.url}/unsized", allow_private=True, limit_bytes=len(BODY) - 1)


@pytest.mark.parametrize("path", ["slow", "slowheader"])
def test_the_time_limit_is_for_the_whole_however_the_bytes_drip(server, path):
    began = time.monotonic()
    with pytest.raises(BadInput, match=r"not done within 0\.4 s"):
        fetch_image(f"{server.url}/{path}", allow_private=True, timeout_seconds=0.4)
    assert time.monotonic() - began < 2


def test_a_resolver_that_hangs_does_not_outlast_the_time_limit(monkeypatch):
    asked = threading.Event()
    monkeypatch.setattr(fetch.socket, "getaddrinfo", lambda *_, **__: [asked.wait(10)][:0])
    with pytest.raises(BadInput, match="not done within"):
        fetch_image("http://example.org/", timeout_seconds=0.2)
    asked.set()


# ---- redirects


def test_redirects_are_followed(server):
    server.targets |= {"/to/1": "/to/2", "/to/2": f"{server.url}/to/3", "/to/3": "//" + server.url[7:] + "/image"}
    assert fetch_image(f"{server.url}/to/1", allow_private=True) == BODY


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("file:///etc/passwd", "begins with 'file'"),
        ("ftp://127.0.0.1/a", "begins with 'ftp'"),
        ("http://name:word@127.0.0.1/a", "a URL with a name or password for 127.0.0.1"),
        ("http://127.0.0.1:99999/", "cannot be understood"),
        ("http://[::1/", "cannot be understood"),
    ],
)
def test_each_redirect_is_checked(server, target, reason):
    server.targets["/to"] = target
    with pytest.raises(BadInput, match=reason):
        fetch_image(f"{server.url}/to", allow_private=True)


def test_a_redirect_from_a_public_to_a_private_address_is_refused(server, monkeypatch):
    """Names are answered here; 'public' stands for this server and for nothing else."""
    real = socket.getaddrinfo
    monkeypatch.setattr(fetch, "_is_public", lambda address: address == "127.0.0.1")
    answers = {"public.test": "127.0.0.1", "private.test": "127.0.0.2"}
    monkeypatch.setattr(fetch.socket, "getaddrinfo", lambda host, *a, **k: real(answers.get(host, host), *a, **k))
    server.targets |= {
        "/to/name": f"http://private.test:{server.server_port}/image",
        "/to/number": f"http://127.0.0.3:{server.server_port}/image",
    }
    public = f"http://public.test:{server.server_port}"
    assert fetch_image(f"{public}/image") == BODY
    for path in server.targets:
        with pytest.raises(BadInput, match="private or local address; --allow-private"):
            fetch_image(public + path)


# ---- addresses


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1",
        "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    assert not fetch._is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8"]
)
def test_addresses_that_are_public(address):
    assert fetch._is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0"])
def test_however_the_local_address_is_written_it_is_refused(server, host):
    with pytest.raises(BadInput, match=r"private or local address|cannot be fetched"):
        fetch_image(f"http://{host}:{server.server_port}/image")
    assert server.seen == []


def test_the_connection_goes_to_the_address_that_was_checked(server, monkeypatch):
    """A name that resolves to a public address first and to this machine afterwards (DNS rebinding)."""
    answers = iter(["203.0.114.7", "127.0.0.1", "127.0.0.1"])
    connected = []

    def getaddrinfo(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def create_connection(address, timeout):
        connected.append(address)
        raise OSError("unreachable")

    monkeypatch.setattr(fetch.socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(fetch.socket, "create_connection", create_connection)
    with pytest.raises(BadInput, match="unreachable"):
        fetch_image("http://rebinding.test/a")
    assert connected == [("203.0.114.7", 80)]


def test_private_addresses_among_public_ones_are_never_tried(monkeypatch):
    connected = []

    def getaddrinfo(host, port, **_):
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in ("10.0.0.1", "8.8.8.8", "127.0.0.1")]

    def create_connection(address, timeout):
        connected.append(address[0])
        raise OSError("unreachable")

    monkeypatch.setattr(fetch.socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(fetch.socket, "create_connection", create_connection)
    with pytest.raises(BadInput):
        fetch_image("https://mixed.test/a")
    assert connected == ["8.8.8.8"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "begins with 'file'; only http"),
        ("gopher://example.org/", "only http"),
        ("photo.jpg", "only http"),
        ("http:///photo.jpg", "without a host"),
        ("http://example.org:port/", "cannot be understood"),
        ("http://\0\x1b.example.org/", "cannot be understood"),
        ("http://[2001:db8::%2ä\udcd3]/", "cannot be understood"),
        ("http://" + "a" * 300 + ".org/", "cannot be understood"),
        ("https://user:secret@example.org/", "with a name or password for example.org"),
    ],
)
def test_what_is_no_web_address_is_refused(url, reason):
    with pytest.raises(BadInput, match=reason) as caught:
        fetch_image(url)
    assert "secret" not in str(caught.value)


def test_a_refused_connection_says_so():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(BadInput, match=r"127\.0\.0\.1:\d+/a: cannot be fetched"):
        fetch_image(f"http://127.0.0.1:{port}/a", allow_private=True)


def test_tls_names_the_host_and_checks_its_certificate(server, monkeypatch):
    names = []

    class Context:
        def wrap_socket(self, connected, server_hostname):
            names.append(server_hostname)
            return connected

    monkeypatch.setattr(fetch.ssl, "create_default_context", Context)
    assert fetch_image(f"https://localhost:{server.server_port}/image", allow_private=True) == BODY
    assert names == ["localhost"]
    monkeypatch.undo()
    with pytest.raises(BadInput, match="cannot be fetched"):  # it speaks no TLS
        fetch_image(f"https://localhost:{server.server_port}/image", allow_private=True)
