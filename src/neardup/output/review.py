"""What `neardup review` says: where the page is, and in the end what was decided."""

from collections import Counter

from neardup.groups.members import KINDS, Kind
from neardup.output import emit, note, one_record
from neardup.review import Review
from neardup.text import printable, show_bytes, show_count


def write_start(url: str, review: Review, format: str) -> None:
    """The URL on stdout, at once, for whoever waits for it."""
    fields = {"url": url, "groups": len(review.groups), "plan": review.plan_path}
    emit(one_record(fields, [url]), format)
    note(f"{show_count(len(review.groups), 'group')} to look at{_held(review)}.")
    note("Ctrl-C ends the review; what was decided is kept.")


def _held(review: Review) -> str:
    """How many images stand beside the keepers, by their relation to them: `: 2 exact, 36 copy, 7 edited`."""
    held: Counter[Kind] = Counter()
    for group in review.groups:
        held.update(group.kinds())
    return ": " + ", ".join(f"{held[kind]:,} {kind}" for kind in KINDS if held[kind]) if held else ""


def write_saving(review: Review) -> None:
    """Before what may take a while: every image that goes is looked at."""
    if not review.is_saved:
        note("Writing the plan ...")


def write_end(review: Review) -> None:
    """What was decided, on stderr, and how to go on."""
    totals = review.totals()
    note(
        f"{totals.decided:,} of {show_count(totals.groups, 'group')} decided:"
        f" {show_count(totals.drops, 'image')} to drop ({show_bytes(totals.drop_bytes)}),"
        f" {totals.different:,} not duplicates."
    )
    if totals.drops:
        note(f"Nothing was touched yet: {printable(review.command)}")
