"""What the page is told, and what it can ask for."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from neardup.groups import DuplicateGroup
from neardup.review.pictures import EDGES, Pictures, _Cache
from neardup.review.server import create_app
from tests.conftest import draw_scene
from tests.duplicate_groups import group_of, member_of, save_photo
from tests.review.test_security import ask as ask


def test_summaries_and_details(ask, client):
    answer = ask("/api/groups").json
    assert [group["kind"] for group in answer["groups"]] == ["copy", "copy", "exact"]
    assert answer["groups"][0]["marks"] == [None, None, None]
    assert answer["totals"] == {"groups": 3, "decided": 0, "drops": 0, "drop_bytes": 0, "different": 0, "size": "0 B"}
    details = ask("/api/groups/0").json
    member = client.review.groups[0].members[1]
    assert details["images"][1] == {
        "name": member.path.name,
        "folder": str(member.path.parent),
        "similarity": member.similarity,
        "relation": "copy",
        "change": None,
        "why": None,
        "shows_more": None,
        "width": 199,
        "height": 149,
        "size_bytes": member.size_bytes,
        "size": details["images"][1]["size"],
        "mtime_s": member.mtime_ns // 10**9,
        "date": details["images"][1]["date"],
        "label": None,
        "there": True,
    }


def test_marks_undo_and_plan(ask, client):
    answer = ask("/api/marks", {"group": 0, "member": 1, "mark": "drop"}).json
    assert [group["marks"] for group in answer["changed"]] == [[None, "drop", None]]
    assert (answer["totals"]["drops"], answer["undos"]) == (1, 1)
    answer = ask("/api/marks", {"group": 1, "member": None, "mark": "not"}).json
    assert answer["changed"][0]["decided"] is True
    assert [group["group"] for group in ask("/api/accept-exact", {}).json["changed"]] == [2]
    plan = ask("/api/plan", {}).json
    assert plan["command"] == client.review.command
    assert f"--index {client.review.folder} --plan {client.review.plan_path}" in plan["command"]
    assert plan["steps"] == 3
    assert plan["kept"] == []
    assert [group["group"] for group in ask("/api/undo", {}).json["changed"]] == [2]
    assert ask("/api/undo", {}).json["changed"][0]["marks"] == [None, None]


def test_the_plan_says_what_stays_all_the_same(ask, client):
    client.review.groups[2].members[1].path.unlink()
    ask("/api/accept-exact", {})
    plan = ask("/api/plan", {}).json
    assert plan["steps"] == 1
    [kept] = plan["kept"]
    assert kept["images"] == 1
    assert "gone" in kept["reason"]


def test_a_refusal_says_why(ask):
    answer = ask("/api/marks", {"group": 2, "member": 1, "mark": "not"})
    assert answer.status_code == 409
    assert "nothing to tell apart" in answer.json["error"]


@pytest.mark.parametrize("size", list(EDGES))
def test_previews_are_small(ask, size):
    answer = ask(f"/images/0/0/{size}")
    assert answer.mimetype == "image/jpeg"
    with Image.open(io.BytesIO(answer.data)) as preview:
        assert preview.size == (320, 240)


def test_files_that_are_gone_or_broken_are_said_to_be(ask, client):
    keeper, near, _ = client.review.groups[0].members
    near.path.unlink()
    keeper.path.write_bytes(b"no image")
    assert ask("/images/0/1/large").status_code == 404
    answer = ask("/images/0/0/large")
    assert answer.status_code == 404
    assert answer.json == {"error": "not an image of a known format"}
    assert [image["there"] for image in ask("/api/groups/0").json["images"]] == [True, False, True]
    assert ask("/differences/0/0/1").status_code == 404


def test_differences(client, guard, open_review, tmp_path):
    from tests.review.test_security import OURS, arrive

    scene = draw_scene(5)
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    scene.save(paths[0])
    scene.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((240, 180)).save(paths[1])
    draw_scene(6).save(paths[2])
    group = group_of(member_of(paths[0]), *(member_of(path, 0.9, "copy") for path in paths[1:]))
    client = create_app(open_review(groups=[group]), guard).test_client()
    arrive(client, guard)

    def get(path):
        return client.get(path, headers=OURS, base_url="http://127.0.0.1:4321")

    found = get("/differences/0/0/1").json
    assert (found["aligned"], found["relation"]) == (True, "copy")
    assert found["steps"] == ["mirrored left to right", "scaled to 50 %"]
    for kind in ("difference", "aligned"):
        with Image.open(io.BytesIO(get(f"/differences/0/0/1/{kind}").data)) as picture:
            size = {"difference": (240, 180), "aligned": scene.size}[kind]
            assert picture.size == size
    # The other picture, laid over the keeper.
    with Image.open(io.BytesIO(get("/differences/0/0/1/aligned").data)) as picture:
        off = np.abs(np.asarray(picture, np.int16) - np.asarray(scene, np.int16))
    assert np.median(off) < 6
    found = get("/differences/0/0/2").json
    assert found == {"aligned": False, "relation": "other", "steps": [], "confidence": None}
    assert get("/differences/0/0/2/difference").status_code == 404


def test_odd_names_are_escaped_once(open_review, guard, tmp_path):
    from tests.review.test_security import OURS, arrive

    path = save_photo(tmp_path / "x.jpg", seed=1).rename(tmp_path / os.fsdecode(b"<b>\n\xff.jpg"))
    other = save_photo(tmp_path / "y.jpg", seed=1, size=(100, 80))
    group = DuplicateGroup((member_of(path), member_of(other, 0.9, None)))
    client = create_app(open_review(groups=[group]), guard).test_client()
    arrive(client, guard)
    answer = client.get("/api/groups/0", headers=OURS, base_url="http://127.0.0.1:4321")
    assert answer.json["images"][0]["name"] == "<b>\\n\\udcff.jpg"


def test_previews_are_decoded_once(tmp_path, monkeypatch):
    path = save_photo(tmp_path / "x.jpg", seed=1)
    pictures = Pictures()
    first = pictures.preview(path, b"d", "small")
    path.unlink()
    assert pictures.preview(path, b"d", "small") is first


def test_the_cache_holds_so_many_bytes():
    cache = _Cache(10, len)
    for key in "abc":
        cache.put(key, key * 4)
    assert cache.get("a") is None
    assert cache.get("b") == "bbbb"
    cache.put("d", "dddd")  # b was used last
    assert (cache.get("c"), cache.get("b")) == (None, "bbbb")
    cache.put("e", "e" * 50)
    assert cache.get("e") == "e" * 50
