"""A decoder that breaks, for tests/test_isolation.py; apart from it, since the processes that decode import it."""

import os
import signal
import time

from neardup.prepare import Content, Decode, Prepared


class Fragile(Decode):
    """A decoder with the faults that C has: files that end in these words crash it, or hold it up."""

    def __call__(self, content: Content) -> Prepared:
        if content.data.endswith(b"crash"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if content.data.endswith(b"memory"):
            os.kill(os.getpid(), signal.SIGKILL)
        if content.data.endswith(b"hang"):
            time.sleep(600)
        return super().__call__(content)
