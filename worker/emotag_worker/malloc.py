"""Keep glibc from holding free memory: a worker has two dozen threads, and loads more than it keeps."""

import contextlib
import ctypes
import time

M_ARENA_MAX = -8
"""The number of the option in glibc's malloc.h."""

ARENAS = 2

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
