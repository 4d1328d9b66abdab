"""What to do with duplicates: a plan first, then applied step by step under a journal, and taken back.

groups ─▶ make_plan ─▶ Plan (pure; save_plan, load_plan) ─▶ apply_plan ─▶ Report; undo_last ─▶ Report
"""

from neardup.actions.along import Along
from neardup.actions.apply import apply_plan
from neardup.actions.places import will_be_set_aside
from neardup.actions.plan import Looks, complete, freed_by_default, make_plan, plan_pictures, protect
from neardup.actions.plan_files import load_plan, save_plan
from neardup.actions.report import Outcome, Report
from neardup.actions.steps import ACTIONS, Action, Plan, Step
from neardup.actions.undo import undo_last

__all__ = [
    "ACTIONS",
    "Action",
    "Along",
    "Looks",
    "Outcome",
    "Plan",
    "Report",
    "Step",
    "apply_plan",
    "complete",
    "freed_by_default",
    "load_plan",
    "make_plan",
    "plan_pictures",
    "protect",
    "save_plan",
    "undo_last",
    "will_be_set_aside",
]
