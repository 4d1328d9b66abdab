"""A Ray cluster for as long as it is needed: quiet, and telling nobody about its use."""

import io
import logging
import os
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from neardup.errors import ClusterFailed
from neardup.packages import load_package
from neardup.text import said

# Before Ray is imported, and for the processes that it starts: nothing is reported to its makers.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
# The address that starts a cluster on this machine, which ends with the run.
LOCAL = "local"
# Ray waits 30 seconds for its own processes, which on a busy machine are not enough.
_ATTEMPTS = 3
_SECONDS_TO_CONNECT = 10


@contextmanager
def open_ray(address: str, threads: int | None = None) -> Iterator[Any]:
    """The module `ray`, connected.

    address: of a cluster that runs ("auto": the one on this machine, "HOST:PORT"), or LOCAL
    threads: processor cores of a LOCAL one; None: all
    Raises MissingPackage without Ray, ClusterFailed where there is no cluster at the address.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    ray = load_package("ray", "--ray")
    started = not ray.is_initialized()
    # Ray prints what it has to say of lost workers to standard output, where a command's results go; its native code
    # writes to the terminal by itself. All of it stands in Ray's own logs, too.
    with redirect_stdout(_FromThisThread(sys.stdout)), _native_messages_nowhere(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if started:
            _connect(ray, address, threads)
        _quiet_data()
        try:
            yield ray
        finally:
            if started:
                with redirect_stdout(io.StringIO()):  # what its threads have not come to write by then
                    ray.shutdown()


@contextmanager
def _native_messages_nowhere() -> Iterator[None]:
    """What is written to file descriptor 2 is lost, but not what Python writes to sys.stderr."""
    if sys.stderr is not sys.__stderr__ or sys.stderr is None:  # a test's: the descriptor is not ours
        yield
        return
    kept = os.dup(2)
    with (
        Path(os.devnull).open("w") as nowhere,
        os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace") as own,
    ):
        os.dup2(nowhere.fileno(), 2)
        with redirect_stderr(own):
            try:
                yield
            finally:
                os.dup2(kept, 2)
                os.close(kept)


class _FromThisThread(io.TextIOBase):
    """A stream, for the thread that made this: what Ray's own threads write is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._thread = stream, threading.get_ident()

    def write(self, text: str) -> int:
        return self._stream.write(text) if threading.get_ident() == self._thread else len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()


def _connect(ray: Any, address: str, threads: int | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address == LOCAL:
        options |= {"include_dashboard": False, "num_cpus": threads}
    elif address != "auto":
        _check_reachable(address)
    for attempt in range(_ATTEMPTS if address == LOCAL else 1):
        try:
            ray.init(address=address, **options)
            return
        except Exception as error:  # ConnectionError, ValueError, RuntimeError and others, by what is wrong
            ray.shutdown()
            if address == LOCAL and attempt + 1 < _ATTEMPTS:
                continue
            raise ClusterFailed(_refusal(address, error)) from error


def _check_reachable(address: str) -> None:
    """Ray itself would go on trying for many minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS_TO_CONNECT).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ClusterFailed(_refusal(address, error)) from error


def _refusal(address: str, error: Exception) -> str:
    if address == LOCAL:
        return f"--ray: Ray does not start on this machine ({said(error)}); leave --ray out, or free memory and cores"
    return f"--ray {address}: no Ray cluster there ({said(error)}); start one with 'ray start --head'"


def _quiet_data() -> None:
    import ray.data

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # What a lost process took with it is asked for again, in smaller pieces: neardup.distributed.index.
    context.max_errored_blocks = -1


def total(ray: Any, resource: str) -> float:
    """How much of "CPU" or "GPU" the cluster has."""
    return float(ray.cluster_resources().get(resource, 0))
