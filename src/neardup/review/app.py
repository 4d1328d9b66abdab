"""What every page of the review has in common: who may ask, how much, and what is said of an error."""

from typing import TYPE_CHECKING

from neardup.errors import NeardupError, UnreadableImage
from neardup.review.security import Guard
from neardup.text import printable

if TYPE_CHECKING:
    import flask


def new_app(guard: Guard, *, largest_request_bytes: int) -> "flask.Flask":
    """A WSGI application without pages."""
    import flask

    app = flask.Flask("neardup.review", static_folder="static", static_url_path="/static", template_folder="templates")
    app.config["MAX_CONTENT_LENGTH"] = largest_request_bytes
    app.before_request(guard.check)
    app.after_request(guard.harden)

    @app.errorhandler(UnreadableImage)
    def unreadable(error: UnreadableImage) -> tuple[dict[str, str], int]:
        return {"error": printable(str(error))}, 404

    @app.errorhandler(NeardupError)
    def refused(error: NeardupError) -> tuple[dict[str, str], int]:
        return {"error": printable(str(error))}, 409

    return app
