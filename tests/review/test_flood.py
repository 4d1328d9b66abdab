"""What another program on this computer sends to the page, by real sockets: none of it is kept, or blocks."""

import socket
from contextlib import ExitStack

import pytest

from neardup.review import server
from neardup.review.security import CSRF_HEADER
from tests.review.conftest import serving
from tests.review.test_security import OURS, arrive
from tests.test_reading import DEEP


def connected(guard):
    host, port = guard.host.split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def status(connection, request):
    """The first line of the answer, behind the one that asks for the body."""
    connection.sendall(request)
    answer = connection.recv(65536).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n") or connection.recv(65536)
    return answer.split(b"\r\n")[0]


@pytest.mark.parametrize("head", [b"Content-Length: 377000000", b"Content-Length: 65536"])
def test_a_large_body_is_refused_before_it_is_read(open_review, head):
    with serving(open_review()) as guard, connected(guard) as connection:
        asked = b"POST /api/plan HTTP/1.1\r\nHost: " + guard.host.encode() + b"\r\n" + head + b"\r\n\r\n"
        assert b" 413 " in status(connection, asked), "none of it was sent"


@pytest.mark.parametrize(
    ("head", "begin"),
    [
        (b"Transfer-Encoding: chunked", b"5000000\r\n"),
        (b"Expect: 100-continue\r\nContent-Length: 377000000", b""),
    ],
    ids=["chunks", "asked for"],
)
def test_a_body_that_is_read_is_refused_at_the_same_size(open_review, head, begin):
    with serving(open_review()) as guard, connected(guard) as connection:
        asked = b"POST /api/plan HTTP/1.1\r\nHost: " + guard.host.encode() + b"\r\n" + head + b"\r\n\r\n"
        assert b" 413 " in status(connection, asked + begin + b"x" * (65_536 - len(begin)))


def test_idle_connections_block_nobody(open_review, monkeypatch):
    with serving(open_review()) as guard, ExitStack() as idle:
        for _ in range(150):
            idle.enter_context(connected(guard))
        with connected(guard) as connection:
            connection.settimeout(5)
            assert b" 403 " in status(connection, b"GET / HTTP/1.1\r\nHost: " + guard.host.encode() + b"\r\n\r\n")


def test_more_connections_than_there_may_be_block_for_a_moment(open_review, monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 20)
    monkeypatch.setattr(server, "IDLE_SECONDS", 0)
    with serving(open_review()) as guard, ExitStack() as idle:
        for _ in range(30):
            idle.enter_context(connected(guard))
        with connected(guard) as connection:
            assert b" 403 " in status(connection, b"GET / HTTP/1.1\r\nHost: " + guard.host.encode() + b"\r\n\r\n")


@pytest.mark.parametrize("path", ["/api/marks", "/api/accept-exact", "/api/accept-copies", "/api/keep-only"])
@pytest.mark.parametrize("body", [DEEP[:60_000], b'{"a":' * 10_000, b"\xff\xfe", b"1" * 60_000, b"", b'"\\ud800"'])
def test_no_json_is_a_bad_request(client, guard, path, body):
    arrive(client, guard)
    sent = {**OURS, CSRF_HEADER: guard.csrf, "Origin": f"http://{guard.host}", "Sec-Fetch-Site": "same-origin"}
    answer = client.post(
        path, data=body, headers=sent, base_url="http://127.0.0.1:4321", content_type="application/json"
    )
    assert answer.status_code in (400, 409)


@pytest.mark.parametrize("part", ["\ud800", "\0", "a" * 10_000])
def test_half_a_character_is_a_part_of_no_path(client, guard, part):
    arrive(client, guard)
    sent = {**OURS, CSRF_HEADER: guard.csrf, "Origin": f"http://{guard.host}", "Sec-Fetch-Site": "same-origin"}
    answer = client.post("/api/accept-exact", json={"path": part}, headers=sent, base_url="http://127.0.0.1:4321")
    assert answer.status_code == 200
    assert answer.get_json()["changed"] == []
