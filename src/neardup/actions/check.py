"""What is wrong with the journals and the plan in an index folder: looked at, and never acted on."""

from collections.abc import Iterator
from pathlib import Path

from neardup.actions.journal import FOLDER, Journal, journal_paths
from neardup.actions.plan_files import load_plan
from neardup.errors import BadInput, DamagedIndex, NeardupError, NotTrusted
from neardup.index.findings import Finding
from neardup.index.owner import PLAN, known_owner

_LOOK = "look at it; 'neardup undo --trust' takes it back all the same, or move it away"
_MOVE = "move it away, and 'neardup undo' goes on without it"


def action_damage(folder: Path) -> Iterator[Finding]:
    """Journals that cannot be read, or that this user did not write with this index, and a plan that is none."""
    yield from _journals(folder)
    plan = folder / PLAN
    if plan.exists():
        try:
            load_plan(plan)
        except BadInput as error:
            yield Finding(plan, _reason(error, plan), "remove it; 'neardup review' writes another", False)


def _journals(folder: Path) -> Iterator[Finding]:
    try:
        paths = journal_paths(folder)
        owner = known_owner(folder)
    except DamagedIndex as error:
        yield Finding(folder / FOLDER, _reason(error, folder / FOLDER), "move it away", False)
        return
    except NeardupError:  # no key: nothing can be said of who wrote them
        return
    for path in paths:
        if owner is None:
            yield Finding(path, "not known to be written by you", _LOOK, False, False)
            continue
        try:
            journal = Journal.read(path, owner)
            if journal is not None and not journal.is_signed:
                yield Finding(path, "written by an earlier neardup, which did not sign it", _LOOK, False, False)
        except NotTrusted:
            yield Finding(path, "holds lines that you did not write with this index", _LOOK, False)
        except DamagedIndex as error:
            yield Finding(path, _reason(error, path), _MOVE, False)


def _reason(error: NeardupError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ").partition(";")[0]
