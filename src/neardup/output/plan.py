"""What a run on Ray would take."""

from collections.abc import Iterator

from neardup.distributed.plan import IndexPlan
from neardup.output import Rendering, one_record
from neardup.text import show_bytes, show_count


def render_index_plan(plan: IndexPlan) -> Rendering:
    record = {
        "pictures": plan.pictures,
        "decode_hours": round(plan.decode_hours, 6),
        "embed_hours": None if plan.embed_hours is None else round(plan.embed_hours, 6),
        "cpu_hours": round(plan.cpu_hours, 6),
        "gpu_hours": plan.gpu_hours,
        "shuffle_bytes": plan.shuffle_bytes,
        "result_bytes": plan.result_bytes,
    }
    return one_record(record, _lines(plan))


def _lines(plan: IndexPlan) -> Iterator[str]:
    embedding = "by GPUs" if plan.embed_hours is None else f"{plan.embed_hours:.3g}"
    gpu = "not known, since none was measured" if plan.gpu_hours is None else f"{plan.gpu_hours:.0f}"
    yield f"{show_count(plan.pictures, 'picture')}, at most: those that the index knows are not embedded again."
    yield f"CPU hours: {plan.cpu_hours:.3g} of one core (decoding {plan.decode_hours:.3g}, embedding {embedding})."
    yield f"GPU hours: {gpu}."
    yield f"Between machines: {show_bytes(plan.shuffle_bytes)}; to this one: {show_bytes(plan.result_bytes)}."
    yield "Nothing was changed."
