"""Plans, what became of them, and what was taken back."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neardup.actions import Along, Outcome, Plan, Report, Step
from neardup.actions.trash import why_unsearched
from neardup.output import Aside, Rendering
from neardup.text import printable, show_bytes, show_count, show_path

STEP_FIELDS = (
    "path", "keeper", "similarity", "relation", "change", "why", "size_bytes", "status", "reason", "target",
    "lost", "notes", "carried", "along", "freed_bytes",
)  # fmt: skip
UNDO_FIELDS = ("path", "status", "reason")
# Outcomes of a kind that are told one by one in text; JSON has them all.
MOST_TOLD = 20
_DONE = {
    "trash": "put in the trash",
    "move": "moved",
    "hardlink": "replaced by hard links",
    "symlink": "replaced by symbolic links",
    "reflink": "replaced by reflinks",
    "delete": "deleted",
}


def render_plan(plan: Plan, *, min_similarity: float | None) -> Rendering:
    """A plan of which nothing was done."""
    return _rendering(plan, None, min_similarity, _plan_lines(plan))


def _plan_lines(plan: Plan) -> Iterator[str]:
    keeper: Path | None = None
    verb = "drop" if plan.action == "report" else plan.action
    for step in plan.steps:
        if step.keeper != keeper:
            keeper = step.keeper
            yield f"keep      {show_path(keeper)}"
        yield f"  {verb:<8}{show_path(step.path)}  {_facts(step)}"
    for kept in plan.kept:
        yield f"leave     {show_path(kept.path)}: {kept.reason}"
    lossy = sum(bool(step.lost) for step in plan.steps)
    along = sum(len(step.along) for step in plan.steps)
    yield (
        show_count(len(plan.steps), "file")
        + (f" and {along:,} that belong to them" if along else "")
        + f", {show_bytes(plan.freed_bytes)}"
        + (f"; {lossy:,} with something that the keeper has not" if lossy else "")
        + (f"; {len(plan.kept):,} left as they are" if plan.kept else "")
        + "."
    )


def _facts(step: Step) -> str:
    what = step.relation if step.relation is not None else f"near {step.similarity:.3f}"
    parts = [f"{what} ({step.change})" if step.change else what, show_bytes(step.size_bytes)]
    if step.lost:
        parts.append("loses " + ", ".join(step.lost))
    if step.carried:
        parts.append(f"its keeper's sidecar gets {', '.join(step.carried.words())}")
    if step.why:
        parts.append(f"kept: {printable(step.why)}")
    if step.along:
        parts.append("with " + ", ".join(file.path.name for file in step.along))
    return "; ".join([*parts, *step.notes])


def render_applied(plan: Plan, report: Report, *, min_similarity: float | None, index_option: str) -> Rendering:
    """What became of an applied plan.

    index_option: what a command needs to find the same index: " --index DIR", or nothing
    """
    return _rendering(plan, report, min_similarity, _applied_lines(plan, report, index_option))


def _applied_lines(plan: Plan, report: Report, index_option: str) -> Iterator[str]:
    yield from _not_done(each for picture in report.outcomes for each in (picture, *picture.along))
    failed = f", {report.count('failed'):,} failed" if report.count("failed") else ""
    skipped = f", {report.count('skipped'):,} skipped" if report.count("skipped") else ""
    followed = sum(each.status == "done" for each in report.along)
    along = f" and {followed:,} that belong to them" if followed else ""
    yield f"{show_count(report.count('done'), 'file')}{along} {_DONE[report.action]}{skipped}{failed}."
    steps = zip(plan.steps, report.outcomes, strict=False)  # no outcomes where there was nothing to do
    if given := {step.keeper for step, outcome in steps if step.carried and outcome.status == "done"}:
        yield f"Metadata was added to {show_count(len(given), 'sidecar')}."
    if report.count("done") and report.action == "trash" and (reason := why_unsearched()):
        yield Aside(f"'neardup undo' cannot take this back: {reason}.")
    elif report.count("done") and report.action != "delete":
        yield f"{printable(f'neardup undo{index_option}')!r} takes this back."
    if report.count("done"):
        yield Aside("The index is as it was: 'neardup index PATH' brings it up to date.")


def _not_done(outcomes: Iterable[Outcome]) -> Iterator[Aside]:
    missed = [outcome for outcome in outcomes if outcome.status != "done"]
    for outcome in missed[:MOST_TOLD]:
        yield Aside(f"{outcome.status}: {show_path(outcome.path)}: {outcome.reason}")
    if len(missed) > MOST_TOLD:
        yield Aside(f"... and {len(missed) - MOST_TOLD:,} more; --format json lists them all")


def _rendering(plan: Plan, report: Report | None, min_similarity: float | None, lines: Iterator[str]) -> Rendering:
    outcomes = report.outcomes if report else [None] * len(plan.steps)
    steps = [_step(step, outcome) for step, outcome in zip(plan.steps, outcomes, strict=True)]
    record = {
        "action": plan.action,
        "applied": report is not None,
        "min_similarity": min_similarity,
        "files": len(steps),
        "along": sum(len(step.along) for step in plan.steps),
        "size_bytes": plan.size_bytes,
        "freed_bytes": plan.freed_bytes,
        "journal": str(report.journal) if report and report.journal else None,
        "steps": steps,
        "kept": [{"path": str(k.path), "keeper": str(k.keeper), "reason": k.reason} for k in plan.kept],
    }
    rows = (_row(step, planned) for step, planned in zip(steps, plan.steps, strict=True))
    return Rendering([record], STEP_FIELDS, rows, lines)


def _row(fields: dict[str, Any], step: Step) -> dict[str, Any]:
    """For CSV, where lists are texts."""
    carried = step.carried.words() if step.carried else []
    along = "; ".join(str(file.path) for file in step.along)
    texts = {"lost": "; ".join(step.lost), "notes": "; ".join(step.notes), "carried": "; ".join(carried)}
    return fields | texts | {"along": along}


def _step(step: Step, outcome: Outcome | None) -> dict[str, Any]:
    followed = outcome.along if outcome else [None] * len(step.along)
    return {
        "path": str(step.path),
        "keeper": str(step.keeper),
        "similarity": step.similarity,
        "relation": step.relation,
        "change": step.change,
        "why": step.why,
        "size_bytes": step.size_bytes,
        "status": outcome.status if outcome else "planned",
        "reason": outcome.reason if outcome else None,
        "target": str(outcome.target) if outcome and outcome.target else None,
        "lost": list(step.lost),
        "notes": list(step.notes),
        "carried": asdict(step.carried) if step.carried else None,
        "along": [_along(file, each) for file, each in zip(step.along, followed, strict=True)],
        "freed_bytes": step.freed_bytes,
    }


def _along(file: Along, outcome: Outcome | None) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "size_bytes": file.size_bytes,
        "status": outcome.status if outcome else "planned",
        "reason": outcome.reason if outcome else None,
        "target": str(outcome.target) if outcome and outcome.target else None,
    }


def render_undone(report: Report) -> Rendering:
    """What came back."""
    files = [
        {"path": str(o.path), "status": "restored" if o.status == "done" else "failed", "reason": o.reason}
        for o in report.outcomes
    ]
    fields = {"action": report.action, "journal": str(report.journal), "restored": report.count("done")}
    record = fields | {"failed": report.count("failed"), "files": files}
    return Rendering([record], UNDO_FIELDS, files, _undone_lines(report))


def _undone_lines(report: Report) -> Iterator[str]:
    yield from _not_done(report.outcomes)
    failed = f", {report.count('failed'):,} not" if report.count("failed") else ""
    yield f"{show_count(report.count('done'), 'file')} restored{failed} ({report.action})."
