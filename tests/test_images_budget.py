"""Bytes in flight never exceed the budget, and nobody waits for ever."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from neardup.images import ByteBudget

WAIT_SECONDS = 10


def test_reservations_of_many_threads_stay_within_the_limit():
    budget, lock = ByteBudget(100), threading.Lock()
    held, peak = 0, 0

    def work(size: int) -> None:
        nonlocal held, peak
        with budget.reserve(size):
            share = min(size, 100)
            with lock:
                held += share
                peak = max(peak, held)
            with lock:
                held -= share

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(work, 7 * number % 130) for number in range(2000)]:
            done.result(timeout=WAIT_SECONDS)
    assert 0 < peak <= 100
    assert budget._reserved == 0


def test_a_larger_image_goes_alone_and_is_not_overtaken():
    budget = ByteBudget(100)
    order: list[str] = []
    first_may_end = threading.Event()
    first_began = threading.Event()

    def first() -> None:
        with budget.reserve(10):
            first_began.set()
            assert first_may_end.wait(WAIT_SECONDS)
            order.append("first")

    def after(name: str, size: int) -> None:
        with budget.reserve(size):
            order.append(name)

    threads = [threading.Thread(target=first), threading.Thread(target=after, args=("large", 1000))]
    threads.append(threading.Thread(target=after, args=("small", 1)))
    threads[0].start()
    assert first_began.wait(WAIT_SECONDS)
    for waiting, thread in enumerate(threads[1:], start=1):
        thread.start()
        while len(budget._waiting) < waiting:  # in this order
            threading.Event().wait(0.001)
    assert order == []  # the small one would fit beside the first, but waits its turn
    first_may_end.set()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert order == ["first", "large", "small"]


def test_an_exception_gives_the_bytes_back():
    budget = ByteBudget(10)
    for _ in range(3):
        with pytest.raises(RuntimeError), budget.reserve(10):
            raise RuntimeError
    with budget.reserve(10):
        pass


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ValueError, match="lets nothing pass"):
        ByteBudget(0)
