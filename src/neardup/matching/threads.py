"""How many threads the libraries under a comparison may use."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_blas_threads() -> Iterator[None]:
    """Matrix products on the calling thread alone.

    Those of two pictures' descriptors take a millisecond; the threads that OpenBLAS keeps for them, OpenCV's copy of it
    too, then spin for longer than that: twice the processor time, and a third of the seconds where pairs are compared
    on several threads. The limit holds for the whole process until the block ends.
    """
    import cv2  # noqa: F401  # its copy has to be loaded for the limit to reach it
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
