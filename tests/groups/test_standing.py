"""Of several versions of a picture the first one is found, whatever links tell, and however many look."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neardup.groups.links import is_container
from neardup.groups.standing import Standing, settle
from neardup.matching.evidence import Evidence

COPY = Evidence("copy", 1.0)
FIRST = replace(COPY, relation="edited", more_a=0.3)  # B is a crop of A
HOLDS = replace(COPY, relation="edited", more_a=0.2, seam_a=9.0)  # B is set into A


def settled(component, evidence, *, by_origin=True):
    """derived and containers as sets; evidence: of pairs (a, b), COPY where none is given"""
    size = max(component) + 1
    standing = Standing.of(size)
    compared = []

    def compare(a, b):
        compared.append((a, b))
        if (b, a) in evidence:
            return evidence[b, a] and evidence[b, a].reversed()
        return evidence.get((a, b), COPY)

    with ThreadPoolExecutor(3) as threads:
        settle(standing, [component], compare, threads, pixels=np.ones(size, np.int64), by_origin=by_origin)
    first = next(content for content in component if not standing.derived[content])
    return first, set(np.flatnonzero(standing.containers).tolist()), compared


def test_evidence_is_what_it_is_meant_to_be():
    assert FIRST.original == "a"
    assert HOLDS.original == "b"
    assert is_container(HOLDS)
    assert not is_container(HOLDS.reversed())


def test_the_first_in_order_is_kept_where_nothing_speaks_against_it():
    first, containers, compared = settled([4, 0, 2], {})
    assert (first, containers) == (4, set())
    assert {frozenset(pair) for pair in compared} == {frozenset((4, 0)), frozenset((4, 2))}


def test_a_crop_gives_way_to_its_source():
    assert settled([0, 1, 2], {(2, 0): FIRST})[0] == 2


def test_a_screenshot_gives_way_though_other_screenshots_look_like_copies():
    """0 and 1 are screens, 2 to 5 pictures; 0 was linked to 1 alone."""
    evidence = {(screen, shown): HOLDS for screen in (0, 1) for shown in range(2, 6)}
    first, containers, _ = settled([0, 1, 2, 3, 4, 5], evidence)
    assert first == 2
    assert 0 in containers


def test_one_look_that_errs_does_not_outvote_the_others():
    evidence = {(0, n): FIRST for n in range(1, 6)} | {(6, 0): FIRST}
    assert settled([0, 1, 2, 3, 4, 5, 6], evidence)[0] == 0


def test_order_decides_where_each_shows_what_the_other_lacks():
    assert settled([1, 0], {(0, 1): replace(FIRST, more_b=0.3)})[0] == 1


def test_others_tell_which_of_two_that_differ_was_there_first():
    """0 has something laid over all of it; 2 to 6 were made from 1."""
    laid_over = replace(COPY, relation="edited", differing=0.4)
    assert laid_over.original is None
    evidence = {(0, n): laid_over for n in range(1, 7)} | {(1, n): FIRST for n in range(2, 7)}
    assert settled([0, 1, 2, 3, 4, 5, 6], evidence)[0] == 1


def test_by_another_policy_only_what_holds_others_gives_way():
    assert settled([0, 1], {(1, 0): FIRST}, by_origin=False)[0] == 0
    assert settled([0, 1], {(0, 1): HOLDS}, by_origin=False)[0] == 1


def test_what_cannot_be_read_has_no_say():
    assert settled([0, 1, 2], {(0, 1): None, (0, 2): None})[0] == 0


def test_three_that_contradict_each_other_come_to_an_end():
    assert settled([0, 1, 2], {(0, 1): FIRST, (1, 2): FIRST, (2, 0): FIRST})[0] in (0, 1, 2)


@given(st.integers(2, 90).flatmap(lambda n: st.tuples(st.permutations(range(n)), st.integers(0, n - 1))))
@pytest.mark.filterwarnings("error")
def test_the_one_that_all_were_made_from_is_found_in_any_order(given_):
    """In components that one thread goes through, and in those that several do."""
    component, source = given_
    evidence = {(source, other): FIRST for other in component if other != source}
    first, _, compared = settled(component, evidence)
    assert first == source
    assert {frozenset((source, other)) for other in component if other != source} <= set(map(frozenset, compared))
