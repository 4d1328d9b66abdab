"""A local web page on which a person decides about duplicate groups; it deletes nothing, and writes a plan."""

from neardup.review.session import Mark, Refused, Review, Totals

__all__ = ["Mark", "Refused", "Review", "Totals"]
