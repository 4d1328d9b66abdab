"""The page's server: what it shows, what it takes; who may ask is security.py's."""

import logging
import os
import sys
import webbrowser
from collections import Counter
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neardup.actions import Looks
from neardup.errors import BadInput
from neardup.groups import DuplicateGroup
from neardup.interrupts import sigterm_interrupts
from neardup.matching.evidence import Relation
from neardup.reading import parse_json
from neardup.report.html import show_date
from neardup.review.app import new_app
from neardup.review.pictures import EDGES, Pictures
from neardup.review.security import Guard
from neardup.review.session import MARKS, Refused, Review, staying
from neardup.sources import is_record
from neardup.text import printable, show_bytes

if TYPE_CHECKING:
    import flask
    from waitress.server import BaseWSGIServer  # type: ignore[import-untyped,unused-ignore]

LARGEST_REQUEST_BYTES = 1 << 16
# A browser has a handful; anything else on this computer may open many and say nothing, and they cost descriptors.
CONNECTIONS, IDLE_SECONDS = 500, 5
EXACT: tuple[Relation, ...] = ("exact",)
# Whatever a copy shows, its keeper shows; never what was edited.
COPIES: tuple[Relation, ...] = ("exact", "copy")


def create_app(review: Review, guard: Guard) -> "flask.Flask":
    """The page as a WSGI application."""
    import flask

    app = new_app(guard, largest_request_bytes=LARGEST_REQUEST_BYTES)
    pictures = Pictures()

    @app.get("/")
    def page() -> str:
        return flask.render_template("page.html", csrf=guard.csrf, folder=printable(str(review.folder)))

    @app.get("/base.css")
    def base() -> flask.Response:
        text = (files("neardup.report") / "base.css").read_text(encoding="utf-8")
        return flask.Response(text, mimetype="text/css")

    @app.get("/api/groups")
    def summaries() -> dict[str, Any]:
        return {"groups": [_summary(review, number) for number in range(len(review.groups))], **_state(review)}

    @app.get("/api/groups/<int:group>")
    def one_group(group: int) -> dict[str, Any]:
        if group >= len(review.groups):
            flask.abort(404)
        return _details(review, group)

    @app.get("/api/groups/<int:group>/losses")
    def losses(group: int) -> dict[str, Any]:
        if group >= len(review.groups):
            flask.abort(404)
        return _losses(review, group)

    @app.get("/api/find")
    def find() -> dict[str, Any]:
        return {"groups": review.find(flask.request.args.get("path", ""))}

    @app.get("/images/<int:group>/<int:member>/<size>")
    def image(group: int, member: int, size: str) -> flask.Response:
        if not _has(review, group, member) or size not in EDGES:
            flask.abort(404)
        found = review.groups[group].members[member]
        return flask.Response(pictures.preview(found.path, found.digest, size), mimetype="image/jpeg")

    @app.get("/differences/<int:group>/<int:first>/<int:second>")
    def difference(group: int, first: int, second: int) -> dict[str, Any]:
        found = pictures.difference(*_paths(review, group, first, second))
        return {
            "aligned": found.jpeg is not None,
            "relation": _relation(review.groups[group], first, second, found.relation),
            "steps": found.steps,
            "confidence": found.confidence,
        }

    @app.get("/differences/<int:group>/<int:first>/<int:second>/<kind>")
    def difference_image(group: int, first: int, second: int, kind: str) -> flask.Response:
        found = pictures.difference(*_paths(review, group, first, second))
        jpeg = {"difference": found.jpeg, "aligned": found.aligned}.get(kind)
        if jpeg is None:
            flask.abort(404)
        return flask.Response(jpeg, mimetype="image/jpeg")

    @app.post("/api/marks")
    def mark() -> dict[str, Any]:
        group, member, mark = _wanted(_sent())
        if not _has(review, group, member or 0):
            flask.abort(404)
        if member is None:
            review.mark_all(group, mark)
        else:
            review.mark(group, member, mark)
        return _changed(review, [group])

    @app.post("/api/accept-exact")
    def accept_exact() -> dict[str, Any]:
        return _changed(review, review.accept(EXACT, _within(_sent())))

    @app.post("/api/accept-copies")
    def accept_copies() -> dict[str, Any]:
        return _changed(review, review.accept(COPIES, _within(_sent())))

    @app.post("/api/keep-only")
    def keep_only() -> dict[str, Any]:
        group, member, _ = _wanted({**_object(_sent()), "mark": None})
        if member is None or not _has(review, group, member):
            flask.abort(404)
        review.keep_only(group, member)
        return _changed(review, [group])

    @app.post("/api/undo")
    def undo() -> dict[str, Any]:
        return _changed(review, review.undo())

    @app.post("/api/plan")
    def write_plan() -> dict[str, Any]:
        plan = review.save()
        reasons = Counter(kept.reason for kept in plan.kept)
        return {
            "command": printable(review.command),
            "steps": len(plan.steps),
            "size": show_bytes(plan.freed_bytes),
            "kept": [{"reason": printable(reason), "images": images} for reason, images in reasons.most_common()],
        }

    return app


def open_server(review: Review, *, port: int) -> tuple["BaseWSGIServer", Guard]:
    """The page on 127.0.0.1; `run()` answers until Ctrl-C. As `listen`."""
    server, guard = listen(port)
    server.application = create_app(review, guard)
    return server, guard


