"""Locality-sensitive hashing: random hyperplanes, sorted tables, multi-probe, and the theory that sets them."""

from neardup.lsh.codes import SignCodes
from neardup.lsh.hyperplanes import draw_hyperplanes, signatures
from neardup.lsh.memory import LSH
from neardup.lsh.pairs import find_pairs
from neardup.lsh.tables import HashTables, find_candidates
from neardup.lsh.tuning import Tuning, candidate_probability, expected_recall, tune

__all__ = [
    "LSH",
    "HashTables",
    "SignCodes",
    "Tuning",
    "candidate_probability",
    "draw_hyperplanes",
    "expected_recall",
    "find_candidates",
    "find_pairs",
    "signatures",
    "tune",
]
