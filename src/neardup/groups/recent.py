"""Values used last, of up to so many bytes."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Each value is made by one thread while others that want it wait; a value in use lives on with its user."""

    def __init__(self, limit_bytes: int, size_of: Callable[[Value], int]) -> None:
        self._limit, self._size_of = limit_bytes, size_of
        self._kept: OrderedDict[int, Future[Value]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def peek(self, key: int) -> Value | None:
        """The value, where it is there already."""
        with self._lock:
            future = self._kept.get(key)
        return future.result() if future is not None and future.done() and not future.exception() else None

    def get(self, key: int, make: Callable[[int], Value]) -> Value:
        with self._lock:
            future = self._kept.get(key)
            is_mine = future is None
            if future is None:
                future = self._kept[key] = Future()
            self._kept.move_to_end(key)
        if not is_mine:
            return future.result()
        try:
            value = make(key)
        except BaseException as error:
            with self._lock:
                del self._kept[key]  # whoever asks again tries again
            future.set_exception(error)
            raise
        future.set_result(value)
        self._make_room(self._size_of(value))
        return value

    def _make_room(self, added: int) -> None:
        with self._lock:
            self._size += added
            if self._size <= self._limit:
                return
            for key in list(self._kept):
                if self._size <= self._limit:
                    return
                if self._kept[key].done():
                    self._size -= self._size_of(self._kept.pop(key).result())
