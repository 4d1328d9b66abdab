"""`neardup review --queries`."""

from collections.abc import Sequence
from pathlib import Path


def judge(queries: Sequence[str], index: Path, export: Path, port: int, no_browser: bool, format: str) -> None:
    """Search for the queries by their embeddings alone, and serve a page to tick what is relevant."""
    from neardup.errors import BadInput
    from neardup.jobs.query import query_images
    from neardup.output import emit, note, one_record
    from neardup.review.judging import SHOWN, Judging
    from neardup.review.judging_page import create_judging_app
    from neardup.review.server import listen, serve
    from neardup.sources.queries import is_url

    for name in queries:
        if name == "-" or is_url(name):
            raise BadInput(f"{name}: is gone once it was read; give a file, a folder or tfds:NAME[:SPLIT]")
    note("Searching ...")
    # One more, for the query itself, which is no answer.
    asked = query_images(queries, index, top=SHOWN + 1, min_similarity=-1.0, say=note)
    judging = Judging(asked.answers, export.absolute())
    for query, error in judging.failed:
        note(f"{query}: {error}")
    server, guard = listen(port)
    server.application = create_judging_app(judging, guard)
    fields = {"url": guard.url, "queries": len(judging.queries), "export": judging.export}
    emit(one_record(fields, [guard.url]), format)
    many = "query" if len(judging.queries) == 1 else "queries"
    note(f"{len(judging.queries):,} {many} to look at. Ctrl-C ends it; every tick is kept at once.")
    serve(server, None if no_browser else guard.ticket())
    note(f"{judging.judged:,} of {len(judging.queries):,} {many} judged: {judging.export}")
