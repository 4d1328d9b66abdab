"""How many threads the libraries under a comparison may use."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Each comparison on the calling thread alone, since several of them run at once.

    Products of two pictures' descriptors take a millisecond; the threads that OpenBLAS keeps for them, OpenCV's copy
    too, then spin for longer than that: twice the processor time, and a third of the seconds where pairs are compared
    on several threads; OpenCV's own threads add to that. The limits hold for the whole process until the block ends.
    """
    import cv2  # its copy of OpenBLAS has to be loaded for the limit to reach it
    from threadpoolctl import threadpool_limits

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        cv2.setNumThreads(before)
