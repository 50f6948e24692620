"""What glibc would keep of memory for nothing: a worker has two dozen threads, and loads more than it holds."""

import contextlib
import ctypes
import time

M_ARENA_MAX = -8
"""As glibc's malloc.h numbers it."""

ARENAS = 2

EVERY_S = 30.0
"""How often what is free is given back: that takes some milliseconds."""


def share_arenas() -> None:
    """Let all threads share a few heaps. By default each gets its own, and none gives room to another.

    For before the threads begin; another C library or allocator goes its own way.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, ARENAS)


class Spare:
    """Memory that is free, given back now and then: a worker would keep the most that any of its steps ever needed."""

    def __init__(self) -> None:
        self._next = 0.0

    def give_back(self) -> None:
        """If it is time again."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + EVERY_S
            give_back()


def give_back() -> None:
    """Return what is free to the system: after loading, what was needed only for that."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
