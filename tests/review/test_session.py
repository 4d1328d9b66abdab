"""Marks, the verdicts and the plan that follow from them, undo, and what a later review knows of an earlier one."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neardup.actions import apply_plan, load_plan
from neardup.errors import BadInput, IndexLocked
from neardup.groups import DuplicateGroup
from neardup.groups.keep import KeepPolicy
from neardup.index import Index, store
from neardup.index.looks import missing_looks
from neardup.index.notes import load_verdicts, pair_of, record_verdicts
from neardup.review import Refused
from neardup.review.session import staying, without_dropped
from tests.review.conftest import MODEL


def pair(review, group, first, second):
    members = review.groups[group].members
    return pair_of(members[first].digest, members[second].digest)


def test_nothing_is_decided_at_first(open_review, tmp_path):
    review = open_review()
    assert [review.marks(group) for group in range(3)] == [(None,) * 3, (None,) * 2, (None,) * 3]
    assert review.totals().decided == 0
    review.close()
    assert not (tmp_path / "plan.json").exists()


def test_what_belongs_to_dropped_pictures_goes_along_and_links_are_one_file(open_review, tmp_path):
    review = open_review()
    dropped = review.groups[2].members[2].path
    dropped.with_name(f"{dropped.name}.xmp").write_bytes(b"stars")
    review.mark(0, 1, "drop")
    review.mark(2, 2, "drop")
    plan = review.save()
    assert [[file.path.name for file in step.along] for step in plan.steps] == [[], [f"{dropped.name}.xmp"]]
    before = review.totals().drop_bytes
    (tmp_path / "another name").hardlink_to(review.groups[0].members[1].path)
    review.mark(2, 2, None)
    assert before > 0
    review.undo()
    assert open_review().totals().drop_bytes == dropped.stat().st_blocks * 512


@pytest.mark.parametrize(
    ("mark", "verdict"), [("drop", "duplicate"), ("keep", "duplicate"), ("not", "not"), ("later", "later")]
)
def test_a_mark_is_a_verdict_on_the_pair_with_the_keeper(open_review, folder, mark, verdict):
    review = open_review()
    review.mark(0, 2, mark)
    assert review.marks(0) == (None, None, mark)
    assert load_verdicts(folder) == {pair(review, 0, 0, 2): verdict}
    review.mark(0, 2, None)
    assert load_verdicts(folder) == {}


def test_what_was_decided_about_is_known_again_by_its_pixels(open_review, folder):
    """Looked at while the review goes on, and when it ends."""
    review = open_review()
    members = [member for group in review.groups[:2] for member in group.members]
    with Index.write(folder, MODEL) as writer:
        for member in members:
            writer.add(
                member.path, size_bytes=member.size_bytes, mtime_ns=member.mtime_ns, digest=member.digest,
                width=member.width, height=member.height, embedding=np.eye(8, dtype=np.float32)[0],
            )  # fmt: skip
    review.mark(0, 1, "not")
    review.mark(0, 2, "later")
    review.mark(1, 1, "keep")
    review.close()
    assert len(load_verdicts(folder)) == 3
    assert missing_looks(folder) == []


def test_a_group_is_decided_when_all_but_one_have_a_mark(open_review):
    review = open_review()
    review.mark(0, 1, "drop")
    assert not review.is_decided(0)
    review.mark(0, 2, "later")
    assert review.is_decided(0)
    assert review.totals().decided == 1


def test_the_plan_drops_what_is_marked(open_review, tmp_path):
    review = open_review()
    review.mark(0, 1, "drop")
    review.mark(1, 1, "keep")
    review.mark(2, 2, "drop")
    plan = review.save()
    assert plan == load_plan(tmp_path / "plan.json")
    assert plan.action == "trash"
    assert [(step.path, step.keeper) for step in plan.steps] == [
        (review.groups[0].members[1].path, review.groups[0].keeper.path),
        (review.groups[2].members[2].path, review.groups[2].keeper.path),
    ]
    totals = review.totals()
    assert (totals.drops, totals.drop_bytes) == (2, plan.freed_bytes)
    assert plan.freed_bytes == sum(step.path.stat().st_blocks * 512 for step in plan.steps)


@pytest.mark.parametrize("relation", ["edited", "similar", None])
def test_what_a_person_drops_goes_whatever_it_is(open_review, relation):
    """And the plan says what is lost with it."""
    review = open_review()
    keeper, first, _ = review.groups[0].members
    shown = replace(first, relation=relation, shows_more="writing or other content on 3.0 %")
    review = open_review(groups=[DuplicateGroup((keeper, shown))])
    review.mark(0, 1, "drop")
    plan = review.save()
    [step] = plan.steps
    assert (step.path, step.relation, plan.kept) == (first.path, relation, ())
    assert step.lost[0] == "writing or other content on 3.0 %"


def test_another_image_can_stay_in_place_of_the_keeper(open_review, folder):
    review = open_review()
    review.mark(0, 0, "drop")
    # The first other one stays, and is said to.
    assert review.marks(0) == ("drop", "keep", None)
    review.mark(0, 2, "drop")
    [first, second] = review.save().steps
    members = review.groups[0].members
    assert {first.keeper, second.keeper} == {members[1].path}
    assert (first.path, second.path) == (members[0].path, members[2].path)
    assert first.similarity == members[1].similarity
    assert set(load_verdicts(folder).values()) == {"duplicate"}


def test_one_image_always_stays(open_review, folder):
    review = open_review()
    review.mark(1, 1, "drop")
    with pytest.raises(Refused, match="One image of a group stays"):
        review.mark(1, 0, "drop")
    review.mark(1, 1, None)
    review.mark(1, 0, "drop")
    with pytest.raises(Refused):
        review.mark(1, 1, "drop")
    assert review.marks(1) == ("drop", "keep")
    # An image that is no duplicate does not stay for one that is dropped.
    with pytest.raises(Refused):
        review.mark(1, 1, "not")
    assert load_verdicts(folder) == {pair(review, 1, 0, 1): "duplicate"}


def test_byte_copies_have_no_verdict_but_can_go(open_review, folder):
    review = open_review()
    with pytest.raises(Refused, match="nothing to tell apart"):
        review.mark(2, 1, "not")
    with pytest.raises(Refused, match="nothing to tell apart"):
        review.mark_all(2, "not")
    review.mark(2, 1, "drop")
    assert load_verdicts(folder) == {}
    assert len(review.save().steps) == 1


def test_a_whole_group_is_accepted(open_review):
    review = open_review()
    review.mark_all(0, "drop")
    assert review.marks(0) == (None, "drop", "drop")
    review.mark_all(0, None)
    review.mark(0, 2, "keep")
    review.mark(0, 0, "drop")
    review.mark_all(0, "drop")
    assert review.marks(0) == ("drop", "drop", "keep")


def test_a_whole_group_is_told_apart(open_review, folder):
    review = open_review()
    review.mark(0, 0, "not")
    assert review.marks(0) == (None, "not", "not")
    wanted = {pair(review, 0, a, b): "not" for a, b in ((0, 1), (0, 2), (1, 2))}
    assert load_verdicts(folder) == wanted
    # An image that turns out to be a duplicate after all is no longer apart from any.
    review.mark(0, 1, "drop")
    assert load_verdicts(folder) == {pair(review, 0, 0, 1): "duplicate", pair(review, 0, 0, 2): "not"}
    review.undo()
    assert load_verdicts(folder) == wanted


def test_accepting_exact_copies_leaves_other_marks_alone(open_review):
    review = open_review()
    review.mark(2, 1, "keep")
    assert review.accept(["exact"]) == [2]
    assert review.marks(2) == (None, "keep", "drop")
    assert review.marks(0) == (None,) * 3
    assert review.accept(["exact"]) == []
    assert review.undo() == [2]
    assert review.marks(2) == (None, "keep", None)


def test_undo_takes_back_one_change_at_a_time(open_review, folder):
    review = open_review()
    record_verdicts(folder, {pair(review, 0, 0, 1): "later"})
    review = open_review()
    assert review.marks(0) == (None, "later", None)
    review.mark(0, 1, "drop")
    review.mark_all(1, "drop")
    assert review.undos == 2
    assert review.undo() == [1]
    assert review.undo() == [0]
    assert review.marks(0) == (None, "later", None)
    assert load_verdicts(folder) == {pair(review, 0, 0, 1): "later"}
    assert review.undo() == []


def test_a_later_review_knows_the_marks(open_review):
    review = open_review()
    review.mark(0, 1, "drop")
    review.mark(0, 2, "keep")
    review.mark(1, 0, "drop")
    review.mark_all(2, "drop")
    before = [review.marks(group) for group in range(3)]
    review.close()
    again = open_review()
    assert [again.marks(group) for group in range(3)] == before
    # Nothing was changed, so the plan is left as it is.
    again.close()
    assert len(load_plan(again.plan_path).steps) == 4


def test_a_plan_that_drops_all_of_a_group_cannot_come_back(open_review, tmp_path):
    """The groups may have changed since: what was the keeper of another group is dropped here."""
    review = open_review()
    review.mark_all(0, "drop")
    review.save()
    members = review.groups[0].members
    shrunk = DuplicateGroup((replace(members[1], similarity=1.0), members[2]))
    again = open_review(groups=[shrunk])
    assert again.marks(0) == (None, "drop")


def test_a_broken_plan_is_named(open_review, tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(BadInput, match=r"plan\.json.*remove that file"):
        open_review()


def test_the_plan_is_written_soon_after_a_change(open_review, tmp_path):
    review = open_review()
    review.mark(0, 1, "drop")
    deadline = time.monotonic() + 10
    while not (tmp_path / "plan.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(load_plan(tmp_path / "plan.json").steps) == 1


def test_a_locked_index_refuses_and_changes_nothing(open_review, folder):
    review = open_review()
    with store.write_lock(folder, None), pytest.raises(IndexLocked):
        review.mark(0, 1, "drop")
    assert review.marks(0) == (None,) * 3
    assert review.undos == 0
    review.mark(0, 1, "drop")
    with store.write_lock(folder, None), pytest.raises(IndexLocked):
        review.undo()
    assert review.undos == 1
    assert review.marks(0) == (None, "drop", None)


def test_a_place_that_cannot_be_written_is_named(open_review, tmp_path):
    review = open_review(plan_path=tmp_path / "nowhere" / "plan.json")
    with pytest.raises(BadInput, match="nowhere"):
        review.save()


def test_a_plan_that_could_not_be_written_is_written_at_the_end(open_review, tmp_path):
    plan = tmp_path / "later" / "plan.json"
    review = open_review(plan_path=plan)
    review.mark(0, 1, "drop")
    with pytest.raises(BadInput, match="later"):
        review.save()
    assert not review.is_saved
    plan.parent.mkdir()
    review.close()
    assert load_plan(plan).steps


def test_protected_files_are_never_dropped(open_review, tmp_path):
    review = open_review(keep=KeepPolicy(under=(tmp_path / "photos" / "copies",)))
    review.mark(0, 1, "drop")
    plan = review.save()
    assert not plan.steps
    assert "protected folder" in plan.kept[0].reason


def test_the_plan_can_be_applied(open_review, folder, tmp_path):
    target = tmp_path / "moved"
    review = open_review(action="move", to=target)
    review.mark(0, 0, "drop")
    review.accept(["exact"])
    review.close()
    report = apply_plan(folder, load_plan(review.plan_path))
    assert report.count("done") == 3
    assert sorted(path.name for path in target.iterdir()) == [
        ".neardup-moved",
        "photo1.jpg",
        "photo3_1.jpg",
        "photo3_2.jpg",
    ]
    assert review.groups[0].members[1].path.exists()
    assert review.groups[2].keeper.path.exists()


@pytest.mark.parametrize(
    ("marks", "stays"),
    [
        ((None, None), 0),
        (("keep", "drop"), 0),
        (("drop", None), 1),
        (("drop", "later", "keep"), 2),
        (("drop", "later"), 1),
        (("drop", "drop"), None),
        (("drop", "not"), None),
        (("not", "drop"), None),
        ((None, "not", "drop"), 0),
    ],
)
def test_what_stays(marks, stays):
    assert staying(marks) == stays


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("mark"),
            st.integers(0, 2),
            st.integers(0, 2),
            st.sampled_from([None, "keep", "drop", "not", "later"]),
        ),
        st.tuples(st.just("all"), st.integers(0, 2), st.sampled_from([None, "keep", "drop", "not", "later"])),
        st.tuples(st.just("exact")),
        st.tuples(st.just("undo")),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_whatever_is_done_every_group_keeps_an_image_and_undo_leads_back(open_review, folder, steps):
    record_verdicts(folder, dict.fromkeys(load_verdicts(folder)))
    review = open_review()
    review._save_soon = lambda: None
    start = [review.marks(group) for group in range(3)]
    for step in steps:
        try:
            if step[0] == "mark" and step[2] < len(review.marks(step[1])):
                review.mark(*step[1:])
            elif step[0] == "all":
                review.mark_all(*step[1:])
            elif step[0] == "exact":
                review.accept(["exact"])
            elif step[0] == "undo":
                review.undo()
        except Refused:
            pass
        for number, group in enumerate(review.groups):
            marks = review.marks(number)
            assert staying(marks) is not None
            if "drop" in marks:
                planned = without_dropped(group, marks)
                assert len(planned.members) == 1 + marks.count("drop")
                assert planned.keeper.path not in {member.path for member in planned.members[1:]}
    while review.undo():
        pass
    assert [review.marks(group) for group in range(3)] == start
    assert load_verdicts(folder) == {}
