"""No plan removes what it keeps, however the two are spelled."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from neardup.actions import Plan, apply_plan, make_plan
from neardup.errors import BadInput
from tests.actions.a_collection import contents_below, group_of, put

ACTIONS = ("trash", "move", "hardlink", "symlink", "delete")


def through_a_link(path: Path) -> Path:
    link = path.parents[1] / "link"
    link.symlink_to(path.parent)
    return link / path.name


def in_capitals(path: Path) -> Path:
    other = path.with_name(path.name.upper())
    if not other.exists():
        pytest.skip("this file system tells capitals from small letters")
    return other


SPELLINGS: dict[str, Callable[[Path], Path]] = {
    "the same": lambda path: path,
    "..": lambda path: path.parent / ".." / path.parent.name / path.name,
    "//": lambda path: Path(f"/{path}"),
    "a link": through_a_link,
    "a link and ..": lambda path: through_a_link(path).parent / ".." / path.parent.name / path.name,
    "capitals": in_capitals,
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("which", ["the keeper", "the step"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_keeper_under_another_name(tmp_path: Path, folder: Path, spelling: str, which: str, action: str) -> None:
    """a goes for b, and b for c: whichever way b is written."""
    a, b, c = (put(tmp_path / "photos" / name, b"picture") for name in "abc")
    first = make_plan([group_of(b, a)], "delete").steps[0]
    second = make_plan([group_of(c, b)], "delete").steps[0]
    if which == "the keeper":
        first = replace(first, keeper=SPELLINGS[spelling](b))
    else:
        second = replace(second, path=SPELLINGS[spelling](b))
    plan = Plan(action, (first, second), to=tmp_path / "moved" if action == "move" else None)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="keeps it for another file"):
        apply_plan(folder, plan)
    assert contents_below(tmp_path / "photos") == {b"picture": 3}
    assert not any(path.is_symlink() for path in (a, b, c))


def test_a_second_name_of_a_keepers_bytes_may_go(tmp_path: Path, folder: Path) -> None:
    a, b, c = (put(tmp_path / "photos" / name, b"picture") for name in "abc")
    second_name = tmp_path / "photos" / "d"
    steps = (make_plan([group_of(b, a)], "delete").steps[0], make_plan([group_of(c, b)], "delete").steps[0])
    second_name.hardlink_to(b)
    plan = Plan("delete", (steps[0], replace(steps[1], path=second_name)))
    assert apply_plan(folder, plan).count("done") == 2
    assert sorted(path.name for path in (tmp_path / "photos").iterdir()) == ["b", "c"]
    assert not a.exists()
