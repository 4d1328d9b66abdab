"""Groups of near-duplicates as one self-contained HTML file."""

from neardup.report.html import Totals, write_report

__all__ = ["Totals", "write_report"]
