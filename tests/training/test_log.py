"""log.csv: what it holds, what is best in it, and how it is gone on with."""

import pytest

from neardup.errors import BadInput
from neardup.training.log import Log, read_log


def write(path, figures, *, lower_is_better=False, name="share"):
    """Which validations were the best so far, and for how many there was none."""
    log = Log(path, 0, (name,), lower_is_better)
    best = [log.add({"step": n, "loss": 1.0, "views_per_second": 9.0, name: f}) for n, f in enumerate(figures, 1)]
    log.close()
    return best, log.since_best


@pytest.mark.parametrize(
    ("figures", "lower_is_better", "best", "since"),
    [
        ([0.5, 0.5, 0.5], False, [True, False, False], 2),
        ([0.1, 0.2, 0.2, 0.1, 0.3], False, [True, True, False, False, True], 0),
        ([0.3, 0.4, 0.2, 0.5], True, [True, False, True, False], 1),
        ([-3.0, -2.0], False, [True, True], 0),
    ],
)
def test_what_is_best_and_for_how_long(tmp_path, figures, lower_is_better, best, since):
    assert write(tmp_path / "log.csv", figures, lower_is_better=lower_is_better) == (best, since)


def test_rows_after_the_checkpoint_are_written_anew_and_older_figures_kept(tmp_path):
    path = tmp_path / "log.csv"
    write(path, [0.1, 0.9, 0.3], name="uap")
    log = Log(path, 2, ("share",))
    assert log.add({"step": 3, "loss": 0.25, "views_per_second": 9.5, "share": 0.5})
    log.close()
    assert path.read_bytes().split(b"\r\n")[0] == b"step,loss,views_per_second,share,uap"
    assert [(row["step"], row.get("uap"), row.get("share")) for row in read_log(path)] == [
        (1, 0.1, None), (2, 0.9, None), (3, None, 0.5),
    ]  # fmt: skip
    assert read_log(path)[2] == {"step": 3, "loss": 0.25, "views_per_second": 9.5, "share": 0.5}


@pytest.mark.parametrize("content", [b"", b"step,loss,views_per_second\r\n", b"a,b\n1,x\n", b"\xff\xfe\x00"])
def test_no_log_of_a_training(tmp_path, content):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(BadInput, match=r"log\.csv: "):
        read_log(tmp_path / "log.csv")
