"""Decoding in processes that can be killed: a picture that crashes its decoder, or holds it up, is lost alone."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from neardup.packages import load_package
from neardup.prepare import Content, Decode, Prepared

# For one picture. The slowest of the hostile files that tests know takes some seconds on a busy core.
LIMIT_SECONDS = 60.0

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def isolated(workers: int, limit_seconds: float = LIMIT_SECONDS) -> Iterator["Isolated"]:
    """An executor for `prepare_in_order`; its processes end with the block. Raises MissingPackage."""
    pebble = load_package("pebble", "--isolate")
    # Not by a plain fork, which would copy the locks that other threads hold.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["neardup.prepare"])
    pool = pebble.ProcessPool(workers, initializer=_leave_interrupts_to_parent, context=context)
    try:
        with ThreadPoolExecutor(workers, "read") as threads:
            yield Isolated(workers, threads, pool, limit_seconds)
    finally:
        pool.stop()
        pool.join()


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Isolated:
    """Reads in threads, and decodes in processes."""

    def __init__(self, workers: int, threads: ThreadPoolExecutor, pool: Any, limit_seconds: float) -> None:
        self.workers = workers
        self._threads, self._pool, self._limit_seconds = threads, pool, limit_seconds

    def submit(self, function: Callable[[T], R], item: T, /) -> "Future[R]":
        if not isinstance(function, Decode) or not isinstance(item, Content):
            return self._threads.submit(function, item)
        step: Any = _Decoding(self._pool.schedule(function, args=[item], timeout=self._limit_seconds))
        step.inner.add_done_callback(lambda inner: self._pass_on(inner, step, item))
        return step  # type: ignore[no-any-return]

    def _pass_on(self, inner: "Future[Prepared]", step: "Future[Prepared]", content: Content) -> None:
        if inner.cancelled() or not step.set_running_or_notify_cancel():
            return
        try:
            step.set_result(inner.result())
        except TimeoutError:
            error = f"not decoded within {self._limit_seconds:g} s; the decoder was stopped"
            step.set_result(Prepared(content.digest, error=error, lasting=True))
        except Exception as error:
            step.set_result(_crashed(content, error))


class _Decoding(Future):  # type: ignore[type-arg]
    """A picture that is being decoded elsewhere; to cancel it stops that."""

    def __init__(self, inner: "Future[Prepared]") -> None:
        super().__init__()
        self.inner = inner

    def cancel(self) -> bool:
        with suppress(RuntimeError):
            self.inner.cancel()
        return super().cancel()


def _crashed(content: Content, error: Exception) -> Prepared:
    """Whatever ends a worker ends one picture; killed for want of memory, it is tried again the next time."""
    status = getattr(error, "exitcode", None)
    if not isinstance(status, int):
        raise error  # a bug of ours, which keeps its traceback
    name = signal.Signals(-status).name if -status in signal.valid_signals() else f"status {status}"
    return Prepared(content.digest, error=f"crashed the decoder ({name})", lasting=-status != signal.SIGKILL)
