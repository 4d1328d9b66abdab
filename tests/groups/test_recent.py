"""A cache by bytes: each value is made once at a time, errors are not kept, and no more is held than allowed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from neardup.groups.recent import Recent


def test_what_was_used_last_stays():
    kept: Recent[bytes] = Recent(10, len)
    for key in range(3):
        assert kept.get(key, lambda key: bytes(4)) == bytes(4)
    assert [kept.peek(key) is None for key in range(3)] == [True, False, False]
    kept.get(1, lambda key: pytest.fail("it is there"))
    kept.get(3, lambda key: bytes(4))
    assert [kept.peek(key) is None for key in range(4)] == [True, False, True, False]


def test_a_value_beyond_the_limit_is_given_and_let_go():
    kept: Recent[bytes] = Recent(10, len)
    assert kept.get(0, lambda key: bytes(50)) == bytes(50)
    assert kept.peek(0) is None
    kept.get(1, lambda key: bytes(10))
    assert kept.peek(1) == bytes(10)


def test_one_makes_and_the_others_wait():
    kept: Recent[list[int]] = Recent(1000, lambda value: 1)
    made = []

    def make(key: int) -> list[int]:
        made.append(key)
        time.sleep(0.05)
        return [key]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: kept.get(n % 2, make), range(16)))
    assert sorted(made) == [0, 1]
    assert all(found[n] is found[n % 2] for n in range(16))


def test_an_error_reaches_everyone_and_is_tried_again():
    kept: Recent[int] = Recent(1000, lambda value: 1)
    begun = threading.Event()

    def fail(key: int) -> int:
        begun.set()
        time.sleep(0.05)
        raise OSError("gone")

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(kept.get, 7, fail)
        begun.wait(10)
        waiting = [pool.submit(kept.get, 7, fail) for _ in range(3)]
        for future in (first, *waiting):
            with pytest.raises(OSError, match="gone"):
                future.result(10)
    assert kept.peek(7) is None
    assert kept.get(7, lambda key: 5) == 5


def test_many_threads_and_little_room():
    """Whoever asks gets the value of its key, and the cache ends within its limit, however they meet."""
    rng = np.random.default_rng(0)
    kept: Recent[bytes] = Recent(500, len)
    keys = rng.integers(0, 60, 4000).tolist()

    def ask(key: int) -> bool:
        value = kept.get(key, lambda key: bytes([key]) * (10 + key))
        return value == bytes([key]) * (10 + key)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, keys))
    held = [value for key in range(60) if (value := kept.peek(key)) is not None]
    assert 0 < sum(map(len, held)) <= 500
    assert kept._size == sum(map(len, held))
