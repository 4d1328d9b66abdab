"""Who is let in, and what a page elsewhere, a rebound name, or a made-up path gets."""

import http.client
import re
from urllib.parse import urlsplit

import pytest

from neardup.errors import BadInput
from neardup.review.security import CSRF_HEADER
from neardup.review.server import open_server
from tests.review.conftest import serving

PATHS = (
    "/",
    "/base.css",
    "/static/review.js",
    "/api/groups",
    "/api/groups/0",
    "/images/0/0/small",
    "/differences/0/0/1",
)
CHANGES = ("/api/marks", "/api/accept-exact", "/api/undo", "/api/plan")
OURS = {"Host": "127.0.0.1:4321"}


def arrive(client, guard):
    """Open the page as the printed URL does; the client keeps the cookie."""
    answer = client.get(f"/?token={guard.token}", headers=OURS, base_url="http://127.0.0.1:4321")
    assert answer.status_code == 200
    return answer


@pytest.fixture
def ask(client, guard):
    """`ask(path, json=None, **headers)`: a request with the cookie and, for changes, all that the page sends."""
    arrive(client, guard)

    def request(path, json=None, without=(), **headers):
        sent = {**OURS}
        if json is not None:
            sent |= {CSRF_HEADER: guard.csrf, "Origin": f"http://{guard.host}", "Sec-Fetch-Site": "same-origin"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in sent.items() if name not in without}
        method = client.get if json is None else client.post
        return method(path, headers=sent, base_url="http://127.0.0.1:4321", **({} if json is None else {"json": json}))

    return request


@pytest.mark.parametrize("path", PATHS)
def test_without_the_cookie_nothing_is_shown(client, path):
    answer = client.get(path, headers=OURS)
    assert answer.status_code == 403
    assert b"photo" not in answer.data


@pytest.mark.parametrize("token", ["", "x", "é", "%00", "a" * 43])
def test_a_wrong_token_opens_nothing(client, guard, token):
    answer = client.get(f"/?token={token}", headers=OURS)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    assert guard.csrf not in answer.text


def test_the_token_opens_the_page_only(client, guard):
    assert client.get(f"/api/groups?token={guard.token}", headers=OURS).status_code == 403
    assert client.post(f"/?token={guard.token}", headers=OURS).status_code == 403
    assert client.get(f"/images/0/0/small?token={guard.token}", headers=OURS).status_code == 403


def test_the_cookie_is_for_this_page_alone(client, guard):
    cookie = arrive(client, guard).headers["Set-Cookie"]
    assert cookie.startswith("neardup-4321=")
    for word in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert word in cookie
    assert "Domain" not in cookie
    assert guard.token not in cookie
    assert guard.csrf not in cookie


def test_a_ticket_opens_the_page_once(client, guard):
    parts = urlsplit(guard.ticket())
    assert parts.netloc == guard.host
    first = client.get(f"/?{parts.query}", headers=OURS)
    assert first.status_code == 200
    assert "Set-Cookie" in first.headers
    client.delete_cookie("neardup-4321", domain="127.0.0.1")
    fresh = client.application.test_client()
    assert fresh.get(f"/?{parts.query}", headers=OURS).status_code == 403
    assert fresh.get(f"/?token={guard.token}", headers=OURS).status_code == 200


def test_secrets_are_long_and_new_each_time(guard):
    other = type(guard)(4321)
    secrets = {guard.token, guard.csrf, guard._session, other.token, other.csrf, other._session}
    assert len(secrets) == 6
    assert min(map(len, secrets)) >= 43


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:4321", "localhost:4321", "127.0.0.1", "127.0.0.1:80", "", "127.0.0.1:4321.evil"],
)
@pytest.mark.parametrize("path", ["/", "/api/groups", "/images/0/0/small"])
def test_a_rebound_name_is_refused_even_with_the_secrets(ask, guard, host, path):
    answer = ask(f"{path}?token={guard.token}", Host=host)
    assert answer.status_code == 421
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    ("headers", "without"),
    [
        ({}, (CSRF_HEADER,)),
        ({CSRF_HEADER: "guess"}, ()),
        ({CSRF_HEADER: "é"}, ()),
        ({"Origin": "http://evil.example"}, ()),
        ({"Origin": "null"}, ()),
        ({"Origin": "http://127.0.0.1:4322"}, ()),
        ({"Origin": "https://127.0.0.1:4321"}, ()),
        ({"Sec-Fetch-Site": "cross-site"}, ()),
        ({"Sec-Fetch-Site": "same-site"}, ()),
        ({"Content-Type": "text/plain"}, ()),
        ({"Content-Type": "application/x-www-form-urlencoded"}, ()),
    ],
)
def test_a_change_from_elsewhere_is_refused(client, ask, path, headers, without):
    body = {"group": 0, "member": 1, "mark": "drop"} if path == "/api/marks" else {}
    assert ask(path, body, without, **headers).status_code == 403
    assert client.review.marks(0) == (None,) * 3
    assert client.review.undos == 0
    assert not client.review.plan_path.exists()


