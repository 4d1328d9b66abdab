"""What to do with duplicates: a plan first, then applied step by step under a journal, and taken back.

groups ─▶ make_plan ─▶ Plan (pure; save_plan, load_plan) ─▶ apply_plan ─▶ Report; undo_last ─▶ Report
"""

from neardup.actions.apply import apply_plan
from neardup.actions.plan import ACTIONS, Action, Plan, Step, load_plan, make_plan, protect, save_plan
from neardup.actions.report import Outcome, Report
from neardup.actions.undo import undo_last

__all__ = [
    "ACTIONS",
    "Action",
    "Outcome",
    "Plan",
    "Report",
    "Step",
    "apply_plan",
    "load_plan",
    "make_plan",
    "protect",
    "save_plan",
    "undo_last",
]
