"""The page with queries and ticks; who may ask is security.py's."""

from typing import TYPE_CHECKING, Any

from neardup.reading import parse_json
from neardup.review.app import new_app
from neardup.review.judging import Judging
from neardup.review.pictures import EDGES, Pictures
from neardup.review.security import Guard
from neardup.review.session import Refused
from neardup.text import printable

if TYPE_CHECKING:
    import flask

LARGEST_REQUEST_BYTES = 1 << 12


def create_judging_app(judging: Judging, guard: Guard) -> "flask.Flask":
    """The page as a WSGI application."""
    import flask

    app = new_app(guard, largest_request_bytes=LARGEST_REQUEST_BYTES)
    pictures = Pictures()

    @app.get("/")
    def page() -> str:
        return flask.render_template("judging.html", csrf=guard.csrf, export=printable(str(judging.export)))

    @app.get("/api/queries")
    def queries() -> dict[str, Any]:
        return {"queries": [_shown(judging, number) for number in range(len(judging.queries))]}

    @app.get("/queries/<int:query>/<size>")
    def query_picture(query: int, size: str) -> flask.Response:
        if query >= len(judging.queries) or size not in EDGES:
            flask.abort(404)
        asked = judging.queries[query]
        return flask.Response(pictures.preview(asked.path, asked.digest, size), mimetype="image/jpeg")

    @app.get("/matches/<int:query>/<int:match>/<size>")
    def match_picture(query: int, match: int, size: str) -> flask.Response:
        if query >= len(judging.queries) or match >= len(judging.queries[query].matches) or size not in EDGES:
            flask.abort(404)
        found = judging.queries[query].matches[match]
        return flask.Response(pictures.preview(found.path, found.digest, size), mimetype="image/jpeg")

    @app.post("/api/tick")
    def tick() -> dict[str, Any]:
        try:
            query, match, relevant = _wanted(parse_json(flask.request.get_data()))
        except ValueError:
            flask.abort(400)
        judging.tick(query, match, relevant)
        return {"changed": _shown(judging, query)}

    return app


def _wanted(body: Any) -> tuple[int, int | None, bool]:
    """Query, match (None: none of them is relevant) and whether it is; raises Refused."""
    if isinstance(body, dict) and body.keys() == {"query", "match", "relevant"}:
        query, match, relevant = body["query"], body["match"], body["relevant"]
        is_match = type(match) is int or (match is None and relevant is False)
        if type(query) is int and is_match and isinstance(relevant, bool):
            return query, match, relevant
    raise Refused("expected a query, a match or none, and whether it is relevant")


def _shown(judging: Judging, number: int) -> dict[str, Any]:
    asked, ticks = judging.queries[number], judging.ticks(number)
    return {
        "query": number,
        "name": printable(asked.path.name),
        "folder": printable(str(asked.path.parent)),
        "judged": ticks is not None,
        "matches": [
            {
                "name": printable(match.path.name),
                "label": match.label and printable(match.label),
                "similarity": match.similarity,
                "relevant": bool(ticks and ticks[place]),
            }
            for place, match in enumerate(asked.matches)
        ],
    }