def listen(port: int) -> tuple["BaseWSGIServer", Guard]:
    """A server on 127.0.0.1 that wants its application yet; port 0 takes a free one. Raises BadInput."""
    import waitress  # type: ignore[import-untyped,unused-ignore]

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns when pictures are asked for at once
    # The guard must know the port, and the port is known once it is taken: the application is set after that.
    try:
        server = waitress.create_server(
            _not_yet, host="127.0.0.1", port=port, threads=6, ident="", clear_untrusted_proxy_headers=True,
            connection_limit=_connections(), channel_timeout=IDLE_SECONDS, cleanup_interval=1, asyncore_use_poll=True,
            # Larger ones are refused by what they say of themselves, before they are read and kept.
            max_request_header_size=LARGEST_REQUEST_BYTES, max_request_body_size=LARGEST_REQUEST_BYTES,
        )  # fmt: skip
    except OSError as error:
        raise BadInput(f"port {port}: {error.strerror}; choose another one with --port, or leave it out") from error
    return server, Guard(int(server.effective_port))


def _connections() -> int:
    """As many as there are descriptors for: one that cannot be accepted would be tried again without a pause."""
    try:
        import resource
    except ImportError:  # not on this system
        return CONNECTIONS
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return CONNECTIONS if most == resource.RLIM_INFINITY else max(10, min(CONNECTIONS, most // 2))


def serve(server: "BaseWSGIServer", page: str | None) -> None:
    """Answer until Ctrl-C or SIGTERM. page: a URL to open in the user's browser, if there is one to open."""
    try:
        with sigterm_interrupts():
            # A browser in the terminal would take it over, and could not show pictures.
            has_screen = sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
            if page is not None and has_screen:
                # Connections wait until they are answered.
                webbrowser.open(page)
            server.run()
    except KeyboardInterrupt:
        pass
    finally:
        server.close()


def _sent() -> Any:
    """The JSON of the request at hand."""
    import flask

    try:
        return parse_json(flask.request.get_data())
    except ValueError:
        flask.abort(400)


def _not_yet(environ: object, start_response: object) -> list[bytes]:
    raise RuntimeError("the server was run before its application was set")


def _has(review: Review, group: int, member: int) -> bool:
    return group < len(review.groups) and member < len(review.groups[group].members)


def _paths(review: Review, group: int, first: int, second: int) -> tuple[Path, Path]:
    import flask

    if not (_has(review, group, first) and _has(review, group, second)):
        flask.abort(404)
    members = review.groups[group].members
    return members[first].path, members[second].path


def _wanted(body: Any) -> tuple[int, int | None, Any]:
    """Group, image (None: all of them) and mark of a request; raises Refused."""
    if isinstance(body, dict) and body.keys() == {"group", "member", "mark"}:
        group, member, mark = body["group"], body["member"], body["mark"]
        is_group = type(group) is int and group >= 0
        is_member = member is None or (type(member) is int and member >= 0)
        if is_group and is_member and (mark is None or mark in MARKS):
            return group, member, mark
    raise Refused(f"expected a group, a member and one of {', '.join(MARKS)}")


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refused("expected a JSON object")
    return body


def _within(body: Any) -> str:
    """The part of a path that a bulk decision is about; all of them without one. Raises Refused."""
    part = _object(body).get("path", "")
    if not isinstance(part, str):
        raise Refused("expected the part of a path")
    return part


def _relation(group: DuplicateGroup, first: int, second: int, seen: Relation) -> Relation:
    """seen: by looking at the pixels, which cannot tell a copy from equal files."""
    before, after = group.members[first], group.members[second]
    is_exact = before.digest == after.digest or (first == 0 and after.relation == "exact" and seen == "copy")
    return "exact" if is_exact else seen


def _state(review: Review) -> dict[str, Any]:
    totals = review.totals()
    return {"totals": {**asdict(totals), "size": show_bytes(totals.drop_bytes)}, "undos": review.undos}


def _changed(review: Review, groups: list[int]) -> dict[str, Any]:
    return {"changed": [_summary(review, group) for group in groups], **_state(review)}


def _summary(review: Review, number: int) -> dict[str, Any]:
    group, marks = review.groups[number], review.marks(number)
    others = group.members[1:]
    kinds = group.kinds()
    return {
        "group": number,
        "name": printable(group.keeper.path.name),
        "kind": list(kinds)[-1],  # the most distant
        "kinds": kinds,
        "least": min(member.similarity for member in others),
        "size_bytes": sum(member.size_bytes for member in others),
        "marks": marks,
        "decided": review.is_decided(number),
    }


def _losses(review: Review, number: int) -> dict[str, Any]:
    """When each image was taken, and what would go with it for the one that stays: the files are read for this."""
    members, looks = review.groups[number].members, Looks()
    stays = staying(review.marks(number)) or 0
    losses = looks.losses.of_group(members, members[stays], looks.digests, len(members))
    images = [
        {
            "taken": (date := looks.losses.date(member)) and printable(date),
            "lost": [printable(phrase) for phrase in loss.lost],
            "notes": [printable(phrase) for phrase in loss.notes],
        }
        for member, loss in zip(members, losses, strict=True)
    ]
    return {"group": number, "keeper": stays, "images": images}


def _details(review: Review, number: int) -> dict[str, Any]:
    group = review.groups[number]
    images = [
        {
            "name": printable(member.path.name),
            "folder": printable(str(member.path.parent)),
            "similarity": member.similarity,
            "relation": member.relation,
            "change": member.change and printable(member.change),
            "shows_more": member.shows_more and printable(member.shows_more),
            "why": member.why and printable(member.why),
            "width": member.width,
            "height": member.height,
            "size_bytes": member.size_bytes,
            "size": show_bytes(member.size_bytes),
            "mtime_s": member.mtime_ns // 10**9,
            "date": show_date(member.mtime_ns),
            "label": member.label and printable(member.label),
            "there": os.access(member.path, os.R_OK) or is_record(member.path),
        }
        for member in group.members
    ]
    return {**_summary(review, number), "images": images}
