"""Ticks on what queries find: each is in the file at once, and `evaluate --judgements` counts by them."""

import json
import re
import shutil

import pytest
from click.testing import CliRunner

from neardup.cli import main
from neardup.errors import BadInput
from neardup.jobs.index import index_images
from neardup.jobs.judgements import load_judgements
from neardup.jobs.query import query_images
from neardup.review.judging import Judging
from neardup.review.judging_page import create_judging_app
from neardup.review.security import CSRF_HEADER, Guard

PORT = 4711


@pytest.fixture
def collection(tmp_path, tiny_model, photos):
    """Six indexed photos, of which the first two are asked for; one of them has a byte copy."""
    paths = photos(6)
    shutil.copy(paths[0], tmp_path / "photos" / "copy.jpg")
    index_images([tmp_path / "photos"], tmp_path / "index", model=str(tiny_model.folder), engine="onnx")
    return paths


@pytest.fixture
def judge(tmp_path, collection):
    def start(*queries):
        names = [str(path) for path in queries or collection[:2]]
        asked = query_images(names, tmp_path / "index", top=21, min_similarity=-1.0, engine="onnx")
        return Judging(asked.answers, tmp_path / "judgements.json")

    return start


class Page:
    """The page as a browser that came by the URL sees it."""

    def __init__(self, judging):
        self.guard = Guard(PORT)
        self.client = create_judging_app(judging, self.guard).test_client()
        self.host = {"Host": self.guard.host}
        arrival = self.client.get(self.guard.url, headers=self.host)
        assert arrival.status_code == 200
        self.secret = re.search(r'neardup-secret" content="([^"]+)"', arrival.text)[1]

    def get(self, path):
        return self.client.get(path, headers=self.host, base_url=f"http://{self.guard.host}")

    def tick(self, body, **headers):
        given = {**self.host, CSRF_HEADER: self.secret, **headers}
        return self.client.post("/api/tick", json=body, headers=given, base_url=f"http://{self.guard.host}")


def test_the_page_shows_matches_but_not_the_query_itself(judge, collection):
    page = Page(judge())
    shown = page.get("/api/queries").json["queries"]
    assert [query["name"] for query in shown] == ["000.jpg", "001.jpg"]
    assert sorted(match["name"] for match in shown[0]["matches"]) == [f"{n:03d}.jpg" for n in range(1, 6)]
    assert not shown[0]["judged"]
    for path in ("/queries/0/small", "/matches/1/4/large"):
        assert page.get(path).mimetype == "image/jpeg"
    assert {page.get(path).status_code for path in ("/queries/2/small", "/matches/0/9/small", "/matches/0/0/x")} == {
        404
    }


def test_ticks_are_kept_at_once_taken_back_and_gone_on_with(judge, tmp_path):
    page = Page(judge())
    names = [match["name"] for match in page.get("/api/queries").json["queries"][0]["matches"]]
    changed = page.tick({"query": 0, "match": 2, "relevant": True}).json["changed"]
    assert [match["relevant"] for match in changed["matches"]] == [False, False, True, False, False]
    [judged] = load_judgements(tmp_path / "judgements.json")
    assert [image.path.rpartition("/")[2] for image in judged.images if image.relevant] == [names[2]]
    assert len(judged.images) == 5
    page.tick({"query": 0, "match": 4, "relevant": True})
    page.tick({"query": 0, "match": 2, "relevant": False})
    page.tick({"query": 1, "match": None, "relevant": False})

    again = judge()
    assert again.ticks(0) == [False, False, False, False, True]
    assert again.ticks(1) == [False] * 5
    assert again.judged == 2


@pytest.mark.parametrize(
    "body",
    [{}, [], {"query": 0}, {"query": 0, "match": 9, "relevant": True}, {"query": 7, "match": 0, "relevant": True},
     {"query": -1, "match": 0, "relevant": True}, {"query": 0, "match": -1, "relevant": True},
     {"query": 0, "match": None, "relevant": True}, {"query": True, "match": 0, "relevant": True},
     {"query": 0, "match": 0, "relevant": 1}],
)  # fmt: skip
def test_ticks_that_mean_nothing_are_refused(judge, tmp_path, body):
    assert Page(judge()).tick(body).status_code == 409
    assert not (tmp_path / "judgements.json").exists()


def test_only_the_page_may_tick(judge, tmp_path):
    page = Page(judge())
    body = {"query": 0, "match": 0, "relevant": True}
    assert page.tick(body, **{CSRF_HEADER: "x"}).status_code == 403
    assert page.tick(body, Host="elsewhere:4711").status_code == 421
    assert not (tmp_path / "judgements.json").exists()


def test_a_file_that_holds_something_else_is_left_alone(judge, tmp_path):
    for content in ("{}", "[]", '{"format": 2, "queries": []}', '{"format": 1, "queries": [{"query": 1}]}', "no"):
        (tmp_path / "judgements.json").write_text(content)
        with pytest.raises(BadInput, match=r"judgements\.json: "):
            judge()
        assert (tmp_path / "judgements.json").read_text() == content


def test_nothing_to_judge(judge, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(BadInput, match="none of the queries can be read"):
        judge(tmp_path / "broken.jpg")


def test_judgements_are_counted_by_evaluate(judge, tmp_path, tiny_model, collection):
    judging = judge()
    judging.tick(0, 0, True)  # what the model finds first, and last
    judging.tick(0, 4, True)
    judging.tick(1, None, False)
    arguments = ["evaluate", tmp_path / "photos", "--judgements", tmp_path / "judgements.json", "--engine", "onnx",
                 "--model", tiny_model.folder]  # fmt: skip
    ran = CliRunner().invoke(main, [*map(str, arguments), "--format", "json"])
    assert ran.exit_code == 0, ran.output
    scores = json.loads(ran.stdout)
    assert (scores["images"], scores["queries"]) == (6, 1)  # a byte copy is the same picture
    assert scores["mean_average_precision"] == pytest.approx((1 / 1 + 2 / 5) / 2)
    assert [scores[f"recall_at_{k}"] for k in (1, 5, 10)] == [0.5, 1, 1]
    assert "recall@1 0.500" in CliRunner().invoke(main, list(map(str, arguments))).stdout

    # The query lies elsewhere, and so does the collection: pictures are known by their content.
    shutil.move(tmp_path / "photos", tmp_path / "moved")
    arguments[1] = tmp_path / "moved"
    moved = json.loads(CliRunner().invoke(main, [*map(str, arguments), "--format", "json"]).stdout)
    assert moved == scores


@pytest.mark.parametrize("options", [["--export", "x.json", "--similar"], [], ["--export", "x.json", "--plan", "p"]])
def test_queries_go_with_a_file_and_nothing_else(tmp_path, collection, options):
    ran = CliRunner().invoke(main, ["review", "--index", str(tmp_path / "index"), "--queries", "photos", *options])
    assert ran.exit_code == 2
    assert "--export FILE" in ran.stderr
