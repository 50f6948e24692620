"""What glibc would keep of memory for nothing: a worker has two dozen threads, and loads more than it holds."""

import contextlib
import ctypes

M_ARENA_MAX = -8
"""As glibc's malloc.h numbers it."""

ARENAS = 2


def share_arenas() -> None:
    """Let all threads share a few heaps. By default each gets its own, and none gives room to another.

    For before the threads begin; another C library or allocator goes its own way.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Return what is free to the system: after loading, what was needed only for that."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