def test_a_change_needs_the_cookie_too(client, guard):
    headers = {**OURS, CSRF_HEADER: guard.csrf, "Origin": f"http://{guard.host}"}
    answer = client.post("/api/marks", headers=headers, json={"group": 0, "member": 1, "mark": "drop"})
    assert answer.status_code == 403
    assert client.review.marks(0) == (None,) * 3


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "options", "head"])
def test_changes_are_posted_only(client, guard, path, method):
    arrive(client, guard)
    headers = {**OURS, CSRF_HEADER: guard.csrf, "Content-Type": "application/json"}
    answer = getattr(client, method)(path, headers=headers, base_url="http://127.0.0.1:4321")
    assert answer.status_code in (200, 403, 405)  # 200: OPTIONS lists the methods
    assert client.review.marks(0) == (None,) * 3
    assert not client.review.plan_path.exists()


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/api/groups/99"])
def test_every_answer_carries_the_headers(ask, path):
    headers = ask(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';")
    assert "unsafe" not in policy
    assert "*" not in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/images/../../../../etc/passwd",
        "/images/%2e%2e/%2e%2e/etc/passwd",
        "/images/0/..%2f..%2fetc%2fpasswd/small",
        "/images//etc/passwd",
        "/images/0/0/..%2f..%2fserver.py",
        "/images/0/0/huge",
        "/images/-1/0/small",
        "/images/0/-1/small",
        "/images/0/3/small",
        "/images/3/0/small",
        "/images/99999999999999999999/0/small",
        "/images/0/0/small?path=/etc/passwd&file=/etc/passwd",
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e%2fsecurity.py",
        "/static/%2fetc/passwd",
        "/differences/0/0/7",
        "/differences/0/0/1/secret",
        "/api/groups/-1",
        "/api/groups/3",
    ],
)
def test_only_images_of_the_groups_are_served(ask, path):
    answer = ask(path)
    if "?" in path:  # what is asked for besides is ignored
        assert answer.mimetype == "image/jpeg"
    else:
        assert answer.status_code in (404, 308)  # two slashes are redirected to one
        assert ask(answer.headers.get("Location", path)).status_code == 404
    assert b"root:" not in answer.data
    assert b"import " not in answer.data


@pytest.mark.parametrize(
    "body",
    [
        [],
        "x",
        3,
        {},
        {"group": 0, "member": 1},
        {"group": 0, "member": 1, "mark": "delete"},
        {"group": -1, "member": 1, "mark": "drop"},
        {"group": 0, "member": -1, "mark": "drop"},
        {"group": True, "member": 1, "mark": "drop"},
        {"group": "0", "member": 1, "mark": "drop"},
        {"group": 0, "member": 1, "mark": ["drop"]},
        {"group": 0, "member": 1, "mark": "drop", "path": "/etc/passwd"},
        {"group": 0, "member": 9, "mark": "drop"},
        {"group": 9, "member": None, "mark": "drop"},
    ],
)
def test_odd_requests_change_nothing(client, ask, body):
    assert ask("/api/marks", body).status_code in (404, 409)
    assert client.review.undos == 0


def test_large_and_broken_requests_are_refused(client, ask, guard):
    assert ask("/api/marks", {"group": 0, "member": 1, "mark": "x" * 70_000}).status_code == 413
    headers = {**OURS, CSRF_HEADER: guard.csrf, "Content-Type": "application/json"}
    answer = client.post("/api/marks", headers=headers, data=b"{", base_url="http://127.0.0.1:4321")
    assert answer.status_code == 400


@pytest.fixture
def served(open_review):
    with serving(open_review()) as guard:
        yield guard


def get(port, path, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest("GET", path, skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_the_real_server_answers_at_its_address_only(served):
    guard, port = served, int(served.host.partition(":")[2])
    assert guard.url.startswith(f"http://127.0.0.1:{port}/?token=")
    path = guard.url.removeprefix(f"http://{guard.host}")
    status, headers, content = get(port, path, {"Host": guard.host})
    assert status == 200
    assert guard.csrf in content.decode()
    assert "Server" not in headers
    cookie = headers["Set-Cookie"].split(";")[0]
    assert get(port, "/images/0/1/small", {"Host": guard.host, "Cookie": cookie})[2].startswith(b"\xff\xd8")
    assert get(port, "/images/0/1/small", {"Host": guard.host})[0] == 403
    assert get(port, path, {"Host": "rebound.example"})[0] == 421
    assert get(port, path, {"Host": "rebound.example", "X-Forwarded-Host": guard.host})[0] == 421
    assert get(port, path, {})[0] in (400, 421)
    assert get(port, f"http://{guard.host}{path}", {"Host": "rebound.example"})[0] in (400, 403, 404, 421)
    assert get(port, "/static/../security.py", {"Host": guard.host, "Cookie": cookie})[0] == 404


def test_it_listens_on_this_machine_only(open_review):
    server, _ = open_server(open_review(), port=0)
    assert server.socket.getsockname()[0] == "127.0.0.1"
    server.close()


def test_a_port_in_use_is_named(served, open_review):
    port = int(served.host.partition(":")[2])
    with pytest.raises(BadInput, match=f"port {port}.*--port"):
        open_server(open_review(), port=port)


def test_the_page_loads_nothing_from_elsewhere(ask):
    for path in ("/", "/base.css", "/static/review.css", "/static/review.js", "/static/icon.svg"):
        text = ask(path).text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text), path
