"""A limit on the bytes that all threads together hold while they decode."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class ByteBudget:
    """At most `limit` bytes are reserved at any time; whoever wants more than that waits until it can be alone.

    Served in order of arrival, so that a large image is never overtaken for ever by small ones. A thread must not
    reserve again inside its reservation: two that did could wait for each other.
    """

    def __init__(self, limit: int = 256 * 2**20) -> None:
        if limit < 1:
            raise ValueError(f"a budget of {limit} bytes lets nothing pass")
        self.limit = limit
        self._reserved = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, size_bytes: int) -> Iterator[None]:
        """Wait for `size_bytes` (counted as `limit` where larger), and hold them until the block ends."""
        share = min(max(size_bytes, 0), self.limit)
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._reserved + share <= self.limit)
                self._reserved += share
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._reserved -= share
                self._changed.notify_all()
