"""Memory of the process: keep glibc from holding free memory, and Python from searching it too often.

A worker has two dozen threads, loads more than it keeps, and creates thousands of objects for each batch.
"""

import contextlib
import ctypes
import gc
import time

M_ARENA_MAX = -8
"""The number of the option in glibc's malloc.h."""

ARENAS = 2

COLLECT_OBJECTS = 50_000
"""The number of new objects after which Python searches them for cycles. Its default (700 in Python 3.11) is reached
after a dozen records."""

EVERY_S = 30.0
"""The time between two calls of `trim`, which takes some milliseconds."""


def share_arenas() -> None:
    """Let all threads share a few heaps. By default each thread gets a heap, and free memory of one is lost to others.

    Call this before any thread starts. Has no effect with another C library.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, ARENAS)


def trim() -> None:
    """Return free memory to the system. Has no effect with another C library."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def collect_rarely() -> None:
    """Exclude everything that was loaded from collections, and collect less often.

    Call this once everything is loaded. Reference counts free the objects of a batch when it is committed; a collection
    before that only looks at them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_OBJECTS)


class Trimmer:
    """Returns free memory to the system from time to time: otherwise a worker keeps the peak of its largest batch."""

    def __init__(self) -> None:
        self._due = 0.0

    def trim_if_due(self) -> None:
        """Trim on the first call, since loading leaves the most free memory, and then every `EVERY_S` seconds."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + EVERY_S
            trim()
