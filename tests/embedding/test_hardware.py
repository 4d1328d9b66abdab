"""What the machine has, as files of the kernel say it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import neardup
from neardup.embedding.hardware import cores, cpu_quota, has_bfloat16

COUNT = "from neardup.embedding.hardware import cores; print(cores())"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
def test_cores_are_those_that_the_process_may_use():
    first = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, {{{first}}}); {COUNT}"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
    assert 1 <= cores() <= len(os.sched_getaffinity(0))


def test_cores_are_counted_in_one_place():
    """`os.cpu_count` knows of no affinity, and a pool without a number asks it."""
    package = Path(neardup.__file__).parent
    counting = re.compile(r"cpu_count\(|sched_getaffinity\(|PoolExecutor\(\)")
    found = [path.relative_to(package) for path in package.rglob("*.py") if counting.search(path.read_text())]
    assert found == [Path("embedding/hardware.py")]


@pytest.mark.parametrize(
    ("limit", "quota"),
    [("150000 100000\n", 1.5), ("50000 100000\n", 0.5), ("max 100000\n", None), ("", None), ("1 0\n", None)],
)
def test_a_containers_quota(tmp_path, limit, quota):
    (tmp_path / "cgroup").write_text("1:cpu:/old\n0::/service/app\n")
    (tmp_path / "service" / "app").mkdir(parents=True)
    (tmp_path / "service" / "app" / "cpu.max").write_text(limit)
    assert cpu_quota(tmp_path / "cgroup", tmp_path) == quota


def test_no_quota_where_nothing_says_one(tmp_path):
    assert cpu_quota(tmp_path / "cgroup", tmp_path) is None
    (tmp_path / "cgroup").write_text("0::/\n")
    assert cpu_quota(tmp_path / "cgroup", tmp_path) is None
    (tmp_path / "cpu.max").write_text("200000 100000\n")  # a container sees its own group as the root
    assert cpu_quota(tmp_path / "cgroup", tmp_path) == 2


def test_cores_round_a_quota_up(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    for quota, wanted in ((None, 8), (1.5, 2), (0.2, 1), (16.0, 8)):
        monkeypatch.setattr("neardup.embedding.hardware.cpu_quota", lambda quota=quota: quota)
        assert cores() == wanted


@pytest.mark.parametrize(
    ("flags", "has"),
    [("fpu avx512f avx512_bf16", True), ("fpu amx_bf16", True), ("fpu avx512f avx512_vnni", False)],
)
def test_bfloat16_by_the_processors_flags(tmp_path, flags, has):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: amx_bf16\n")
    assert has_bfloat16(tmp_path / "cpuinfo") is has
    assert has_bfloat16(tmp_path / "none") is False
