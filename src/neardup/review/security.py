"""Who may talk to the page: the browser that was given the token, from the page itself, and nobody else.

The page shows private photos and takes decisions, while any web page open in the same browser can send requests to this
machine. So: the token of the printed URL is exchanged for a cookie that scripts cannot read and other sites' requests
do not carry; the Host header must be ours, or a name that was rebound to 127.0.0.1 would do; a change needs a second
secret in a header, which no form and no other origin can send.
"""

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flask

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
CSRF_HEADER = "X-Neardup-Secret"


class Guard:
    """The secrets of one run, and the address that it answers at."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.token, self._session, self.csrf = (secrets.token_urlsafe(32) for _ in range(3))
        self._tickets: set[str] = set()
        # Cookies are shared by all ports of a host.
        self._cookie = f"neardup-{port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/?token={self.token}"

    def ticket(self) -> str:
        """A URL that works once: a browser is started with it, where every user can read it in the process list."""
        ticket = secrets.token_urlsafe(32)
        self._tickets.add(ticket)
        return f"http://{self.host}/?token={ticket}"

    def check(self) -> "flask.Response | None":
        """Refuse the request at hand; None lets it pass. Called before anything else looks at it."""
        from flask import Response, g, request

        # A page cannot choose it: the browser writes the name that it looked up.
        if not _same(request.headers.get("Host", ""), self.host):
            return Response("Not the address of this page.\n", 421, mimetype="text/plain")
        g.has_arrived = self._is_arrival()
        if not (self._has_cookie() or g.has_arrived):
            return Response("Open the URL that neardup review printed.\n", 403, mimetype="text/plain")
        if request.method not in ("GET", "HEAD"):
            is_ours = request.headers.get("Origin", f"http://{self.host}") == f"http://{self.host}"
            is_same_origin = request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
            has_secret = _same(request.headers.get(CSRF_HEADER, ""), self.csrf)
            if not (is_ours and is_same_origin and has_secret and self._has_cookie() and request.is_json):
                return Response("Not from this page.\n", 403, mimetype="text/plain")
        return None

    def _is_arrival(self) -> bool:
        """Whether the request at hand opens the page with a token; uses a ticket up."""
        from flask import request

        if request.method != "GET" or request.path != "/":
            return False
        given = request.args.get("token", "")
        for ticket in list(self._tickets):
            if _same(given, ticket):
                self._tickets.discard(ticket)
                return True
        return _same(given, self.token)

    def _has_cookie(self) -> bool:
        from flask import request

        return _same(request.cookies.get(self._cookie, ""), self._session)

    def harden(self, response: "flask.Response") -> "flask.Response":
        """Headers of every answer, and the cookie of the first."""
        from flask import g

        response.headers.update(HEADERS)
        if response.status_code == 200 and g.get("has_arrived"):
            response.set_cookie(self._cookie, self._session, httponly=True, samesite="Strict", path="/")
        return response


def _same(given: str, wanted: str) -> bool:
    """Compared in a time that says nothing of where they differ."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
