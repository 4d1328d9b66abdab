"""A Ray cluster of two nodes with a core each, for all tests here; indexes compared table by table, byte by byte."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def cluster():
    pytest.importorskip("ray", reason="pip install 'neardup[ray]'")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Sources that tests define travel to workers, which otherwise give way to everything else on a busy machine.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
    from ray.cluster_utils import Cluster

    started = Cluster()
    _add_node(started, include_dashboard=False)
    started.second = _add_node(started)
    yield started
    started.shutdown()


def _add_node(cluster, **options):
    """Ray gives a node 30 seconds to come up, which on a busy machine are not always enough."""
    for attempt in range(5):
        try:
            return cluster.add_node(num_cpus=1, object_store_memory=200 << 20, **options)
        except Exception:
            if attempt == 4:
                raise
    return None


def files_of(index: Path) -> dict[str, object]:
    """Every file of every segment, and every row of the catalogue."""
    found: dict[str, object] = {
        str(path.relative_to(index)): path.read_bytes() for path in sorted(index.glob("segments/*/*"))
    }
    return found | _tables_of(index)


def rows_of(index: Path) -> dict[str, object]:
    """The same, but for what depends on when a run committed: how rows are divided among segments."""
    found = _tables_of(index)
    del found["segments"], found["sqlite_sequence"]
    segments = sorted((path for path in (index / "segments").iterdir()), key=lambda path: int(path.name))
    for name in ("contents", "embeddings"):
        found[f"{name}.npy"] = np.concatenate([np.load(path / f"{name}.npy") for path in segments]).tobytes()
    return found


def _tables_of(index: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    with closing(sqlite3.connect(index / "catalog.sqlite")) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if table != "home":  # where the index lies
                found[table] = sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
    return found
