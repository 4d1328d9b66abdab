"""`index --tables --bits --seed --recall`: how a new index hashes, and that one made otherwise says so."""

import json

import pytest
from click.testing import CliRunner

from neardup.cli import main
from neardup.errors import BadInput
from neardup.index import Hashing
from neardup.jobs.index import hashing_of
from neardup.lsh.tuning import expected_recall


@pytest.fixture
def run(tiny_model, tmp_path, photos):
    photos(6)

    def run(*arguments):
        index = ["--index", str(tmp_path / "index")]
        made = CliRunner().invoke(
            main, ["index", str(tmp_path / "photos"), *index, "--model", str(tiny_model.folder), *arguments]
        )
        info = json.loads(CliRunner().invoke(main, ["info", *index, "--format", "json"]).stdout)
        return made, (info["tables"], info["bits"])

    return run


def test_an_index_as_the_keras_example_has_it(run, tmp_path):
    made, found = run("--tables", "10", "--bits", "2")
    assert (made.exit_code, found) == (0, (10, 2))
    photo = str(tmp_path / "photos" / "003.jpg")
    answer = CliRunner().invoke(main, ["query", photo, "--index", str(tmp_path / "index"), "--format", "json"])
    best = json.loads(answer.stdout)["matches"][0]
    assert (best["path"], best["tables"], best["jaccard"]) == (photo, 10, 1.0)


@pytest.mark.parametrize("knob", [("--tables", "10"), ("--bits", "16"), ("--seed", "7"), ("--recall", "0.5")])
def test_an_index_goes_on_hashing_as_it_was_made(run, knob):
    assert run()[1][0] == 8
    made, _ = run(*knob)
    assert made.exit_code == 1
    assert "was made with 8 tables of 24 bits, seed 0, not with" in made.output
    assert "--rebuild" in made.output
    assert run("--tables", "8")[0].exit_code == 0  # as it is
    assert run(*knob, "--rebuild")[0].exit_code == 0


def test_recall_takes_the_fewest_tables_that_reach_it():
    assert hashing_of() is None
    for recall in (0.5, 0.9, 0.999):
        chosen = hashing_of(recall=recall, seed=3)
        assert chosen.seed == 3
        rates = [expected_recall(0.9, tables=n, bits=20, probes=256) for n in (chosen.tables - 1, chosen.tables) if n]
        assert rates[-1] >= recall
        assert len(rates) == 1 or rates[0] < recall
    assert hashing_of(tables=10, bits=8) == Hashing(10, 8, 0)


def test_a_recall_out_of_reach_says_so(monkeypatch):
    monkeypatch.setattr("neardup.jobs.index.expected_recall", lambda *_, **__: 0.5)
    with pytest.raises(BadInput, match="not reached with 64 tables"):
        hashing_of(recall=0.9)
